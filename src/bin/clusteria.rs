//! The gateway and its commands.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// musl's own maps and unmaps memory for every buffer of a transfer.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    clusteria::cli::main()
}
