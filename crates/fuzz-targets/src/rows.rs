//! Target `rocksdb_rows`: entries of keyed state as rows of RocksDB, and rows as entries (SPEC 12.3, 12.4).
//!
//! Invariants checked: those of [`alluvium_rocksdb::fuzzing`]; and memory: as for snapshots in target
//! `codecs`, of three of them, and for each user key of a map, of a byte at least, its place in a set.

use alluvium_format::codec::{CodecSnapshot, Extent};
use alluvium_rocksdb::fuzzing::check_rows;

use crate::bound::{bounded, listed};

/// What a set takes for each slice, in bytes; its nodes are half full at least.
const SET_ITEM: usize = 2 * size_of::<&[u8]>() + 16;

/// Runs the target.
///
/// Panics: where a check fails.
pub fn run(input: &[u8]) {
    let factor = listed(size_of::<CodecSnapshot>() + size_of::<Extent>(), 6) + SET_ITEM;
    bounded(input, factor, || check_rows(input));
}
