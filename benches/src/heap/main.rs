//! Figures of the heap backend.
//!
//! One process measures everything, one figure after the other; what is compared runs in turns,
//! round by round. `benches/README.md` says what each figure means.
//!
//! Invariants: the sizes, the seeds and the number of rounds are constants, so two runs do the
//! same work; results go into `black_box`; setup and drops lie outside the timed parts.

#![expect(clippy::disallowed_methods, reason = "a bench reads the clock and starts threads")]
#![expect(clippy::cast_precision_loss, reason = "figures are floats")]
#![expect(clippy::inline_always, reason = "each loop is compiled for each contender")]

mod child;
mod contender;
mod figures;
mod options;
mod report;
mod setup;
mod shapes;

use std::process::ExitCode;

use alluvium_benches::{background, measure, null_storage, pace, random};

use crate::options::Options;
use crate::report::Report;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("error: {wrong}\n\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    if let Some(task) = &options.child {
        child::run(task);
        return ExitCode::SUCCESS;
    }
    let report = Report::new(options.only.clone(), options.plan);
    report.heading();
    figures::all(&report);
    report.load();
    ExitCode::SUCCESS
}
