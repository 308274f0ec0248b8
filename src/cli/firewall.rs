//! `clusteria firewall`

use crate::config::Config;
use crate::firewall;

/// Prints the script that an administrator installs on each machine.
pub(super) fn print(config: &Config) {
    print!("{}", firewall::script(&config.cluster.name, &config.network));
}
