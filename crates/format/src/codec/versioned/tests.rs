use serde::Deserialize;

use super::*;
use crate::codec::{PostcardCodec, Stamped, TtlCodec, decoder_for};

macro_rules! version {
    ($name:ident, $number:literal, $previous:ty, $migrate:expr) => {
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        struct $name(Vec<u32>);

        impl Versioned for $name {
            const NAME: &str = "steps";
            const VERSION: u32 = $number;
            type Previous = $previous;

            fn migrate(previous: $previous) -> Self {
                let migrate: fn($previous) -> Vec<u32> = $migrate;
                Self(migrate(previous))
            }
        }
    };
}

fn went_through(mut steps: Vec<u32>, version: u32) -> Vec<u32> {
    steps.push(version);
    steps
}

version!(One, 1, NoVersion, |previous| match previous {});
version!(Two, 2, One, |previous| went_through(previous.0, 2));
version!(Four, 4, Two, |previous| went_through(previous.0, 4));
version!(Seven, 7, Four, |previous| went_through(previous.0, 7));

fn encoded<T: Versioned>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    VersionedCodec::<T>::default().encode(value, &mut bytes).unwrap();
    bytes
}

fn read<T: Versioned>(stored: &CodecSnapshot, bytes: &[u8]) -> T {
    let decoder = decoder_for(&VersionedCodec::<T>::default(), stored).unwrap();
    let mut input = Input::new(bytes);
    let value = decoder.decode_value(&mut input).unwrap();
    input.finish().unwrap();
    value
}

fn stored<T: Versioned>() -> CodecSnapshot {
    VersionedCodec::<T>::default().snapshot()
}

#[test]
fn a_value_goes_through_every_version_in_between() {
    let bytes = encoded(&One(vec![1]));
    assert_eq!(read::<One>(&stored::<One>(), &bytes), One(vec![1]));
    assert_eq!(read::<Two>(&stored::<One>(), &bytes), Two(vec![1, 2]));
    assert_eq!(read::<Seven>(&stored::<One>(), &bytes), Seven(vec![1, 2, 4, 7]));
    let bytes = encoded(&Four(vec![9]));
    assert_eq!(read::<Seven>(&stored::<Four>(), &bytes), Seven(vec![9, 7]));
}

#[test]
fn newer_versions_other_names_and_gaps_are_incompatible() {
    let codec = VersionedCodec::<Four>::default();
    let incompatible = [
        stored::<Seven>(),
        snapshot_of("steps", 3),
        snapshot_of("steps", 0),
        snapshot_of("other", 2),
        CodecSnapshot { version: 2, ..stored::<Two>() },
        CodecSnapshot { parameters: Vec::new(), ..stored::<Two>() },
        CodecSnapshot { name: "user".to_owned(), ..stored::<Two>() },
    ];
    for stored in incompatible {
        let answer = codec.resolve(&stored);
        assert!(matches!(answer, Compatibility::Incompatible { .. }), "{stored}: {answer:?}");
    }
    for (stored, answer) in [(stored::<Four>(), "as is"), (stored::<One>(), "after migration")] {
        assert_eq!(codec.resolve(&stored).answer(), answer);
    }
}

#[test]
fn older_versions_with_a_stamp_lose_it() {
    let value = VersionedCodec::<One>::default();
    let codec = TtlCodec { value, first_stamp_ms: 0 };
    let mut bytes = Vec::new();
    codec.encode(&Stamped { stamp_ms: 5, value: One(vec![1]) }, &mut bytes).unwrap();
    assert_eq!(read::<Four>(&codec.snapshot(), &bytes), Four(vec![1, 2, 4]));
    assert_eq!(read::<One>(&codec.snapshot(), &bytes), One(vec![1]));
}

#[test]
fn the_bytes_are_those_of_the_postcard_codec() {
    let other = PostcardCodec::<Two>::new("steps", 2);
    let value = Two(vec![1, 300]);
    let mut bytes = Vec::new();
    other.encode(&value, &mut bytes).unwrap();
    assert_eq!(encoded(&value), bytes);
    assert_eq!(stored::<Two>(), other.snapshot());
}

#[test]
fn damaged_bytes_of_an_old_version_are_an_error() {
    let decoder = decoder_for(&VersionedCodec::<Seven>::default(), &stored::<One>()).unwrap();
    let bytes = encoded(&One(vec![1, 2]));
    for len in 0..bytes.len() {
        let cut = bytes.get(..len).unwrap();
        assert!(decoder.decode_value(&mut Input::new(cut)).is_err(), "{len} bytes");
    }
    let mut short = bytes.clone();
    *short.get_mut(1).unwrap() = 9;
    let error = decoder.decode_value(&mut Input::new(&short)).unwrap_err();
    assert!(matches!(error, CodecError::Serde { type_name, .. } if type_name == "steps"));
}
