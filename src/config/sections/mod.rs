//! One reader for each section. A reader always gives a value: after a reported problem it is a stand-in
//! that nobody sees, because then the whole file is refused.

mod audit;
mod auth;
mod cluster;
mod container;
mod image;
mod ldap;
mod machine;
mod metrics;
mod mount;
mod network;
mod reservation;
mod ssh;
mod store;
mod tailnet;
mod throttle;
mod totp;
mod web;

use std::path::Path;

use super::Config;
use super::table::{Section, Table};

/// The file itself.
pub(super) const ROOT: Section = Section {
    title: "",
    key: "",
    keys: &[
        "cluster",
        "ssh",
        "web",
        "metrics",
        "auth",
        "reservation",
        "container",
        "mount",
        "machine",
        "store",
        "audit",
        "network",
    ],
    later: &[],
};

/// Every section with keys of its own.
pub(super) const SECTIONS: [&Section; 21] = [
    &cluster::CLUSTER,
    &ssh::SSH,
    &ssh::LISTEN,
    &cluster::CHARTER,
    &auth::AUTH,
    &ldap::LDAP,
    &tailnet::TAILNET,
    &throttle::THROTTLE,
    &totp::TOTP,
    &reservation::RESERVATION,
    &container::CONTAINER,
    &mount::MOUNT,
    &machine::MACHINE,
    &machine::SLOT,
    &machine::TLS,
    &store::STORE,
    &audit::AUDIT,
    &web::WEB,
    &web::JUPYTER,
    &metrics::METRICS,
    &network::NETWORK,
];

/// The section that has this key.
pub(super) fn section_with(key: &str) -> Option<&'static str> {
    SECTIONS.into_iter().find(|section| section.keys.contains(&key)).map(|section| section.title)
}

/// The whole file.
pub(super) fn config(root: &mut Table<'_, '_>, folder: &Path) -> Config {
    let cluster = root.section(&cluster::CLUSTER, |table| cluster::cluster(table, folder));
    let auth = root.section(&auth::AUTH, |table| auth::auth(table, folder));
    let reservation = root.section(&reservation::RESERVATION, reservation::reservation);
    let container = root.section(&container::CONTAINER, container::container);
    let store = root.section(&store::STORE, |table| store::store(table, folder));
    let audit = root.section(&audit::AUDIT, |table| audit::audit(table, folder));
    let network = root.section(&network::NETWORK, network::network);
    let machines = machine::machines(root, &container.limits, folder);
    let ssh = root.section(&ssh::SSH, |table| ssh::ssh(table, folder, &machines));
    let web = root.section(&web::WEB, |table| web::web(table, folder, &machines));
    let metrics = root.section(&metrics::METRICS, metrics::metrics);
    let private = mount::private_paths(&ssh, &store, &machines);
    let mounts = mount::mounts(root, &private);
    Config {
        cluster,
        ssh,
        auth,
        reservation,
        container,
        mounts,
        machines,
        store,
        audit,
        network,
        web,
        metrics,
    }
}
