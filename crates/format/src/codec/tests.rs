use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use bytes::Bytes;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;

fn encode<T>(codec: &impl Codec<T>, value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    codec.encode(value, &mut out).unwrap();
    out
}

fn default_codec<T: HasCodec>(_: &T) -> T::Codec {
    T::Codec::default()
}

fn round_trip<T: PartialEq + Debug>(codec: &impl Codec<T>, value: &T) {
    let mut bytes = encode(codec, value);
    let len = bytes.len();
    bytes.extend_from_slice(b"next");
    let mut input = Input::new(&bytes);
    assert_eq!(&codec.decode(&mut input).unwrap(), value);
    assert_eq!(input.offset(), len, "consumes exactly its own bytes");
    for cut in 0..len {
        let _ = codec.decode(&mut Input::new(&bytes[..cut]));
    }
}

/// These bytes are the vectors of SPEC 5.3; they never change.
#[test]
fn the_vectors_of_the_specification() {
    fn hex<T: HasCodec>(value: &T) -> (String, String) {
        let codec = default_codec(value);
        let text = encode(&codec, value)
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        (codec.snapshot().to_string(), text)
    }
    let vectors = [
        (hex(&0x0102_u16), ("u16", "0201")),
        (hex(&-2_i64), ("i64", "feffffffffffffff")),
        (hex(&1.5_f64), ("f64", "000000000000f83f")),
        (hex(&true), ("bool", "01")),
        (hex(&"Zürich".to_owned()), ("string", "075ac3bc72696368")),
        (hex(&Bytes::from_static(&[0, 255])), ("bytes", "0200ff")),
        (hex(&[1_u8, 0, 255]), ("fixed_bytes(3)", "0100ff")),
        (hex::<()>(&()), ("unit", "")),
        (hex(&Some(7_u8)), ("option<u8>", "0107")),
        (hex(&None::<u8>), ("option<u8>", "00")),
        (hex(&vec![1_u16, 2]), ("vec<u16>", "0201000200")),
        (hex(&BTreeMap::from([(1_u8, true)])), ("map<u8, bool>", "010101")),
        (hex(&(1_u8, "a".to_owned())), ("tuple<u8, string>", "010161")),
    ];
    for ((name, bytes), (expected_name, expected_bytes)) in vectors {
        assert_eq!((name.as_str(), bytes.as_str()), (expected_name, expected_bytes));
    }
}

#[test]
fn the_length_of_fixed_bytes_is_part_of_the_codec() {
    round_trip(&FixedBytesCodec::<16>, &[7; 16]);
    round_trip(&FixedBytesCodec::<1>, &[7]);
    let cut = FixedBytesCodec::<4>.decode(&mut Input::new(&[1, 2, 3]));
    assert!(matches!(cut, Err(CodecError::Truncated { what: "fixed_bytes", needed: 4, .. })));
    let (four, five) = (FixedBytesCodec::<4>, FixedBytesCodec::<5>);
    assert_eq!(four.snapshot().parameters, [4, 0, 0, 0]);
    assert_eq!(four.resolve(&four.snapshot()).answer(), "as is");
    assert_eq!(four.resolve(&five.snapshot()).answer(), "incompatible");
    assert_eq!(four.resolve(&BytesCodec.snapshot()).answer(), "incompatible");
    assert_eq!(BytesCodec.resolve(&four.snapshot()).answer(), "incompatible");
    assert_eq!(FixedBytesCodec::<65_535>.snapshot().to_string(), "fixed_bytes(65535)");
}

type Nested = (HashMap<String, Vec<Option<i32>>>, (u8, f64, bool), Bytes, ());

proptest! {
    #[test]
    fn any_value_comes_back(
        map in proptest::collection::hash_map(".{0,8}", proptest::collection::vec(any::<Option<i32>>(), 0..5), 0..6),
        numbers in (any::<u8>(), -1e300..1e300_f64, any::<bool>()),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let value: Nested = (map, numbers, Bytes::from(bytes), ());
        round_trip(&default_codec(&value), &value);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let codec = <Nested as HasCodec>::Codec::default();
        let _ = Codec::<Nested>::decode(&codec, &mut Input::new(&bytes));
        let _ = CodecSnapshot::decode(&mut Input::new(&bytes));
    }
}

#[test]
fn a_count_bomb_is_refused_at_once() {
    let bomb = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    let strings = VecCodec(StringCodec).decode(&mut Input::new(&bomb));
    assert!(matches!(strings, Err(CodecError::Truncated { .. })));
    let units = VecCodec(UnitCodec).decode(&mut Input::new(&bomb));
    assert!(matches!(units, Err(CodecError::Truncated { .. })));
    let too_many = vec![(); 65_537];
    let refused = VecCodec(UnitCodec).encode(&too_many, &mut Vec::new());
    assert!(matches!(refused, Err(CodecError::TooLarge { limit: 65_536, .. })));
    round_trip(&VecCodec(UnitCodec), &vec![(); 65_536]);
}

#[test]
fn bytes_that_no_encoder_writes_are_refused() {
    let invalid = |bytes: &[u8]| {
        let twice = <BTreeMap<u8, u8> as HasCodec>::Codec::default();
        (
            BoolCodec.decode(&mut Input::new(bytes)).is_err(),
            OptionCodec(BoolCodec).decode(&mut Input::new(bytes)).is_err(),
            Codec::<BTreeMap<u8, u8>>::decode(&twice, &mut Input::new(bytes)).is_err(),
        )
    };
    assert_eq!(invalid(&[2]), (true, true, true));
    assert_eq!(invalid(&[2, 5, 1, 5, 2]), (true, true, true), "a key twice");
    let not_utf8 = StringCodec.decode(&mut Input::new(&[2, 0xc3, 0x28]));
    assert!(matches!(not_utf8, Err(CodecError::Invalid { what: "string", offset: 0, .. })));
}

