use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, KeyGroupRange, MaxParallelism, OperatorUid, SharedFile,
    StoragePath, SubtaskIndex,
};
use bytes::Bytes;

use super::*;
use crate::codec::{Codec, HasCodec};
use crate::envelope::{StreamIdentity, StreamKind};
use crate::keyed::{StateKind, StateMeta};
use crate::{CodecError, FormatError};

mod round_trip;
mod rules;

fn max() -> MaxParallelism {
    MaxParallelism::new(128).unwrap()
}

fn header() -> SstIndexHeader {
    let state = |name: &str, kind, value| StateMeta {
        name: name.to_owned(),
        kind,
        namespace: <() as HasCodec>::Codec::default().snapshot(),
        value,
    };
    SstIndexHeader {
        uid: OperatorUid::new("count").unwrap(),
        max_parallelism: max(),
        assigner: AssignerName::Stable,
        key_groups: KeyGroupRange::new(10, 20, max()).unwrap(),
        key: <String as HasCodec>::Codec::default().snapshot(),
        states: vec![
            state("sum", StateKind::Reducing, <u64 as HasCodec>::Codec::default().snapshot()),
            state("last", StateKind::List, <Vec<u8> as HasCodec>::Codec::default().snapshot()),
            state("none", StateKind::Value, <u8 as HasCodec>::Codec::default().snapshot()),
        ],
    }
}

fn identity() -> StreamIdentity {
    StreamIdentity {
        kind: StreamKind::SstIndex,
        subtask: Some(SubtaskIndex::new(0)),
        checkpoint: CheckpointId::FIRST,
        attempt: AttemptId::new(1),
    }
}

fn shared(number: u64) -> SharedFile {
    let path = StoragePath::new(&format!("shared/count-0-sst-1-1-{number}")).unwrap();
    SharedFile { path, len_bytes: 1000, seal: 0x88e2_41b7 }
}

fn meta(level: u8, seqnos: (u64, u64), keys: (&[u8], &[u8])) -> SstMeta {
    SstMeta {
        level,
        smallest_seqno: seqnos.0,
        largest_seqno: seqnos.1,
        entry_count: 5,
        checksum: 0x0102_0304,
        smallest_key: keys.0.to_vec(),
        largest_key: keys.1.to_vec(),
    }
}

/// The SSTs of the stream below, in the order of the index: state, number of the file, SST.
fn ssts() -> Vec<(usize, u64, SstMeta)> {
    vec![
        (0, 4, meta(0, (90, MAX_SEQUENCE_NUMBER), (&[], &[10, 1]))),
        (0, 3, meta(0, (80, 89), (&[10], &[20, 255]))),
        (0, 1, meta(1, (0, 7), (&[10], &[12]))),
        (0, 2, meta(1, (0, 0), (&[12], &[13]))),
        (0, 9, meta(6, (0, 0), (&[10], &[20]))),
        (1, 5, meta(0, (1, 1), (&[11; 200], &[11; 300]))),
    ]
}

fn stream() -> Vec<u8> {
    let mut writer = SstIndexWriter::new(header());
    // The writer brings them into order.
    for (state, number, meta) in ssts().into_iter().rev() {
        writer.sst(state, shared(number), meta).unwrap();
    }
    writer.finish(Vec::new(), &identity()).unwrap().out
}

fn open(bytes: &[u8]) -> Result<SstIndexReader, FormatError> {
    SstIndexReader::open_bytes(Bytes::copy_from_slice(bytes))
}

#[test]
fn what_was_written_is_read() {
    let bytes = stream();
    let reader = open(&bytes).unwrap();
    assert_eq!((reader.header(), reader.identity()), (&header(), &identity()));
    assert_eq!(reader.seal().to_le_bytes(), bytes[bytes.len() - 4..]);
    for state in 0..4 {
        let found: Vec<_> =
            reader.ssts_of(state).map(|(file, meta)| (file.clone(), meta.clone())).collect();
        let expected = ssts().into_iter().filter(|(of, ..)| *of == state);
        let expected: Vec<_> = expected.map(|(_, number, meta)| (shared(number), meta)).collect();
        assert_eq!(found, expected, "state {state}");
    }
    let files: Vec<_> = reader.ssts().map(|(file, _)| file.clone()).collect();
    assert_eq!((files.as_slice(), files.len()), (reader.shared(), 6));
}

#[test]
fn an_index_without_ssts_or_states() {
    let writer = SstIndexWriter::new(header());
    let reader = open(&writer.finish(Vec::new(), &identity()).unwrap().out).unwrap();
    assert_eq!((reader.shared().len(), reader.ssts().count()), (0, 0));
    let header = SstIndexHeader { states: Vec::new(), ..header() };
    let writer = SstIndexWriter::new(header.clone());
    let reader = open(&writer.finish(Vec::new(), &identity()).unwrap().out).unwrap();
    assert_eq!(*reader.header(), header);
}

