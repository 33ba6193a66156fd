//! Targets `full_block` and `delta_block`: the records of a block, parted by the codecs of their state
//! alone (SPEC 6.4).
//!
//! The input is three codec snapshots, of key, namespace and value, the number of records (`u32`, little
//! endian), and the records.
//!
//! Invariants checked:
//! - nothing panics, whatever the bytes are, and no reader works longer than its input is;
//! - memory: as for snapshots in target `codecs`, of three of them; parting records takes none;
//! - the parts of a record are neighbours, and all records together are what was taken;
//! - a delta block has no more removals than records.

use alluvium_format::codec::{CodecSnapshot, Extent, Input};
use alluvium_format::keyed::read_delta_header;

use crate::bound::{bounded, listed};

/// Most records that are parted, since one may have no bytes.
const MAX_RECORDS: u32 = 100_000;

/// Runs the target for a full block.
///
/// Panics: where a check fails.
pub fn run_full(input: &[u8]) {
    run(input, |_, records| Some((0, records)));
}

/// Runs the target for a delta block.
///
/// Panics: where a check fails.
pub fn run_delta(input: &[u8]) {
    run(input, |rest, records| {
        let removals = read_delta_header(rest, records).ok()?;
        assert!(removals <= records, "{removals} removals of {records} records");
        Some((removals, records - removals))
    });
}

/// Parts a block, of which `header` reads how many removals and entries it has.
fn run(input: &[u8], header: impl FnOnce(&mut Input<'_>, u32) -> Option<(u32, u32)>) {
    let factor = listed(size_of::<CodecSnapshot>() + size_of::<Extent>(), 6);
    bounded(input, factor, || {
        let mut rest = Input::new(input);
        let mut extent = || Extent::of(&CodecSnapshot::decode(&mut rest).ok()?).ok();
        let (Some(key), Some(namespace), Some(value)) = (extent(), extent(), extent()) else {
            return;
        };
        let Ok(records) = rest.array::<4>("number of records").map(u32::from_le_bytes) else {
            return;
        };
        let Some((removals, entries)) = header(&mut rest, records.min(MAX_RECORDS)) else { return };
        let before = rest.rest().len();
        let mut len = 0;
        for number in 0..removals + entries {
            let parts: &[&Extent] =
                if number < removals { &[&key, &namespace] } else { &[&key, &namespace, &value] };
            for part in parts {
                let Ok(taken) = part.take(&mut rest) else { return };
                len += taken.len();
            }
        }
        assert_eq!(len, before - rest.rest().len(), "records are what was taken");
    });
}
