//! Reads copies, and the files themselves where copies are not right.
//!
//! Invariants: a byte of a copy is handed out only if the checksum of its chunk was right; a chunk
//! that is not right sends this read and all that follow to the file itself.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use alluvium_core::{SharedFile, StoragePath};
use bytes::Bytes;

use super::sums::{CHUNK_LEN_BYTES, Sums};
use super::{LocalCopies, lock};
use crate::{HandleReader, ReadAt, StorageError, mmap};

/// A copy that is open, so that nobody can take it away.
#[derive(Debug)]
pub(crate) struct LocalCopy {
    path: PathBuf,
    file: Mutex<File>,
    /// The bytes, if the file is mapped.
    mapped: Option<Bytes>,
    sums: Sums,
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the local copy is damaged")
}

impl LocalCopy {
    pub(super) fn open(
        copies: &LocalCopies,
        path: &StoragePath,
        is_mapped: bool,
    ) -> io::Result<Self> {
        let sums = Sums::parse(&fs::read(copies.sums_path(path))?).ok_or_else(damaged)?;
        let path = copies.data_path(path);
        let file = File::open(&path)?;
        let found = file.metadata()?;
        if !found.is_file() || found.len() != sums.len_bytes {
            return Err(damaged());
        }
        let mapped = if is_mapped { Some(mmap::map_file(&file, found.len())?) } else { None };
        Ok(Self { path, file: Mutex::new(file), mapped, sums })
    }

    pub(super) fn fits(&self, len_bytes: u64, seal: u32) -> bool {
        self.sums.len_bytes == len_bytes && self.sums.seal == seal
    }

    /// Where the copy lies, all of it checked; `None` if it is not right.
    pub(crate) fn checked_path(&self) -> Option<PathBuf> {
        let mut start = 0;
        while start < self.sums.len_bytes {
            let end = self.sums.len_bytes.min(start + 64 * CHUNK_LEN_BYTES as u64);
            self.read(start..end).ok()?;
            start = end;
        }
        Some(self.path.clone())
    }

    pub(crate) fn read_all(&self) -> io::Result<Bytes> {
        self.read(0..self.sums.len_bytes)
    }

    /// The bytes of a range that lies in the copy.
    fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let chunk_len = CHUNK_LEN_BYTES as u64;
        if range.end > self.sums.len_bytes || range.start > range.end {
            return Err(damaged());
        }
        let first = range.start / chunk_len;
        let start = first * chunk_len;
        let end = range.end.next_multiple_of(chunk_len).min(self.sums.len_bytes);
        let bytes = self.bytes(start..end)?;
        let index = |at: u64| usize::try_from(at).map_err(|_| damaged());
        let sums = self.sums.chunks.iter().skip(index(first)?);
        // Each time: what was right may have been damaged since.
        for (chunk, sum) in bytes.chunks(CHUNK_LEN_BYTES).zip(sums) {
            if crc32fast::hash(chunk) != *sum {
                return Err(damaged());
            }
        }
        Ok(bytes.slice(index(range.start - start)?..index(range.end - start)?))
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
        let mut file = lock(&self.file);
        // Before a page of the map is touched: somebody may have cut the file.
        if file.metadata()?.len() != self.sums.len_bytes {
            return Err(damaged());
        }
        let (Ok(start), Ok(end)) = (usize::try_from(range.start), usize::try_from(range.end))
        else {
            return Err(damaged());
        };
        if let Some(mapped) = &self.mapped {
            return if end <= mapped.len() { Ok(mapped.slice(start..end)) } else { Err(damaged()) };
        }
        let mut bytes = vec![0; end - start];
        file.seek(SeekFrom::Start(range.start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// A file that is read from its copy as long as that is right.
#[derive(Debug)]
pub(crate) struct CopiedFile {
    copy: LocalCopy,
    copies: LocalCopies,
    is_damaged: AtomicBool,
    /// Reads the file itself, and what it is.
    reader: HandleReader,
    file: SharedFile,
    opened: OnceLock<Arc<dyn ReadAt>>,
}

impl CopiedFile {
    /// `reader` reads the file itself and not the copy.
    pub(crate) fn new(
        copy: LocalCopy,
        copies: LocalCopies,
        reader: HandleReader,
        file: SharedFile,
    ) -> Self {
        let (is_damaged, opened) = (AtomicBool::new(false), OnceLock::new());
        Self { copy, copies, is_damaged, reader, file, opened }
    }

    fn itself(&self) -> Result<&Arc<dyn ReadAt>, StorageError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = self.reader.shared_source(&self.file)?;
        Ok(self.opened.get_or_init(|| opened))
    }
}

impl ReadAt for CopiedFile {
    fn name(&self) -> String {
        format!("{}/{}", self.reader.root(), self.file.path)
    }

    fn len_bytes(&self) -> u64 {
        self.file.len_bytes
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, StorageError> {
        if range.start >= range.end && range.end <= self.file.len_bytes {
            return Ok(Bytes::new());
        }
        let is_inside = range.end <= self.file.len_bytes;
        if is_inside && !self.is_damaged.load(Ordering::Relaxed) {
            if let Ok(bytes) = self.copy.read(range.clone()) {
                return Ok(bytes);
            }
            if !self.is_damaged.swap(true, Ordering::Relaxed) {
                self.copies.note_damaged_late();
            }
        }
        self.itself()?.read(range)
    }
}
