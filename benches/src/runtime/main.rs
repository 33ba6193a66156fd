//! Figures of the runtime: what checkpoints cost a running job, and what back-pressure costs them.
//!
//! One process measures everything, one figure after the other; what is compared runs in turns within
//! one job. `benches/README.md` says what each figure means.
//!
//! Invariants: sizes, seeds and the number of rounds are constants, so two runs do the same work; keys
//! are there before anything is measured.

#![expect(clippy::disallowed_methods, reason = "a bench reads the clock and starts threads")]
#![expect(clippy::cast_precision_loss, reason = "figures are floats")]

mod back_pressure;
mod job;
mod options;
mod overhead;

use std::process::ExitCode;

use alluvium_benches::report::Report;

use crate::options::Options;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("error: {wrong}\n\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    let report = Report::new(options.only, options.plan);
    report.heading();
    back_pressure::all(&report);
    overhead::all(&report);
    report.load();
    ExitCode::SUCCESS
}
