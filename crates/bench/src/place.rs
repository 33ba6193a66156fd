//! Where checkpoints go, and what is removed at the end.
//!
//! Invariants: everything lies in one folder that nobody else has; it is removed when this is dropped,
//! whatever happened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use alluvium::core::{JobId, StoragePath};
use alluvium::runtime::CheckpointStore;
use alluvium::storage::{HandleReader, JobLayout, LocalStorage, ReadAccess, Storage};
use tempfile::TempDir;

use crate::error::BenchError;
use crate::null_storage::NullStorage;
use crate::options::Target;

/// An open place for checkpoints.
#[derive(Debug)]
pub(crate) struct Place {
    root: Arc<dyn Storage>,
    id: JobId,
    folder: StoragePath,
    job: Arc<dyn Storage>,
    can_read: bool,
    /// After the storage, which is dropped before it.
    _temporary: Option<TempDir>,
}

impl Place {
    /// Opens it, with a name that says what it is for; a local folder is made if it is missing.
    ///
    /// Errors: [`BenchError::Storage`], [`BenchError::System`].
    pub(crate) fn open(target: &Target, purpose: &str) -> Result<Self, BenchError> {
        let (root, temporary): (Arc<dyn Storage>, _) = match target {
            Target::Null => (Arc::new(NullStorage), None),
            Target::Uri(uri) => (alluvium::storage::open(uri)?, None),
            Target::Temporary => {
                let dir = temporary_folder()?;
                (Arc::new(LocalStorage::open(dir.path())?), Some(dir))
            }
        };
        // The clock and the number of the process: nobody else has both.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let name = format!("{purpose}-{}-{now}", std::process::id());
        let id = JobId::new(&name)?;
        let folder = JobLayout::job_dir(&id);
        let job = root.below(&folder)?;
        let can_read = *target != Target::Null;
        Ok(Self { root, id, folder, job, can_read, _temporary: temporary })
    }

    /// The storage for the files of the job.
    pub(crate) const fn job(&self) -> &Arc<dyn Storage> {
        &self.job
    }

    /// The store of a job of the runtime, whose files these are.
    ///
    /// Errors: [`BenchError::Store`].
    pub(crate) fn store(&self) -> Result<CheckpointStore, BenchError> {
        Ok(CheckpointStore::open_exclusive(&*self.root, self.id.clone())?)
    }

    /// A reader of those files, as a job has that goes on from its own checkpoint; `None` where nothing
    /// is kept.
    pub(crate) fn reader(&self) -> Option<HandleReader> {
        let reader = HandleReader::new(Arc::clone(&self.job), ReadAccess::Copy);
        self.can_read.then(|| reader.shareable(true))
    }

    /// Name of the storage for people, without secrets.
    pub(crate) fn name(&self) -> &str {
        self.root.root()
    }

    /// The folder of this machine that it is; `None` if it is none.
    pub(crate) fn local_dir(&self) -> Option<PathBuf> {
        let inside = self.root.local_path(&self.folder)?;
        inside.parent().map(ToOwned::to_owned)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed stays; it has a name that says what it was.
        drop(self.root.delete_dir(&self.folder));
    }
}

/// A new folder in that for temporary files.
pub(crate) fn temporary_folder() -> Result<TempDir, BenchError> {
    let made = tempfile::Builder::new().prefix("alluvium-bench-").tempdir();
    made.map_err(|source| BenchError::System { what: "make a temporary folder", source })
}
