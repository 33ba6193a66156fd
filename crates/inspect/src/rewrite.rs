//! Writes a checkpoint anew as a canonical savepoint: for another max parallelism, without some states,
//! with operators of other names, or for another state backend.
//!
//! Ladder of names: [`rewrite`] (the savepoint and its commit) > `keyed` (the streams of an operator) >
//! `spill` (entries on their way to other key groups) > `writer` (maps of one stream).
//!
//! With the same max parallelism each stream is read and written once, a segment at a time. With
//! another one, entries go through a place for scratch: they are parted by ranges of their new key
//! groups, and each part is sorted in memory.
//!
//! Invariants:
//! - parallelism, checkpoint id, attempt and times stay; the key groups of subtasks are those of SPEC
//!   3.1;
//! - every entry is there once, but for those of states that are dropped;
//! - files first, then all is verified to its last byte, then `_metadata`; what fails leaves nothing.
//!
//! Source: SPEC 2.7, 3, 6.

mod keyed;
mod operator;
mod spill;
mod writer;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use alluvium_core::{CheckpointMetadata, MaxParallelism, OperatorUid, Parallelism};
use alluvium_format::metadata::write_metadata;
use alluvium_state::{SnapshotMode, SnapshotTarget};
use alluvium_storage::{CheckpointStreams, JobLayout, SavepointFolder, Storage, StreamPolicy};

use crate::progress::Announced;
use crate::verify::verify_one;
use crate::{Checkpoint, InspectError, Progress, states};

/// What to change.
#[derive(Debug, Clone, Default)]
pub struct Rewrite {
    /// Another number of key groups.
    pub max_parallelism: Option<MaxParallelism>,
    /// States to leave out, keyed or of operators, by the uid before it is renamed.
    pub drop_states: Vec<(OperatorUid, String)>,
    /// Operators to rename, from and to.
    pub rename_uids: Vec<(OperatorUid, OperatorUid)>,
}

/// What was written.
#[derive(Debug, Clone)]
pub struct RewriteReport {
    /// The folder of the savepoint.
    pub location: String,
    /// Entries of keyed state that were written.
    pub entries: u64,
    /// Bytes of streams.
    pub bytes: u64,
}

/// Where things go, and from what.
struct Job<'r> {
    checkpoint: &'r Checkpoint,
    rewrite: &'r Rewrite,
    target: SnapshotTarget,
    scratch: &'r Arc<dyn Storage>,
    progress: &'r dyn Progress,
    /// Bytes that were announced for the verification at the end.
    to_verify: Cell<u64>,
}

impl Job<'_> {
    /// So many bytes are going to be read and written, and then verified.
    fn announce(&self, len_bytes: u64) {
        self.progress.expect(len_bytes.saturating_mul(2));
        self.to_verify.set(self.to_verify.get().saturating_add(len_bytes));
    }

    fn is_dropped(&self, uid: &OperatorUid, state: &str) -> bool {
        self.rewrite.drop_states.iter().any(|(of, name)| of == uid && name == state)
    }

    fn renamed(&self, uid: &OperatorUid) -> OperatorUid {
        let found = self.rewrite.rename_uids.iter().find(|(from, _)| from == uid);
        found.map_or_else(|| uid.clone(), |(_, to)| to.clone())
    }
}

/// Writes a savepoint below a target. `scratch` is an empty storage that nobody else uses, for as many
/// bytes as the largest operator has, where the max parallelism changes; `seed` makes the name of the folder. What
/// [`Checkpoint::with_native`] turns into blocks stays in the scratch of that one besides.
///
/// Errors: [`InspectError::Unknown`], [`InspectError::CannotRewrite`], [`InspectError::NeedsRocksDb`];
/// [`InspectError::Stream`] for damage and what a storage said. Then there is no savepoint.
pub fn rewrite(
    checkpoint: &Checkpoint,
    target: &str,
    rewrite: &Rewrite,
    scratch: &Arc<dyn Storage>,
    seed: u64,
    progress: &dyn Progress,
) -> Result<RewriteReport, InspectError> {
    check(checkpoint, rewrite)?;
    let root = alluvium_storage::open(target)?;
    reserve_and_write(checkpoint, &root, rewrite, scratch, seed, progress)
}

/// As [`rewrite`](fn@rewrite), below a root that is open already.
///
/// Errors: as [`rewrite`](fn@rewrite).
pub fn rewrite_into(
    checkpoint: &Checkpoint,
    root: &Arc<dyn Storage>,
    rewrite: &Rewrite,
    scratch: &Arc<dyn Storage>,
    seed: u64,
    progress: &dyn Progress,
) -> Result<RewriteReport, InspectError> {
    check(checkpoint, rewrite)?;
    reserve_and_write(checkpoint, root, rewrite, scratch, seed, progress)
}

