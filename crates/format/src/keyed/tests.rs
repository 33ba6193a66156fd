use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, KeyGroup, KeyGroupRange, MaxParallelism, OperatorUid,
    SubtaskIndex,
};
use bytes::Bytes;

use super::*;
use crate::FormatError;
use crate::codec::{Codec, HasCodec};
use crate::envelope::{StreamIdentity, StreamKind};

fn max() -> MaxParallelism {
    MaxParallelism::new(128).unwrap()
}

fn group(group: u16) -> KeyGroup {
    KeyGroup::new(group, max()).unwrap()
}

fn header() -> KeyedHeader {
    let state = |name: &str, kind, value| StateMeta {
        name: name.to_owned(),
        kind,
        namespace: <() as HasCodec>::Codec::default().snapshot(),
        value,
    };
    KeyedHeader {
        uid: OperatorUid::new("count").unwrap(),
        max_parallelism: max(),
        assigner: AssignerName::Stable,
        key_groups: KeyGroupRange::new(10, 20, max()).unwrap(),
        key: <String as HasCodec>::Codec::default().snapshot(),
        states: vec![
            state("sum", StateKind::Reducing, <u64 as HasCodec>::Codec::default().snapshot()),
            state("last", StateKind::List, <Vec<u8> as HasCodec>::Codec::default().snapshot()),
        ],
    }
}

fn identity() -> StreamIdentity {
    StreamIdentity {
        kind: StreamKind::Keyed,
        subtask: Some(SubtaskIndex::new(0)),
        checkpoint: CheckpointId::FIRST,
        attempt: AttemptId::new(1),
    }
}

fn stream() -> Vec<u8> {
    let mut writer = KeyedWriter::new(Vec::new(), &identity(), &header()).unwrap();
    writer.block(group(10), 0, 0, 2, b"two entries").unwrap();
    writer.block(group(10), 0, 1, 1, b"one more").unwrap();
    writer.block(group(10), 1, 0, 1, b"a list").unwrap();
    writer.block(group(20), 0, 0, 1, b"far").unwrap();
    writer.finish().unwrap().0
}

fn open(bytes: &[u8]) -> Result<KeyedReader, FormatError> {
    let reader = KeyedReader::open(Bytes::copy_from_slice(bytes))?;
    reader.verify(max().all_key_groups())?;
    Ok(reader)
}

#[test]
fn what_was_written_is_read() {
    let reader = open(&stream()).unwrap();
    assert_eq!(*reader.header(), header());
    assert_eq!(*reader.identity(), identity());
    let all: Vec<_> = reader.blocks().iter().map(|b| reader.entries(b).unwrap()).collect();
    assert_eq!(all, [&b"two entries"[..], b"one more", b"a list", b"far"]);
    let upper = KeyGroupRange::new(15, 127, max()).unwrap();
    let upper: Vec<_> = reader.blocks_of(upper).map(|b| (b.key_group, b.entry_count)).collect();
    assert_eq!(upper, [(group(20), 1)]);
}

#[test]
fn a_stream_without_states_or_blocks() {
    let header = KeyedHeader { states: Vec::new(), ..header() };
    let writer = KeyedWriter::new(Vec::new(), &identity(), &header).unwrap();
    let reader = open(&writer.finish().unwrap().0).unwrap();
    assert_eq!(*reader.header(), header);
    assert!(reader.blocks().is_empty());
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let bytes = stream();
    for position in 0..bytes.len() {
        assert!(open(&bytes[..position]).is_err(), "cut at {position}");
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << bit;
            assert!(open(&damaged).is_err(), "byte {position} bit {bit}");
        }
    }
}

#[test]
fn blocks_out_of_order_are_refused_by_the_writer() {
    let mut writer = KeyedWriter::new(Vec::new(), &identity(), &header()).unwrap();
    writer.block(group(11), 0, 0, 1, b"x").unwrap();
    for (key_group, state, segment) in [(11, 0, 0), (10, 1, 0)] {
        let error = writer.block(group(key_group), state, segment, 1, b"y").unwrap_err();
        assert!(matches!(error, FormatError::Malformed { what: "block", .. }));
    }
}

/// An index that lies, under checksums that are right: the reader still checks every rule.
#[test]
fn rules_hold_whatever_the_checksums_say() {
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut index = Vec::new();
        header().encode(&mut index).unwrap();
        index.extend_from_slice(&1_u32.to_le_bytes());
        index.extend_from_slice(&BLOCK_ENTRY_LEN.to_le_bytes());
        let mut writer = crate::envelope::EnvelopeWriter::new(Vec::new(), &identity()).unwrap();
        let block = writer.block(b"entries").unwrap();
        let (state, segment, entry_count) = (0, 0, 1);
        let entry = BlockEntry { state, key_group: group(10), segment, entry_count, block };
        entry.encode(&mut index);
        change(&mut index);
        open(&writer.finish(&index).unwrap().0).map(drop)
    };
    assert!(refused(&|_| {}).is_ok());
    let entry = |index: &mut Vec<u8>| index.len() - usize::from(BLOCK_ENTRY_LEN);
    let at = |offset: usize, byte: u8| {
        move |index: &mut Vec<u8>| {
            let at = entry(index) + offset;
            index[at] = byte;
        }
    };
    for (offset, byte) in [(0, 9), (2, 21), (2, 200), (4, 1), (6, 2), (7, 1), (16, 41), (24, 200)] {
        let error = refused(&at(offset, byte)).unwrap_err();
        assert!(matches!(error, FormatError::Malformed { .. }), "offset {offset}: {error}");
    }
    assert!(refused(&|index| index.push(0)).is_err());
    assert!(refused(&|index| index.truncate(index.len() - 1)).is_err());
    assert!(refused(&|index| index[0] = 0xff).is_err());
}
