//! Metadata of a checkpoint: an envelope without blocks whose index holds everything.
//!
//! Fields in order: job, times, max parallelism, assigner; operators (uid, parallelism); subtasks
//! (what they have, key groups, handles; of keyed state also the shared files).
//!
//! Invariants:
//! - operators have different uids; subtasks are complete and in order;
//! - the key-group range of a subtask is the one its index and parallelism give.
//!
//! Source: SPEC 8.

mod reader;
mod writer;

pub use reader::read_metadata;
pub use writer::write_metadata;

use crate::FormatError;

/// The longest `_metadata` that is written and read, in bytes.
pub const MAX_METADATA_LEN_BYTES: u64 = 1 << 30;

/// Refuses the length of a `_metadata` before memory is taken for it: no handle says how long it is.
///
/// Errors: [`FormatError::Limit`].
pub const fn check_metadata_len(len_bytes: u64) -> Result<(), FormatError> {
    if len_bytes <= MAX_METADATA_LEN_BYTES {
        return Ok(());
    }
    let (what, limit) = ("length of metadata in bytes", MAX_METADATA_LEN_BYTES);
    Err(FormatError::Limit { what, found: len_bytes, limit })
}

/// Flag of a subtask with keyed state.
const HAS_KEYED: u8 = 1;
/// Flag of a subtask with operator state.
const HAS_OPERATOR: u8 = 2;
/// Location of an inlined stream.
const INLINE: u8 = 1;
/// Location of a stream in a file.
const FILE: u8 = 2;

#[cfg(test)]
mod tests;
