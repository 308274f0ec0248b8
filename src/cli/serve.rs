//! `clusteria serve`

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing_subscriber::EnvFilter;

use super::Failure;
use crate::app;
use crate::config::Config;
use crate::handover;

pub(super) fn serve(config: Config) -> Result<(), Failure> {
    app::remember_binary();
    // russh would write a line for each odd packet, in the client's words; what matters of it is said by us.
    let filter = EnvFilter::try_from_env("CLUSTERIA_LOG")
        .unwrap_or_else(|_| EnvFilter::new("clusteria=info,russh=off,warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    // Each channel holds a few descriptors: take all that the system lets us have.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(e) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!("the limit of open files stays as it is: {e}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(app::serve(config))?;
    Ok(())
}

/// `clusteria reload`: the problems of the configuration are said here, and then nothing has been touched.
pub(super) fn reload(config: &Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let pid = runtime.block_on(handover::reload(&config.store.runtime))?;
    println!("process {pid} has taken over; what was connected goes on");
    Ok(())
}
