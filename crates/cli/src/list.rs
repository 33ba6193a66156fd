//! `alluvium list`.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use alluvium::core::{CheckpointMetadata, JobId, StoragePath};
use alluvium::runtime::{CheckpointStatus, CheckpointStore};
use alluvium::storage::{self, JobLayout, Storage};

use crate::error::CliError;
use crate::sizes::Sizes;

/// Prints a line; a reader that went away is no error.
macro_rules! say {
    ($($line:tt)*) => {
        let _ = writeln!(std::io::stdout(), $($line)*);
    };
}

/// Seconds from 1970-01-01 to 10000-01-01 UTC.
const YEAR_10000_S: u64 = 253_402_300_800;

pub(crate) fn list(uri: &str) -> Result<(), CliError> {
    let root = storage::open_existing(uri)?;
    let jobs = stores(&root)?;
    if jobs.is_empty() {
        say!("no checkpoints under {}", root.root());
        return Ok(());
    }
    say!(
        "{:<20} {:>10} {:>7}  {:<20} {:>14} {:>14}  {:<12} operators",
        "job",
        "checkpoint",
        "attempt",
        "completed",
        "new bytes",
        "shared bytes",
        "status"
    );
    for store in jobs {
        for entry in store.list()? {
            let (job, id) = (store.job(), entry.checkpoint);
            let (attempt, time, bytes, shared, status, rest) = match entry.status {
                CheckpointStatus::Complete(metadata) => {
                    let sizes = Sizes::of(&metadata);
                    (
                        metadata.properties.attempt.to_string(),
                        time_of(&metadata),
                        sizes.new_bytes.to_string(),
                        sizes.shared_bytes.to_string(),
                        "complete",
                        operators_of(&metadata),
                    )
                }
                CheckpointStatus::Unfinished => {
                    (dash(), dash(), dash(), dash(), "incomplete", dash())
                }
                CheckpointStatus::Damaged(error) => {
                    (dash(), dash(), dash(), dash(), "damaged", error.to_string())
                }
            };
            say!(
                "{job:<20} {id:>10} {attempt:>7}  {time:<20} {bytes:>14} {shared:>14}  \
                 {status:<12} {rest}"
            );
        }
    }
    Ok(())
}

fn dash() -> String {
    "-".to_owned()
}

/// The jobs below a root; or the one job whose folder it is.
fn stores(root: &Arc<dyn Storage>) -> Result<Vec<CheckpointStore>, CliError> {
    let entries = root.list(None)?;
    let is_checkpoint = |name: &str| JobLayout::parse_checkpoint_dir(name).is_some();
    let own = entries.iter().find(|entry| entry.is_dir && is_checkpoint(&entry.name));
    if own.is_some() {
        let name = root.root().rsplit('/').next().unwrap_or_default();
        let job = job_in(root, name)?;
        return Ok(vec![CheckpointStore::in_folder(Arc::clone(root), job)]);
    }
    let mut stores = Vec::new();
    for entry in entries.iter().filter(|entry| entry.is_dir) {
        let (Ok(job), Ok(folder)) = (JobId::new(&entry.name), StoragePath::new(&entry.name)) else {
            continue;
        };
        let below = root.below(&folder)?;
        if below.list(None)?.iter().any(|entry| entry.is_dir && is_checkpoint(&entry.name)) {
            let job = job_in(&below, job.as_str())?;
            stores.push(CheckpointStore::in_folder(below, job));
        }
    }
    Ok(stores)
}

/// The job that the checkpoints of a folder name; a folder may have been renamed.
fn job_in(folder: &Arc<dyn Storage>, name: &str) -> Result<JobId, CliError> {
    for entry in folder.list(None)? {
        let Some(id) = JobLayout::parse_checkpoint_dir(&entry.name) else { continue };
        if let Ok(bytes) = folder.read_all(&JobLayout::metadata(id))
            && let Ok(metadata) = alluvium::format::metadata::read_metadata(bytes)
        {
            return Ok(metadata.properties.job);
        }
    }
    Ok(JobId::new(name)?)
}

fn time_of(metadata: &CheckpointMetadata) -> String {
    let completed = Duration::from_millis(metadata.properties.completed_at_ms);
    match UNIX_EPOCH.checked_add(completed) {
        // Beyond the year 9999 there is no such text.
        Some(time) if completed.as_secs() < YEAR_10000_S => {
            humantime::format_rfc3339_seconds(time).to_string()
        }
        _ => "-".to_owned(),
    }
}

fn operators_of(metadata: &CheckpointMetadata) -> String {
    let names = metadata
        .operators
        .iter()
        .map(|operator| format!("{}({})", operator.uid, operator.parallelism));
    names.collect::<Vec<_>>().join(" ")
}
