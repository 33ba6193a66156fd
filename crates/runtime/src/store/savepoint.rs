//! Savepoints: one snapshot in a folder of its own, which belongs to whoever asked for it.
//!
//! Invariants:
//! - a savepoint exists if and only if its `_metadata` is whole;
//! - once a savepoint is complete, nothing here deletes or changes anything in it.
//!
//! Source: SPEC 2.7; Flink `Checkpoints.storeCheckpointMetadata`, `disposeSavepoint`.

use std::collections::BTreeSet;
use std::sync::Arc;

use alluvium_core::{AttemptId, CheckpointMetadata};
use alluvium_format::metadata::write_metadata;
use alluvium_state::{MetadataError, OtherMetadata, read_metadata_file};
use alluvium_storage::{JobLayout, SavepointFolder, Storage, StorageError, check_attempt};

use super::{CheckpointStatus, CheckpointStore};
use crate::StoreError;

impl CheckpointStore {
    /// As [`SavepointFolder::reserve`].
    ///
    /// Errors: [`StoreError::Storage`].
    pub(crate) fn begin_savepoint(
        &self,
        target: &Arc<dyn Storage>,
        seed: u64,
    ) -> Result<SavepointFolder, StoreError> {
        Ok(SavepointFolder::reserve(target, &self.job, seed)?)
    }

    /// Makes a savepoint exist. When this returns, effects outside may follow.
    ///
    /// Errors: as [`CheckpointStore::commit`].
    pub(crate) fn commit_savepoint(
        &self,
        savepoint: &SavepointFolder,
        metadata: &CheckpointMetadata,
    ) -> Result<(), StoreError> {
        let (checkpoint, attempt) = (metadata.properties.checkpoint, metadata.properties.attempt);
        let bytes =
            write_metadata(metadata).map_err(|source| StoreError::Encode { checkpoint, source })?;
        check_attempt(&*self.storage, attempt)?;
        match savepoint.storage().create(&JobLayout::savepoint_metadata(), &bytes) {
            Ok(()) => {}
            // An answer that was lost makes the storage meet its own file.
            Err(StorageError::AlreadyExists { .. })
                if read_savepoint(&**savepoint.storage())? == metadata.as_stored() => {}
            Err(error) => return Err(error.into()),
        }
        check_attempt(&*self.storage, attempt)?;
        savepoint.complete();
        Ok(())
    }

    /// After `commit_savepoint` failed: whether it exists all the same.
    ///
    /// Errors: [`StoreError`]; then it is not known.
    pub(crate) fn savepoint_exists_all_the_same(
        &self,
        savepoint: &SavepointFolder,
        metadata: &CheckpointMetadata,
    ) -> Result<bool, StoreError> {
        match read_savepoint(&**savepoint.storage()) {
            Ok(found) if found == metadata.as_stored() => {
                check_attempt(&*self.storage, metadata.properties.attempt)?;
                Ok(true)
            }
            Ok(_) | Err(StoreError::NotACheckpoint { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a checkpoint or savepoint of another folder that a run has claimed: its metadata
    /// first, then the files that it refers to and no other whole checkpoint of that folder does;
    /// none of them while one there is damaged, which may need any.
    ///
    /// Errors: [`StoreError`]; with [`StorageError::Fenced`] nothing was removed.
    pub(crate) fn delete_claimed(
        &self,
        own: AttemptId,
        folder: &Arc<dyn Storage>,
        metadata: &CheckpointMetadata,
    ) -> Result<(), StoreError> {
        check_attempt(&*self.storage, own)?;
        let properties = &metadata.properties;
        if read_savepoint(&**folder).is_ok_and(|found| found == *metadata) {
            folder.delete(&JobLayout::savepoint_metadata())?;
        } else {
            folder.delete(&JobLayout::metadata(properties.checkpoint))?;
        }
        let others = Self::in_folder(Arc::clone(folder), properties.job.clone()).list()?;
        let mut needed = BTreeSet::new();
        for entry in others {
            match entry.status {
                CheckpointStatus::Complete(other) => needed.extend(other.files().cloned()),
                CheckpointStatus::Damaged(_) => return Ok(()),
                CheckpointStatus::Unfinished => {}
            }
        }
        for other in OtherMetadata::of_job(&**folder)? {
            if other.content.is_err() {
                return Ok(());
            }
            needed.extend(other.files());
        }
        let mut files: Vec<_> = metadata.files().cloned().collect();
        files.retain(|file| !needed.contains(file));
        for batch in files.chunks(folder.delete_batch_len().max(1)) {
            folder.delete_many(batch).into_iter().collect::<Result<(), _>>()?;
        }
        Ok(())
    }
}

/// The metadata of a savepoint in its folder.
///
/// Errors: [`StoreError::NotACheckpoint`], [`StoreError::Damaged`], [`StoreError::Storage`].
pub fn read_savepoint(folder: &dyn Storage) -> Result<CheckpointMetadata, StoreError> {
    let path = JobLayout::savepoint_metadata();
    match read_metadata_file(folder, &path) {
        Ok((metadata, _)) => Ok(metadata),
        Err(MetadataError::Storage(StorageError::NotFound { .. })) => {
            Err(StoreError::NotACheckpoint { location: folder.root().to_owned() })
        }
        Err(error) => Err(StoreError::of_metadata(format!("{}/{path}", folder.root()), error)),
    }
}
