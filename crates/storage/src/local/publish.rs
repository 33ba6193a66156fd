//! How a file comes to be: temporary file, sync, hard link, sync of the folders.
//!
//! Invariants: a [`TempFile`] that is dropped unpublished removes itself; the link is made only
//! after the bytes are synced; the folders are synced only after the link.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::behind::{Noted, WriteBehind};
use crate::journal::note;
use crate::{Location, StorageError};

/// What the names of unfinished files begin with.
pub(super) const TEMP_PREFIX: &str = ".tmp-";
/// How much of the final name a temporary name repeats, in bytes, so that it stays below 255.
const MAX_NAME_PART_LEN_BYTES: usize = 200;

/// Tells apart the temporary files of this process.
static NEXT_TEMP: AtomicU64 = AtomicU64::new(0);

/// An unfinished file beside the place where it will appear.
#[derive(Debug)]
pub(super) struct TempFile {
    file: WriteBehind,
    /// `None` once it is removed.
    temp_path: Option<PathBuf>,
    final_path: PathBuf,
    dir: PathBuf,
    top: Arc<Path>,
    location: Location,
}

impl TempFile {
    /// Creates the folders on the way and an empty temporary file.
    pub(super) fn create(
        top: &Arc<Path>,
        final_path: PathBuf,
        location: Location,
    ) -> Result<Self, StorageError> {
        let dir = final_path.parent().unwrap_or(top).to_path_buf();
        create_dirs(&dir).map_err(|blocked| blocked.into_error("create", location.clone()))?;
        match open_temp(&dir, &final_path) {
            Ok((file, temp_path)) => {
                let temp_path = Some(temp_path);
                let top = Arc::clone(top);
                let file = WriteBehind::new(file);
                Ok(Self { file, temp_path, final_path, dir, top, location })
            }
            Err(source) => {
                Err(StorageError::Io { operation: "create", location, source: source.into() })
            }
        }
    }

    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    /// Writes a buffer, at the latest when the file is published, and gives an empty one for it.
    pub(super) fn write(&mut self, buffer: Vec<u8>) -> Result<Vec<u8>, StorageError> {
        let noted = self.noted();
        self.file.write(buffer, &noted).map_err(|source| self.failed("write", source))
    }

    /// Writes all that there will be.
    pub(super) fn write_whole(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let noted = self.noted();
        self.file.write_here(bytes, &noted).map_err(|source| self.failed("write", source))
    }

    #[cfg(feature = "journal")]
    fn noted(&self) -> impl Noted + use<> {
        let path = self.name().to_path_buf();
        move |bytes: &[u8]| {
            note!(Write, path = path.clone(), bytes = bytes);
        }
    }

    #[cfg(not(feature = "journal"))]
    #[expect(clippy::unused_self, reason = "the journal needs the name")]
    fn noted(&self) -> impl Noted + use<> {
        |_: &[u8]| ()
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.file.finish().map_err(|source| self.failed("sync", source))?;
        note!(Sync, path = self.name());
        Ok(())
    }

    /// The name that the file has now.
    #[cfg(feature = "journal")]
    fn name(&self) -> &Path {
        self.temp_path.as_deref().unwrap_or(&self.final_path)
    }

    /// Makes the file appear under its final name, durably.
    pub(super) fn publish(mut self) -> Result<(), StorageError> {
        self.sync()?;
        let temp_path = self.temp_path.as_deref().unwrap_or(&self.final_path);
        hard_link(temp_path, &self.final_path, &self.location)?;
        // Before the sync, so that a crash does not bring the temporary name back.
        self.remove_temp();
        sync_up_to(&self.dir, &self.top).map_err(|source| self.failed("sync the folder of", source))
    }

    /// Makes the file take the place of whatever has its final name, durably.
    pub(super) fn replace(mut self) -> Result<(), StorageError> {
        self.sync()?;
        if let Some(temp_path) = self.temp_path.take() {
            fs::rename(&temp_path, &self.final_path).map_err(|source| {
                let _ = fs::remove_file(&temp_path);
                self.failed("replace", source)
            })?;
            note!(Rename, from = &*temp_path, to = &*self.final_path);
        }
        sync_up_to(&self.dir, &self.top).map_err(|source| self.failed("sync the folder of", source))
    }

    /// A leftover is harmless: it is hidden, and its number is skipped.
    fn remove_temp(&mut self) {
        if let Some(temp_path) = self.temp_path.take() {
            let _ = fs::remove_file(&temp_path);
            note!(Remove, path = &*temp_path);
        }
    }

    fn failed(&self, operation: &'static str, source: io::Error) -> StorageError {
        StorageError::Io { operation, location: self.location.clone(), source: source.into() }
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        self.remove_temp();
    }
}

