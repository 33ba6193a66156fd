//! The completed checkpoints of a job on a storage: commit, find, verify, delete.
//!
//! Invariants:
//! - a checkpoint exists if and only if its `_metadata` is whole;
//! - a run that was replaced by a newer attempt neither commits with effect nor deletes;
//! - a deletion removes `_metadata` first, so nothing half-deleted ever looks whole.
//!
//! Source: SPEC 2; Flink `CompletedCheckpointStore`.

mod deleting;
mod leftovers;
mod listing;
mod savepoint;
mod verify;

pub(crate) use deleting::Kept;
pub use listing::{CheckpointEntry, CheckpointStatus};
pub use savepoint::read_savepoint;
pub use verify::verify_checkpoint;

use std::fmt;
use std::sync::Arc;

use alluvium_core::museum::{self, Mistake};
use alluvium_core::{AttemptId, CheckpointId, CheckpointMetadata, JobId};
use alluvium_format::metadata::write_metadata;
use alluvium_state::{MetadataError, read_metadata_file};
use alluvium_storage::{
    JobLayout, Storage, StorageError, StorageLock, check_attempt, claim_attempt,
};

use crate::StoreError;

/// The checkpoints of one job.
pub struct CheckpointStore {
    job: JobId,
    /// The job's folder.
    storage: Arc<dyn Storage>,
    lock: Option<StorageLock>,
}

impl fmt::Debug for CheckpointStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckpointStore({})", self.storage.root())
    }
}

impl CheckpointStore {
    /// The checkpoints of a job below a root, to be read.
    ///
    /// Errors: [`StoreError::Storage`].
    pub fn open(root: &dyn Storage, job: JobId) -> Result<Self, StoreError> {
        let storage = root.below(&JobLayout::job_dir(&job))?;
        Ok(Self { job, storage, lock: None })
    }

    /// The checkpoints in a job's folder, whatever that folder is called, to be read.
    pub fn in_folder(storage: Arc<dyn Storage>, job: JobId) -> Self {
        Self { job, storage, lock: None }
    }

    /// The checkpoints of a job below a root, to be written: takes the job's lock where the storage
    /// has locks, and then removes what runs that are over have left behind: checkpoints that were
    /// not finished, and shared files that no checkpoint refers to. While the metadata of a
    /// checkpoint is damaged nothing is removed, since it may need any of this. Where the storage has no
    /// locks the same is removed when the first checkpoint of a run is complete.
    ///
    /// Errors: [`StoreError::Storage`] with [`StorageError::Locked`] while another process runs
    /// the job on this root.
    pub fn open_exclusive(root: &dyn Storage, job: JobId) -> Result<Self, StoreError> {
        let mut store = Self::open(root, job)?;
        store.lock = store.storage.lock(&JobLayout::lock())?;
        // Without a lock an older run may still be writing: what it leaves behind goes when a
        // checkpoint of the next run is complete.
        if store.lock.is_some() {
            store.remove_leftovers()?;
        }
        Ok(store)
    }

    /// The job.
    pub const fn job(&self) -> &JobId {
        &self.job
    }

    /// The job's folder.
    pub const fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Claims the next attempt; the runs before it are fenced from here on.
    ///
    /// Errors: [`StoreError::Storage`].
    pub fn claim_attempt(&self) -> Result<AttemptId, StoreError> {
        Ok(claim_attempt(&*self.storage)?)
    }

    /// Whether an attempt is still the newest.
    ///
    /// Errors: [`StoreError::Storage`] with [`StorageError::Fenced`] when it is not.
    pub fn check_attempt(&self, own: AttemptId) -> Result<(), StoreError> {
        Ok(check_attempt(&*self.storage, own)?)
    }

