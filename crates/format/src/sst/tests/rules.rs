//! An index that lies, under checksums that are right: the reader still checks every rule, and the
//! writer writes no such index.

use super::*;
use crate::envelope::EnvelopeWriter;
use crate::shared::put_shared;

fn sst(file: u16, meta: &SstMeta) -> Vec<u8> {
    let mut out = Vec::new();
    meta.encode(file, &mut out);
    out
}

/// An index with two files and these lists of SSTs, one for each state.
fn index(files: &[SharedFile], lists: &[&[Vec<u8>]]) -> Vec<u8> {
    let mut index = Vec::new();
    header().encode(&mut index).unwrap();
    put_shared(files, &mut index).unwrap();
    for list in lists {
        index.extend_from_slice(&u16::try_from(list.len()).unwrap().to_le_bytes());
        index.extend(list.concat());
    }
    index
}

fn open_index(index: &[u8]) -> Result<SstIndexReader, FormatError> {
    let writer = EnvelopeWriter::new(Vec::new(), &identity()).unwrap();
    open(&writer.finish(index).unwrap().0)
}

fn refused(lists: &[&[Vec<u8>]]) -> FormatError {
    open_index(&index(&[shared(1), shared(2)], lists)).unwrap_err()
}

#[track_caller]
fn breaks(error: &FormatError, rule: &str) {
    assert!(matches!(error, FormatError::Malformed { .. }), "{error}");
    assert!(error.to_string().contains(rule), "{error} says {rule:?}");
}

fn good() -> SstMeta {
    meta(1, (3, 4), (&[10], &[11]))
}

fn next() -> SstMeta {
    meta(1, (3, 4), (&[11], &[12]))
}

#[test]
fn the_index_that_the_cases_change_is_good() {
    let files = [shared(1), shared(2)];
    assert!(open_index(&index(&files, &[&[sst(1, &good()), sst(2, &next())], &[], &[]])).is_ok());
    assert!(open_index(&index(&files, &[&[sst(2, &good())], &[], &[sst(1, &next())]])).is_ok());
}

#[test]
fn each_file_is_exactly_one_sst() {
    for (first, second, rule) in [
        (1, 3, "shared file 3 is not in the list"),
        (0, 2, "shared file 0 is not in the list"),
        (1, u16::MAX, "shared file 65535 is not in the list"),
        (2, 2, "shared file 2 is several ssts"),
    ] {
        breaks(&refused(&[&[sst(first, &good()), sst(second, &next())], &[], &[]]), rule);
    }
    breaks(&refused(&[&[sst(1, &good())], &[sst(1, &good())], &[]]), "is several ssts");
    let unused = refused(&[&[sst(1, &good())], &[], &[]]);
    breaks(&unused, "no sst lies in shared file shared/count-0-sst-1-1-2");
    let ssts = [sst(1, &good()), sst(2, &next())];
    let twice = open_index(&index(&[shared(1), shared(1)], &[&ssts, &[], &[]])).unwrap_err();
    breaks(&twice, "comes twice");
}

