//! `alluvium list`.

use std::sync::Arc;

use alluvium::core::{CheckpointMetadata, JobId, StoragePath};
use alluvium::runtime::{CheckpointEntry, CheckpointStatus, CheckpointStore};
use alluvium::state::read_metadata_file;
use alluvium::storage::{self, JobLayout, Storage};
use serde_json::{Value, json};

use crate::error::CliError;
use crate::inspect::{say, say_json, time};
use crate::sizes::Sizes;

pub(crate) fn list(uri: &str, as_json: bool) -> Result<(), CliError> {
    let root = storage::open_existing(uri)?;
    let jobs = stores(&root)?;
    if as_json {
        let mut rows = Vec::new();
        for store in &jobs {
            rows.extend(store.list()?.iter().map(|entry| json_of(store, entry)));
        }
        say_json(&Value::Array(rows));
        return Ok(());
    }
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
                        time(metadata.properties.completed_at_ms),
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

fn json_of(store: &CheckpointStore, entry: &CheckpointEntry) -> Value {
    let (job, checkpoint) = (store.job().as_str(), entry.checkpoint.get());
    match &entry.status {
        CheckpointStatus::Complete(metadata) => {
            let sizes = Sizes::of(metadata);
            let operators = metadata.operators.iter().map(|operator| {
                json!({ "uid": operator.uid.as_str(), "parallelism": operator.parallelism.get() })
            });
            json!({
                "job": job,
                "checkpoint": checkpoint,
                "status": "complete",
                "attempt": metadata.properties.attempt.get(),
                "completed_at_ms": metadata.properties.completed_at_ms,
                "new_bytes": sizes.new_bytes,
                "shared_bytes": sizes.shared_bytes,
                "operators": operators.collect::<Vec<_>>(),
            })
        }
        CheckpointStatus::Unfinished => {
            json!({ "job": job, "checkpoint": checkpoint, "status": "incomplete" })
        }
        CheckpointStatus::Damaged(error) => {
            let error = error.to_string();
            json!({ "job": job, "checkpoint": checkpoint, "status": "damaged", "error": error })
        }
    }
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
        if let Ok((metadata, _)) = read_metadata_file(&**folder, &JobLayout::metadata(id)) {
            return Ok(metadata.properties.job);
        }
    }
    Ok(JobId::new(name)?)
}

fn operators_of(metadata: &CheckpointMetadata) -> String {
    let names = metadata
        .operators
        .iter()
        .map(|operator| format!("{}({})", operator.uid, operator.parallelism));
    names.collect::<Vec<_>>().join(" ")
}
