//! `clusteria serve`

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{Failure, log};
use crate::app;
use crate::config::Config;
use crate::handover;

pub(super) fn serve(config: Config) -> Result<(), Failure> {
    app::remember_binary();
    log::begin();
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
