//! Removes files of a job that none of its checkpoints refers to.
//!
//! 1. The lock of the job is taken, where the storage has locks: so no job runs, and none begins.
//! 2. Everything in the folder that looks like a checkpoint is read; if one cannot be, nothing is
//!    removed, since it may need any file.
//! 3. What lies in `shared/` and in the folders of checkpoints, and to which nobody refers, is removed.
//!
//! Invariants:
//! - a file goes by references alone, never by its name or age;
//! - `_metadata`, claims, the lock, `taskowned/`, savepoints, and whatever else a person has put there
//!   stay;
//! - on a storage without locks nothing goes unless the caller says that no job runs, and nothing more
//!   once an attempt was claimed meanwhile.
//!
//! Source: SPEC 2.4, 2.5.

use std::sync::Arc;

use alluvium_core::{AttemptId, StoragePath};
use alluvium_storage::{
    JobLayout, Location, Storage, StorageEntry, StorageError, StorageLock, check_attempt,
};

use crate::InspectError;
use crate::folder::Folder;
use crate::references::{Orphan, orphans};

/// How to clean up.
#[derive(Debug, Clone, Copy, Default)]
pub struct GcOptions {
    /// Say what would be removed, and remove nothing.
    pub is_dry_run: bool,
    /// The caller knows that no job runs, on a storage without locks.
    pub no_job_runs: bool,
}

/// What nobody refers to in the folder of a job.
#[derive(Debug)]
pub struct GcFolder {
    /// The folder.
    pub location: String,
    /// What was removed, or would be.
    pub orphans: Vec<Orphan>,
    /// Why nothing was removed here, or not everything: [`InspectError::Stream`] with
    /// [`StorageError::Locked`] while a job runs, or with what a storage said;
    /// [`InspectError::UnknownReferences`], [`InspectError::Metadata`], [`InspectError::NoLocks`].
    pub refused: Option<InspectError>,
}

/// Cleans up the folders of all jobs under an address: that of a job, or of a root. What is wrong with one
/// job keeps nothing of the others.
///
/// Errors: [`InspectError::Empty`], [`InspectError::Address`]; [`InspectError::Stream`] when the address
/// cannot be listed.
pub fn gc(uri: &str, options: GcOptions) -> Result<Vec<GcFolder>, InspectError> {
    let found = Folder::find(uri)?;
    let jobs: Vec<_> = found.into_iter().filter(|folder| folder.is_whole_job).collect();
    if jobs.is_empty() {
        let reason = "it is neither the folder of a job nor a root with such folders";
        return Err(InspectError::Address { uri: uri.to_owned(), reason });
    }
    Ok(jobs.iter().map(|folder| GcFolder::of(&folder.storage, options)).collect())
}

impl GcFolder {
    pub(crate) fn of(storage: &Arc<dyn Storage>, options: GcOptions) -> Self {
        let location = storage.root().to_owned();
        let mut folder = Self { location, orphans: Vec::new(), refused: None };
        folder.refused = collect(storage, options, &mut folder.orphans).err();
        folder
    }
}

/// Puts what was removed, or would be, into `removed`, up to an error.
fn collect(
    storage: &Arc<dyn Storage>,
    options: GcOptions,
    removed: &mut Vec<Orphan>,
) -> Result<(), InspectError> {
    let newest = newest_attempt(&**storage)?;
    let lock = lock(&**storage, options)?;
    let Some(folder) = Folder::at(storage)? else { return Ok(()) };
    let orphans = orphans(&folder)?;
    if options.is_dry_run {
        *removed = orphans;
        return Ok(());
    }
    for batch in orphans.chunks(storage.delete_batch_len().max(1)) {
        check_attempt(&**storage, newest)?;
        let paths: Vec<StoragePath> = batch.iter().map(|orphan| orphan.path.clone()).collect();
        let mut refused: Option<StorageError> = None;
        for (orphan, deleted) in batch.iter().zip(storage.delete_many(&paths)) {
            match deleted {
                Ok(()) => removed.push(orphan.clone()),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        if let Some(error) = refused {
            return Err(error.into());
        }
    }
    if lock.is_some() {
        remove_what_is_empty(&folder)?;
    }
    Ok(())
}

/// A dry run takes a lock that is there, to see whether a job runs, and makes none.
fn lock(storage: &dyn Storage, options: GcOptions) -> Result<Option<StorageLock>, InspectError> {
    let path = JobLayout::lock();
    let is_lock = |entry: &StorageEntry| !entry.is_dir && entry.name == path.as_str();
    if options.is_dry_run {
        let is_there = storage.list(None)?.iter().any(is_lock);
        return Ok(if is_there { storage.lock(&path)? } else { None });
    }
    match storage.lock(&path)? {
        None if !options.no_job_runs => {
            let location = Location::new(storage.root(), None).to_string();
            Err(InspectError::NoLocks { location })
        }
        lock => Ok(lock),
    }
}

fn newest_attempt(storage: &dyn Storage) -> Result<AttemptId, InspectError> {
    let claims = storage.list(Some(&JobLayout::attempts_dir()))?;
    let newest = claims.iter().filter_map(|claim| JobLayout::parse_attempt(&claim.name)).max();
    Ok(newest.unwrap_or(AttemptId::new(0)))
}

/// Only for whoever holds the lock: nobody writes then.
fn remove_what_is_empty(folder: &Folder) -> Result<(), InspectError> {
    let storage = &folder.storage;
    let dirs = folder.checkpoints.iter().filter_map(|checkpoint| checkpoint.dir.as_ref());
    for dir in dirs {
        storage.delete_unfinished(dir)?;
        storage.delete_empty_dir(dir)?;
    }
    Ok(storage.delete_unfinished(&JobLayout::shared_dir())?)
}
