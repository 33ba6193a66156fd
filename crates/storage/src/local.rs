//! Files of a local or mounted file system.
//!
//! A file is published by a *hard link*: its bytes are written to a temporary file beside it,
//! synced, and linked to the final name, which fails if that exists. A rename would replace the
//! other one's file silently. Ladder of names: top (the folder that was opened) > root (the folder
//! of this handle, top or below) > file.
//!
//! Invariants:
//! - names that start with `.tmp-` are ours: unfinished files, hidden by `list`;
//! - when a file has appeared, it and every folder between it and the top are synced, no matter
//!   which writer created them;
//! - nothing outside the root is read, written or deleted, whatever symbolic links lie below it.

mod ahead;
mod behind;
mod inside;
mod lock;
mod mapped;
mod publish;
mod remove;
mod writer;

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_core::StoragePath;
use bytes::Bytes;

use crate::{
    Location, ReadAt, Storage, StorageEntry, StorageError, StorageLock, StorageWriter, mmap,
};

use self::inside::Found;
use self::mapped::MappedFile;
use self::publish::TempFile;
use self::writer::LocalWriter;

/// Checkpoint files in a folder of the file system.
#[derive(Debug, Clone)]
pub struct LocalStorage {
    top: Arc<Path>,
    root: Arc<Path>,
    name: Arc<str>,
}

impl LocalStorage {
    /// Opens a folder and creates it, with its parents, when it is missing.
    ///
    /// Errors: [`StorageError::NotADirectory`], [`StorageError::Io`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, StorageError> {
        let storage = Self::at(dir.as_ref())?;
        publish::create_dirs(&storage.root)
            .map_err(|blocked| blocked.into_error("open", storage.location(None)))?;
        Ok(storage)
    }

    /// Opens a folder that is already there.
    ///
    /// Errors: [`StorageError::NotFound`], [`StorageError::NotADirectory`], [`StorageError::Io`].
    pub fn open_existing(dir: impl AsRef<Path>) -> Result<Self, StorageError> {
        let storage = Self::at(dir.as_ref())?;
        let location = storage.location(None);
        match fs::metadata(&storage.root) {
            Ok(found) if found.is_dir() => Ok(storage),
            Ok(_) => {
                let blocking = storage.root.display().to_string().into();
                Err(StorageError::NotADirectory { operation: "open", location, blocking })
            }
            Err(source) => Err(lookup_error("open", location, source)),
        }
    }

    fn at(dir: &Path) -> Result<Self, StorageError> {
        let root: Arc<Path> = std::path::absolute(dir)
            .map_err(|source| {
                let location = Location::new(&format!("file:{}", dir.display()), None);
                StorageError::io("open", location, source)
            })?
            .into();
        let name = format!("file:{}", root.display()).into();
        Ok(Self { top: Arc::clone(&root), root, name })
    }

    fn location(&self, path: Option<&StoragePath>) -> Location {
        Location::new(&self.name, path)
    }

    fn full_path(&self, path: &StoragePath) -> PathBuf {
        self.root.join(path.as_str())
    }

    /// What a path leads to; `None` where there is nothing.
    ///
    /// Errors: [`StorageError::OutsideRoot`], [`StorageError::Io`].
    fn find(
        &self,
        operation: &'static str,
        path: &StoragePath,
    ) -> Result<Option<fs::Metadata>, StorageError> {
        let location = || self.location(Some(path));
        match inside::find(&self.root, path) {
            Ok(Found::Inside(found)) => Ok(Some(found)),
            Ok(Found::Nothing) => Ok(None),
            Ok(Found::Outside) => {
                Err(StorageError::OutsideRoot { operation, location: location() })
            }
            Err(source) => Err(StorageError::io(operation, location(), source)),
        }
    }

    /// The folders of a file that is to be made must lie in the root, as far as they are there.
    fn check_folders(
        &self,
        operation: &'static str,
        path: &StoragePath,
    ) -> Result<(), StorageError> {
        path.parent().map_or(Ok(()), |dir| self.find(operation, &dir).map(drop))
    }

    fn begin(&self, path: &StoragePath) -> Result<TempFile, StorageError> {
        self.check_folders("write", path)?;
        TempFile::create(&self.top, self.full_path(path), self.location(Some(path)))
    }

    /// Opens a file for reading and measures it; a folder is not a file.
    fn open_file(
        &self,
        operation: &'static str,
        path: &StoragePath,
    ) -> Result<(File, u64), StorageError> {
        let location = || self.location(Some(path));
        // A pipe would wait for whoever writes into it.
        if !self.find(operation, path)?.is_some_and(|found| found.is_file()) {
            return Err(StorageError::NotFound { location: location() });
        }
        let opened = File::open(self.full_path(path)).and_then(|file| {
            let found = file.metadata()?;
            Ok((file, found))
        });
        match opened {
            Ok((file, found)) if found.is_file() => Ok((file, found.len())),
            Ok(_) => Err(StorageError::NotFound { location: location() }),
            Err(source) => Err(lookup_error(operation, location(), source)),
        }
    }

    fn read_range(
        &self,
        path: &StoragePath,
        mut file: File,
        found_len_bytes: u64,
        range: Range<u64>,
    ) -> Result<Bytes, StorageError> {
        let too_short = |found_len_bytes| StorageError::Truncated {
            location: self.location(Some(path)),
            expected_len_bytes: range.end,
            found_len_bytes,
        };
        if found_len_bytes < range.end {
            return Err(too_short(found_len_bytes));
        }
        let len_bytes = range.end.saturating_sub(range.start);
        let failed = |source| StorageError::io("read", self.location(Some(path)), source);
        let mut bytes = buffer(len_bytes).map_err(failed)?;
        file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
        file.take(len_bytes).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 == len_bytes {
            Ok(bytes.into())
        } else {
            // The file shrank after it was measured.
            Err(too_short(range.start.saturating_add(bytes.len() as u64)))
        }
    }
}

