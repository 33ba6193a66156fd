//! The command, built here so that the tests can start it as a process.

use std::process::ExitCode;

fn main() -> ExitCode {
    alluvium_cli::main()
}
