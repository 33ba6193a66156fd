//! Reads operator state whole: it is small, and every restore needs all of it.

use std::collections::BTreeSet;

use alluvium_core::OperatorUid;
use bytes::Bytes;

use super::{DistributionMode, OperatorStateItems, section};
use crate::codec::{CodecSnapshot, Input};
use crate::envelope::{Block, Envelope, HEADER_LEN, StreamIdentity, StreamKind};
use crate::{CodecError, FormatError};

/// Reads the operator, who wrote the stream, and all states.
///
/// Errors: those of [`Envelope::open`] and [`Envelope::block`]; [`FormatError::Codec`],
/// [`FormatError::Malformed`].
pub fn read_operator_state(
    bytes: Bytes,
) -> Result<(OperatorUid, StreamIdentity, Vec<OperatorStateItems>), FormatError> {
    let envelope = Envelope::open_bytes(bytes, StreamKind::Operator)?;
    envelope.check_subtask()?;
    let offset = envelope.index_offset();
    let codec = |source| FormatError::Codec { what: "index", offset, source };
    let malformed = |reason: String| FormatError::Malformed { what: "index", offset, reason };
    let mut input = Input::new(envelope.index());
    let uid = OperatorUid::new(input.text("operator uid").map_err(codec)?)
        .map_err(|error| malformed(error.to_string()))?;
    let count = input.u16("number of states").map_err(codec)?;
    let mut states: Vec<OperatorStateItems> = Vec::new();
    let (mut blocks, mut names, mut next) = (Vec::new(), BTreeSet::new(), HEADER_LEN as u64);
    for _ in 0..count {
        let (name, mode, item, item_count, block) = read_state(&mut input).map_err(codec)?;
        let mode = DistributionMode::from_code(mode)
            .ok_or_else(|| malformed(format!("mode {mode} of state {name:?} is unknown")))?;
        if !names.insert(name.clone()) {
            return Err(malformed(format!("state {name:?} comes twice")));
        }
        // Before its items are read: otherwise many states could stand for one block.
        if block.offset != next {
            let reason = format!("a block begins at {} instead", block.offset);
            return Err(FormatError::Malformed { what: "blocks", offset: next, reason });
        }
        next = next.saturating_add(u64::from(block.len_bytes));
        let items = read_items(&envelope, &block, item_count)?;
        let state = OperatorStateItems { name, mode, item, items };
        if mode == DistributionMode::Keyed {
            check_sections(&state, block.offset)?;
        }
        states.push(state);
        blocks.push(block);
    }
    if !input.is_empty() {
        return Err(malformed(format!("{} bytes after the last state", input.rest().len())));
    }
    envelope.check_tiling(blocks)?;
    Ok((uid, *envelope.identity(), states))
}

fn check_sections(state: &OperatorStateItems, offset: u64) -> Result<(), FormatError> {
    let broken = section::broken_rule(state).map_err(|source| FormatError::Codec {
        what: "items",
        offset,
        source,
    })?;
    broken.map_or(Ok(()), |rule| {
        let reason = format!("raw keyed state {:?}: {rule}", state.name);
        Err(FormatError::Malformed { what: "items", offset, reason })
    })
}

type StateRow = (String, u8, CodecSnapshot, u32, Block);

fn read_state(input: &mut Input<'_>) -> Result<StateRow, CodecError> {
    let name = input.text("state name")?.to_owned();
    let mode = input.u8("mode")?;
    let item = CodecSnapshot::decode(input)?;
    let item_count = input.u32("number of items")?;
    let offset = input.u64("block offset")?;
    let len_bytes = input.u32("block length")?;
    let checksum = input.u32("block checksum")?;
    Ok((name, mode, item, item_count, Block { offset, len_bytes, checksum }))
}

fn read_items(
    envelope: &Envelope,
    block: &Block,
    item_count: u32,
) -> Result<Vec<Bytes>, FormatError> {
    let bytes = envelope.block(block)?;
    let codec = |source| FormatError::Codec { what: "items", offset: block.offset, source };
    // Counted before there is room for them: an item without bytes is one byte here, and more in memory.
    let (mut input, mut count) = (Input::new(&bytes), 0_usize);
    while !input.is_empty() {
        input.framed("item").map_err(codec)?;
        count += 1;
    }
    if count as u64 != u64::from(item_count) {
        let reason = format!("{item_count} items expected, {count} found");
        return Err(FormatError::Malformed { what: "items", offset: block.offset, reason });
    }
    let (mut input, mut items) = (Input::new(&bytes), Vec::with_capacity(count));
    while !input.is_empty() {
        items.push(bytes.slice_ref(input.framed("item").map_err(codec)?));
    }
    Ok(items)
}
