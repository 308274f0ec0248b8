//! The gateway and its commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    clusteria::cli::main()
}
