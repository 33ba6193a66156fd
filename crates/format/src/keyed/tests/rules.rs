//! An index that lies, under checksums that are right: the reader still checks every rule.

use super::*;
use crate::envelope::EnvelopeWriter;
use crate::shared::put_shared;
use crate::wire::put_varint;

/// The one block of the streams below.
const ENTRIES: &[u8] = b"entries";

fn varints(values: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    for &value in values {
        put_varint(value, &mut out);
    }
    out
}

/// The block of the stream as an index holds it.
fn own(flags: u8, records: u64) -> Vec<u8> {
    let fields = varints(&[ENTRIES.len() as u64, records]);
    [&[flags], fields.as_slice(), &crc32fast::hash(ENTRIES).to_le_bytes()].concat()
}

/// A block of a shared file as an index holds it.
fn far(flags: u8, file: u64, offset: u64, len_bytes: u64) -> Vec<u8> {
    [&[flags], varints(&[file, offset, len_bytes, 2]).as_slice(), &[0; 4]].concat()
}

fn map(key_group: u16, state: u16, layout: u8, count: u64, parts: &[Vec<u8>]) -> Vec<u8> {
    let ids = [key_group.to_le_bytes(), state.to_le_bytes()].concat();
    [ids, vec![layout], varints(&[count]), parts.concat()].concat()
}

fn chain(entry_count: u64, blocks: &[Vec<u8>]) -> Vec<u8> {
    [varints(&[blocks.len() as u64, entry_count]), blocks.concat()].concat()
}

/// A map of one segment.
fn one(entry_count: u64, blocks: &[Vec<u8>]) -> Vec<u8> {
    map(10, 0, 1, 1, &[chain(entry_count, blocks)])
}

fn index(header: &KeyedHeader, files: &[SharedFile], maps: &[Vec<u8>]) -> Vec<u8> {
    let mut index = Vec::new();
    header.encode(&mut index).unwrap();
    put_shared(files, &mut index).unwrap();
    index.extend_from_slice(&u32::try_from(maps.len()).unwrap().to_le_bytes());
    index.extend(maps.concat());
    index
}

fn open_index(index: &[u8]) -> Result<KeyedReader, FormatError> {
    let mut writer = EnvelopeWriter::new(Vec::new(), &identity()).unwrap();
    writer.block(ENTRIES).unwrap();
    open(&writer.finish(index).unwrap().0)
}

/// What the index of these parts is refused with.
fn refused(files: &[SharedFile], maps: &[Vec<u8>]) -> FormatError {
    open_index(&index(&header(), files, maps)).unwrap_err()
}

#[track_caller]
fn breaks(error: &FormatError, rule: &str) {
    assert!(matches!(error, FormatError::Malformed { .. }), "{error}");
    assert!(error.to_string().contains(rule), "{error} says {rule:?}");
}

#[test]
fn the_stream_that_the_cases_change_is_good() {
    let good = index(&header(), &[], &[one(2, &[own(0, 2)])]);
    assert_eq!(open_index(&good).unwrap().maps()[0].entry_count(), 2);
    let good = index(&header(), &[], &[map(10, 0, 2, 1, &[own(0, 2)])]);
    assert_eq!(open_index(&good).unwrap().maps()[0].entry_count(), 2);
    let good = index(&header(), &[shared(1)], &[one(2, &[far(2, 1, 40, 936), own(1, 1)])]);
    assert_eq!(open_index(&good).unwrap().shared(), [shared(1)]);
}

#[test]
fn seed_runs_cover_the_range_in_order() {
    for runs in
        [&[][..], &[14], &[14, 14], &[20, 14], &[14, 14, 20], &[9, 20], &[14, 21], &[20, 20]]
    {
        let run = |&last: &u16| HashSeedRun { last: group(last), seed: 0 };
        let header = KeyedHeader { hash_seeds: runs.iter().map(run).collect(), ..header() };
        let error = open_index(&index(&header, &[], &[one(2, &[own(0, 2)])])).unwrap_err();
        breaks(&error, "the seed runs do not cover the key groups 10..=20");
    }
    let mut good = index(&header(), &[], &[one(2, &[own(0, 2)])]);
    let run = [&14_u16.to_le_bytes()[..], &7_u64.to_le_bytes()].concat();
    let at = good.windows(10).position(|window| window == run).unwrap();
    good[at + 1] = 0xff;
    assert!(matches!(open_index(&good).unwrap_err(), FormatError::Malformed { .. }));
}