impl Storage for LocalStorage {
    fn root(&self) -> &str {
        &self.name
    }

    fn create(&self, path: &StoragePath, bytes: &[u8]) -> Result<(), StorageError> {
        let mut temp = self.begin(path)?;
        temp.write_whole(bytes)?;
        temp.publish()
    }

    fn writer(&self, path: &StoragePath) -> Result<Box<dyn StorageWriter>, StorageError> {
        Ok(Box::new(LocalWriter::new(self.begin(path)?)))
    }

    fn rename(&self, from: &StoragePath, to: &StoragePath) -> Result<(), StorageError> {
        self.open_file("rename", from)?;
        self.check_folders("rename", to)?;
        publish::link(
            &self.top,
            &self.full_path(from),
            &self.full_path(to),
            self.location(Some(to)),
        )?;
        self.delete(from)
    }

    fn replace(&self, path: &StoragePath, bytes: &[u8]) -> Result<(), StorageError> {
        let mut temp = self.begin(path)?;
        temp.write_whole(bytes)?;
        temp.replace()
    }

    fn read(&self, path: &StoragePath, range: Range<u64>) -> Result<Bytes, StorageError> {
        let (file, len_bytes) = self.open_file("read", path)?;
        self.read_range(path, file, len_bytes, range)
    }

    fn read_all(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        let (file, len_bytes) = self.open_file("read", path)?;
        self.read_range(path, file, len_bytes, 0..len_bytes)
    }

    fn map(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        let (file, len_bytes) = self.open_file("map", path)?;
        mmap::map_file(&file, len_bytes)
            .map_err(|source| StorageError::io("map", self.location(Some(path)), source))
    }

    fn map_guarded(&self, path: &StoragePath) -> Result<Option<Arc<dyn ReadAt>>, StorageError> {
        let (file, len_bytes) = self.open_file("map", path)?;
        let mapped = MappedFile::new(file, len_bytes, self.location(Some(path)))?;
        Ok(Some(Arc::new(mapped)))
    }

    fn local_path(&self, path: &StoragePath) -> Option<PathBuf> {
        self.find("find", path).ok()?;
        Some(self.full_path(path))
    }

