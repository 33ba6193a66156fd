//! Opens an envelope: checks the frame, hands out the index and checked blocks.

use std::sync::Arc;

use alluvium_core::{AttemptId, CheckpointId, SubtaskIndex};
use bytes::Bytes;

use super::source::{Source, read_block_before, read_exactly};
use super::{
    FOOTER_LEN, HEADER_CHECKSUM_OFFSET, HEADER_LEN, KNOWN_INCOMPATIBLE_FEATURES, MAGIC,
    MIN_VERSION, NO_SUBTASK, StreamIdentity, StreamKind, VERSION, covered,
};
use crate::codec::Input;
use crate::{CodecError, FormatError};

/// Where a block lies in its stream, and its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Offset from the start of the stream, in bytes.
    pub offset: u64,
    /// Length in bytes.
    pub len_bytes: u32,
    /// CRC32 of the bytes.
    pub checksum: u32,
}

impl Block {
    /// Where the block ends; `None` beyond 2^64 - 1 bytes.
    pub(crate) fn end(&self) -> Option<u64> {
        self.offset.checked_add(u64::from(self.len_bytes))
    }
}

/// A stream whose header, index and footer are whole.
#[derive(Debug, Clone)]
pub struct Envelope {
    source: Arc<dyn Source>,
    identity: StreamIdentity,
    index_offset: u64,
    index: Bytes,
    seal: u32,
}

impl Envelope {
    /// Checks the frame of a stream of a kind. Reads the header, the footer and the index, in
    /// this order, and no block.
    ///
    /// Errors, in the order of checking: [`FormatError::Truncated`], [`FormatError::Magic`],
    /// [`FormatError::UnsupportedVersion`], [`FormatError::UnsupportedFeatures`],
    /// [`FormatError::Checksum`], [`FormatError::Kind`], [`FormatError::Malformed`]; at any time
    /// those of [`Source::read`].
    pub fn open(source: Arc<dyn Source>, kind: StreamKind) -> Result<Self, FormatError> {
        let len_bytes = source.len_bytes();
        let header = read_exactly(&*source, 0..HEADER_LEN as u64, "header")?;
        let header = first_chunk::<HEADER_LEN>(&header, "header")?;
        let identity = read_header(header, Some(kind))?;
        let least = (HEADER_LEN + FOOTER_LEN) as u64;
        if len_bytes < least {
            return Err(FormatError::Truncated {
                what: "footer",
                expected_len_bytes: least,
                found_len_bytes: len_bytes,
            });
        }
        let body_len = len_bytes - FOOTER_LEN as u64;
        let footer = read_exactly(&*source, body_len..len_bytes, "footer")?;
        let footer = first_chunk::<FOOTER_LEN>(&footer, "footer")?;
        let (index_offset, index_checksum, seal) = read_footer(footer, body_len)?;
        let index = read_exactly(&*source, index_offset..body_len, "index")?;
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(covered(header));
        checksum.update(&index);
        check("index", index_offset, index_checksum, checksum.finalize())?;
        Ok(Self { source, identity, index_offset, index, seal })
    }

    /// As [`Envelope::open`], of bytes in memory.
    ///
    /// Errors: as [`Envelope::open`].
    pub fn open_bytes(bytes: Bytes, kind: StreamKind) -> Result<Self, FormatError> {
        Self::open(Arc::new(bytes), kind)
    }

    /// Where the bytes come from.
    pub const fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// Who wrote the stream.
    pub const fn identity(&self) -> &StreamIdentity {
        &self.identity
    }

    /// The index.
    pub fn index(&self) -> &[u8] {
        &self.index
    }

    /// Where the index begins and the blocks end.
    pub const fn index_offset(&self) -> u64 {
        self.index_offset
    }

    /// The checksum of the footer.
    pub const fn seal(&self) -> u32 {
        self.seal
    }

    /// State belongs to a subtask.
    pub(crate) fn check_subtask(&self) -> Result<(), FormatError> {
        if self.identity.subtask.is_some() {
            return Ok(());
        }
        let reason = "state of no subtask".to_owned();
        Err(FormatError::Malformed { what: "header", offset: 0, reason })
    }

    /// The bytes of a block, after comparing their checksum.
    ///
    /// Errors: [`FormatError::Malformed`] outside the stream; [`FormatError::Checksum`]; those of
    /// [`Source::read`].
    pub fn block(&self, block: &Block) -> Result<Bytes, FormatError> {
        read_block_before(&*self.source, block, self.index_offset)
    }

    /// Checks that blocks, in this order, fill the stream without gap or overlap.
    ///
    /// Errors: [`FormatError::Malformed`].
    pub fn check_tiling(&self, blocks: impl IntoIterator<Item = Block>) -> Result<(), FormatError> {
        let mut next = HEADER_LEN as u64;
        for block in blocks {
            if block.offset != next {
                let reason = format!("a block begins at {} instead", block.offset);
                return Err(FormatError::Malformed { what: "blocks", offset: next, reason });
            }
            next = next.saturating_add(u64::from(block.len_bytes));
        }
        if next == self.index_offset {
            Ok(())
        } else {
            let reason = format!("the blocks end here, the index begins at {}", self.index_offset);
            Err(FormatError::Malformed { what: "blocks", offset: next, reason })
        }
    }
}

