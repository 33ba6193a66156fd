//! Target `operator`: operator state of every mode, raw keyed state too (SPEC 7).
//!
//! Invariants checked:
//! - nothing panics, whatever the bytes are;
//! - memory: an item without bytes is one byte in the stream and a [`Bytes`] in memory, in a list of known
//!   length; a state is 29 bytes at least, in a list that grows;
//! - sections of raw keyed state have ascending key groups;
//! - what is read can be written, and is then read as the same.

use alluvium_format::envelope::StreamKind;
use alluvium_format::operator::{
    DistributionMode, OperatorStateItems, read_operator_state, section_key_group,
    write_operator_state,
};
use bytes::Bytes;

use crate::bound::{bounded, listed, sized};
use crate::framed::stream;

/// Runs the target.
///
/// Panics: where a check fails.
pub fn run(input: &[u8]) {
    let bytes = stream(input, StreamKind::Operator);
    let factor = sized(size_of::<Bytes>(), 1) + listed(size_of::<OperatorStateItems>(), 29);
    let read = bounded(&bytes.clone(), factor, || read_operator_state(bytes));
    let Ok((uid, identity, states)) = read else { return };
    for state in states.iter().filter(|state| state.mode == DistributionMode::Keyed) {
        let groups = state.items.iter().map(|section| section_key_group(section).ok());
        let groups: Vec<_> = groups.collect();
        assert!(groups.iter().all(Option::is_some), "a section without a key group: {groups:?}");
        assert!(groups.is_sorted_by(|one, next| one < next), "{groups:?}");
    }
    let written = match write_operator_state(Vec::new(), &identity, &uid, &states) {
        Ok((written, _)) => written,
        Err(error) => panic!("cannot be written: {error}"),
    };
    match read_operator_state(written.into()) {
        Ok(again) => assert_eq!(again, (uid, identity, states), "what was written"),
        Err(error) => panic!("what was written is refused: {error}"),
    }
}
