//! Streams one file of the local file system.
//!
//! Invariants: after an error nothing more is written and `finish` reports that error.

use std::io::{self, Write};
use std::mem;

use crate::{StorageError, StorageWriter};

use super::publish::TempFile;

/// How many bytes are collected before they go to the operating system.
const BUFFER_LEN_BYTES: usize = 256 * 1024;

pub(super) struct LocalWriter {
    temp: TempFile,
    buffer: Vec<u8>,
    failed: Option<StorageError>,
}

impl LocalWriter {
    pub(super) fn new(temp: TempFile) -> Self {
        Self { temp, buffer: Vec::new(), failed: None }
    }

    fn check(&self) -> Result<(), StorageError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn note(&mut self, written: Result<(), StorageError>) -> Result<(), StorageError> {
        if let Err(error) = &written {
            self.failed = Some(error.clone());
        }
        written
    }

    fn drain(&mut self) -> Result<(), StorageError> {
        let full = mem::take(&mut self.buffer);
        match self.temp.write(full) {
            Ok(emptied) => {
                self.buffer = emptied;
                Ok(())
            }
            failed => self.note(failed.map(drop)),
        }
    }

    fn push(&mut self, mut bytes: &[u8]) -> Result<(), StorageError> {
        self.check()?;
        while !bytes.is_empty() {
            let room = BUFFER_LEN_BYTES.saturating_sub(self.buffer.len());
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.buffer.extend_from_slice(now);
            if self.buffer.len() >= BUFFER_LEN_BYTES {
                self.drain()?;
            }
            bytes = later;
        }
        Ok(())
    }
}

impl Write for LocalWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes).map_err(StorageError::into_write)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.check().and_then(|()| self.drain()).map_err(StorageError::into_write)
    }
}

impl StorageWriter for LocalWriter {
    fn finish(mut self: Box<Self>) -> Result<(), StorageError> {
        self.check()?;
        self.drain()?;
        let Self { temp, .. } = *self;
        temp.publish()
    }

    fn abort(self: Box<Self>) {}
}

impl std::fmt::Debug for LocalWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalWriter({})", self.temp.location())
    }
}