/// Bytes that stay what they are: a change of them is a change of the format.
#[test]
fn the_bytes_are_the_golden_ones() {
    let header = SstIndexHeader { states: header().states[..1].to_vec(), ..header() };
    let mut writer = SstIndexWriter::new(header);
    writer.sst(0, shared(0), meta(6, (0, 258), (&[10, 1, b'a'], &[20]))).unwrap();
    let bytes = writer.finish(Vec::new(), &identity()).unwrap().out;
    let hex = bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let golden = [
        // Header: magic, kind 4, version 2, features, subtask 0, checkpoint 1, attempt 1, checksum.
        "414c4c555649554d",
        "0400",
        "0200",
        "0000000000000000",
        "00000000",
        "0100000000000000",
        "01000000",
        "015c145a",
        // Operator, max parallelism, assigner, key groups, key codec.
        "0500636f756e74",
        "8000",
        "01",
        "0a00",
        "1400",
        "0600737472696e6701000000",
        // One state: name, kind, namespace codec, value codec.
        "0100",
        "030073756d",
        "04",
        "0400756e697401000000",
        "030075363401000000",
        // One shared file: path, length, seal.
        "0100",
        "1800",
        "7368617265642f636f756e742d302d7373742d312d312d30",
        "e803000000000000",
        "b741e288",
        // One SST: file 1, level 6, sequence numbers, entries, checksum, keys.
        "0100",
        "0100",
        "06",
        "0000000000000000",
        "0201000000000000",
        "0500000000000000",
        "04030201",
        "030a0161",
        "0114",
        // Footer: index at 40, its length, its checksum, the seal.
        "2800000000000000",
        "8400000000000000",
        "bbe57681",
        "bdffb36d",
    ];
    assert_eq!(hex, golden.concat());
}

#[test]
fn every_flipped_bit_every_cut_and_every_extension_is_found() {
    let bytes = stream();
    for position in 0..bytes.len() {
        assert!(open(&bytes[..position]).is_err(), "cut at {position}");
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << bit;
            assert!(open(&damaged).is_err(), "byte {position} bit {bit}");
        }
    }
    for more in [1, 24, 64] {
        assert!(open(&[bytes.as_slice(), &vec![0; more]].concat()).is_err(), "{more} more");
    }
}

#[test]
fn the_checksum_of_a_file_is_that_of_all_its_bytes() {
    // More than one piece, and not a multiple of one.
    let file: Vec<u8> = (0..9_000_000_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
    let (mut checksum, expected) = (SstChecksum::default(), crc32fast::hash(&file));
    file.chunks(999_983).for_each(|piece| checksum.update(piece));
    assert_eq!(checksum.value(), expected);
    let whole = Bytes::from(file.clone());
    SstChecksum::verify(&whole, expected).unwrap();
    SstChecksum::verify(&Bytes::new(), 0).unwrap();
    for place in [0, 1 << 22, 8_999_999] {
        let mut damaged = file.clone();
        damaged[place] ^= 1;
        let error = SstChecksum::verify(&Bytes::from(damaged), expected).unwrap_err();
        assert!(matches!(error, FormatError::Checksum { what: "sst", offset: 0, .. }), "{error}");
    }
    assert!(SstChecksum::verify(&whole.slice(1..), expected).is_err());
}

#[test]
fn which_ssts_may_hold_rows_of_some_key_groups() {
    let range = |first, last, max| KeyGroupRange::new(first, last, max).unwrap();
    let wide = MaxParallelism::new(4096).unwrap();
    for (smallest, largest, expected) in [
        (&[10][..], &[10, 1, b'a'][..], true),
        (&[20, 255], &[21], true),
        (&[0], &[255], true),
        (&[], &[10], true),
        (&[], &[9, 255, 255], false),
        (&[], &[], false),
        (&[21], &[22], false),
    ] {
        let sst = meta(1, (0, 0), (smallest, largest));
        assert_eq!(sst.may_hold(range(10, 20, max()), max()), expected, "{smallest:?} {largest:?}");
    }
    for (smallest, largest, expected) in [
        (&[1, 0][..], &[1, 0][..], true),
        (&[1, 4, 9], &[255, 255], true),
        (&[0], &[1], false),
        (&[0], &[1, 0], true),
        (&[1], &[1, 0], true),
        (&[1, 5], &[1, 6], false),
        (&[0, 255, 255], &[0, 255, 255, 255], false),
    ] {
        let sst = meta(1, (0, 0), (smallest, largest));
        assert_eq!(sst.may_hold(range(256, 260, wide), wide), expected, "{smallest:?} {largest:?}");
    }
}
