//! Figures of this project beside Apache Flink on the same machine.
//!
//! Flink runs in a Java process (`benches/flink`), this project in another one; a third, this one,
//! asks them in turns, round by round, for the same operations on the same keys and values, and
//! compares what they read. `benches/README.md` says what each figure means.
//!
//! Invariants: what is compared did the same operations on the same state, or the program ends;
//! nobody works while another one is measured; what the JVM does at first does not count.

#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
#![expect(clippy::cast_precision_loss, reason = "figures are floats")]

mod field;
mod figures;
mod options;
mod ours;

use std::process::ExitCode;

use alluvium_benches::report::Report;

use crate::options::{Options, Run};

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
    match options.run {
        Run::Child(task) => match ours::serve(&task) {
            Ok(()) => ExitCode::SUCCESS,
            Err(wrong) => {
                eprintln!("error: {wrong}");
                ExitCode::from(2)
            }
        },
        Run::Figures(java) => {
            let report = Report::new(options.only, options.plan);
            report.heading();
            java.note(&report);
            figures::all(&report, &java);
            report.load();
            ExitCode::SUCCESS
        }
    }
}
