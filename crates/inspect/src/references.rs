//! Which files of a job's folder the checkpoints in it need, and which nobody does.
//!
//! Invariants:
//! - a file is an orphan by references alone, never by its name or age;
//! - while the metadata of anything in the folder cannot be read, nothing is an orphan: that one may
//!   refer to any file.
//!
//! Source: SPEC 2.5.

use std::collections::BTreeSet;

use alluvium_core::StoragePath;
use alluvium_state::OtherMetadata;
use alluvium_storage::JobLayout;

use crate::InspectError;
use crate::checkpoint::{METADATA, location};
use crate::folder::Folder;

/// A file to which no metadata refers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Its path in the folder of the job.
    pub path: StoragePath,
    /// Its length in bytes.
    pub len_bytes: u64,
}

/// The files of a job's folder to which none of its checkpoints refers, in order. The folder is
/// listed now; its checkpoints are those that were found before.
///
/// Errors: what is wrong with the metadata of a checkpoint; [`InspectError::Stream`] with what the
/// storage said.
pub(crate) fn orphans(folder: &Folder) -> Result<Vec<Orphan>, InspectError> {
    let storage = &folder.storage;
    let needed = needed_files(folder)?;
    let mut found = Vec::new();
    let dirs = folder.checkpoints.iter().filter_map(|checkpoint| checkpoint.dir.clone());
    for dir in dirs.chain([JobLayout::shared_dir()]) {
        for entry in storage.list(Some(&dir))? {
            // Another name cannot be spelled, and is none of ours.
            let Ok(path) = dir.join(&entry.name) else { continue };
            if !entry.is_dir && entry.name != METADATA && !needed.contains(&path) {
                found.push(Orphan { path, len_bytes: entry.len_bytes });
            }
        }
    }
    Ok(found)
}

/// The files to which anything in the folder of a job refers: its checkpoints, and what else looks
/// like one, such as a checkpoint whose folder a person has renamed.
pub(crate) fn needed_files(folder: &Folder) -> Result<BTreeSet<StoragePath>, InspectError> {
    let mut needed = BTreeSet::new();
    for found in &folder.checkpoints {
        match &found.content {
            Ok(checkpoint) => needed.extend(checkpoint.metadata().files().cloned()),
            Err(InspectError::NotACheckpoint { .. }) => {}
            Err(error) => return Err(again(error)),
        }
    }
    for other in OtherMetadata::of_job(&*folder.storage)? {
        needed.extend(other.files());
        other.content.map_err(|error| {
            let path = other.dir.join(METADATA).ok();
            InspectError::of_metadata(location(&*folder.storage, path.as_ref()), error)
        })?;
    }
    Ok(needed)
}

/// An error that is kept where it was found, once more.
fn again(error: &InspectError) -> InspectError {
    InspectError::UnknownReferences { reason: error.to_string() }
}
