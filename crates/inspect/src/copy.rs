//! Copies a checkpoint or savepoint with everything that it needs.
//!
//! Shape: a checkpoint goes to `<target>/<job>/chk-<n>/` and `<target>/<job>/shared/`, so that a job can
//! begin from it there; a savepoint to a folder of its name. Every file keeps its path and its bytes. A
//! file that is there already with the same bytes is left, so copies of several checkpoints share what
//! these share.
//!
//! Invariants: files first, then the copy is verified to its last byte, then `_metadata` makes it a
//! checkpoint by one atomic create; what fails removes what it has written; a folder in which a job has
//! run is not written to, since the copy could become its latest checkpoint.
//!
//! Source: SPEC 2.3.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use alluvium_core::StoragePath;
use alluvium_state::RestoreError;
use alluvium_storage::{JobLayout, Location, Storage, StorageError};
use rayon::prelude::*;

use crate::checkpoint::location;
use crate::progress::Announced;
use crate::verify::verify_one;
use crate::{Checkpoint, InspectError, Progress};

/// Bytes that are copied at a time.
const PIECE_LEN_BYTES: u64 = 4 * 1024 * 1024;

/// What was copied.
#[derive(Debug, Clone)]
pub struct CopyReport {
    /// Where the copy lies.
    pub location: String,
    /// Files that were written, `_metadata` included.
    pub files: u64,
    /// Bytes that were written.
    pub bytes: u64,
    /// Files that were there already.
    pub files_there: u64,
}

/// Copies a checkpoint to a target: a path or a storage URI, which is made if it is missing.
///
/// Errors: [`InspectError::JobFolder`], [`InspectError::Occupied`]; [`InspectError::Unsound`] when the
/// source is damaged; [`InspectError::Stream`]. Then there is no copy.
pub fn copy(
    checkpoint: &Checkpoint,
    target: &str,
    progress: &dyn Progress,
) -> Result<CopyReport, InspectError> {
    copy_into(checkpoint, &alluvium_storage::open(target)?, progress)
}

/// As [`copy`], to a root that is open already.
///
/// Errors: as [`copy`].
pub fn copy_into(
    checkpoint: &Checkpoint,
    root: &Arc<dyn Storage>,
    progress: &dyn Progress,
) -> Result<CopyReport, InspectError> {
    let folder = root.below(&folder_of(checkpoint))?;
    if !folder.list(Some(&JobLayout::attempts_dir()))?.is_empty() {
        return Err(InspectError::JobFolder { location: folder.root().to_owned() });
    }
    let source = checkpoint.storage();
    if folder.root() == source.root() {
        return Err(InspectError::Occupied { location: folder.root().to_owned() });
    }
    let path = checkpoint.metadata_path();
    let bytes = source.read(path, 0..checkpoint.metadata_len_bytes())?;
    let files = lengths(checkpoint);
    let sum = files.values().fold(0, |sum: u64, len_bytes| sum.saturating_add(*len_bytes));
    // Once to be copied, and once to be verified.
    progress.expect(sum.saturating_mul(2));
    let copied: Vec<(&StoragePath, Result<bool, InspectError>)> = files
        .par_iter()
        .map(|(path, len_bytes)| {
            (*path, copy_file(&**source, &*folder, path, *len_bytes, progress))
        })
        .collect();
    let is_ours = |(path, copied): &(&StoragePath, Result<bool, InspectError>)| {
        matches!(copied, Ok(true)).then(|| (*path).clone())
    };
    let mut written =
        Written { folder: &folder, files: copied.iter().filter_map(is_ours).collect() };
    for (_, outcome) in copied {
        outcome?;
    }
    let begun = Checkpoint::begun(checkpoint.metadata().clone(), path.clone(), Arc::clone(&folder));
    let verifying = Announced::new(progress, sum);
    let report = verify_one(&begun, &verifying)?;
    verifying.finish();
    if let Some(finding) = report.findings.iter().find(|_| report.is_damaged()) {
        let (location, finding) = (begun.location(), finding.to_string());
        return Err(InspectError::Unsound { location, finding });
    }
    let is_new = create(&*folder, path, &bytes)?;
    let of_ours = written.files.iter().filter_map(|path| files.get(path));
    let (count, sum) = (written.files.len() as u64, of_ours.sum::<u64>());
    written.files.clear();
    Ok(CopyReport {
        location: begun.location(),
        files: count + u64::from(is_new),
        bytes: sum + if is_new { bytes.len() as u64 } else { 0 },
        files_there: (files.len() as u64).saturating_sub(count),
    })
}

