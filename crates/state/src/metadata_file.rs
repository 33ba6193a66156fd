//! Metadata files on a storage: how they are read, and where in the folder of a job they may lie.
//!
//! Invariants:
//! - nothing is read of a file that is longer than a `_metadata` may be;
//! - what looks like a checkpoint keeps what it refers to, whatever a person has called its folder.
//!
//! Source: SPEC 2.5, 9.

use alluvium_core::{CheckpointMetadata, StoragePath};
use alluvium_format::FormatError;
use alluvium_format::metadata::{check_metadata_len, read_metadata};
use alluvium_storage::{JobLayout, Storage, StorageError};

/// Why a metadata file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// The storage refused; [`StorageError::NotFound`] where there is no such file.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// It is damaged, of another version, or too long.
    #[error("{0}")]
    Damaged(#[from] FormatError),
}

/// Reads a metadata file, and says how many bytes it has.
///
/// Errors: [`MetadataError`].
pub fn read_metadata_file(
    storage: &dyn Storage,
    path: &StoragePath,
) -> Result<(CheckpointMetadata, u64), MetadataError> {
    let len_bytes = storage.len_bytes(path)?;
    check_metadata_len(len_bytes)?;
    let metadata = read_metadata(storage.read(path, 0..len_bytes)?)?;
    Ok((metadata, len_bytes))
}

/// A folder of a job that holds a `_metadata` and is not called `chk-<n>`: a checkpoint whose folder a
/// person has renamed to keep it, or a savepoint.
#[derive(Debug)]
pub struct OtherMetadata {
    /// The folder, in that of the job.
    pub dir: StoragePath,
    /// What its `_metadata` says.
    pub content: Result<CheckpointMetadata, MetadataError>,
}

impl OtherMetadata {
    /// Those of the folder of a job, by name. Only folders directly below it are looked at.
    ///
    /// Errors: [`StorageError`] when nobody can say what is there. What is wrong with one of them, or
    /// with the way to it, is its content.
    pub fn of_job(folder: &dyn Storage) -> Result<Vec<Self>, StorageError> {
        let is_own = |name: &str| {
            matches!(name, "shared" | "attempts" | "taskowned")
                || JobLayout::parse_checkpoint_dir(name).is_some()
        };
        let mut found = Vec::new();
        for entry in folder.list(None)? {
            if !entry.is_dir || is_own(&entry.name) {
                continue;
            }
            // Another name cannot be spelled, and nothing in its folder can be read.
            let Ok(dir) = StoragePath::new(&entry.name) else { continue };
            let Ok(path) = dir.join(JobLayout::savepoint_metadata().as_str()) else { continue };
            let content = match read_metadata_file(folder, &path) {
                Err(MetadataError::Storage(StorageError::NotFound { .. })) => continue,
                Err(MetadataError::Storage(error))
                    if !matches!(error, StorageError::OutsideRoot { .. }) =>
                {
                    return Err(error);
                }
                read => read.map(|(metadata, _)| metadata),
            };
            found.push(Self { dir, content });
        }
        Ok(found)
    }

    /// The files that it refers to, as paths in the folder of the job: read as those of a checkpoint,
    /// which is relative to that folder, and as those of a savepoint, which is relative to its own.
    /// None when it is damaged, and then it may be any.
    pub fn files(&self) -> impl Iterator<Item = StoragePath> {
        let files = self.content.iter().flat_map(CheckpointMetadata::files);
        files
            .flat_map(move |file| [Some(file.clone()), self.dir.join(file.as_str()).ok()])
            .flatten()
    }
}

#[cfg(test)]
mod tests;
