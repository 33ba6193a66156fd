//! The `alluvium` command as a library, so that tests can run its jobs in their own process.
//!
//! Roles: [`args`] is what a person can type; `run`, `list`, `inspect`, `ask`, `demo` and `bench` carry it out, `listen` has
//! a running job answer what `ask` asks; [`jobs`] holds the two jobs, and [`jobs::Job`] what they have in common.
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

mod ask;
mod bench;
mod demo;
mod inspect;
mod list;
mod listen;
mod log;
mod progress;
mod run;
mod sizes;
mod text;

use std::process::ExitCode;

use clap::Parser;

pub use listen::Listening;
pub use run::{JobReport, run_job};

/// Parses the arguments of the process and carries them out.
pub fn main() -> ExitCode {
    let args = args::Args::parse();
    let done = match &args.command {
        args::Command::Run(args::RunCommand { job }) => run::run(job),
        args::Command::List { uri, json } => list::list(uri, *json),
        args::Command::Show(options) => inspect::show::show(options),
        args::Command::Verify(options) => inspect::verify::verify(options),
        args::Command::Cat(options) => inspect::cat::cat(options),
        args::Command::Gc(options) => inspect::gc::collect(options),
        args::Command::Diff(options) => inspect::diff::compare(options),
        args::Command::Copy(options) => inspect::copy::copy_to(options),
        args::Command::Rewrite(options) => inspect::rewrite::rewrite_to(options),
        args::Command::Status { url } => ask::status(url),
        args::Command::Savepoint(options) => ask::savepoint(options),
        args::Command::Checkpoint { url, full, detached } => ask::checkpoint(url, *full, *detached),
        args::Command::Stop { savepoint, drain } => ask::stop(savepoint, *drain),
        args::Command::Cancel { url, detached } => ask::cancel(url, *detached),
        args::Command::Demo(options) => demo::demo(options),
        args::Command::Bench(args::BenchCommand { subject }) => bench::bench(subject),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            text::complain(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
