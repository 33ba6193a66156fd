//! The `alluvium` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    alluvium_cli::main()
}