/// Gives a file a second name, durably; the name must be free.
pub(super) fn link(
    top: &Path,
    from: &Path,
    to: &Path,
    location: Location,
) -> Result<(), StorageError> {
    let dir = to.parent().unwrap_or(top);
    create_dirs(dir).map_err(|blocked| blocked.into_error("rename", location.clone()))?;
    hard_link(from, to, &location)?;
    sync_folders(top, to, location)
}

/// Syncs the folder of a file and the ones above it.
pub(super) fn sync_folders(
    top: &Path,
    file: &Path,
    location: Location,
) -> Result<(), StorageError> {
    let operation = "sync the folder of";
    sync_up_to(file.parent().unwrap_or(top), top).map_err(|source| StorageError::Io {
        operation,
        location,
        source: source.into(),
    })
}

fn hard_link(from: &Path, to: &Path, location: &Location) -> Result<(), StorageError> {
    let location = location.clone();
    fs::hard_link(from, to).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => StorageError::AlreadyExists { location },
        _ if lacks_hard_links(&source) => {
            let reason = "its file system has no hard links, which publish a file atomically";
            StorageError::Unsupported { operation: "create", location, reason }
        }
        _ => StorageError::Io { operation: "create", location, source: source.into() },
    })?;
    note!(Link, from = from, to = to);
    Ok(())
}

fn open_temp(dir: &Path, final_path: &Path) -> io::Result<(File, PathBuf)> {
    let name = final_path.file_name().map_or_else(Default::default, |name| name.to_string_lossy());
    let mut end = name.len().min(MAX_NAME_PART_LEN_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let part = name.get(..end).unwrap_or_default();
    loop {
        let number = NEXT_TEMP.fetch_add(1, Ordering::Relaxed);
        let temp_name = format!("{TEMP_PREFIX}{part}-{}-{number}", std::process::id());
        let temp_path = dir.join(OsString::from(temp_name));
        match OpenOptions::new().write(true).create_new(true).open(&temp_path) {
            Ok(file) => {
                note!(Create, path = &*temp_path);
                return Ok((file, temp_path));
            }
            // In a container every process has number 1, so a crashed one may have left this
            // name. The leftovers are finite.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Why a chain of folders could not be created.
#[derive(Debug)]
pub(super) enum Blocked {
    /// This component is a file.
    ByFile(PathBuf),
    /// The operating system refused.
    Io(io::Error),
}

impl Blocked {
    pub(super) fn into_error(self, operation: &'static str, location: Location) -> StorageError {
        match self {
            Self::ByFile(path) => {
                let blocking = path.display().to_string().into();
                StorageError::NotADirectory { operation, location, blocking }
            }
            Self::Io(source) => StorageError::io(operation, location, source),
        }
    }
}

/// Creates a folder and its parents; the parent of each new one is synced.
pub(super) fn create_dirs(dir: &Path) -> Result<(), Blocked> {
    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => return Err(Blocked::ByFile(dir.to_path_buf())),
        Err(error) if super::is_absent(&error) => {}
        Err(error) => return Err(Blocked::Io(error)),
    }
    let Some(parent) = dir.parent() else {
        return Err(Blocked::Io(io::ErrorKind::NotFound.into()));
    };
    create_dirs(parent)?;
    // Before it is there: others find it, and write into it, at once.
    note!(MakeDir, dir = dir);
    match fs::create_dir(dir) {
        Ok(()) => {}
        // Another writer was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
        Err(error) => return Err(Blocked::Io(error)),
    }
    sync_dir(parent).map_err(Blocked::Io)
}

/// Syncs a folder and the ones above it up to the top.
///
/// Also those that this writer found in place:
/// 1. writer A creates `chk-7` and is stopped before it syncs the parent;
/// 2. writer B finds `chk-7`, writes and syncs its file in it, and reports success;
/// 3. the machine loses power: `chk-7` is gone, and B's file with it.
fn sync_up_to(dir: &Path, top: &Path) -> io::Result<()> {
    for folder in dir.ancestors() {
        sync_dir(folder)?;
        if folder == top {
            break;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()?;
    note!(SyncDir, dir = dir);
    Ok(())
}

/// Elsewhere a folder cannot be opened as a file; its entries are journaled by the system.
#[cfg(not(unix))]
fn sync_dir(_dir: &Path) -> io::Result<()> {
    Ok(())
}

fn lacks_hard_links(error: &io::Error) -> bool {
    /// `EPERM` of `link(2)` on Linux: the file system does not support hard links.
    const EPERM: i32 = 1;
    error.kind() == io::ErrorKind::Unsupported
        || (cfg!(unix) && error.raw_os_error() == Some(EPERM))
}