#[test]
fn shared_files_are_different_and_each_is_needed() {
    let block = || far(2, 1, 40, 10);
    let twice = refused(&[shared(1), shared(1)], &[one(2, &[block(), own(1, 1)])]);
    breaks(&twice, "comes twice");
    let unused = refused(&[shared(1), shared(2)], &[one(2, &[block(), own(1, 1)])]);
    breaks(&unused, "no block lies in shared file shared/count-0-keyed-1-2");
    let mut bad_path = index(&header(), &[shared(1)], &[one(2, &[block(), own(1, 1)])]);
    let at = bad_path.windows(7).position(|window| window == b"shared/").unwrap();
    bad_path[at + 6] = b'\\';
    breaks(&open_index(&bad_path).unwrap_err(), "backslash");
}

#[test]
fn a_block_of_a_shared_file_lies_between_its_header_and_its_footer() {
    for (file, offset, len_bytes, rule) in [
        (0, 40, 10, "shared file 0 is not in the list"),
        (2, 40, 10, "shared file 2 is not in the list"),
        (65_537, 40, 10, "shared file 65537 is not in the list"),
        (1, 39, 10, "are no block of"),
        (1, 0, 0, "are no block of"),
        (1, 40, 937, "are no block of"),
        (1, 977, 0, "are no block of"),
        (1, u64::MAX, 0, "are no block of"),
        (1, u64::MAX, 1, "are no block of"),
    ] {
        let blocks = [far(2, file, offset, len_bytes), own(1, 1)];
        breaks(&refused(&[shared(1)], &[one(2, &blocks)]), rule);
    }
    let short = SharedFile { len_bytes: 23, ..shared(1) };
    breaks(&refused(&[short], &[one(2, &[far(2, 1, 40, 0), own(1, 1)])]), "are no block of");
}

/// Otherwise a short index could stand for one large block a thousand times.
#[test]
fn blocks_of_a_shared_file_do_not_overlap() {
    let maps = |second: Vec<u8>| {
        let segments =
            [chain(2, &[far(2, 1, 40, 10)]), chain(2, &[second]), chain(1, &[own(0, 1)])];
        [map(10, 0, 1, 3, &segments)]
    };
    let files = [shared(1), shared(2)];
    for (offset, len_bytes, at) in [(40, 10, 40), (49, 1, 49), (41, 2, 41), (40, 900, 40)] {
        let error = refused(&files[..1], &maps(far(2, 1, offset, len_bytes)));
        breaks(&error, &format!("two blocks of shared/count-0-keyed-1-1 overlap at {at}"));
    }
    for good in [far(2, 1, 50, 10), far(2, 1, 45, 0)] {
        assert!(open_index(&index(&header(), &files[..1], &maps(good))).is_ok());
    }
    assert!(open_index(&index(&header(), &files, &maps(far(2, 2, 40, 10)))).is_ok());
}

#[test]
fn maps_are_in_order_and_within_the_stream() {
    let (other, empty) =
        (one(2, &[own(0, 2)]), |key_group, state| map(key_group, state, 1, 1, &[vec![0]]));
    breaks(&refused(&[], &[other.clone(), empty(10, 0)]), "not in the order");
    breaks(&refused(&[], &[empty(10, 1), other.clone()]), "not in the order");
    breaks(&refused(&[], &[empty(11, 0), other.clone()]), "not in the order");
    breaks(&refused(&[], &[other.clone(), empty(21, 0)]), "key group 21 is outside 10..=20");
    breaks(&refused(&[], &[empty(9, 0), other.clone()]), "key group 9 is outside 10..=20");
    breaks(&refused(&[], &[other.clone(), empty(128, 0)]), "128");
    breaks(&refused(&[], &[other, empty(10, 2)]), "state id 2 is not in the table");
}

#[test]
fn a_map_has_a_known_layout_and_at_least_one_part() {
    for layout in [0, 3, 255] {
        let error = refused(&[], &[map(10, 0, layout, 1, &[own(0, 2)])]);
        breaks(&error, &format!("layout {layout} is unknown"));
    }
    breaks(&refused(&[], &[map(10, 0, 1, 0, &[])]), "a map has no segments");
    breaks(&refused(&[], &[map(10, 0, 2, 0, &[])]), "a map has no blocks");
}

