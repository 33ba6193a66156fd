//! The frame that every Alluvium stream shares.
//!
//! ```text
//! header (40 bytes) | blocks, one after the other | index | footer (24 bytes)
//! ```
//!
//! Header: magic, kind, version, compatible and incompatible feature bits, subtask, checkpoint,
//! attempt, its own checksum. Footer: offset and length of the index, checksum of header (without
//! its own checksum) and index, and the *seal*, a checksum of the footer. The index holds the
//! checksum of each block, so the seal, which is stored with the handle of the stream, vouches for
//! every byte. Bytes come from a [`Source`], which is read in ranges: opening a stream leaves its
//! blocks unread.
//!
//! Invariants:
//! - blocks begin right after the header, leave no gap and end where the index begins;
//! - nothing of a stream is used before the checksum over it was compared.
//!
//! Source: SPEC 4.

mod reader;
mod source;
mod writer;

pub use reader::{Block, Envelope, read_identity};
pub use source::{Source, read_block};
pub use writer::EnvelopeWriter;

use std::fmt;

use alluvium_core::{AttemptId, CheckpointId, SubtaskIndex};

/// First bytes of every stream.
pub const MAGIC: [u8; 8] = *b"ALLUVIUM";
/// The version that is written.
pub const VERSION: u16 = 2;
/// The oldest version that is read: version 1 was never released.
pub const MIN_VERSION: u16 = 2;
/// Incompatible feature bits that are known: none yet.
pub const KNOWN_INCOMPATIBLE_FEATURES: u32 = 0;

/// Offset of the magic, 8 bytes.
pub const MAGIC_OFFSET: usize = 0;
/// Offset of the kind, u16.
pub const KIND_OFFSET: usize = 8;
/// Offset of the version, u16.
pub const VERSION_OFFSET: usize = 10;
/// Offset of the compatible feature bits, u32.
pub const COMPATIBLE_FEATURES_OFFSET: usize = 12;
/// Offset of the incompatible feature bits, u32.
pub const INCOMPATIBLE_FEATURES_OFFSET: usize = 16;
/// Offset of the subtask, u32.
pub const SUBTASK_OFFSET: usize = 20;
/// Offset of the checkpoint, u64.
pub const CHECKPOINT_OFFSET: usize = 24;
/// Offset of the attempt, u32.
pub const ATTEMPT_OFFSET: usize = 32;
/// Offset of the header's checksum, u32.
pub const HEADER_CHECKSUM_OFFSET: usize = 36;
/// Length of the header in bytes.
pub const HEADER_LEN: usize = 40;

/// Offset of the offset of the index within the footer, u64.
pub const INDEX_OFFSET_OFFSET: usize = 0;
/// Offset of the length of the index within the footer, u64.
pub const INDEX_LEN_OFFSET: usize = 8;
/// Offset of the checksum of header and index within the footer, u32.
pub const INDEX_CHECKSUM_OFFSET: usize = 16;
/// Offset of the seal within the footer, u32.
pub const SEAL_OFFSET: usize = 20;
/// Length of the footer in bytes.
pub const FOOTER_LEN: usize = 24;

const _: () = assert!(HEADER_CHECKSUM_OFFSET + 4 == HEADER_LEN);
const _: () = assert!(SEAL_OFFSET + 4 == FOOTER_LEN);

/// What a stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamKind {
    /// Metadata of a checkpoint.
    Metadata,
    /// Keyed state of one subtask.
    Keyed,
    /// Operator state of one subtask.
    Operator,
    /// Keyed state of one subtask as SST files.
    SstIndex,
}

impl StreamKind {
    /// The stored number.
    pub const fn code(self) -> u16 {
        match self {
            Self::Metadata => 1,
            Self::Keyed => 2,
            Self::Operator => 3,
            Self::SstIndex => 4,
        }
    }

    const fn from_code(code: u16) -> Option<Self> {
        Some(match code {
            1 => Self::Metadata,
            2 => Self::Keyed,
            3 => Self::Operator,
            4 => Self::SstIndex,
            _ => return None,
        })
    }
}

impl fmt::Display for StreamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "checkpoint metadata",
            Self::Keyed => "keyed state",
            Self::Operator => "operator state",
            Self::SstIndex => "keyed state as SST files",
        })
    }
}

/// Which stream this is: what it holds and who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamIdentity {
    /// What it holds.
    pub kind: StreamKind,
    /// The subtask that wrote it; `None` for metadata.
    pub subtask: Option<SubtaskIndex>,
    /// The checkpoint it was written for.
    pub checkpoint: CheckpointId,
    /// The run of the job that wrote it.
    pub attempt: AttemptId,
}

/// The bytes of a header that the checksum of the index covers: all but its own checksum.
///
/// 1. A CRC32 over bytes that end with their own CRC32 is the same for all such bytes;
/// 2. so with the whole header in it, the checksum of the index would not depend on the header;
/// 3. and a stream of another checkpoint with equal content would have an equal seal.
fn covered(header: &[u8; HEADER_LEN]) -> &[u8] {
    header.split_at(HEADER_CHECKSUM_OFFSET).0
}

/// The subtask field of a stream that belongs to no subtask.
pub const NO_SUBTASK: u32 = u32::MAX;

#[cfg(test)]
mod tests;
