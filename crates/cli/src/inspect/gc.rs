//! `alluvium gc`.

use alluvium::inspect::{GcFolder, GcOptions, gc};
use serde_json::json;

use super::{bytes, say_json};
use crate::args::GcArgs;
use crate::error::CliError;
use crate::text::complain;

pub(crate) fn collect(options: &GcArgs) -> Result<(), CliError> {
    let GcArgs { uri, dry_run, no_job_runs, json } = options;
    let done = gc(uri, GcOptions { is_dry_run: *dry_run, no_job_runs: *no_job_runs })?;
    if *json {
        let folders: Vec<_> = done.iter().map(as_json).collect();
        say_json(&json!({ "is_dry_run": dry_run, "folders": folders }));
        return first_refusal(done);
    }
    let verb = if *dry_run { "would remove" } else { "removed" };
    for folder in &done {
        let GcFolder { location, orphans, refused } = folder;
        for orphan in orphans {
            say!("{verb} {location}/{} ({} bytes)", orphan.path, orphan.len_bytes);
        }
        if refused.is_none() || !orphans.is_empty() {
            let (count, sum) = (orphans.len(), bytes(len_bytes(folder)));
            say!("{location}: {verb} {count} files with {sum} to which no checkpoint refers");
        }
        if refused.is_some() {
            say!("{location}: not cleaned up to its end");
        }
    }
    first_refusal(done)
}

/// What was refused first is the error of the command; of the others it says so before.
fn first_refusal(done: Vec<GcFolder>) -> Result<(), CliError> {
    let mut refused = done.into_iter().filter_map(|folder| folder.refused);
    let Some(first) = refused.next() else { return Ok(()) };
    refused.for_each(|error| complain(&error));
    Err(first.into())
}

fn len_bytes(folder: &GcFolder) -> u64 {
    folder.orphans.iter().fold(0, |sum: u64, orphan| sum.saturating_add(orphan.len_bytes))
}

fn as_json(folder: &GcFolder) -> serde_json::Value {
    let orphans = folder
        .orphans
        .iter()
        .map(|orphan| json!({ "path": orphan.path.as_str(), "bytes": orphan.len_bytes }));
    json!({
        "location": folder.location,
        "bytes": len_bytes(folder),
        "orphans": orphans.collect::<Vec<_>>(),
        "refused": folder.refused.as_ref().map(ToString::to_string),
    })
}
