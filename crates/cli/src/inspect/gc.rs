//! `alluvium gc`.

use alluvium::inspect::{GcFolder, GcOptions, gc};
use serde_json::json;

use super::bytes;
use crate::args::GcArgs;
use crate::error::CliError;

pub(crate) fn collect(options: &GcArgs) -> Result<(), CliError> {
    let GcArgs { uri, dry_run, no_job_runs, json } = options;
    let done = gc(uri, GcOptions { is_dry_run: *dry_run, no_job_runs: *no_job_runs })?;
    if *json {
        let folders: Vec<_> = done.iter().map(as_json).collect();
        say!("{:#}", json!({ "is_dry_run": dry_run, "folders": folders }));
        return Ok(());
    }
    let verb = if *dry_run { "would remove" } else { "removed" };
    for folder in &done {
        for orphan in &folder.orphans {
            say!("{verb} {}/{} ({} bytes)", folder.location, orphan.path, orphan.len_bytes);
        }
        let (count, sum) = (folder.orphans.len(), bytes(len_bytes(folder)));
        say!("{}: {verb} {count} files with {sum} to which no checkpoint refers", folder.location);
    }
    Ok(())
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
    })
}