#[test]
fn snapshots_come_back_and_stop_at_sixteen_levels() {
    let snapshot = default_codec(&(1_u8, vec![Some("x".to_owned())])).snapshot();
    let mut bytes = Vec::new();
    snapshot.encode(&mut bytes).unwrap();
    let mut input = Input::new(&bytes);
    assert_eq!(CodecSnapshot::decode(&mut input).unwrap(), snapshot);
    assert!(input.is_empty());

    let mut deep = CodecSnapshot::plain("u8");
    for _ in 0..15 {
        deep = CodecSnapshot::of_parts("vec", vec![deep]);
    }
    let mut bytes = Vec::new();
    deep.encode(&mut bytes).unwrap();
    assert_eq!(CodecSnapshot::decode(&mut Input::new(&bytes)).unwrap(), deep);
    let deeper = CodecSnapshot::of_parts("vec", vec![deep]);
    assert!(matches!(deeper.encode(&mut Vec::new()), Err(CodecError::TooLarge { .. })));
}

#[test]
fn wider_numbers_read_narrower_ones_after_migration() {
    let wide = NumberCodec::<u64>::default();
    let narrow = NumberCodec::<u32>::default();
    assert_eq!(wide.resolve(&wide.snapshot()).answer(), "as is");
    assert_eq!(narrow.resolve(&wide.snapshot()).answer(), "incompatible");
    assert_eq!(wide.resolve(&StringCodec.snapshot()).answer(), "incompatible");
    let Compatibility::AfterMigration(decoder) = wide.resolve(&narrow.snapshot()) else {
        panic!("u32 widens to u64")
    };
    let bytes = encode(&narrow, &7);
    assert_eq!(decoder.decode_value(&mut Input::new(&bytes)).unwrap(), 7_u64);
}

#[test]
fn migration_reaches_into_compound_types() {
    type Old = (u8, BTreeMap<String, Vec<Option<u16>>>);
    type New = (u8, BTreeMap<String, Vec<Option<u64>>>);
    fn snapshot_of<T: HasCodec>(_: &T) -> CodecSnapshot {
        T::Codec::default().snapshot()
    }
    let old: Old = (9, BTreeMap::from([("a".to_owned(), vec![Some(500), None])]));
    let new: New = (9, BTreeMap::from([("a".to_owned(), vec![Some(500), None])]));
    let decoder = decoder_for::<New, _>(&default_codec(&new), &snapshot_of(&old)).unwrap();
    let bytes = encode(&default_codec(&old), &old);
    assert_eq!(decoder.decode_value(&mut Input::new(&bytes)).unwrap(), new);

    let back = decoder_for::<Old, _>(&default_codec(&old), &snapshot_of(&new)).err().unwrap();
    let text = back.to_string();
    assert!(text.contains("map<string, vec<option<u64>>>"), "{text}");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Visit {
    page: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct VisitV2 {
    page: String,
    seconds: u32,
}

#[test]
fn serde_types_migrate_by_their_own_step() {
    let old = PostcardCodec::<Visit>::new("visit", 1);
    let visit = Visit { page: "/".to_owned() };
    round_trip(&old, &visit);
    let bytes = encode(&old, &visit);
    let without_step = PostcardCodec::<VisitV2>::new("visit", 2);
    assert_eq!(without_step.resolve(&old.snapshot()).answer(), "incompatible");
    let new = without_step.migrate_from(1, |old: Visit| VisitV2 { page: old.page, seconds: 0 });
    let decoder = decoder_for(&new, &old.snapshot()).unwrap();
    let migrated = decoder.decode_value(&mut Input::new(&bytes)).unwrap();
    assert_eq!(migrated, VisitV2 { page: "/".to_owned(), seconds: 0 });
    let other = PostcardCodec::<Visit>::new("click", 1);
    assert_eq!(new.resolve(&other.snapshot()).answer(), "incompatible");
    assert_eq!(old.snapshot().to_string(), "postcard(visit v1)");
}

#[derive(Debug, Clone)]
struct Reversed(u32);

impl UserCodec<Vec<u8>> for Reversed {
    fn name(&self) -> &'static str {
        "reversed"
    }
    fn version(&self) -> u32 {
        self.0
    }
    fn encode(
        &self,
        value: &Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        out.extend(value.iter().rev());
        Ok(())
    }
    fn decode(
        &self,
        version: u32,
        bytes: &[u8],
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        match version {
            1 => Ok(bytes.iter().rev().copied().collect()),
            _ => Err("no such version".into()),
        }
    }
    fn can_read(&self, version: u32) -> bool {
        version <= self.0
    }
}

#[test]
fn user_codecs_are_framed_and_versioned() {
    let codec = Framed::new(Reversed(1));
    round_trip(&codec, &vec![1, 2, 3]);
    assert_eq!(encode(&codec, &vec![1, 2, 3]), [3, 3, 2, 1]);
    let newer = Framed::new(Reversed(2));
    assert_eq!(newer.resolve(&codec.snapshot()).answer(), "after migration");
    assert_eq!(codec.resolve(&newer.snapshot()).answer(), "incompatible");
    let error = newer.decode(&mut Input::new(&[0])).unwrap_err();
    assert_eq!(error.to_string(), "user codec reversed: no such version");
}
