//! The checksum of a whole SST, computed piece by piece.
//!
//! The seal of a shared file cannot tell two SSTs apart: all of them end with the same constant.

use std::ops::Range;

use crate::FormatError;
use crate::envelope::Source;

/// Bytes of an SST that are read at once.
const PIECE_LEN_BYTES: u64 = 4 * 1024 * 1024;

/// The checksum of an SST that is in memory as a whole.
pub fn checksum_of(file: &[u8]) -> u32 {
    crc32fast::hash(file)
}

/// CRC32 of bytes that come in pieces (SPEC 1.3).
#[derive(Debug, Clone, Default)]
pub struct SstChecksum {
    hasher: crc32fast::Hasher,
}

impl SstChecksum {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The checksum of all bytes so far.
    pub fn value(&self) -> u32 {
        self.hasher.clone().finalize()
    }

    /// Compares a whole file with the checksum of its index, reading 4 MiB at a time.
    ///
    /// Errors: [`FormatError::Checksum`]; those of [`Source::read`].
    pub fn verify(file: &dyn Source, expected: u32) -> Result<(), FormatError> {
        let (mut checksum, len_bytes) = (Self::default(), file.len_bytes());
        let mut start = 0;
        while start < len_bytes {
            let piece = Range { start, end: len_bytes.min(start + PIECE_LEN_BYTES) };
            let (end, bytes) = (piece.end, file.read(piece)?);
            if bytes.len() as u64 != end - start {
                let found_len_bytes = start + bytes.len() as u64;
                let expected_len_bytes = end;
                let what = "sst";
                return Err(FormatError::Truncated { what, expected_len_bytes, found_len_bytes });
            }
            checksum.update(&bytes);
            start = end;
        }
        let found = checksum.value();
        if found == expected {
            return Ok(());
        }
        Err(FormatError::Checksum { what: "sst", offset: 0, expected, found })
    }
}
