//! Where the bytes of a stream come from: memory, or a file of which a range at a time is read.

use std::fmt::Debug;
use std::ops::Range;

use bytes::Bytes;

use super::reader::check;
use super::{Block, FOOTER_LEN, HEADER_LEN};
use crate::FormatError;

/// A stream of a known length that is read in ranges.
///
/// The bytes of a range are the same each time: streams never change (SPEC 2.3).
pub trait Source: Send + Sync + Debug {
    /// Length of the stream in bytes.
    fn len_bytes(&self) -> u64;

    /// The bytes of a range.
    ///
    /// Errors: [`FormatError::Truncated`] when the range reaches outside the stream;
    /// [`FormatError::Read`].
    fn read(&self, range: Range<u64>) -> Result<Bytes, FormatError>;
}

impl Source for Bytes {
    fn len_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, FormatError> {
        let places = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let bytes = places.and_then(|(start, end)| self.get(start..end));
        bytes.map(|bytes| self.slice_ref(bytes)).ok_or(FormatError::Truncated {
            what: "range",
            expected_len_bytes: range.end,
            found_len_bytes: self.len_bytes(),
        })
    }
}

/// Reads a range that lies within the stream, and holds a source to its promise of whole ranges.
pub(super) fn read_exactly(
    source: &dyn Source,
    range: Range<u64>,
    what: &'static str,
) -> Result<Bytes, FormatError> {
    let (start, expected_len_bytes) = (range.start, range.end);
    let cut =
        |found_len_bytes| FormatError::Truncated { what, expected_len_bytes, found_len_bytes };
    if expected_len_bytes > source.len_bytes() {
        return Err(cut(source.len_bytes()));
    }
    let bytes = source.read(range)?;
    let found = start + bytes.len() as u64;
    if found == expected_len_bytes { Ok(bytes) } else { Err(cut(found)) }
}

/// The bytes of a block of any stream, after comparing their checksum; nothing else of the stream
/// is read.
///
/// Errors: [`FormatError::Malformed`] when the block reaches into the header, the footer or beyond
/// the stream; [`FormatError::Checksum`]; those of [`Source::read`].
pub fn read_block(source: &dyn Source, block: &Block) -> Result<Bytes, FormatError> {
    let end = source.len_bytes().saturating_sub(FOOTER_LEN as u64);
    read_block_before(source, block, end)
}

/// The checked bytes of a block that must lie between the header and `limit`.
pub(super) fn read_block_before(
    source: &dyn Source,
    block: &Block,
    limit: u64,
) -> Result<Bytes, FormatError> {
    let end = block.end().filter(|&end| block.offset >= HEADER_LEN as u64 && end <= limit);
    let Some(end) = end else {
        let reason = format!("{} bytes reach outside the blocks", block.len_bytes);
        return Err(FormatError::Malformed { what: "block", offset: block.offset, reason });
    };
    let bytes = read_exactly(source, block.offset..end, "block")?;
    check("block", block.offset, block.checksum, crc32fast::hash(&bytes))?;
    Ok(bytes)
}
