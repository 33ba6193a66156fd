//! Writes operator state: one block per state, then the index.

use std::io::Write;

use alluvium_core::OperatorUid;

use super::OperatorStateItems;
use crate::envelope::{EnvelopeWriter, StreamIdentity};
use crate::wire::{put_text, put_varint};
use crate::{CodecError, FormatError};

/// Writes all states and gives back what was written to and the seal.
///
/// Errors: [`FormatError::Limit`], [`FormatError::Codec`], [`FormatError::Write`].
pub fn write_operator_state<W: Write>(
    out: W,
    identity: &StreamIdentity,
    uid: &OperatorUid,
    states: &[OperatorStateItems],
) -> Result<(W, u32), FormatError> {
    let codec = |source| FormatError::Codec { what: "index", offset: 0, source };
    let mut envelope = EnvelopeWriter::new(out, identity)?;
    let mut index = Vec::new();
    put_text(uid.as_str(), &mut index).map_err(codec)?;
    let (what, found, limit) = ("number of states", states.len() as u64, u64::from(u16::MAX));
    let count = u16::try_from(found).map_err(|_| FormatError::Limit { what, found, limit })?;
    index.extend_from_slice(&count.to_le_bytes());
    let mut block = Vec::new();
    for state in states {
        block.clear();
        for item in &state.items {
            put_varint(item.len() as u64, &mut block);
            block.extend_from_slice(item);
        }
        let written = envelope.block(&block)?;
        put_state(state, &mut index).map_err(codec)?;
        index.extend_from_slice(&written.offset.to_le_bytes());
        index.extend_from_slice(&written.len_bytes.to_le_bytes());
        index.extend_from_slice(&written.checksum.to_le_bytes());
    }
    envelope.finish(&index)
}

fn put_state(state: &OperatorStateItems, index: &mut Vec<u8>) -> Result<(), CodecError> {
    put_text(&state.name, index)?;
    index.push(state.mode.code());
    state.item.encode(index)?;
    let (what, found) = ("number of items", state.items.len() as u64);
    let limit = u64::from(u32::MAX);
    let count = u32::try_from(found).map_err(|_| CodecError::TooLarge { what, found, limit })?;
    index.extend_from_slice(&count.to_le_bytes());
    Ok(())
}