/// What a stream is and who wrote it, from its header alone: how a stream is told from one of
/// another kind before it is opened. Nothing else of it is read or checked.
///
/// Errors: those of [`Envelope::open`] for a header, but [`FormatError::UnknownKind`] in place of
/// [`FormatError::Kind`].
pub fn read_identity(source: &dyn Source) -> Result<StreamIdentity, FormatError> {
    let header = read_exactly(source, 0..HEADER_LEN as u64, "header")?;
    read_header(first_chunk::<HEADER_LEN>(&header, "header")?, None)
}

/// The bytes that [`read_exactly`] has counted, as an array.
fn first_chunk<'a, const N: usize>(
    bytes: &'a Bytes,
    what: &'static str,
) -> Result<&'a [u8; N], FormatError> {
    bytes.first_chunk::<N>().ok_or(FormatError::Truncated {
        what,
        expected_len_bytes: N as u64,
        found_len_bytes: bytes.len() as u64,
    })
}

pub(super) fn check(
    what: &'static str,
    offset: u64,
    expected: u32,
    found: u32,
) -> Result<(), FormatError> {
    if expected == found {
        Ok(())
    } else {
        Err(FormatError::Checksum { what, offset, expected, found })
    }
}

fn malformed_footer(offset: u64, reason: &str) -> FormatError {
    FormatError::Malformed { what: "footer", offset, reason: reason.to_owned() }
}

fn read_header(
    header: &[u8; HEADER_LEN],
    expected: Option<StreamKind>,
) -> Result<StreamIdentity, FormatError> {
    let codec = |source| FormatError::Codec { what: "header", offset: 0, source };
    let (checked, _) = header.split_at(HEADER_CHECKSUM_OFFSET);
    let mut input = Input::new(header);
    let mut fields = || -> Result<_, CodecError> {
        let magic = input.array::<8>("magic")?;
        let kind = input.u16("kind")?;
        let version = input.u16("version")?;
        let _compatible = input.u32("compatible features")?;
        let incompatible = input.u32("incompatible features")?;
        let subtask = input.u32("subtask")?;
        let checkpoint = input.u64("checkpoint")?;
        let attempt = input.u32("attempt")?;
        let checksum = input.u32("checksum")?;
        Ok((magic, kind, version, incompatible, subtask, checkpoint, attempt, checksum))
    };
    let (magic, kind, version, incompatible, subtask, checkpoint, attempt, checksum) =
        fields().map_err(codec)?;
    if magic != MAGIC {
        return Err(FormatError::Magic { found: magic });
    }
    if !(MIN_VERSION..=VERSION).contains(&version) {
        let (found, min, max) = (version, MIN_VERSION, VERSION);
        return Err(FormatError::UnsupportedVersion { found, min, max });
    }
    if incompatible & !KNOWN_INCOMPATIBLE_FEATURES != 0 {
        let (found, known) = (incompatible, KNOWN_INCOMPATIBLE_FEATURES);
        return Err(FormatError::UnsupportedFeatures { found, known });
    }
    check("header", 0, checksum, crc32fast::hash(checked))?;
    let kind = match (StreamKind::from_code(kind), expected) {
        (Some(found), Some(expected)) if found == expected => found,
        (_, Some(expected)) => return Err(FormatError::Kind { expected, found: kind }),
        (Some(found), None) => found,
        (None, None) => return Err(FormatError::UnknownKind { found: kind }),
    };
    let malformed = |reason: String| FormatError::Malformed { what: "header", offset: 0, reason };
    let subtask = match subtask {
        NO_SUBTASK => None,
        index => Some(SubtaskIndex::new(
            u16::try_from(index).map_err(|_| malformed(format!("subtask {index}")))?,
        )),
    };
    let checkpoint = CheckpointId::new(checkpoint).map_err(|error| malformed(error.to_string()))?;
    let attempt = AttemptId::new(attempt);
    Ok(StreamIdentity { kind, subtask, checkpoint, attempt })
}

/// Offset of the index, checksum of header and index, seal.
fn read_footer(footer: &[u8; FOOTER_LEN], offset: u64) -> Result<(u64, u32, u32), FormatError> {
    let codec = |source| FormatError::Codec { what: "footer", offset, source };
    let (checked, _) = footer.split_at(super::SEAL_OFFSET);
    let mut input = Input::new(footer);
    let index_offset = input.u64("index offset").map_err(codec)?;
    let index_len = input.u64("index length").map_err(codec)?;
    let index_checksum = input.u32("index checksum").map_err(codec)?;
    let seal = input.u32("seal").map_err(codec)?;
    check("footer", offset, seal, crc32fast::hash(checked))?;
    if index_offset < HEADER_LEN as u64 || index_offset.checked_add(index_len) != Some(offset) {
        return Err(malformed_footer(offset, "the index does not end where the footer begins"));
    }
    Ok((index_offset, index_checksum, seal))
}
