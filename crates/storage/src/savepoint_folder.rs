//! The folder of a savepoint while it is written.
//!
//! Invariants:
//! - a folder is reserved by creating a marker in it, so no two writers write into one;
//! - a folder with anything else in it is taken.
//!
//! Source: SPEC 2.7; Flink `FsCheckpointStorageAccess.initializeLocationForSavepoint`.

use std::sync::Arc;

use alluvium_core::{JobId, StoragePath};

use crate::{JobLayout, Location, Storage, StorageError};

/// File that says that a savepoint is not complete.
const UNFINISHED: &str = "_unfinished";
/// What is in it, for people.
const UNFINISHED_TEXT: &[u8] =
    b"A savepoint was begun here. Without _metadata it is not complete and may be deleted.\n";
/// Names that are tried before a target is given up.
const TRIES: u64 = 16;

/// The folder of a savepoint that is being written.
///
/// ```
/// # use std::sync::Arc;
/// # use alluvium_core::{JobId, StoragePath};
/// # use alluvium_storage::{SavepointFolder, Storage};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let target = alluvium_storage::open("memory:doc-savepoint-folder")?;
/// let savepoint = SavepointFolder::reserve(&target, &JobId::new("orders")?, 7)?;
/// savepoint.storage().create(&StoragePath::new("_metadata")?, b"what it is made of")?;
/// savepoint.complete();
/// assert!(savepoint.location().ends_with("savepoint-orders-000000000007"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SavepointFolder {
    target: Arc<dyn Storage>,
    dir: StoragePath,
    folder: Arc<dyn Storage>,
}

impl SavepointFolder {
    /// Reserves a new folder below a target, which shows as well that something can be written
    /// there. Folders of different seeds have different names, as far as 48 bits can differ.
    ///
    /// Errors: [`StorageError`]; [`StorageError::AlreadyExists`] when the names of this seed and of those
    /// after it are taken.
    pub fn reserve(
        target: &Arc<dyn Storage>,
        job: &JobId,
        seed: u64,
    ) -> Result<Self, StorageError> {
        let mut taken = None;
        for number in 0..TRIES {
            let dir = JobLayout::savepoint_dir(job, seed.wrapping_add(number));
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
                Ok(()) => return Ok(Self { target: Arc::clone(target), dir, folder }),
                Err(error @ StorageError::AlreadyExists { .. }) => taken = Some(error),
                Err(error) => return Err(error),
            }
        }
        let Some(taken) = taken else { unreachable!("at least one name was tried") };
        Err(taken)
    }

    /// The folder.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.folder
    }

    /// The folder, as a person would write it.
    pub fn location(&self) -> String {
        self.folder.root().to_owned()
    }

    /// Removes the marker: the metadata is there. The savepoint is complete whether or not the marker
    /// goes, so nobody is told of an error.
    pub fn complete(&self) {
        let _ = self.folder.delete(&unfinished());
    }

    /// Removes a savepoint that did not complete: `_metadata` first, should it be there.
    ///
    /// Errors: [`StorageError`].
    pub fn discard(&self) -> Result<(), StorageError> {
        self.folder.delete(&JobLayout::savepoint_metadata())?;
        self.target.delete_dir(&self.dir)
    }
}

fn unfinished() -> StoragePath {
    match StoragePath::new(UNFINISHED) {
        Ok(path) => path,
        Err(error) => unreachable!("a constant name is valid: {error}"),
    }
}
