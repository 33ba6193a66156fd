//! The tables of the index of operator state.

use alluvium_core::OperatorUid;
use alluvium_format::codec::{BytesCodec, Codec, HasCodec};
use alluvium_format::envelope::{Envelope, StreamIdentity, StreamKind};
use alluvium_format::operator::{
    DistributionMode, OperatorStateItems, read_operator_state, write_operator_state,
};
use bytes::Bytes;

use crate::fields::{compare, text};
use crate::{identity, section, to_hex};

fn item(bytes: &'static [u8]) -> Bytes {
    Bytes::from_static(bytes)
}

/// A stream of fields of known values, in the order of the tables of 7.2.
#[test]
fn the_index_of_operator_state_has_the_fields_of_the_tables() {
    let name = "names".to_owned();
    let items = vec![item(b"\x01a"), item(b"")];
    let state = OperatorStateItems {
        name,
        mode: DistributionMode::Union,
        item: BytesCodec.snapshot(),
        items,
    };
    let identity = StreamIdentity { kind: StreamKind::Operator, ..identity() };
    let uid = OperatorUid::new("count").unwrap();
    let (bytes, _) =
        write_operator_state(Vec::new(), &identity, &uid, std::slice::from_ref(&state)).unwrap();
    let (_, _, read) = read_operator_state(bytes.clone().into()).unwrap();
    assert_eq!(read, [state]);

    // Each item is framed.
    let block = b"\x02\x01a\x00";
    assert_eq!(bytes[40..44], *block);
    let envelope = Envelope::open_bytes(bytes.into(), StreamKind::Operator).unwrap();
    let mut codec = Vec::new();
    BytesCodec.snapshot().encode(&mut codec).unwrap();
    let fields = [
        ("operator uid", text("count")),
        ("number of states", vec![1, 0]),
        ("states: name", text("names")),
        ("states: mode", vec![1]),
        ("states: item codec", codec),
        ("states: number of items", vec![2, 0, 0, 0]),
        ("states: block offset", 40_u64.to_le_bytes().to_vec()),
        ("states: block length", vec![4, 0, 0, 0]),
        ("states: block checksum", crc32fast::hash(block).to_le_bytes().to_vec()),
    ];
    let tables = [("", "7.2", "operator uid"), ("states: ", "7.2", "name")];
    compare(envelope.index(), &fields, &tables);
}

#[test]
fn codes_of_modes() {
    let modes = [
        (DistributionMode::Split, "split"),
        (DistributionMode::Union, "union"),
        (DistributionMode::Broadcast, "broadcast"),
        (DistributionMode::Keyed, "keyed"),
    ];
    let codes: Vec<_> = modes.map(|(mode, name)| format!("{} {name}", mode.code())).into();
    let said = format!("u8: {} (7.3)", codes.join(", "));
    assert!(section("7.2").contains(&said), "{said}");
}

#[test]
fn a_section_is_written_as_the_example_is() {
    let mut framed = Vec::new();
    let section_of = (44_u16, Bytes::from_static(b"abc"));
    <(u16, Bytes) as HasCodec>::Codec::default().encode(&section_of, &mut framed).unwrap();
    framed.insert(0, u8::try_from(framed.len()).unwrap());
    let hex: Vec<_> = framed.iter().map(|byte| to_hex(&[*byte])).collect();
    let text = section("7.2").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(&format!("`616263` is the item `{}`", hex.join(" "))), "{hex:?}");
}
