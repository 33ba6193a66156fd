//! A mapped file that is watched for being cut short.
//!
//! Invariants: the file is never opened for writing; deleting it leaves the map and its pages as
//! they are; before each piece its length is compared with that of the map, so a cut is an error
//! that names the file. Only a cut between that look and the touch of a page still ends the
//! process (`SIGBUS`).

use std::fs::File;
use std::ops::Range;

use bytes::Bytes;

use crate::read_at::cut;
use crate::{Location, ReadAt, StorageError, mmap};

/// A map together with the open file that it shows.
#[derive(Debug)]
pub(super) struct MappedFile {
    file: File,
    bytes: Bytes,
    location: Location,
}

impl MappedFile {
    pub(super) fn new(
        file: File,
        len_bytes: u64,
        location: Location,
    ) -> Result<Self, StorageError> {
        match mmap::map_file(&file, len_bytes) {
            Ok(bytes) => Ok(Self { file, bytes, location }),
            Err(source) => Err(StorageError::io("map", location, source)),
        }
    }
}

impl ReadAt for MappedFile {
    fn name(&self) -> String {
        self.location.to_string()
    }

    fn len_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, StorageError> {
        let (location, expected_len_bytes) = (|| self.location.clone(), self.len_bytes());
        match self.file.metadata() {
            Ok(found) if found.len() == expected_len_bytes => cut(&self.bytes, range, location),
            Ok(found) => Err(StorageError::Truncated {
                location: location(),
                expected_len_bytes,
                found_len_bytes: found.len(),
            }),
            Err(source) => Err(StorageError::io("read", location(), source)),
        }
    }
}
