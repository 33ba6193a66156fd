//! Writes a keyed stream, key group by key group.

use std::io::Write;

use alluvium_core::KeyGroup;

use super::index::{BLOCK_ENTRY_LEN, BlockEntry, KeyedHeader};
use crate::FormatError;
use crate::envelope::{EnvelopeWriter, StreamIdentity};

/// Writes blocks in the order of key group, state, segment, then the index.
#[derive(Debug)]
#[must_use = "a stream without its index cannot be read"]
pub struct KeyedWriter<W> {
    envelope: EnvelopeWriter<W>,
    index: Vec<u8>,
    entries: Vec<BlockEntry>,
}

impl<W: Write> KeyedWriter<W> {
    /// Starts a stream.
    ///
    /// Errors: [`FormatError::Codec`] when a name or a codec is larger than the format can hold;
    /// [`FormatError::Write`].
    pub fn new(
        out: W,
        identity: &StreamIdentity,
        header: &KeyedHeader,
    ) -> Result<Self, FormatError> {
        let mut index = Vec::new();
        let codec = |source| FormatError::Codec { what: "index", offset: 0, source };
        header.encode(&mut index).map_err(codec)?;
        let envelope = EnvelopeWriter::new(out, identity)?;
        Ok(Self { envelope, index, entries: Vec::new() })
    }

    /// Writes one block of encoded entries.
    ///
    /// Errors: [`FormatError::Malformed`] out of order; [`FormatError::Limit`] above 2^31 - 1
    /// bytes; [`FormatError::Write`].
    pub fn block(
        &mut self,
        key_group: KeyGroup,
        state: u16,
        segment: u32,
        entry_count: u32,
        bytes: &[u8],
    ) -> Result<(), FormatError> {
        let last = self.entries.last().map(|last| (last.key_group, last.state, last.segment));
        if last >= Some((key_group, state, segment)) {
            let reason = "written out of order".to_owned();
            return Err(FormatError::Malformed { what: "block", offset: 0, reason });
        }
        let block = self.envelope.block(bytes)?;
        self.entries.push(BlockEntry { state, key_group, segment, entry_count, block });
        Ok(())
    }

    /// Writes index and footer, and gives back what was written to and the seal.
    ///
    /// Errors: [`FormatError::Limit`] above 2^32 - 1 blocks; [`FormatError::Write`].
    pub fn finish(mut self) -> Result<(W, u32), FormatError> {
        let (what, found) = ("number of blocks", self.entries.len() as u64);
        let limit = u64::from(u32::MAX);
        let count = u32::try_from(found).map_err(|_| FormatError::Limit { what, found, limit })?;
        self.index.extend_from_slice(&count.to_le_bytes());
        self.index.extend_from_slice(&BLOCK_ENTRY_LEN.to_le_bytes());
        for entry in &self.entries {
            entry.encode(&mut self.index);
        }
        self.envelope.finish(&self.index)
    }
}
