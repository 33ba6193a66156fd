//! Target `sst_index`: the index of keyed state as SST files (SPEC 12.2).
//!
//! Invariants checked:
//! - nothing panics, whatever the bytes are;
//! - memory: an SST list without files is two bytes in the index and a vector in memory; everything else
//!   takes more bytes;
//! - each file is listed once, and each SST has one.

use alluvium_format::envelope::StreamKind;
use alluvium_format::sst::SstIndexReader;

use crate::bound::{bounded, listed};
use crate::framed::stream;

/// Runs the target.
///
/// Panics: where a check fails.
pub fn run(input: &[u8]) {
    let bytes = stream(input, StreamKind::SstIndex);
    let factor = listed(size_of::<Vec<u8>>(), 1);
    let opened = bounded(&bytes.clone(), factor, || SstIndexReader::open_bytes(bytes));
    let Ok(index) = opened else { return };
    let states = index.header().states.len();
    let listed: usize = (0..states).map(|state| index.ssts_of(state).count()).sum();
    assert_eq!(index.ssts().count(), listed, "SSTs of all states");
    assert_eq!(index.shared().len(), listed, "a file for each SST");
}
