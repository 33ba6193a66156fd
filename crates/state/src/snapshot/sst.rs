//! One SST file on its way into a checkpoint.
//!
//! Invariants: bytes go in as RocksDB wrote them; what comes out names exactly these bytes.

use std::io::{self, Write};
use std::path::Path;

use alluvium_core::{SharedFile, StateLocation};
use alluvium_format::sst::SstChecksum;
use alluvium_storage::{CheckpointStream, StorageError};

/// An SST file being written. Dropping it without [`SstFileStream::finish`] leaves no file.
#[derive(Debug)]
#[must_use = "a file that is not finished leaves nothing"]
pub struct SstFileStream {
    stream: CheckpointStream,
    checksum: SstChecksum,
}

impl SstFileStream {
    pub(super) fn new(stream: CheckpointStream) -> Self {
        Self { stream, checksum: SstChecksum::default() }
    }

    /// How many bytes have been written.
    pub fn position(&self) -> u64 {
        self.stream.position()
    }

    /// Says which local file has these bytes; as [`CheckpointStream::also_at`].
    pub fn also_at(&mut self, file: &Path) {
        self.stream.also_at(file);
    }

    /// Ends the file, which is durable then: how checkpoints refer to it, and the checksum of all
    /// its bytes.
    ///
    /// Errors: [`StorageError::AlreadyExists`], and whatever failed before.
    pub fn finish(self) -> Result<(SharedFile, u32), StorageError> {
        let handle = self.stream.finish()?;
        let (len_bytes, seal) = (handle.len_bytes, handle.seal);
        match handle.location {
            StateLocation::File(path) => {
                Ok((SharedFile { path, len_bytes, seal }, self.checksum.value()))
            }
            other => unreachable!("a stream that is asked to be a file is one: {other:?}"),
        }
    }

    /// Gives the file up and removes what was written.
    pub fn abort(self) {
        self.stream.abort();
    }
}

impl Write for SstFileStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes)?;
        self.checksum.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