    fn check_inside(&self, path: &StoragePath) -> Result<(), StorageError> {
        self.find("read", path).map(drop)
    }

    fn len_bytes(&self, path: &StoragePath) -> Result<u64, StorageError> {
        match self.find("measure", path)?.filter(fs::Metadata::is_file) {
            Some(found) => Ok(found.len()),
            None => Err(StorageError::NotFound { location: self.location(Some(path)) }),
        }
    }

    fn list(&self, dir: Option<&StoragePath>) -> Result<Vec<StorageEntry>, StorageError> {
        if let Some(dir) = dir {
            self.find("list", dir)?;
        }
        let full_path = dir.map_or_else(|| self.root.to_path_buf(), |dir| self.full_path(dir));
        list_dir(&full_path).map_err(|source| StorageError::io("list", self.location(dir), source))
    }

    fn delete(&self, path: &StoragePath) -> Result<(), StorageError> {
        remove::file(&self.root, &self.full_path(path), self.location(Some(path)))
    }

    fn delete_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        remove::dir(&self.root, &self.full_path(dir), self.location(Some(dir)))
    }

    fn delete_empty_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        remove::empty_dir(&self.root, &self.full_path(dir), self.location(Some(dir)))
    }

    fn delete_unfinished(&self, dir: &StoragePath) -> Result<(), StorageError> {
        remove::files_that(&self.root, &self.full_path(dir), &self.location(Some(dir)), |name| {
            name.starts_with(publish::TEMP_PREFIX)
        })
    }

    /// The bytes of a file are synced before it appears, so this syncs the folders.
    fn sync(&self, path: &StoragePath) -> Result<(), StorageError> {
        publish::sync_folders(&self.top, &self.full_path(path), self.location(Some(path)))
    }

    fn lock(&self, path: &StoragePath) -> Result<Option<StorageLock>, StorageError> {
        let (operation, full_path) = ("lock", self.full_path(path));
        // A link that leads nowhere would make a file there.
        if self.find(operation, path)?.is_none()
            && fs::symlink_metadata(&full_path).is_ok_and(|found| found.is_symlink())
        {
            let location = self.location(Some(path));
            return Err(StorageError::OutsideRoot { operation, location });
        }
        lock::take(&full_path, self.location(Some(path))).map(Some)
    }

    fn below(&self, dir: &StoragePath) -> Result<Arc<dyn Storage>, StorageError> {
        let root: Arc<Path> = self.full_path(dir).into();
        let name = self.location(Some(dir)).to_string().into();
        Ok(Arc::new(Self { top: Arc::clone(&self.top), root, name }))
    }
}

/// Room for so many bytes. A file may be longer than memory, and that must not end the process.
fn buffer(len_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let room = usize::try_from(len_bytes).ok();
    match room.map(|room| bytes.try_reserve_exact(room)) {
        Some(Ok(())) => Ok(bytes),
        _ => Err(io::ErrorKind::OutOfMemory.into()),
    }
}

fn list_dir(dir: &Path) -> io::Result<Vec<StorageEntry>> {
    let mut entries = Vec::new();
    let children = match fs::read_dir(dir) {
        Ok(children) => children,
        Err(error) if is_absent(&error) => return Ok(entries),
        Err(error) => return Err(error),
    };
    for child in children {
        let child = child?;
        // A name that is not UTF-8 is none of ours: no path of a storage can spell it.
        let Ok(name) = child.file_name().into_string() else {
            continue;
        };
        if name.starts_with(publish::TEMP_PREFIX) {
            continue;
        }
        match child.metadata() {
            Ok(found) => {
                let len_bytes = if found.is_dir() { 0 } else { found.len() };
                entries.push(StorageEntry { name, is_dir: found.is_dir(), len_bytes });
            }
            // Deleted between the two calls.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Below a file there is nothing: looking there finds as little as in a missing folder.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn lookup_error(operation: &'static str, location: Location, source: io::Error) -> StorageError {
    if is_absent(&source) {
        StorageError::NotFound { location }
    } else {
        StorageError::io(operation, location, source)
    }
}

#[cfg(test)]
mod tests;