fn reserve_and_write(
    checkpoint: &Checkpoint,
    root: &Arc<dyn Storage>,
    rewrite: &Rewrite,
    scratch: &Arc<dyn Storage>,
    seed: u64,
    progress: &dyn Progress,
) -> Result<RewriteReport, InspectError> {
    let folder = SavepointFolder::reserve(root, &checkpoint.metadata().properties.job, seed)?;
    let done = write(checkpoint, rewrite, folder.storage(), scratch, progress);
    match &done {
        Ok(_) => folder.complete(),
        // Without metadata it is nothing, should it stay.
        Err(_) => drop(folder.discard()),
    }
    done
}

/// Every name must be one of the checkpoint, and new uids must not collide.
fn check(checkpoint: &Checkpoint, rewrite: &Rewrite) -> Result<(), InspectError> {
    let operators = &checkpoint.metadata().operators;
    let known =
        || operators.iter().map(|operator| operator.uid.to_string()).collect::<Vec<_>>().join(", ");
    let from = rewrite.rename_uids.iter().map(|(from, _)| from);
    for uid in from.chain(rewrite.drop_states.iter().map(|(uid, _)| uid)) {
        if operators.iter().all(|operator| operator.uid != *uid) {
            let (what, name) = ("operator", uid.to_string());
            return Err(InspectError::Unknown { what, name, known: known() });
        }
    }
    let mut uids = BTreeSet::new();
    for operator in operators {
        let plans = || rewrite.rename_uids.iter().filter(|(from, _)| *from == operator.uid);
        let renamed = plans().next().map_or(&operator.uid, |(_, to)| to);
        if !uids.insert(renamed) || plans().count() > 1 {
            let (what, reason) = (format!("operator {}", operator.uid), "two would have one uid");
            return Err(InspectError::CannotRewrite { what, reason });
        }
    }
    if rewrite.drop_states.is_empty() {
        return Ok(());
    }
    let all = states(checkpoint)?;
    for (uid, name) in &rewrite.drop_states {
        if all.iter().all(|state| state.uid != *uid || state.name != *name) {
            let known = all.iter().map(|state| format!("{}/{}", state.uid, state.name));
            let (what, known) = ("state", known.collect::<Vec<_>>().join(", "));
            return Err(InspectError::Unknown { what, name: format!("{uid}/{name}"), known });
        }
    }
    Ok(())
}

fn write(
    checkpoint: &Checkpoint,
    rewrite: &Rewrite,
    folder: &Arc<dyn Storage>,
    scratch: &Arc<dyn Storage>,
    progress: &dyn Progress,
) -> Result<RewriteReport, InspectError> {
    let old = checkpoint.metadata();
    let max = rewrite.max_parallelism.unwrap_or(old.properties.max_parallelism);
    let target = SnapshotTarget {
        streams: CheckpointStreams::savepoint(Arc::clone(folder), StreamPolicy::files()),
        checkpoint: old.properties.checkpoint,
        attempt: old.properties.attempt,
        mode: SnapshotMode::Full,
    };
    let job = Job { checkpoint, rewrite, target, scratch, progress, to_verify: Cell::new(0) };
    let (mut operators, mut entries) = (Vec::new(), 0);
    for operator in &old.operators {
        let uid = job.renamed(&operator.uid);
        let parallelism = Parallelism::new(u32::from(operator.parallelism.get()), max)?;
        let mut subtasks = operator::subtasks(&job, operator, &uid, parallelism)?;
        entries += keyed::write(&job, operator, (&uid, parallelism), &mut subtasks)?;
        operators.push(alluvium_core::OperatorState { uid, parallelism, subtasks });
    }
    let mut properties = old.properties.clone();
    properties.max_parallelism = max;
    let metadata = CheckpointMetadata { properties, operators };
    let bytes = write_metadata(&metadata)
        .map_err(|source| InspectError::Encode { what: "_metadata", source })?;
    let (path, written) = (JobLayout::savepoint_metadata(), metadata.state_len_bytes());
    let begun = Checkpoint::begun(metadata, path.clone(), Arc::clone(folder));
    let verifying = Announced::new(progress, job.to_verify.get());
    let report = verify_one(&begun, &verifying)?;
    verifying.finish();
    if let Some(finding) = report.findings.iter().find(|_| report.is_damaged()) {
        let (location, finding) = (begun.location(), finding.to_string());
        return Err(InspectError::Unsound { location, finding });
    }
    folder.create(&path, &bytes)?;
    Ok(RewriteReport { location: begun.location(), entries, bytes: written })
}