/// The name of the folder below the target.
fn folder_of(checkpoint: &Checkpoint) -> StoragePath {
    let properties = &checkpoint.metadata().properties;
    if !checkpoint.is_savepoint() {
        return JobLayout::job_dir(&properties.job);
    }
    let name = checkpoint.storage().root().rsplit('/').next().unwrap_or_default().to_owned();
    let own = || JobLayout::savepoint_dir(&properties.job, properties.checkpoint.get());
    StoragePath::new(&name).unwrap_or_else(|_| own())
}

/// The files of a checkpoint and their lengths.
fn lengths(checkpoint: &Checkpoint) -> BTreeMap<&StoragePath, u64> {
    let operators = &checkpoint.metadata().operators;
    let mut lengths = BTreeMap::new();
    for subtask in operators.iter().flat_map(|operator| &operator.subtasks) {
        let streams = subtask.streams().filter_map(|it| Some((it.file()?, it.len_bytes)));
        lengths.extend(streams);
        lengths.extend(subtask.shared_files().map(|file| (&file.path, file.len_bytes)));
    }
    lengths
}

/// Files of a copy that may come to nothing.
struct Written<'s> {
    folder: &'s Arc<dyn Storage>,
    files: Vec<StoragePath>,
}

impl Drop for Written<'_> {
    fn drop(&mut self) {
        for file in &self.files {
            // What cannot be removed is no checkpoint without its metadata.
            let _ = self.folder.delete(file);
        }
    }
}

/// Copies a file; false if it was there with the same bytes.
fn copy_file(
    from: &dyn Storage,
    to: &dyn Storage,
    path: &StoragePath,
    len_bytes: u64,
    progress: &dyn Progress,
) -> Result<bool, InspectError> {
    let found = from.len_bytes(path)?;
    if found != len_bytes {
        let location = Location::new(from.root(), Some(path));
        let (expected_len_bytes, found_len_bytes) = (len_bytes, found);
        let error = StorageError::Truncated { location, expected_len_bytes, found_len_bytes };
        return Err(RestoreError::Storage(error).into());
    }
    match to.len_bytes(path) {
        Ok(there) => {
            if there == len_bytes && is_equal(from, to, path, len_bytes, progress)? {
                return Ok(false);
            }
            return Err(InspectError::Occupied { location: location(to, Some(path)) });
        }
        Err(StorageError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let mut writer = to.writer(path)?;
    let mut start = 0;
    while start < len_bytes {
        let end = len_bytes.min(start.saturating_add(PIECE_LEN_BYTES));
        let written = writer.write_all(&from.read(path, start..end)?);
        written.map_err(|error| {
            StorageError::from_write(error, Location::new(to.root(), Some(path)))
        })?;
        progress.advance(end - start);
        start = end;
    }
    writer.finish()?;
    Ok(true)
}

fn is_equal(
    from: &dyn Storage,
    to: &dyn Storage,
    path: &StoragePath,
    len_bytes: u64,
    progress: &dyn Progress,
) -> Result<bool, InspectError> {
    let mut start = 0;
    while start < len_bytes {
        let end = len_bytes.min(start.saturating_add(PIECE_LEN_BYTES));
        if from.read(path, start..end)? != to.read(path, start..end)? {
            return Ok(false);
        }
        progress.advance(end - start);
        start = end;
    }
    Ok(true)
}

/// Makes the copy a checkpoint; false if it was one already.
fn create(folder: &dyn Storage, path: &StoragePath, bytes: &[u8]) -> Result<bool, InspectError> {
    match folder.create(path, bytes) {
        Ok(()) => Ok(true),
        Err(StorageError::AlreadyExists { .. }) => {
            let len_bytes = bytes.len() as u64;
            if folder.len_bytes(path)? == len_bytes && folder.read(path, 0..len_bytes)? == bytes {
                return Ok(false);
            }
            Err(InspectError::Occupied { location: location(folder, Some(path)) })
        }
        Err(error) => Err(error.into()),
    }
}
