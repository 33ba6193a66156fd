//! Savepoints: one snapshot in a folder of its own, which belongs to whoever asked for it.
//!
//! Invariants:
//! - a savepoint exists if and only if its `_metadata` is whole;
//! - a folder is reserved by creating a marker in it, so no two runs write into one;
//! - once a savepoint is complete, nothing here deletes or changes anything in it.
//!
//! Source: SPEC 2.7; Flink `Checkpoints.storeCheckpointMetadata`, `disposeSavepoint`.

use std::collections::BTreeSet;
use std::sync::Arc;

use alluvium_core::{AttemptId, CheckpointMetadata, StoragePath};
use alluvium_format::metadata::{read_metadata, write_metadata};
use alluvium_storage::{JobLayout, Location, Storage, StorageError, check_attempt};

use super::{CheckpointStatus, CheckpointStore};
use crate::StoreError;

/// File that says that a savepoint is not complete.
const UNFINISHED: &str = "_unfinished";
/// What is in it, for people.
const UNFINISHED_TEXT: &[u8] =
    b"A savepoint was begun here. Without _metadata it is not complete and may be deleted.\n";
/// Names that are tried before a target is given up.
const TRIES: u64 = 16;

/// The folder of a savepoint that is being written.
#[derive(Debug, Clone)]
pub(crate) struct SavepointFolder {
    target: Arc<dyn Storage>,
    dir: StoragePath,
    folder: Arc<dyn Storage>,
}

impl SavepointFolder {
    /// The folder.
    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.folder
    }

    /// The folder, as a person would write it.
    pub(crate) fn location(&self) -> String {
        self.folder.root().to_owned()
    }
}

fn unfinished() -> StoragePath {
    match StoragePath::new(UNFINISHED) {
        Ok(path) => path,
        Err(error) => unreachable!("a constant name is valid: {error}"),
    }
}

impl CheckpointStore {
    /// Reserves a new folder below a target, which shows as well that something can be written
    /// there. Folders of different seeds have different names, as far as 48 bits can differ.
    ///
    /// Errors: [`StoreError::Storage`].
    pub(crate) fn begin_savepoint(
        &self,
        target: &Arc<dyn Storage>,
        seed: u64,
    ) -> Result<SavepointFolder, StoreError> {
        let mut taken = None;
        for number in 0..TRIES {
            let dir = JobLayout::savepoint_dir(&self.job, seed.wrapping_add(number));
            let folder = target.below(&dir)?;
            match folder.create(&unfinished(), UNFINISHED_TEXT) {
                // 1. Two savepoints of one seed take the names of it and of the next one;
                // 2. they are complete, and nothing in their folders says that a name is taken but they;
                // 3. a third, of the next seed, would write among them, fail, and remove them.
                Ok(()) if folder.list(None)?.len() > 1 => {
                    folder.delete(&unfinished())?;
                    let location = Location::new(target.root(), Some(&dir));
                    taken = Some(StorageError::AlreadyExists { location });
                }
                Ok(()) => return Ok(SavepointFolder { target: Arc::clone(target), dir, folder }),
                Err(error @ StorageError::AlreadyExists { .. }) => taken = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        let Some(taken) = taken else { unreachable!("at least one name was tried") };
        Err(taken.into())
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
        match savepoint.folder.create(&JobLayout::savepoint_metadata(), &bytes) {
            Ok(()) => {}
            // An answer that was lost makes the storage meet its own file.
            Err(StorageError::AlreadyExists { .. })
                if read_savepoint(&*savepoint.folder)? == metadata.as_stored() => {}
            Err(error) => return Err(error.into()),
        }
        check_attempt(&*self.storage, attempt)?;
        // It is complete whether or not somebody is told that it is not.
        let _ = savepoint.folder.delete(&unfinished());
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
        match read_savepoint(&*savepoint.folder) {
            Ok(found) if found == metadata.as_stored() => {
                check_attempt(&*self.storage, metadata.properties.attempt)?;
                Ok(true)
            }
            Ok(_) | Err(StoreError::NotACheckpoint { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a savepoint that did not complete: `_metadata` first, should it be there.
    ///
    /// Errors: [`StoreError::Storage`].
    pub(crate) fn discard_savepoint(savepoint: &SavepointFolder) -> Result<(), StoreError> {
        savepoint.folder.delete(&JobLayout::savepoint_metadata())?;
        Ok(savepoint.target.delete_dir(&savepoint.dir)?)
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
    match folder.read_all(&path) {
        Ok(bytes) => read_metadata(bytes).map_err(|source| StoreError::Damaged {
            location: format!("{}/{path}", folder.root()),
            source,
        }),
        Err(StorageError::NotFound { .. }) => {
            Err(StoreError::NotACheckpoint { location: folder.root().to_owned() })
        }
        Err(error) => Err(error.into()),
    }
}
