//! Opens a keyed stream and hands out checked blocks.

use alluvium_core::KeyGroupRange;
use bytes::Bytes;

use super::index::{BlockEntry, KeyedHeader, decode_index};
use crate::FormatError;
use crate::envelope::{Envelope, StreamIdentity, StreamKind};

/// A keyed stream whose frame and index are whole.
#[derive(Debug, Clone)]
pub struct KeyedReader {
    envelope: Envelope,
    header: KeyedHeader,
    blocks: Vec<BlockEntry>,
}

impl KeyedReader {
    /// Checks frame and index. Blocks are checked when they are asked for, or all by
    /// [`KeyedReader::verify`].
    ///
    /// Errors: those of [`Envelope::open`]; [`FormatError::Codec`], [`FormatError::Malformed`].
    pub fn open(bytes: Bytes) -> Result<Self, FormatError> {
        let envelope = Envelope::open(bytes, StreamKind::Keyed)?;
        envelope.check_subtask()?;
        let (header, blocks) = decode_index(envelope.index(), envelope.index_offset())?;
        envelope.check_tiling(blocks.iter().map(|entry| entry.block))?;
        Ok(Self { envelope, header, blocks })
    }

    /// Who wrote the stream.
    pub const fn identity(&self) -> &StreamIdentity {
        self.envelope.identity()
    }

    /// What the stream is of.
    pub const fn header(&self) -> &KeyedHeader {
        &self.header
    }

    /// All blocks, in the order of key group, state, segment.
    pub fn blocks(&self) -> &[BlockEntry] {
        &self.blocks
    }

    /// The blocks of some key groups.
    pub fn blocks_of(&self, range: KeyGroupRange) -> impl Iterator<Item = &BlockEntry> {
        self.blocks.iter().filter(move |entry| range.contains(entry.key_group))
    }

    /// The entries of a block, still encoded, after comparing the checksum.
    ///
    /// Errors: [`FormatError::Checksum`], [`FormatError::Malformed`].
    pub fn entries(&self, block: &BlockEntry) -> Result<Bytes, FormatError> {
        self.envelope.block(&block.block)
    }

    /// Compares the checksums of all blocks of some key groups.
    ///
    /// Errors: [`FormatError::Checksum`], [`FormatError::Malformed`].
    pub fn verify(&self, range: KeyGroupRange) -> Result<(), FormatError> {
        self.blocks_of(range).try_for_each(|block| self.entries(block).map(drop))
    }
}
