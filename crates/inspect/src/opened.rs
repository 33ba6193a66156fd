//! For whoever has a [`Storage`] already, such as an engine with one of its own: the same functions without an
//! address. Checkpoints are opened by [`Checkpoint::in_folder`] and [`Checkpoint::savepoint`], targets are taken
//! by [`copy_into`](crate::copy_into) and [`rewrite_into`](crate::rewrite_into).

use std::sync::Arc;

use alluvium_storage::Storage;

use crate::folder::{Folder, FoundCheckpoint};

use crate::inside::InsideRoot;
use crate::verify::verify_folder;
use crate::{Checkpoint, GcFolder, GcOptions, InspectError, Progress, VerifyReport};

/// Verifies one checkpoint or savepoint.
///
/// Errors: [`InspectError::Stream`] when its storage does not answer. What is damaged is in the report.
pub fn verify_checkpoint(
    checkpoint: &Checkpoint,
    progress: &dyn Progress,
) -> Result<VerifyReport, InspectError> {
    let (dir, content) = (checkpoint.metadata_path().parent(), Ok(checkpoint.clone()));
    let checkpoints = vec![FoundCheckpoint { dir, content }];
    let storage = Arc::clone(checkpoint.storage());
    let mut report = VerifyReport::default();
    verify_folder(&Folder { storage, checkpoints, is_whole_job: false }, &mut report, progress)?;
    Ok(report)
}

/// As [`verify`](crate::verify()), of everything in a storage: the folder of a job or savepoint, or a root.
///
/// Errors: [`InspectError::Empty`], [`InspectError::Stream`].
pub fn verify_in(
    storage: &Arc<dyn Storage>,
    progress: &dyn Progress,
) -> Result<VerifyReport, InspectError> {
    let mut report = VerifyReport::default();
    for folder in Folder::find_in(storage)? {
        verify_folder(&folder, &mut report, progress)?;
    }
    Ok(report)
}

/// As [`gc`](crate::gc()), of the folder of one job.
///
/// Errors: [`InspectError::Empty`] for any other folder; those of [`gc`](crate::gc()).
pub fn gc_in(job: &Arc<dyn Storage>, options: GcOptions) -> Result<GcFolder, InspectError> {
    let storage = InsideRoot::of(Arc::clone(job));
    match Folder::at(&storage)? {
        Some(folder) if folder.is_whole_job => Ok(GcFolder::of(&storage, options)),
        _ => Err(InspectError::Empty { location: storage.root().to_owned() }),
    }
}
