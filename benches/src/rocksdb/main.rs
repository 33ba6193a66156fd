//! Figures of the RocksDB backend.
//!
//! What is compared with RocksDB itself runs in turns with it, round by round, in databases with
//! the same options and the same rows. `benches/README.md` says what each figure means.
//!
//! Invariants: the sizes, the seeds and the number of rounds are constants, so two runs do the
//! same work; results go into `black_box`; setup and drops lie outside the timed parts.

#![expect(clippy::disallowed_methods, reason = "a bench reads the clock and starts threads")]
#![expect(clippy::cast_precision_loss, reason = "figures are floats")]

mod child;
mod figures;
mod options;
mod own;
mod records;
mod report;
mod soak;

use std::process::ExitCode;

use crate::options::{Options, Run};
use crate::report::Report;

/// As the `alluvium` command has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("error: {wrong}\n\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    let report = Report::new(options.only.clone(), options.plan);
    match &options.run {
        Run::Child(task) => child::run(task),
        Run::Soak(soak) => {
            report.heading();
            soak::run(&report, *soak);
            report.load();
        }
        Run::Figures => {
            report.heading();
            figures::all(&report);
            report.load();
        }
    }
    ExitCode::SUCCESS
}
