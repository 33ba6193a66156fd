//! From a state handle back to its bytes.
//!
//! Invariants: bytes are handed out only if the stream has the length and the seal that the handle
//! says; everything else about them is for their format's reader to check.

use std::path::PathBuf;
use std::sync::Arc;

use alluvium_core::{SharedFile, StateHandle, StateLocation, StoragePath};
use bytes::Bytes;

use crate::copies::{CopiedFile, LocalCopy};
use crate::read_at::{InlineBytes, RangedFile};
use crate::seal::seal_of;
use crate::{LocalCopies, Location, ReadAt, Storage, StorageError};

/// What messages call a stream without a file.
const INLINE_NAME: &str = "the state stream inlined in the metadata";
/// How many bytes at the end of a stream hold its seal.
const SEAL_LEN_BYTES: u64 = 4;

/// How files are brought into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ReadAccess {
    /// Read into memory of our own. Safe whatever happens to the file meanwhile.
    #[default]
    Copy,
    /// Memory-mapped where the storage can: pages are read when they are touched. A file that
    /// somebody cuts short while it is mapped ends the process (`SIGBUS`).
    Map,
}

/// Opens the streams of one job for reading.
#[derive(Debug, Clone)]
pub struct HandleReader {
    storage: Arc<dyn Storage>,
    access: ReadAccess,
    shareable: bool,
    copies: Option<LocalCopies>,
}

impl HandleReader {
    /// Reads from `storage`, whose root is the job's folder.
    pub fn new(storage: Arc<dyn Storage>, access: ReadAccess) -> Self {
        Self { storage, access, shareable: false, copies: None }
    }

    /// Says whether the files that this reader opens belong to the running job's own folder and
    /// are counted by its coordinator, so that a later checkpoint may refer to them. Default:
    /// false.
    #[must_use]
    pub fn shareable(self, shareable: bool) -> Self {
        Self { shareable, ..self }
    }

    /// Reads files from their copies where these are there and right.
    #[must_use]
    pub fn with_copies(self, copies: Option<LocalCopies>) -> Self {
        Self { copies, ..self }
    }

    /// The same without copies, for whoever has found bytes to be wrong; `None` if there were none.
    #[must_use]
    pub fn without_copies(&self) -> Option<Self> {
        self.copies.as_ref().map(|_| self.clone().with_copies(None))
    }

    /// Whether a later checkpoint may refer to the files that this reader opens.
    pub const fn is_shareable(&self) -> bool {
        self.shareable
    }

    /// The same, with another way of reading.
    #[must_use]
    pub fn with_access(&self, access: ReadAccess) -> Self {
        Self { access, ..self.clone() }
    }

    /// Name of the job's folder for people, without secrets.
    pub fn root(&self) -> &str {
        self.storage.root()
    }

    /// All bytes of a stream.
    ///
    /// Errors: [`StorageError::NotFound`], [`StorageError::Truncated`] for any other length,
    /// [`StorageError::SealMismatch`] for another file of the same length.
    pub fn open(&self, handle: &StateHandle) -> Result<Bytes, StorageError> {
        let (bytes, location) = match &handle.location {
            StateLocation::Inline(bytes) => (bytes.clone(), Location::new(INLINE_NAME, None)),
            StateLocation::File(path) => {
                if let Some(bytes) = self.copied(path, handle.len_bytes, handle.seal) {
                    return Ok(bytes);
                }
                let location = Location::new(self.storage.root(), Some(path));
                (self.whole(path, handle.len_bytes, &location)?, location)
            }
            _ => return Err(self.unknown_location()),
        };
        check_len(handle.len_bytes, bytes.len() as u64, &location)?;
        check_seal(handle.seal, &bytes, location)?;
        Ok(bytes)
    }

    /// All bytes of a file of that length. Any other one is refused before memory is taken for it: what
    /// lies in the place of a short stream may be as long as a file can be.
    fn whole(
        &self,
        path: &StoragePath,
        len_bytes: u64,
        location: &Location,
    ) -> Result<Bytes, StorageError> {
        let mapped = match self.access {
            ReadAccess::Copy => None,
            ReadAccess::Map => self.storage.map_guarded(path)?,
        };
        if let Some(mapped) = mapped {
            check_len(len_bytes, mapped.len_bytes(), location)?;
            return mapped.read(0..len_bytes);
        }
        check_len(len_bytes, self.storage.len_bytes(path)?, location)?;
        self.storage.read(path, 0..len_bytes)
    }

