//! Sections of raw keyed state: what an operator wrote for one key group, in whatever form it likes.
//!
//! A section is an item: `tuple<u16, bytes>` of key group and bytes. A key group without a section has
//! nothing, which is something else than no bytes.
//!
//! Invariants: key groups are strictly ascending within a state.
//!
//! Source: SPEC 7.2; Flink `KeyGroupRangeOffsets`.

use bytes::Bytes;

use super::OperatorStateItems;
use crate::CodecError;
use crate::codec::{Codec, DefaultCodec, Input};

/// The key group of a section; its bytes are not looked at, only that they are there.
///
/// Errors: [`CodecError::Truncated`], [`CodecError::Invalid`], [`CodecError::TrailingBytes`].
pub fn section_key_group(item: &[u8]) -> Result<u16, CodecError> {
    let mut input = Input::new(item);
    let key_group = input.u16("key group")?;
    input.framed("section")?;
    input.finish().map(|()| key_group)
}

/// The rule that the sections of a state break, if they break one.
pub(super) fn broken_rule(state: &OperatorStateItems) -> Result<Option<&'static str>, CodecError> {
    if state.item != Codec::<(u16, Bytes)>::snapshot(&DefaultCodec) {
        return Ok(Some("its items are not sections"));
    }
    let mut last = None;
    for item in &state.items {
        let key_group = Some(section_key_group(item)?);
        if key_group <= last {
            return Ok(Some("its key groups are not in ascending order"));
        }
        last = key_group;
    }
    Ok(None)
}
