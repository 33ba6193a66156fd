//! `alluvium copy`.

use alluvium::inspect::{Checkpoint, copy};
use serde_json::json;

use super::{Bar, bytes, say_json};
use crate::args::CopyOptions;
use crate::error::CliError;

pub(crate) fn copy_to(options: &CopyOptions) -> Result<(), CliError> {
    let checkpoint = Checkpoint::open(&options.checkpoint)?;
    let bar = Bar::new(options.json);
    let report = copy(&checkpoint, &options.target, &bar)?;
    bar.finish();
    if options.json {
        say_json(&json!({
            "location": report.location,
            "files": report.files,
            "bytes": report.bytes,
            "files_there": report.files_there,
        }));
        return Ok(());
    }
    say!(
        "{}: {} files with {} written and verified, {} were there already",
        report.location,
        report.files,
        bytes(report.bytes),
        report.files_there
    );
    Ok(())
}
