//! Figures of this project beside other stores.
//!
//! Roles: a [`store`](mod@store) is what somebody else wrote, used as a careful user of it would; a
//! [`contender`] is a store, or a backend of this project, filled and ready for cases; a [`field`] has
//! several of them, which take turns. `benches/README.md` says what each figure means.
//!
//! Invariants: what is compared does the same operations on the same keys and values; what it reads
//! is compared after each round, and all of its state in the end, or the program ends with an error;
//! nobody works while another one is measured.

#![expect(clippy::cast_precision_loss, reason = "figures are floats")]

mod contender;
mod field;
mod figures;
mod options;
mod rest;
mod rows;
mod store;
mod stores;

use std::process::ExitCode;

use alluvium_benches::report::Report;

use crate::options::Options;

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
    let report = Report::new(options.only, options.plan);
    report.heading();
    figures::all(&report);
    report.load();
    ExitCode::SUCCESS
}
