//! Figures of the inspector: how long it takes to look into checkpoints of many files and of many bytes.
//!
//! The checkpoints are made anew in a folder for temporary files; they are read from the page cache.
//!
//! Invariants: sizes, seeds and the number of rounds are constants, so two runs do the same work.

#![expect(clippy::cast_precision_loss, reason = "figures are floats")]

mod made;
mod options;

use std::process::ExitCode;

use alluvium_benches::measure::{Samples, timed};
use alluvium_benches::report::{self, Goal};
use alluvium_inspect::{Checkpoint, Summary, verify};

use crate::options::{Options, Plan};

type Report = report::Report<Plan>;

/// Bar of `show`, in milliseconds.
const SHOW: Goal = Goal::bar(100.0);
/// Bar of `verify`, in MB/s.
const VERIFY: Goal = Goal::bar(1_000.0);

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
    if report.wants("show-many-files") {
        show_many_files(&report);
    }
    if report.wants("verify-speed") {
        verify_speed(&report);
    }
    report.load();
    ExitCode::SUCCESS
}

/// What `alluvium show` does before it prints.
fn show_many_files(report: &Report) {
    let dir = tempfile::tempdir().expect("a folder");
    let uri = made::many_files(dir.path(), report.plan.files);
    let mut times = Samples::default();
    for round in 0..=report.plan.rounds {
        let (time, files) = timed(|| {
            let checkpoint = Checkpoint::open(&uri).expect("it was just written");
            Summary::of(checkpoint.metadata()).sizes.files()
        });
        assert_eq!(files, u64::from(report.plan.files));
        if round > 0 {
            times.push(time.as_secs_f64() * 1e3);
        }
    }
    report.figure("show-many-files", &times, SHOW, "ms");
    report.note(&format!("  {} files", report.plan.files));
}

/// All checksums of a checkpoint, per second.
fn verify_speed(report: &Report) {
    let dir = tempfile::tempdir().expect("a folder");
    let uri = made::many_bytes(dir.path(), report.plan.mib);
    let mut speeds = Samples::default();
    let mut bytes = 0;
    for round in 0..=report.plan.rounds {
        let (time, found) = timed(|| verify(&uri, &()).expect("it was just written"));
        assert!(!found.is_damaged(), "{found:?}");
        bytes = found.bytes;
        if round > 0 {
            speeds.push(found.bytes as f64 / 1e6 / time.as_secs_f64());
        }
    }
    report.figure("verify-speed", &speeds, VERIFY, "MB/s");
    report.note(&format!("  {bytes} bytes"));
}
