//! What runs that are over have left behind.
//!
//! Invariants:
//! - a file that whole metadata refers to stays, wherever it lies, and whatever a person has called the
//!   folder of that checkpoint: the same rule as in `alluvium gc`;
//! - nothing is removed while metadata is damaged: a person may repair it, and only it knows what
//!   it refers to.
//!
//! Where the storage has locks, whoever takes the lock knows that nobody writes, and removes leftovers
//! at once. Elsewhere a run that was replaced may still be writing, and even create a `_metadata`; that
//! one can be the latest checkpoint until the newer run has one of its own, and needs its files until
//! then. So:
//! 1. the newer run claims its attempt, and notes what is there and nobody refers to;
//! 2. its first checkpoint is complete: whatever an older run creates now is never the latest;
//! 3. of what was noted, that goes to which still no whole metadata refers.
//!
//! Source: SPEC 2.5.

use std::collections::BTreeSet;

use alluvium_core::museum::{self, Mistake};
use alluvium_core::{AttemptId, CheckpointId, StoragePath};
use alluvium_state::OtherMetadata;
use alluvium_storage::JobLayout;

use super::deleting::Kept;
use super::{CheckpointEntry, CheckpointStatus, CheckpointStore};
use crate::StoreError;

/// Files that are needed, and checkpoints without metadata.
type Needed = (BTreeSet<StoragePath>, Vec<CheckpointId>);

impl CheckpointStore {
    /// Only for whoever holds the lock of the job: nobody writes then.
    pub(super) fn remove_leftovers(&self) -> Result<(), StoreError> {
        let entries = self.list()?;
        let Some((needed, unfinished)) = self.needed(&entries)? else { return Ok(()) };
        let dirs = unfinished.into_iter().map(JobLayout::checkpoint_dir);
        dirs.chain([JobLayout::shared_dir()]).try_for_each(|dir| self.keep_only(&needed, &dir))
    }

    /// Files to which no checkpoint refers, for a run that has claimed its attempt on a storage without
    /// locks and has written nothing yet; none while metadata is damaged.
    ///
    /// Errors: [`StoreError::Storage`].
    pub(crate) fn note_leftovers(
        &self,
        entries: &[CheckpointEntry],
    ) -> Result<Vec<StoragePath>, StoreError> {
        if self.lock.is_some() {
            return Ok(Vec::new());
        }
        let Some((needed, unfinished)) = self.needed(entries)? else { return Ok(Vec::new()) };
        let dirs = unfinished.into_iter().map(JobLayout::checkpoint_dir);
        let mut found = Vec::new();
        for dir in dirs.chain([JobLayout::shared_dir()]) {
            let files = self.storage.list(Some(&dir))?.into_iter().filter(|entry| !entry.is_dir);
            // Another name cannot be spelled, and is none of ours.
            found.extend(files.filter_map(|entry| dir.join(&entry.name).ok()));
        }
        found.retain(|file| !needed.contains(file));
        Ok(found)
    }

    /// Removes what [`CheckpointStore::note_leftovers`] gave, once a checkpoint of this run is complete:
    /// what is still there, and to which still no checkpoint refers.
    ///
    /// Errors: [`StoreError::Storage`]; with `Fenced` nothing was removed.
    pub(crate) fn remove_noted(
        &self,
        own: AttemptId,
        noted: &[StoragePath],
    ) -> Result<Option<Kept>, StoreError> {
        let entries = self.list()?;
        let Some((needed, _)) = self.needed(&entries)? else { return Ok(None) };
        let mut left = noted.to_vec();
        left.retain(|file| !needed.contains(file));
        self.discard_batch(own, &left)
    }

    /// The files that a run must not remove, whoever else needs them no more: those to which checkpoints
    /// refer whose folders a person has renamed, and all shared ones while any metadata is damaged.
    ///
    /// 1. checkpoints 5 and 6 refer to file f, and the metadata of 5 is damaged;
    /// 2. a run goes on from 6, and its next checkpoint, which does not need f, subsumes 6;
    /// 3. a person who repairs 5 after that would find it without f.
    ///
    /// Errors: [`StoreError::Storage`].
    pub(crate) fn needed_by_others(
        &self,
        entries: &[CheckpointEntry],
    ) -> Result<Vec<StoragePath>, StoreError> {
        let others = OtherMetadata::of_job(&*self.storage)?;
        let mut needed: Vec<_> = others.iter().flat_map(OtherMetadata::files).collect();
        let is_damaged =
            |entry: &CheckpointEntry| matches!(entry.status, CheckpointStatus::Damaged(_));
        if entries.iter().any(is_damaged) || others.iter().any(|other| other.content.is_err()) {
            let dir = JobLayout::shared_dir();
            let files = self.storage.list(Some(&dir))?.into_iter().filter(|entry| !entry.is_dir);
            // Another name cannot be spelled, and is none of ours.
            needed.extend(files.filter_map(|entry| dir.join(&entry.name).ok()));
        }
        Ok(needed)
    }

    /// The files to which anything in the folder refers, and the checkpoints without metadata; `None`
    /// while metadata is damaged.
    fn needed(&self, entries: &[CheckpointEntry]) -> Result<Option<Needed>, StoreError> {
        let (mut needed, mut unfinished) = (BTreeSet::new(), Vec::new());
        for entry in entries {
            match &entry.status {
                CheckpointStatus::Complete(_)
                    if museum::makes(Mistake::RemovesWhatIsReferredTo) => {}
                CheckpointStatus::Complete(metadata) => needed.extend(metadata.files().cloned()),
                CheckpointStatus::Unfinished => unfinished.push(entry.checkpoint),
                CheckpointStatus::Damaged(_) => return Ok(None),
            }
        }
        for other in OtherMetadata::of_job(&*self.storage)? {
            if other.content.is_err() {
                return Ok(None);
            }
            needed.extend(other.files());
        }
        Ok(Some((needed, unfinished)))
    }

    /// Removes the files of a folder that are not needed, and the folder if nothing is left. Folders in
    /// it, and names that no path can spell, are none of ours.
    fn keep_only(
        &self,
        needed: &BTreeSet<StoragePath>,
        dir: &StoragePath,
    ) -> Result<(), StoreError> {
        let files = self.storage.list(Some(dir))?.into_iter().filter(|entry| !entry.is_dir);
        // Another name cannot be spelled, and is none of ours.
        let paths = files.filter_map(|entry| dir.join(&entry.name).ok());
        let left: Vec<_> = paths.filter(|path| !needed.contains(path)).collect();
        if let Some(kept) = self.delete_files(&left) {
            return Err(kept.error.into());
        }
        self.storage.delete_unfinished(dir)?;
        Ok(self.storage.delete_empty_dir(dir)?)
    }
}
