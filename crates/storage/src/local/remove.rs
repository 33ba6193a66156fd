//! How files and folders go: never through a symbolic link that leaves the root.
//!
//! Invariants: the folder that holds the name to remove is resolved first and must lie in the
//! resolved root; the last component is never resolved, so a link there goes, not its target.

use std::fs;
use std::io;
use std::path::Path;

use crate::journal::note;
use crate::{Location, StorageError};

/// Removes a file or a symbolic link.
pub(super) fn file(root: &Path, path: &Path, location: Location) -> Result<(), StorageError> {
    if !stays_inside(root, path, &location)? {
        return Ok(());
    }
    let removed = fs::remove_file(path).map(|()| {
        note!(Remove, path = path);
    });
    absent_is_fine(removed, location)
}

/// Removes a folder with everything below it; of a symbolic link, the link.
pub(super) fn dir(root: &Path, path: &Path, location: Location) -> Result<(), StorageError> {
    if !stays_inside(root, path, &location)? {
        return Ok(());
    }
    let removed = fs::symlink_metadata(path).and_then(|found| {
        if found.is_dir() {
            fs::remove_dir_all(path).map(|()| {
                note!(RemoveTree, dir = path);
            })
        } else if found.is_symlink() {
            fs::remove_file(path)
        } else {
            Ok(())
        }
    });
    absent_is_fine(removed, location)
}

/// Removes a folder with nothing in it; the system looks and removes in one step.
pub(super) fn empty_dir(root: &Path, path: &Path, location: Location) -> Result<(), StorageError> {
    if !stays_inside(root, path, &location)? {
        return Ok(());
    }
    match fs::remove_dir(path) {
        Ok(()) => {
            note!(RemoveTree, dir = path);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        refused => absent_is_fine(refused, location),
    }
}

/// Removes those children of a folder that are no folders and whose names fit.
pub(super) fn files_that(
    root: &Path,
    dir: &Path,
    location: &Location,
    fits: impl Fn(&str) -> bool,
) -> Result<(), StorageError> {
    let failed = |source| StorageError::io("list", location.clone(), source);
    let children = match fs::read_dir(dir) {
        Ok(children) => children,
        Err(error) if super::is_absent(&error) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for child in children {
        let child = child.map_err(failed)?;
        let is_dir = child.file_type().map_err(failed)?.is_dir();
        if !is_dir && child.file_name().to_str().is_some_and(&fits) {
            file(root, &child.path(), location.clone())?;
        }
    }
    Ok(())
}

/// `false` when the folder that should hold `path` does not exist.
fn stays_inside(root: &Path, path: &Path, location: &Location) -> Result<bool, StorageError> {
    let resolved = path.parent().unwrap_or(root).canonicalize();
    match resolved.and_then(|parent| Ok((parent, root.canonicalize()?))) {
        Ok((parent, root)) if parent.starts_with(&root) => Ok(true),
        Ok(_) => {
            let (operation, location) = ("delete", location.clone());
            Err(StorageError::OutsideRoot { operation, location })
        }
        Err(error) if super::is_absent(&error) => Ok(false),
        Err(source) => Err(StorageError::io("delete", location.clone(), source)),
    }
}

fn absent_is_fine(removed: io::Result<()>, location: Location) -> Result<(), StorageError> {
    match removed {
        Ok(()) => Ok(()),
        Err(error) if super::is_absent(&error) => Ok(()),
        Err(source) => Err(StorageError::io("delete", location, source)),
    }
}
