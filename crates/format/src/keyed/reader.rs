//! Opens a keyed stream and hands out checked blocks.

use std::sync::Arc;

use alluvium_core::{KeyGroupRange, SharedFile};
use bytes::Bytes;

use super::header::KeyedHeader;
use super::index::Index;
use super::map::{BlockRef, MapEntry};
use crate::FormatError;
use crate::envelope::{Envelope, Source, StreamIdentity, StreamKind};

/// A keyed stream whose frame and index are whole.
#[derive(Debug, Clone)]
pub struct KeyedReader {
    envelope: Envelope,
    index: Index,
}

impl KeyedReader {
    /// Reads header, footer and index and checks them. Blocks are read and checked when they are
    /// asked for, or all by [`KeyedReader::verify`].
    ///
    /// Errors: those of [`Envelope::open`]; [`FormatError::Codec`], [`FormatError::Malformed`].
    pub fn open(source: Arc<dyn Source>) -> Result<Self, FormatError> {
        let envelope = Envelope::open(source, StreamKind::Keyed)?;
        envelope.check_subtask()?;
        let index = Index::decode(envelope.index(), envelope.index_offset())?;
        let blocks = index.maps.iter().flat_map(MapEntry::blocks);
        envelope.check_tiling(blocks.filter(|block| block.is_own()).map(|own| own.block))?;
        Ok(Self { envelope, index })
    }

    /// As [`KeyedReader::open`], of bytes in memory.
    ///
    /// Errors: as [`KeyedReader::open`].
    pub fn open_bytes(bytes: Bytes) -> Result<Self, FormatError> {
        Self::open(Arc::new(bytes))
    }

    /// Who wrote the stream.
    pub const fn identity(&self) -> &StreamIdentity {
        self.envelope.identity()
    }

    /// The seal, which a handle of this stream must name.
    pub const fn seal(&self) -> u32 {
        self.envelope.seal()
    }

    /// What the stream is of.
    pub const fn header(&self) -> &KeyedHeader {
        &self.index.header
    }

    /// The shared files that hold blocks of this stream; block references number them from 1.
    pub fn shared(&self) -> &[SharedFile] {
        &self.index.shared
    }

    /// All maps, in the order of key group, state.
    pub fn maps(&self) -> &[MapEntry] {
        &self.index.maps
    }

    /// The maps of some key groups.
    pub fn maps_of(&self, range: KeyGroupRange) -> impl Iterator<Item = &MapEntry> {
        let maps = self.maps();
        let start = maps.partition_point(|map| map.key_group < range.first());
        let end = maps.partition_point(|map| map.key_group <= range.last());
        maps.get(start..end).unwrap_or_default().iter()
    }

    /// Where the bytes come from.
    pub const fn source(&self) -> &Arc<dyn Source> {
        self.envelope.source()
    }

    /// The records of a block of this stream, still encoded, after comparing the checksum. Blocks
    /// of shared files are read by [`super::read_block`].
    ///
    /// Errors: [`FormatError::Malformed`] for a block of a shared file or outside the stream;
    /// [`FormatError::Checksum`]; those of [`Source::read`].
    pub fn block(&self, block: &BlockRef) -> Result<Bytes, FormatError> {
        if block.is_own() {
            return self.envelope.block(&block.block);
        }
        let (what, offset) = ("block", block.block.offset);
        let reason = format!("it lies in shared file {}, not in this stream", block.file);
        Err(FormatError::Malformed { what, offset, reason })
    }

    /// Compares the checksums of all blocks of this stream that belong to some key groups.
    ///
    /// Errors: [`FormatError::Checksum`], [`FormatError::Malformed`]; those of [`Source::read`].
    pub fn verify(&self, range: KeyGroupRange) -> Result<(), FormatError> {
        let mut blocks = self.maps_of(range).flat_map(MapEntry::blocks);
        blocks.try_for_each(
            |block| {
                if block.is_own() { self.block(block).map(drop) } else { Ok(()) }
            },
        )
    }
}
