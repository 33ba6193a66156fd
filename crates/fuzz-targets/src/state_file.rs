//! Target `state_file`: a keyed stream with its index and its blocks (SPEC 6).
//!
//! Invariants checked:
//! - nothing panics, whatever the bytes are;
//! - memory: a segment without entries is one byte in the index and a [`Chain`] in memory, in a list that
//!   grows; everything else takes more bytes;
//! - the index of what is opened keeps its own rules: maps are of key groups of the stream and of states
//!   of its table, in order, and blocks of shared files are in files that are listed;
//! - all blocks can be asked for, and give as many bytes as the index says or an error.

use alluvium_format::envelope::StreamKind;
use alluvium_format::keyed::{Chain, KeyedReader, MapEntry};

use crate::bound::{bounded, listed};
use crate::framed::stream;

/// Runs the target.
///
/// Panics: where a check fails.
pub fn run(input: &[u8]) {
    let bytes = stream(input, StreamKind::Keyed);
    let factor = listed(size_of::<Chain>(), 1);
    let opened = bounded(&bytes.clone(), factor, || KeyedReader::open_bytes(bytes));
    let Ok(reader) = opened else { return };
    let header = reader.header();
    let order = |map: &MapEntry| (map.key_group, map.state);
    assert!(reader.maps().is_sorted_by(|one, next| order(one) < order(next)), "order of maps");
    for map in reader.maps() {
        assert!(header.key_groups.contains(map.key_group), "key group {}", map.key_group);
        assert!(usize::from(map.state) < header.states.len(), "state {}", map.state);
        let _ = map.entry_count();
        for block in map.blocks() {
            assert!(usize::from(block.file) <= reader.shared().len(), "file {}", block.file);
            if let Ok(records) = reader.block(block) {
                assert_eq!(records.len() as u64, u64::from(block.block.len_bytes), "{block:?}");
            }
        }
    }
    let _ = reader.verify(header.key_groups);
}
