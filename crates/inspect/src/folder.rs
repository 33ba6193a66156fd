//! What lies under an address: a checkpoint, the folder of a job, or a root of several.
//!
//! Invariants: only names and metadata are read; what cannot be read is kept with its error.

use std::sync::Arc;

use alluvium_core::{CheckpointId, StoragePath};
use alluvium_storage::{JobLayout, Storage, StorageEntry, StorageError};

use crate::checkpoint::{Address, METADATA, beside};
use crate::inside::InsideRoot;
use crate::{Checkpoint, InspectError};

/// The folder of a job, or of a savepoint.
#[derive(Debug)]
pub struct Folder {
    pub(crate) storage: Arc<dyn Storage>,
    /// Its checkpoints, in the order of their numbers; or the savepoint.
    pub checkpoints: Vec<FoundCheckpoint>,
    /// Whether all checkpoints of the folder are here, so that it can be said what nobody needs.
    pub is_whole_job: bool,
}

/// A folder that holds a checkpoint, or should.
#[derive(Debug)]
pub struct FoundCheckpoint {
    /// Its folder; `None` for a savepoint, whose folder is the [`Folder`].
    pub dir: Option<StoragePath>,
    /// The checkpoint, or why it cannot be read; [`InspectError::NotACheckpoint`] where there is no
    /// metadata.
    pub content: Result<Checkpoint, InspectError>,
}

impl FoundCheckpoint {
    /// What messages call it.
    pub fn name(&self) -> String {
        self.dir.as_ref().map_or_else(|| "the savepoint".to_owned(), StoragePath::to_string)
    }

    /// Its `_metadata`, in the folder.
    pub(crate) fn metadata_path(&self) -> Option<StoragePath> {
        let top = || Some(JobLayout::savepoint_metadata());
        self.dir.as_ref().map_or_else(top, |dir| dir.join(METADATA).ok())
    }
}

impl Folder {
    /// Everything under an address: a checkpoint or savepoint, the folder of a job, or a root with
    /// folders of jobs and savepoints.
    ///
    /// Errors: [`InspectError::Empty`] when there is nothing; [`InspectError::NotACheckpoint`] where the
    /// folder of the checkpoint is not there; [`InspectError::Address`]; [`InspectError::Stream`] with
    /// what the storage said.
    pub fn find(uri: &str) -> Result<Vec<Self>, InspectError> {
        let address = Address::of(uri)?;
        let storage = match alluvium_storage::open_existing(&address.folder) {
            Err(StorageError::NotFound { location }) => {
                return Err(InspectError::Empty { location: location.to_string() });
            }
            opened => InsideRoot::of(opened?),
        };
        if let Some(checkpoint) = address.checkpoint {
            let dir = Some(JobLayout::checkpoint_dir(checkpoint));
            let content = fatal(Checkpoint::in_folder(Arc::clone(&storage), checkpoint))?;
            if let Err(error @ InspectError::NotACheckpoint { .. }) = content {
                // A folder with state and without metadata has lost it; of one with nothing in it the
                // number is wrong.
                if storage.list(dir.as_ref())?.is_empty() {
                    return Err(beside(error, &*storage, address.checkpoint));
                }
                let checkpoints = vec![FoundCheckpoint { dir, content: Err(error) }];
                return Ok(vec![Self { storage, checkpoints, is_whole_job: false }]);
            }
            let checkpoints = vec![FoundCheckpoint { dir, content }];
            return Ok(vec![Self { storage, checkpoints, is_whole_job: false }]);
        }
        Self::within(&storage)
    }

    /// Everything in a storage: the folder of a job or savepoint, or a root with such folders.
    ///
    /// Errors: [`InspectError::Empty`]; [`InspectError::Stream`] with what the storage said.
    pub fn find_in(storage: &Arc<dyn Storage>) -> Result<Vec<Self>, InspectError> {
        Self::within(&InsideRoot::of(Arc::clone(storage)))
    }

    fn within(storage: &Arc<dyn Storage>) -> Result<Vec<Self>, InspectError> {
        let mut found: Vec<Self> = Self::at(storage)?.into_iter().collect();
        if found.is_empty() {
            for entry in storage.list(None)?.iter().filter(|entry| entry.is_dir) {
                // Another name cannot be spelled, and is none of ours.
                if let Ok(dir) = StoragePath::new(&entry.name) {
                    found.extend(Self::at(&storage.below(&dir)?)?);
                }
            }
        }
        if found.is_empty() {
            return Err(InspectError::Empty { location: storage.root().to_owned() });
        }
        Ok(found)
    }

    /// The folder of a job or savepoint; `None` for any other.
    pub(crate) fn at(storage: &Arc<dyn Storage>) -> Result<Option<Self>, InspectError> {
        let entries = storage.list(None)?;
        if entries.iter().any(|entry| !entry.is_dir && entry.name == METADATA) {
            let content = fatal(Checkpoint::savepoint(Arc::clone(storage)))?;
            let checkpoints = vec![FoundCheckpoint { dir: None, content }];
            let storage = Arc::clone(storage);
            return Ok(Some(Self { storage, checkpoints, is_whole_job: false }));
        }
        if !entries.iter().any(is_of_job) {
            return Ok(None);
        }
        let mut ids: Vec<CheckpointId> = entries.iter().filter_map(checkpoint_of).collect();
        ids.sort_unstable();
        let read = |id| {
            let content = fatal(Checkpoint::in_folder(Arc::clone(storage), id))?;
            Ok(FoundCheckpoint { dir: Some(JobLayout::checkpoint_dir(id)), content })
        };
        let checkpoints = ids.into_iter().map(read).collect::<Result<_, InspectError>>()?;
        Ok(Some(Self { storage: Arc::clone(storage), checkpoints, is_whole_job: true }))
    }

    /// Where it lies, for people.
    pub fn location(&self) -> &str {
        self.storage.root()
    }
}

fn checkpoint_of(entry: &StorageEntry) -> Option<CheckpointId> {
    if entry.is_dir { JobLayout::parse_checkpoint_dir(&entry.name) } else { None }
}

fn is_of_job(entry: &StorageEntry) -> bool {
    checkpoint_of(entry).is_some()
        || (entry.is_dir && matches!(entry.name.as_str(), "shared" | "attempts"))
}

/// What is wrong with the bytes is kept; a storage that does not answer ends everything, since nobody
/// knows then what is there.
fn fatal(
    read: Result<Checkpoint, InspectError>,
) -> Result<Result<Checkpoint, InspectError>, InspectError> {
    match read {
        Err(error @ InspectError::Stream(_)) if !error.is_damage() => Err(error),
        other => Ok(other),
    }
}