    /// Opens a stream to be read piece by piece. Only its end is read now.
    ///
    /// Shape: a mapped file stays readable when it is deleted; a file that is read by copy, or
    /// from a storage that does not map, must be there for each piece.
    /// Errors: as [`HandleReader::open`].
    pub fn source(&self, handle: &StateHandle) -> Result<Arc<dyn ReadAt>, StorageError> {
        match &handle.location {
            StateLocation::Inline(bytes) => {
                let location = Location::new(INLINE_NAME, None);
                let source = Arc::new(InlineBytes { bytes: bytes.clone(), location });
                self.checked(source, None, handle.len_bytes, handle.seal)
            }
            StateLocation::File(path) => self.file_source(path, handle.len_bytes, handle.seal),
            _ => Err(self.unknown_location()),
        }
    }

    /// Opens a shared file to be read piece by piece, as [`HandleReader::source`].
    ///
    /// Errors: as [`HandleReader::open`].
    pub fn shared_source(&self, file: &SharedFile) -> Result<Arc<dyn ReadAt>, StorageError> {
        self.file_source(&file.path, file.len_bytes, file.seal)
    }

    /// Where a shared file, or its copy, lies on the file system of this machine; `None` where the
    /// storage is not a folder and there is no right copy. Nothing of the file has been checked.
    pub fn local_path(&self, file: &SharedFile) -> Option<PathBuf> {
        match self.find_copy(&file.path, file.len_bytes, file.seal) {
            Some((copy, _)) => copy.checked_path(),
            None => self.storage.local_path(&file.path),
        }
    }

    fn find_copy(
        &self,
        path: &StoragePath,
        len_bytes: u64,
        seal: u32,
    ) -> Option<(LocalCopy, &LocalCopies)> {
        let copies = self.copies.as_ref()?;
        let is_mapped = self.access == ReadAccess::Map;
        Some((copies.find(path, len_bytes, seal, is_mapped)?, copies))
    }

    /// All bytes of a file, from its copy.
    fn copied(&self, path: &StoragePath, len_bytes: u64, seal: u32) -> Option<Bytes> {
        let copies = self.copies.as_ref()?;
        let copy = self.find_copy(path, len_bytes, seal);
        let bytes =
            copy.and_then(|(copy, _)| copy.read_all().map_err(|_| copies.note_damage()).ok());
        if bytes.is_some() {
            copies.note_local();
        } else {
            copies.note_remote();
        }
        bytes
    }

    fn file_source(
        &self,
        path: &StoragePath,
        len_bytes: u64,
        seal: u32,
    ) -> Result<Arc<dyn ReadAt>, StorageError> {
        if let Some((copy, copies)) = self.find_copy(path, len_bytes, seal) {
            copies.note_local();
            let file = SharedFile { path: path.clone(), len_bytes, seal };
            let itself = self.clone().with_copies(None);
            return Ok(Arc::new(CopiedFile::new(copy, copies.clone(), itself, file)));
        }
        if let Some(copies) = &self.copies {
            copies.note_remote();
        }
        let mapped = match self.access {
            ReadAccess::Copy => None,
            ReadAccess::Map => self.storage.map_guarded(path)?,
        };
        let source = match mapped {
            Some(mapped) => mapped,
            None => Arc::new(RangedFile {
                storage: Arc::clone(&self.storage),
                path: path.clone(),
                len_bytes: self.storage.len_bytes(path)?,
            }),
        };
        self.checked(source, Some(path), len_bytes, seal)
    }

    fn checked(
        &self,
        source: Arc<dyn ReadAt>,
        path: Option<&StoragePath>,
        len_bytes: u64,
        seal: u32,
    ) -> Result<Arc<dyn ReadAt>, StorageError> {
        let root = if path.is_some() { self.storage.root() } else { INLINE_NAME };
        let location = Location::new(root, path);
        check_len(len_bytes, source.len_bytes(), &location)?;
        let tail = source.read(len_bytes.saturating_sub(SEAL_LEN_BYTES)..len_bytes)?;
        check_seal(seal, &tail, location)?;
        Ok(source)
    }

    fn unknown_location(&self) -> StorageError {
        let location = Location::new(self.storage.root(), None);
        let reason = "it holds a kind of state location that this version does not know";
        StorageError::Unsupported { operation: "read", location, reason }
    }
}

fn check_len(expected: u64, found: u64, location: &Location) -> Result<(), StorageError> {
    if found == expected {
        return Ok(());
    }
    let (expected_len_bytes, found_len_bytes) = (expected, found);
    let location = location.clone();
    Err(StorageError::Truncated { location, expected_len_bytes, found_len_bytes })
}

/// Compares the seal with the end of a stream, or with all of it.
fn check_seal(expected: u32, tail: &[u8], location: Location) -> Result<(), StorageError> {
    let found = seal_of(tail);
    if found == expected {
        return Ok(());
    }
    Err(StorageError::SealMismatch { location, expected, found })
}

#[cfg(test)]
mod tests;
