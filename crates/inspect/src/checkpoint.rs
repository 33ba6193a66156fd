//! One checkpoint or savepoint: where it lies, and what its metadata says.
//!
//! Shape of an address: `<folder of the job>/chk-<n>`, or the folder of a savepoint; a path or a URI,
//! whose query stays at its end.
//!
//! Invariants: opening one reads its `_metadata` and nothing else; nothing outside its folder (for a
//! checkpoint, that of the job) is ever read.

use std::sync::Arc;

use alluvium_core::{CheckpointId, CheckpointMetadata, StoragePath};
use alluvium_state::{MetadataError, read_metadata_file};
use alluvium_storage::{HandleReader, JobLayout, ReadAccess, Storage, StorageError};

use crate::inside::InsideRoot;
use crate::{InspectError, NativeState};

/// Name of the file that makes a checkpoint.
pub(crate) const METADATA: &str = "_metadata";

/// A checkpoint or savepoint whose metadata is whole.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    metadata: Arc<CheckpointMetadata>,
    metadata_len_bytes: u64,
    metadata_path: StoragePath,
    storage: Arc<dyn Storage>,
    native: Option<Arc<dyn NativeState>>,
}

impl Checkpoint {
    /// Opens the checkpoint or savepoint of an address. Only its metadata is read.
    ///
    /// Errors: [`InspectError::Address`], [`InspectError::NotACheckpoint`],
    /// [`InspectError::Metadata`], [`InspectError::Misplaced`]; [`InspectError::Stream`] with what the
    /// storage said.
    pub fn open(uri: &str) -> Result<Self, InspectError> {
        let address = Address::of(uri)?;
        let storage = match alluvium_storage::open_existing(&address.folder) {
            Err(StorageError::NotFound { location }) => {
                let (location, instead) = (location.to_string(), String::new());
                return Err(InspectError::NotACheckpoint { location, instead });
            }
            opened => opened?,
        };
        let opened = match address.checkpoint {
            Some(checkpoint) => Self::in_folder(Arc::clone(&storage), checkpoint),
            None => Self::savepoint(Arc::clone(&storage)),
        };
        opened.map_err(|error| beside(error, &*storage, address.checkpoint))
    }

    /// A checkpoint in the folder of its job.
    ///
    /// Errors: as [`Checkpoint::open`].
    pub fn in_folder(
        folder: Arc<dyn Storage>,
        checkpoint: CheckpointId,
    ) -> Result<Self, InspectError> {
        let opened = Self::read(folder, JobLayout::metadata(checkpoint))?;
        let found = opened.metadata.properties.checkpoint;
        if found == checkpoint {
            return Ok(opened);
        }
        let (location, what) = (opened.location_of_metadata(), "checkpoint");
        let (expected, found) = (checkpoint.to_string(), found.to_string());
        Err(InspectError::Misplaced { location, what, expected, found })
    }

    /// A savepoint in its folder.
    ///
    /// Errors: as [`Checkpoint::open`].
    pub fn savepoint(folder: Arc<dyn Storage>) -> Result<Self, InspectError> {
        Self::read(folder, JobLayout::savepoint_metadata())
    }

    fn read(folder: Arc<dyn Storage>, metadata_path: StoragePath) -> Result<Self, InspectError> {
        let storage = InsideRoot::of(folder);
        let read = read_metadata_file(&*storage, &metadata_path);
        let (metadata, metadata_len_bytes) = read.map_err(|error| match error {
            MetadataError::Storage(StorageError::NotFound { .. }) => {
                let location = location(&*storage, metadata_path.parent().as_ref());
                InspectError::NotACheckpoint { location, instead: String::new() }
            }
            error => InspectError::of_metadata(location(&*storage, Some(&metadata_path)), error),
        })?;
        let (metadata, native) = (Arc::new(metadata), None);
        Ok(Self { metadata, metadata_len_bytes, metadata_path, storage, native })
    }

    /// The same, with somebody who reads keyed state that a backend stores in its own files.
    #[must_use]
    pub fn with_native(self, native: Arc<dyn NativeState>) -> Self {
        Self { native: Some(native), ..self }
    }

    pub(crate) fn native(&self) -> Option<&dyn NativeState> {
        self.native.as_deref()
    }

    /// A checkpoint that is about to be: its metadata is not on the storage yet.
    pub(crate) fn begun(
        metadata: CheckpointMetadata,
        metadata_path: StoragePath,
        storage: Arc<dyn Storage>,
    ) -> Self {
        let (metadata, storage) = (Arc::new(metadata), InsideRoot::of(storage));
        Self { metadata, metadata_len_bytes: 0, metadata_path, storage, native: None }
    }

    /// What `_metadata` says.
    pub fn metadata(&self) -> &CheckpointMetadata {
        &self.metadata
    }

    /// Length of `_metadata` in bytes, with what is inlined in it.
    pub const fn metadata_len_bytes(&self) -> u64 {
        self.metadata_len_bytes
    }

    /// The path of `_metadata` in [`Checkpoint::storage`].
    pub const fn metadata_path(&self) -> &StoragePath {
        &self.metadata_path
    }

    /// Whether it has a folder of its own for all its files.
    pub fn is_savepoint(&self) -> bool {
        self.metadata_path.parent().is_none()
    }