/// SSTs that break a rule on their own.
fn bad() -> [(SstMeta, &'static str); 5] {
    [
        (SstMeta { level: 7, ..good() }, "a level above 6"),
        (SstMeta { level: 255, ..good() }, "a level above 6"),
        (SstMeta { smallest_seqno: 5, ..good() }, "sequence number of an sst is above its largest"),
        (SstMeta { largest_seqno: 1 << 56, ..good() }, "a sequence number above 2^56 - 1"),
        (SstMeta { largest_key: vec![9, 255], ..good() }, "key of an sst is above its largest"),
    ]
}

#[test]
fn levels_sequence_numbers_and_keys_are_within_their_bounds() {
    for (bad, rule) in bad() {
        breaks(&refused(&[&[sst(1, &bad), sst(2, &next())], &[], &[]]), rule);
        let error = SstIndexWriter::new(header()).sst(0, shared(1), bad).unwrap_err();
        breaks(&error, rule);
    }
}

#[test]
fn ssts_are_in_the_order_of_levels_and_apart_in_each_but_the_first() {
    let at = |level, smallest: u8, largest: u8| meta(level, (1, 2), (&[smallest], &[largest]));
    let overlap = "ssts of one level overlap or are not in the order of keys";
    for (first, second, rule) in [
        (at(2, 1, 1), at(1, 5, 6), "ssts are not in the order of levels"),
        (at(1, 1, 1), at(0, 5, 6), "ssts are not in the order of levels"),
        (at(1, 1, 5), at(1, 4, 6), overlap),
        (at(6, 3, 4), at(6, 1, 2), overlap),
        (at(1, 1, 9), at(1, 2, 3), overlap),
    ] {
        breaks(&refused(&[&[sst(1, &first), sst(2, &second)], &[], &[]]), rule);
        let apart = [vec![sst(1, &first)], vec![sst(2, &second)]];
        let files = [shared(1), shared(2)];
        assert!(open_index(&index(&files, &[&apart[0], &apart[1], &[]])).is_ok(), "two states");
    }
    for (first, second) in [
        (at(0, 5, 6), at(0, 1, 9)),
        (at(1, 1, 5), at(1, 5, 6)),
        (at(1, 5, 5), at(1, 5, 5)),
        (at(1, 5, 6), at(2, 1, 9)),
    ] {
        let ssts = [sst(1, &first), sst(2, &second)];
        assert!(open_index(&index(&[shared(1), shared(2)], &[&ssts, &[], &[]])).is_ok());
    }
}

#[test]
fn the_writer_refuses_what_no_reader_takes() {
    let finish = |ssts: &[(u64, SstMeta)]| {
        let mut writer = SstIndexWriter::new(header());
        for (number, meta) in ssts {
            writer.sst(0, shared(*number), meta.clone()).unwrap();
        }
        writer.finish(Vec::new(), &identity()).map(|finished| finished.shared)
    };
    let twice = finish(&[(1, good()), (1, next())]).unwrap_err();
    breaks(&twice, "shared/count-0-sst-1-1-1: two ssts lie in it");
    let overlap = finish(&[(1, good()), (2, good())]).unwrap_err();
    breaks(&overlap, "shared/count-0-sst-1-1-2: ssts of one level overlap");
    assert_eq!(finish(&[(2, next()), (1, good())]).unwrap(), [shared(1), shared(2)]);
    let state = SstIndexWriter::new(header()).sst(3, shared(1), good()).unwrap_err();
    breaks(&state, "a state that is not in the table");
    let many: Vec<_> = (0..65_536).map(|number| (number, SstMeta { level: 0, ..good() })).collect();
    let error = finish(&many).unwrap_err();
    assert!(
        matches!(
            error,
            FormatError::Codec { source: CodecError::TooLarge { found: 65_536, .. }, .. }
        ),
        "{error}"
    );
    assert_eq!(finish(&many[1..]).unwrap().len(), 65_535);
}

#[test]
fn counts_and_lengths_beyond_the_bytes_left_are_refused() {
    let mut lists = index(&[shared(1)], &[&[sst(1, &good())], &[], &[]]);
    let at = lists.len() - 4 - sst(1, &good()).len() - 2;
    lists[at..at + 2].copy_from_slice(&[255, 255]);
    let error = open_index(&lists).unwrap_err();
    let FormatError::Codec { source, .. } = error else { panic!("{error}") };
    assert!(matches!(source, CodecError::Truncated { .. }), "{source}");
    let mut key = index(&[shared(1)], &[&[sst(1, &good())]]);
    let end = key.len();
    key.truncate(end - 2);
    key.extend([0xff; 9]);
    key.push(1);
    let error = open_index(&key).unwrap_err();
    let FormatError::Codec { source, .. } = error else { panic!("{error}") };
    assert!(matches!(source, CodecError::Truncated { needed: u64::MAX, .. }), "{source}");
}

#[test]
fn the_index_is_all_there_is_and_ends_with_the_last_list() {
    let good = index(&[shared(1)], &[&[sst(1, &good())], &[], &[]]);
    breaks(
        &open_index(&[good.as_slice(), &[0]].concat()).unwrap_err(),
        "1 bytes after the last sst list",
    );
    for len in 0..good.len() {
        assert!(open_index(&good[..len]).is_err(), "cut at {len}");
    }
    let mut writer = EnvelopeWriter::new(Vec::new(), &identity()).unwrap();
    writer.block(b"block").unwrap();
    let error = open(&writer.finish(&good).unwrap().0).unwrap_err();
    assert!(matches!(error, FormatError::Malformed { what: "blocks", .. }), "{error}");
}

#[test]
fn an_index_of_another_kind_or_of_no_subtask_is_refused() {
    let good = index(&[shared(1)], &[&[sst(1, &good())], &[], &[]]);
    let of = |identity: &StreamIdentity| {
        let writer = EnvelopeWriter::new(Vec::new(), identity).unwrap();
        open(&writer.finish(&good).unwrap().0).unwrap_err()
    };
    let keyed = of(&StreamIdentity { kind: StreamKind::Keyed, ..identity() });
    assert_eq!(keyed.to_string(), "offset 8: keyed state as SST files expected, kind 2 found");
    let nobody = of(&StreamIdentity { subtask: None, ..identity() });
    assert!(matches!(nobody, FormatError::Malformed { what: "header", .. }), "{nobody}");
}

#[test]
fn no_index_makes_the_reader_panic() {
    let good = index(&[shared(1), shared(2)], &[&[sst(1, &good())], &[sst(2, &next())], &[]]);
    assert!(open_index(&good).is_ok());
    for position in 0..good.len() {
        for byte in (0..8).map(|bit| good[position] ^ (1 << bit)).chain([0, 1, 0x7f, 0x80, 0xff]) {
            let mut changed = good.clone();
            changed[position] = byte;
            let _ = open_index(&changed);
        }
    }
}