#[test]
fn a_count_beyond_the_bytes_left_is_refused_before_anything_is_allocated() {
    for (layout, count) in [(1, 2), (1, 1 << 31), (1, u64::from(u32::MAX)), (2, 1), (2, 1 << 31)] {
        let error = refused(&[], &[map(10, 0, layout, count, &[vec![0]])]);
        let FormatError::Codec { source: CodecError::Truncated { what, .. }, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(what, ["number of segments", "number of blocks"][usize::from(layout) - 1]);
    }
    let error = refused(&[], &[map(10, 0, 1, 1, &[varints(&[200, 1])])]);
    let FormatError::Codec { source: CodecError::Truncated { what, .. }, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(what, "blocks");
}

#[test]
fn numbers_have_their_width_and_one_form() {
    let above = 1_u64 << 32;
    let long_block = [&[0][..], &varints(&[above, 2]), &[0; 4]].concat();
    let cases = [
        map(10, 0, 1, above, &[vec![0]]),
        one(above, &[own(0, 2)]),
        one(2, &[own(0, above)]),
        one(2, &[long_block]),
        map(10, 0, 1, 1, &[varints(&[above])]),
        [&[10, 0, 0, 0, 1, 0x81, 0][..], &chain(2, &[own(0, 2)])].concat(),
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let error = refused(&[], &[case]);
        let FormatError::Codec { source, .. } = error else { panic!("case {number}: {error}") };
        assert!(matches!(source, CodecError::Invalid { .. }), "case {number}: {source}");
    }
}

#[test]
fn a_chain_is_a_full_block_and_then_at_most_254_delta_blocks() {
    let order = "a chain is not a full block and then delta blocks";
    let far_blocks = |flags: &[u8]| -> Vec<_> {
        flags.iter().zip(0..).map(|(&flags, number)| far(flags, 1, 40 + 3 * number, 3)).collect()
    };
    for flags in [&[3][..], &[2, 2], &[2, 3, 2]] {
        breaks(&refused(&[shared(1)], &[one(1, &far_blocks(flags))]), order);
    }
    breaks(&refused(&[], &[one(1, &[own(1, 2)])]), order);
    breaks(
        &refused(&[], &[map(10, 0, 2, 1, &[own(1, 2)])]),
        "an unsegmented map has a delta block",
    );
    let mut flags = vec![3; 256];
    flags[0] = 2;
    breaks(&refused(&[shared(1)], &[one(1, &far_blocks(&flags))]), "a chain has 256 blocks");
    let longest = [one(1, &far_blocks(&flags[..255])), map(11, 0, 2, 1, &[own(0, 2)])];
    assert!(open_index(&index(&header(), &[shared(1)], &longest)).is_ok());
}

#[test]
fn flags_and_compressions_that_are_not_known() {
    for flag in [16, 32, 64, 128] {
        breaks(&refused(&[], &[one(2, &[own(flag, 2)])]), "are unknown");
    }
    for (flags, name) in [(4, "compression 1"), (8, "compression 2"), (12, "compression 3")] {
        breaks(&refused(&[], &[one(2, &[own(flags, 2)])]), name);
    }
}

#[test]
fn a_segment_has_no_more_entries_than_records() {
    let rule = "a segment has more entries than its blocks have records";
    breaks(&refused(&[], &[one(3, &[own(0, 2)])]), rule);
    breaks(&refused(&[shared(1)], &[one(4, &[far(2, 1, 40, 10), own(1, 1)])]), rule);
}

#[test]
fn own_blocks_fill_the_stream_and_the_index_ends_with_the_last_map() {
    breaks(&refused(&[], &[]), "the blocks end here");
    breaks(&refused(&[], &[map(10, 0, 2, 2, &[own(0, 2), own(0, 2)])]), "the blocks end here");
    let good = index(&header(), &[], &[one(2, &[own(0, 2)])]);
    let longer = [good.as_slice(), &[0]].concat();
    breaks(&open_index(&longer).unwrap_err(), "1 bytes after the last map");
    for len in 0..good.len() {
        assert!(open_index(&good[..len]).is_err(), "cut at {len}");
    }
}

#[test]
fn no_index_makes_the_reader_panic() {
    let blocks = [far(2, 1, 40, 10), far(3, 1, 900, 10), own(1, 1)];
    let maps = [one(3, &blocks), map(12, 1, 1, 3, &vec![vec![0]; 3])];
    let good = index(&header(), &[shared(1)], &maps);
    assert!(open_index(&good).is_ok());
    for position in 0..good.len() {
        for byte in (0..8).map(|bit| good[position] ^ (1 << bit)).chain([0, 1, 0x7f, 0x80, 0xff]) {
            let mut changed = good.clone();
            changed[position] = byte;
            let _ = open_index(&changed);
        }
    }
}
