//! What is no longer needed goes: metadata first, then files in batches, then folders.
//!
//! Invariants:
//! - a run that was replaced by a newer attempt deletes nothing;
//! - a file that cannot be removed keeps no other one;
//! - a folder goes only when nothing but unfinished files was in it, whatever names there are.
//!
//! Source: SPEC 2.5.

use std::collections::BTreeSet;

use alluvium_core::{AttemptId, CheckpointId, StoragePath};
use alluvium_storage::{JobLayout, StorageError, check_attempt};

use super::CheckpointStore;
use crate::StoreError;

/// Files that could not be removed, and why the first of them was not.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) files: Vec<StoragePath>,
    pub(crate) error: StorageError,
}

impl CheckpointStore {
    /// Removes files that no checkpoint will use.
    ///
    /// Errors: [`StoreError::Storage`]; with [`StorageError::Fenced`] nothing was removed, with any
    /// other all that could be.
    pub fn discard(&self, own: AttemptId, files: &[StoragePath]) -> Result<(), StoreError> {
        self.discard_batch(own, files)?.map_or(Ok(()), |kept| Err(kept.error.into()))
    }

    /// The same, and says which of them are still there.
    ///
    /// Errors: [`StoreError::Storage`]; then nothing was removed.
    pub(crate) fn discard_batch(
        &self,
        own: AttemptId,
        files: &[StoragePath],
    ) -> Result<Option<Kept>, StoreError> {
        check_attempt(&*self.storage, own)?;
        Ok(self.delete_files(files))
    }

    /// Removes a checkpoint: its metadata, then the files that only it needed, wherever they lie,
    /// then its folder if nothing else is in it.
    ///
    /// Errors: [`StoreError::Storage`]; with [`StorageError::Fenced`] nothing was removed. Then it
    /// may be called again.
    pub fn delete(
        &self,
        own: AttemptId,
        checkpoint: CheckpointId,
        files: &[StoragePath],
    ) -> Result<(), StoreError> {
        self.delete_metadata(own, checkpoint)?;
        if let Some(kept) = self.delete_files(files) {
            return Err(kept.error.into());
        }
        self.remove_empty_dir(checkpoint)
    }

    /// Removes the metadata of a checkpoint, which does not exist from then on.
    ///
    /// Errors: [`StoreError::Storage`]; with [`StorageError::Fenced`] nothing was removed.
    pub(crate) fn delete_metadata(
        &self,
        own: AttemptId,
        checkpoint: CheckpointId,
    ) -> Result<(), StoreError> {
        check_attempt(&*self.storage, own)?;
        Ok(self.storage.delete(&JobLayout::metadata(checkpoint))?)
    }

    /// How many files one batch has at best.
    pub(crate) fn batch_len(&self) -> usize {
        self.storage.delete_batch_len().max(1)
    }

    /// Deletes files, and the folders of checkpoints that are empty then.
    pub(super) fn delete_files(&self, files: &[StoragePath]) -> Option<Kept> {
        let mut results = Vec::with_capacity(files.len());
        for batch in files.chunks(self.batch_len()) {
            results.extend(self.storage.delete_many(batch));
        }
        let mut kept: Option<Kept> = None;
        for (file, result) in files.iter().zip(results) {
            if let Err(error) = result {
                kept.get_or_insert(Kept { files: Vec::new(), error }).files.push(file.clone());
            }
        }
        let dirs: BTreeSet<StoragePath> = files.iter().filter_map(StoragePath::parent).collect();
        for dir in &dirs {
            if JobLayout::parse_checkpoint_dir(dir.as_str()).is_some() {
                // An empty folder is no checkpoint and costs nothing; the next start removes it.
                let _ = self.remove_if_empty(dir);
            }
        }
        kept
    }

    /// Removes the folder of a checkpoint if nothing is left in it. Only where a lock keeps others
    /// from filling it between the look and the removal; object stores have no folders anyway.
    ///
    /// Errors: [`StoreError::Storage`].
    pub fn remove_empty_dir(&self, checkpoint: CheckpointId) -> Result<(), StoreError> {
        self.remove_if_empty(&JobLayout::checkpoint_dir(checkpoint))
    }

    fn remove_if_empty(&self, dir: &StoragePath) -> Result<(), StoreError> {
        if self.lock.is_some() && self.storage.list(Some(dir))?.is_empty() {
            self.storage.delete_unfinished(dir)?;
            self.storage.delete_empty_dir(dir)?;
        }
        Ok(())
    }
}
