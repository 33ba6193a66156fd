//! Target `channel`: records in flight, of a section of raw keyed state or of a forward edge (SPEC 7.4).
//!
//! The input is a section, `tuple<u16, bytes>`, whose bytes are records: a byte of 1 and an encoding each.
//!
//! Invariants checked:
//! - nothing panics, whatever the bytes are;
//! - memory: a record without bytes but its first is one byte and a [`String`] at most;
//! - the key group of a section is found without its bytes, and is the one that its codec reads;
//! - records that were read are written as the same bytes.

use alluvium_format::codec::{Codec, DefaultCodec, Input};
use alluvium_format::operator::section_key_group;
use bytes::Bytes;

use crate::bound::{bounded, listed};

/// Stands before each record.
const RECORD: u8 = 1;

/// Runs the target.
///
/// Panics: where a check fails.
pub fn run(input: &[u8]) {
    let factor = listed(size_of::<String>(), 1);
    let read = bounded(input, factor, || {
        let mut rest = Input::new(input);
        let section: (u16, Bytes) = DefaultCodec.decode(&mut rest).ok()?;
        rest.finish().ok()?;
        Some(section)
    });
    let found = section_key_group(input).ok();
    assert_eq!(found, read.as_ref().map(|(key_group, _)| *key_group), "key group of a section");
    let Some((_, records)) = read else { return };
    let decoded = bounded(input, factor, || records_of(&records));
    let Some(decoded) = decoded else { return };
    let mut written = Vec::new();
    for record in &decoded {
        written.push(RECORD);
        assert!(DefaultCodec.encode(record, &mut written).is_ok(), "{record:?} cannot be written");
    }
    assert_eq!(written, records, "{decoded:?}");
}

fn records_of(bytes: &[u8]) -> Option<Vec<String>> {
    let (mut input, mut records) = (Input::new(bytes), Vec::new());
    while !input.is_empty() {
        let [first] = input.array("record").ok()?;
        if first != RECORD {
            return None;
        }
        records.push(DefaultCodec.decode(&mut input).ok()?);
    }
    Some(records)
}