    /// Makes a checkpoint exist. When this returns, effects outside may follow.
    ///
    /// Errors: [`StoreError::Storage`] with [`StorageError::Fenced`] when a newer run took over;
    /// [`StoreError::TakenBy`] when another run has a checkpoint of this id.
    pub fn commit(&self, metadata: &CheckpointMetadata) -> Result<(), StoreError> {
        let (checkpoint, attempt) = (metadata.properties.checkpoint, metadata.properties.attempt);
        let bytes =
            write_metadata(metadata).map_err(|source| StoreError::Encode { checkpoint, source })?;
        check_attempt(&*self.storage, attempt)?;
        match self.storage.create(&JobLayout::metadata(checkpoint), &bytes) {
            Ok(()) => {}
            // An answer that was lost makes the storage meet its own file.
            Err(StorageError::AlreadyExists { .. }) => {
                let found = self.read(checkpoint)?;
                if found != metadata.as_stored() || museum::makes(Mistake::TakesOwnRetryForAnother)
                {
                    let (own, found) = (attempt, found.properties.attempt);
                    return Err(StoreError::TakenBy { checkpoint, own, found });
                }
                self.make_durable(checkpoint)?;
            }
            Err(error) => return Err(error.into()),
        }
        // 1. This run checks its attempt, and is stopped;
        // 2. a newer run claims the next attempt, and lists the checkpoints without this one;
        // 3. this run creates the metadata: the newer run does not know of it.
        // The second check sees the claim, so no effect outside follows from step 3.
        if museum::makes(Mistake::SkipsSecondFenceCheck) {
            return Ok(());
        }
        Ok(check_attempt(&*self.storage, attempt)?)
    }

    /// Makes sure that the metadata of a checkpoint survives a crash of the machine: before effects
    /// outside follow from it that nobody has seen to be committed.
    ///
    /// 1. a run creates the metadata of checkpoint 5, and is told that the last sync has failed;
    /// 2. the next one finds checkpoint 5, restores it, and its sinks commit;
    /// 3. the machine loses power, and 5 is gone: the next run begins from 4, and what the sinks have
    ///    committed comes once more.
    ///
    /// Errors: [`StoreError::Storage`].
    pub(crate) fn make_durable(&self, checkpoint: CheckpointId) -> Result<(), StoreError> {
        if museum::makes(Mistake::CommitsOnUnsyncedMetadata) {
            return Ok(());
        }
        Ok(self.storage.sync(&JobLayout::metadata(checkpoint))?)
    }

    /// After `commit` failed: whether the checkpoint exists all the same, because only the answer
    /// was lost. When this says so, effects outside may follow.
    ///
    /// Errors: as [`CheckpointStore::commit`]; then it is not known.
    pub fn exists_all_the_same(&self, metadata: &CheckpointMetadata) -> Result<bool, StoreError> {
        match self.read(metadata.properties.checkpoint) {
            Ok(found) if found == metadata.as_stored() => {
                check_attempt(&*self.storage, metadata.properties.attempt)?;
                Ok(true)
            }
            Ok(_) | Err(StoreError::NotACheckpoint { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The metadata of a checkpoint.
    ///
    /// Errors: [`StoreError::NotACheckpoint`], [`StoreError::Damaged`],
    /// [`StoreError::Mismatch`], [`StoreError::Storage`].
    pub fn read(&self, checkpoint: CheckpointId) -> Result<CheckpointMetadata, StoreError> {
        let path = JobLayout::metadata(checkpoint);
        let location = || format!("{}/{path}", self.storage.root());
        let metadata = match read_metadata_file(&*self.storage, &path) {
            Ok((metadata, _)) => metadata,
            Err(MetadataError::Storage(StorageError::NotFound { .. })) => {
                let dir = JobLayout::checkpoint_dir(checkpoint);
                let location = format!("{}/{dir}", self.storage.root());
                return Err(StoreError::NotACheckpoint { location });
            }
            Err(error) => return Err(StoreError::of_metadata(location(), error)),
        };
        let properties = &metadata.properties;
        let (found, expected) = (properties.checkpoint, checkpoint);
        let mismatch = |what, expected: String, found: String| StoreError::Mismatch {
            location: location(),
            what,
            expected,
            found,
        };
        if found != expected {
            return Err(mismatch("checkpoint", expected.to_string(), found.to_string()));
        }
        if properties.job != self.job {
            return Err(mismatch("job", self.job.to_string(), properties.job.to_string()));
        }
        Ok(metadata)
    }
}

#[cfg(test)]
mod tests;
