//! `alluvium verify`.

use std::time::Duration;

use alluvium::inspect::{Finding, Severity, VerifyReport};
use serde_json::{Value, json};

use super::{Bar, bytes, say_json};
use crate::args::VerifyOptions;
use crate::error::CliError;

pub(crate) fn verify(options: &VerifyOptions) -> Result<(), CliError> {
    let bar = Bar::new(options.quiet || options.json);
    let report = alluvium::inspect::verify(&options.uri, &bar)?;
    let took = bar.finish();
    if options.json {
        say_json(&as_json(&report, took));
    } else {
        print(&report, took);
    }
    let damaged = report.checkpoints.iter().filter(|(_, is_sound)| !is_sound).count();
    if report.is_damaged() {
        return Err(CliError::Damaged { damaged, of: report.checkpoints.len() });
    }
    Ok(())
}

fn print(report: &VerifyReport, took: Duration) {
    for finding in &report.findings {
        say!("{}", line_of(finding));
    }
    for (location, is_sound) in &report.checkpoints {
        say!("{location}: {}", if *is_sound { "sound" } else { "DAMAGED" });
    }
    let rate = rate(report.bytes, took);
    say!(
        "{} checksums of {} in {} files compared in {:.3} s ({}/s)",
        report.checksums,
        bytes(report.bytes),
        report.files,
        took.as_secs_f64(),
        bytes(rate)
    );
}

fn rate(len_bytes: u64, took: Duration) -> u64 {
    let per_s = u128::from(len_bytes) * 1_000_000_000 / took.as_nanos().max(1);
    u64::try_from(per_s).unwrap_or(u64::MAX)
}

fn line_of(finding: &Finding) -> String {
    let word = if finding.severity == Severity::Damage { "DAMAGE" } else { "warning" };
    let needed = match finding.checkpoints.as_slice() {
        [] => String::new(),
        names => format!(" (needed by {})", names.join(", ")),
    };
    format!("{word}: {finding}{needed}")
}

fn as_json(report: &VerifyReport, took: Duration) -> Value {
    let findings = report.findings.iter().map(|finding| {
        json!({
            "severity": if finding.severity == Severity::Damage { "damage" } else { "warning" },
            "file": finding.file,
            "offset": finding.offset,
            "what": finding.what,
            "expected": finding.expected,
            "found": finding.found,
            "checkpoints": finding.checkpoints,
        })
    });
    let checkpoints = report
        .checkpoints
        .iter()
        .map(|(location, is_sound)| json!({ "location": location, "is_sound": is_sound }));
    json!({
        "is_damaged": report.is_damaged(),
        "findings": findings.collect::<Vec<_>>(),
        "checkpoints": checkpoints.collect::<Vec<_>>(),
        "files": report.files,
        "bytes": report.bytes,
        "checksums": report.checksums,
        "seconds": took.as_secs_f64(),
        "bytes_per_second": rate(report.bytes, took),
    })
}
