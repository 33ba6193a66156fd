//! The `alluvium` command as a library, so that tests can run its jobs in their own process.
//!
//! Roles: [`args`] is what a person can type; `run`, `list` and `demo` carry it out; [`jobs`] holds
//! the two jobs, and [`jobs::Job`] what they have in common.
//!
//! Invariants: an error is one sentence on standard error and a non-zero exit code (see
//! [`error::CliError::exit_code`]); standard output holds results only.

pub mod args;
pub mod backend;
pub mod error;
pub mod input;
pub mod jobs;
#[cfg(feature = "rocksdb")]
mod rocksdb;

mod demo;
mod list;
mod progress;
mod run;
mod sizes;

use std::process::ExitCode;

use clap::Parser;

pub use run::{JobReport, run_job};

/// Parses the arguments of the process and carries them out.
pub fn main() -> ExitCode {
    let args = args::Args::parse();
    let done = match &args.command {
        args::Command::Run(args::RunCommand { job }) => run::run(job),
        args::Command::List { uri } => list::list(uri),
        args::Command::Demo(options) => demo::demo(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