    /// The folder that all paths are relative to: that of the job, or of the savepoint.
    pub const fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Where it lies, for people.
    pub fn location(&self) -> String {
        location(&*self.storage, self.metadata_path.parent().as_ref())
    }

    pub(crate) fn location_of_metadata(&self) -> String {
        location(&*self.storage, Some(&self.metadata_path))
    }

    /// Reads its streams, into memory of our own: a file that changes meanwhile is an error.
    pub fn reader(&self) -> HandleReader {
        HandleReader::new(Arc::clone(&self.storage), ReadAccess::Copy)
    }
}

/// How many checkpoints are named to somebody who has named another one.
const MAX_NAMED: usize = 8;

/// Where there is no checkpoint, says what there is: the newest checkpoints of the job, or that the
/// address is that of a job or of a root.
pub(crate) fn beside(
    error: InspectError,
    storage: &dyn Storage,
    checkpoint: Option<CheckpointId>,
) -> InspectError {
    let InspectError::NotACheckpoint { location, .. } = error else { return error };
    let ids = |storage: &dyn Storage| {
        // It is about a wrong name already; what cannot be listed adds nothing.
        let mut ids = found_in(storage).unwrap_or_default();
        ids.sort_unstable();
        ids
    };
    let names = |ids: &[CheckpointId]| {
        let newest = ids.iter().rev().take(MAX_NAMED).rev();
        newest.map(|id| JobLayout::checkpoint_dir(*id).to_string()).collect::<Vec<_>>().join(", ")
    };
    let mut here = ids(storage);
    here.retain(|id| Some(*id) != checkpoint);
    let root = storage.root();
    let is_root = || {
        let below = storage.list(None).unwrap_or_default().into_iter().filter(|it| it.is_dir);
        let dirs = below.filter_map(|entry| StoragePath::new(&entry.name).ok());
        dirs.filter_map(|dir| storage.below(&dir).ok()).any(|below| !ids(&*below).is_empty())
    };
    let instead = match checkpoint {
        Some(_) if here.is_empty() => String::new(),
        Some(_) => format!("; the newest checkpoints there are {}", names(&here)),
        None if !here.is_empty() => {
            format!(
                "; it is the folder of a job: name a checkpoint in it, such as {}",
                names(&here)
            )
        }
        None if is_root() => {
            format!("; it is a checkpoint root: alluvium list {root} says what is in it")
        }
        None => String::new(),
    };
    InspectError::NotACheckpoint { location, instead }
}

/// The checkpoints in the folder of a job, in no order.
fn found_in(folder: &dyn Storage) -> Result<Vec<CheckpointId>, StorageError> {
    let dirs = folder.list(None)?.into_iter().filter(|entry| entry.is_dir);
    Ok(dirs.filter_map(|entry| JobLayout::parse_checkpoint_dir(&entry.name)).collect())
}

/// A path below a root, for people.
pub(crate) fn location(storage: &dyn Storage, path: Option<&StoragePath>) -> String {
    alluvium_storage::Location::new(storage.root(), path).to_string()
}

/// An address in its parts.
pub(crate) struct Address {
    /// The folder of the job or savepoint, with the query of the URI.
    pub(crate) folder: String,
    /// `None` for a savepoint.
    pub(crate) checkpoint: Option<CheckpointId>,
}

impl Address {
    pub(crate) fn of(uri: &str) -> Result<Self, InspectError> {
        let (place, query) = match uri.split_once('?') {
            Some((place, query)) => (place, format!("?{query}")),
            None => (uri, String::new()),
        };
        let place = place.trim_end_matches('/');
        let place =
            place.strip_suffix(METADATA).filter(|rest| rest.ends_with('/')).unwrap_or(place);
        let place = place.trim_end_matches('/');
        if place.is_empty() {
            let reason = "it is neither .../JOB/chk-N nor the folder of a savepoint";
            return Err(InspectError::Address { uri: place.to_owned(), reason });
        }
        let (folder, name) = place.rsplit_once('/').unwrap_or((".", place));
        let folder = if folder.is_empty() { "/" } else { folder };
        let checkpoint = JobLayout::parse_checkpoint_dir(name);
        let folder = if checkpoint.is_some() { folder } else { place };
        Ok(Self { folder: format!("{folder}{query}"), checkpoint })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_checkpoints_and_savepoints() {
        for (uri, folder, checkpoint) in [
            ("chk/job/chk-7", "chk/job", Some(7)),
            ("chk/job/chk-7/", "chk/job", Some(7)),
            ("chk/job/chk-7/_metadata", "chk/job", Some(7)),
            ("chk-7", ".", Some(7)),
            ("/chk-7", "/", Some(7)),
            ("s3://b/p/job/chk-12?region=x", "s3://b/p/job?region=x", Some(12)),
            ("memory:m/job/chk-1", "memory:m/job", Some(1)),
            ("sp/savepoint-job-0", "sp/savepoint-job-0", None),
            ("sp/savepoint-job-0/_metadata", "sp/savepoint-job-0", None),
            ("chk/job/chk-07", "chk/job/chk-07", None),
        ] {
            let address = Address::of(uri).unwrap();
            let found = address.checkpoint.map(CheckpointId::get);
            assert_eq!((address.folder.as_str(), found), (folder, checkpoint), "{uri}");
        }
        assert!(matches!(Address::of("/"), Err(InspectError::Address { .. })));
    }
}
