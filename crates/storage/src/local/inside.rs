//! Where a path really lies: symbolic links below the root are followed as long as they stay in it.
//!
//! Invariants: what is found is in the root, or is refused before it is opened; a pipe or a device is no file,
//! and is never opened. Whoever changes links meanwhile is not stopped.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use alluvium_core::StoragePath;

/// What stands where a path leads.
pub(super) enum Found {
    /// Nothing, or a component on the way is a file.
    Nothing,
    /// A link leads out of the root.
    Outside,
    /// This; of a link, its target.
    Inside(Metadata),
}

/// Follows a path below a root.
pub(super) fn find(root: &Path, path: &StoragePath) -> io::Result<Found> {
    let (mut place, mut found) = (root.to_path_buf(), None);
    for component in path.as_str().split('/') {
        place.push(component);
        match fs::symlink_metadata(&place) {
            Ok(metadata) if metadata.is_symlink() => return resolve(root, path),
            Ok(metadata) => found = Some(metadata),
            Err(error) if super::is_absent(&error) => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        }
    }
    Ok(found.map_or(Found::Nothing, Found::Inside))
}

/// Compares where the links lead with where the root lies. Of a path that leads to nothing, the part of it that is
/// there must be in the root: something may be made below it.
fn resolve(root: &Path, path: &StoragePath) -> io::Result<Found> {
    let (inside, full_path) = (root.canonicalize()?, root.join(path.as_str()));
    for part in full_path.ancestors().take_while(|part| part.starts_with(root)) {
        match part.canonicalize() {
            Ok(place) if !place.starts_with(&inside) => return Ok(Found::Outside),
            Ok(place) if part == full_path => return fs::metadata(place).map(Found::Inside),
            Ok(_) => break,
            Err(error) if super::is_absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Found::Nothing)
}
