use alluvium_core::{AttemptId, CheckpointId, OperatorUid, SubtaskIndex};
use bytes::Bytes;

use super::*;
use crate::FormatError;
use crate::codec::{Codec, HasCodec};
use crate::envelope::{StreamIdentity, StreamKind};

fn identity() -> StreamIdentity {
    StreamIdentity {
        kind: StreamKind::Operator,
        subtask: Some(SubtaskIndex::new(1)),
        checkpoint: CheckpointId::FIRST,
        attempt: AttemptId::new(1),
    }
}

fn states() -> Vec<OperatorStateItems> {
    let state = |name: &str, mode, items: &[&'static [u8]]| OperatorStateItems {
        name: name.to_owned(),
        mode,
        item: <u64 as HasCodec>::Codec::default().snapshot(),
        items: items.iter().map(|item| Bytes::from_static(item)).collect(),
    };
    vec![
        state("offsets", DistributionMode::Split, &[b"first", b"", b"third"]),
        state("seen", DistributionMode::Union, &[]),
        state("rules", DistributionMode::Broadcast, &[&[7; 200]]),
        sections(&[b"\x02\0\x03two", b"\x03\0\0", b"\x2c\x01\x01x"]),
    ]
}

/// Raw keyed state of items, whatever they are.
fn sections(items: &[&'static [u8]]) -> OperatorStateItems {
    OperatorStateItems {
        name: "raw".to_owned(),
        mode: DistributionMode::Keyed,
        item: <(u16, Bytes) as HasCodec>::Codec::default().snapshot(),
        items: items.iter().map(|item| Bytes::from_static(item)).collect(),
    }
}

fn stream(states: &[OperatorStateItems]) -> Vec<u8> {
    let uid = OperatorUid::new("source").unwrap();
    write_operator_state(Vec::new(), &identity(), &uid, states).unwrap().0
}

#[test]
fn what_was_written_is_read() {
    let (uid, found, items) = read_operator_state(Bytes::from(stream(&states()))).unwrap();
    assert_eq!((uid.as_str(), found, items), ("source", identity(), states()));
    assert!(read_operator_state(Bytes::from(stream(&[]))).unwrap().2.is_empty());
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let bytes = stream(&states());
    for position in 0..bytes.len() {
        let cut = Bytes::copy_from_slice(&bytes[..position]);
        assert!(read_operator_state(cut).is_err(), "cut at {position}");
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << bit;
            let damaged = read_operator_state(Bytes::from(damaged));
            assert!(damaged.is_err(), "byte {position} bit {bit}");
        }
    }
}

#[test]
fn a_name_must_not_come_twice() {
    let [first, ..] = &states()[..] else { unreachable!() };
    let twice = read_operator_state(Bytes::from(stream(&[first.clone(), first.clone()])));
    assert!(matches!(twice, Err(FormatError::Malformed { what: "index", .. })));
}

#[test]
fn sections_are_in_the_order_of_their_key_groups() {
    let wrong: [&[&[u8]]; 2] = [&[b"\x02\0\0", b"\x02\0\0"], &[b"\0\x01\0", b"\x02\0\0"]];
    for items in wrong {
        let read = read_operator_state(Bytes::from(stream(&[sections(items)])));
        assert!(matches!(read, Err(FormatError::Malformed { what: "items", .. })), "{read:?}");
    }
    let other = OperatorStateItems { item: states()[0].item.clone(), ..sections(&[]) };
    let read = read_operator_state(Bytes::from(stream(&[other])));
    assert!(matches!(read, Err(FormatError::Malformed { what: "items", .. })), "{read:?}");
}

#[test]
fn a_section_is_a_key_group_and_whole_bytes() {
    for item in [&b""[..], b"\x02", b"\x02\0", b"\x02\0\x03ab", b"\x02\0\x01ab", b"\x02\0\x80\0"] {
        assert!(section_key_group(item).is_err(), "{item:?}");
        let read = read_operator_state(Bytes::from(stream(&[sections(&[item])])));
        assert!(
            matches!(read, Err(FormatError::Codec { what: "items", .. })),
            "{item:?}: {read:?}"
        );
    }
    assert_eq!(section_key_group(b"\x2c\x01\x01x").unwrap(), 300);
}
