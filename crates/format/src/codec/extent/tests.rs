use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::codec::{
    Codec, HasCodec, HasOrderedCodec, PostcardCodec, Stamped, StringCodec, TotalF32, TotalF64,
    TtlCodec,
};

fn check<T: HasCodec>(value: &T) {
    check_with(&T::Codec::default(), value);
}

fn check_ordered<T: HasOrderedCodec>(value: &T) {
    check_with(&T::Codec::default(), value);
}

fn check_with<T, C: Codec<T>>(codec: &C, value: &T) {
    let extent = Extent::of(&codec.snapshot()).unwrap();
    let mut bytes = Vec::new();
    codec.encode(value, &mut bytes).unwrap();
    let len = bytes.len();
    bytes.extend_from_slice(b"next");
    let mut input = Input::new(&bytes);
    assert_eq!(extent.take(&mut input).unwrap(), &bytes[..len]);
    assert_eq!(input.rest(), b"next");
    for cut in (0..len).step_by(1 + len / 50) {
        assert!(extent.take(&mut Input::new(&bytes[..cut])).is_err(), "cut at {cut} of {len}");
    }
}

type Deep = (String, Option<Vec<u16>>, (u8, bool, [u8; 3]));

proptest! {
    #[test]
    fn every_value_ends_where_its_codec_says(
        deep: Deep,
        map: BTreeMap<String, Vec<Option<i64>>>,
        flat: BTreeMap<u16, f32>,
        list: Vec<(u128, String)>,
        units in 0..300_usize,
    ) {
        check(&deep);
        let stamped = Stamped { stamp_ms: -1, value: deep.0.clone() };
        check_with(&TtlCodec { value: StringCodec, first_stamp_ms: 0 }, &stamped);
        check(&map);
        check(&flat);
        check(&list);
        check(&vec![(); units]);
        check_with(&PostcardCodec::<Vec<u64>>::new("numbers", 1), &vec![7; units]);
    }

    #[test]
    fn every_ordered_value_ends_where_its_codec_says(
        text: (String, Vec<u8>, Option<(bool, String)>),
        numbers: (u8, u16, u32, u64, u128),
        signed: (i8, i16, i32, i64, i128),
        floats: (f32, f64),
    ) {
        check_ordered(&text);
        check_ordered(&numbers);
        check_ordered(&signed);
        check_ordered(&(signed.0, [7_u8; 3], TotalF32(floats.0), TotalF64(floats.1)));
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let deep = <BTreeMap<String, Vec<Option<Deep>>> as HasCodec>::Codec::default();
        let snapshot = Codec::<BTreeMap<String, Vec<Option<Deep>>>>::snapshot(&deep);
        let _ = Extent::of(&snapshot).unwrap().take(&mut Input::new(&bytes));
    }
}

#[test]
fn a_count_beyond_the_input_is_refused() {
    let list = Extent::Vec(Box::new(Extent::Fixed(0)));
    assert!(list.take(&mut Input::new(&[0xff, 0xff, 0xff, 0x7f])).is_err());
    assert_eq!(list.take(&mut Input::new(&[0x80, 0x80, 4])).unwrap().len(), 3);
}

#[test]
fn an_unknown_codec_is_refused() {
    let mut snapshot = Codec::<u64>::snapshot(&<u64 as HasCodec>::Codec::default());
    assert_eq!(Extent::of(&snapshot).unwrap(), Extent::Fixed(8));
    snapshot.version = 2;
    assert!(Extent::of(&snapshot).is_err());
    snapshot.version = 1;
    snapshot.name = "u256".to_owned();
    assert!(Extent::of(&snapshot).is_err());
}
