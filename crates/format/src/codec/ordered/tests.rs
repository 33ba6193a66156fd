use std::fmt::Debug;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::codec::{NumberCodec, PostcardCodec, StringCodec, decoder_for};

fn encode<T: HasOrderedCodec>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    T::Codec::default().encode(value, &mut out).unwrap();
    out
}

/// Both values come back; their bytes compare as they do, and neither begins with the other's.
fn check<T: HasOrderedCodec + Debug>(a: &T, b: &T) {
    let (one, other) = (encode(a), encode(b));
    assert_eq!(one.cmp(&other), a.cmp(b), "{a:?} {one:x?}, {b:?} {other:x?}");
    assert_eq!(one.starts_with(&other), a == b, "{a:?} {one:x?}, {b:?} {other:x?}");
    for (value, bytes) in [(a, one), (b, other)] {
        let len = bytes.len();
        let followed = [bytes.as_slice(), b"\0\xff\x01"].concat();
        let mut input = Input::new(&followed);
        assert_eq!(
            T::Codec::default().decode(&mut input).unwrap().cmp(value),
            std::cmp::Ordering::Equal
        );
        assert_eq!(input.offset(), len, "{value:?} ends where its bytes end");
        for cut in 0..len {
            let cut = T::Codec::default().decode(&mut Input::new(&bytes[..cut]));
            assert!(matches!(cut, Err(CodecError::Truncated { .. })), "{value:?}");
        }
    }
}

/// Every pair of some values that are likely to be in a wrong order.
fn check_all<T: HasOrderedCodec + Debug>(values: &[T]) {
    for a in values {
        for b in values {
            check(a, b);
        }
    }
    assert!(is_ordered(&T::Codec::default().snapshot()));
}

#[test]
fn values_at_borders_are_in_order() {
    check_all(&[0_u8, 1, 127, 128, 255]);
    check_all(&[0_u16, 1, 255, 256, u16::MAX]);
    check_all(&[0_u32, 255, 256, 1 << 31, u32::MAX]);
    check_all(&[0_u64, 255, 256, 1 << 63, u64::MAX]);
    check_all(&[0_u128, 255, 256, 1 << 127, u128::MAX]);
    check_all(&[i8::MIN, -1, 0, 1, i8::MAX]);
    check_all(&[i16::MIN, -256, -1, 0, 1, 256, i16::MAX]);
    check_all(&[i32::MIN, -256, -1, 0, 1, 256, i32::MAX]);
    check_all(&[i64::MIN, -256, -1, 0, 1, 256, i64::MAX]);
    check_all(&[i128::MIN, -256, -1, 0, 1, 256, i128::MAX]);
    check_all(&[false, true]);
    check_all(&[()]);
    check_all(&[[0_u8, 255], [1, 0], [1, 1]]);
    let texts = [
        "",
        "\0",
        "\0\0",
        "\0\u{1}",
        "\u{1}",
        "\u{1}\0",
        "\u{2}",
        "a",
        "a\0",
        "a\u{1}",
        "ab",
        "\u{7f}",
        "\u{e9}",
        "\u{ffff}",
        "\u{1f600}",
    ];
    let texts = texts.map(str::to_owned);
    check_all(&texts);
    check_all(&texts.clone().map(String::into_bytes));
    check_all(&[vec![255], vec![255, 0], vec![255, 255], vec![1, 255], vec![0, 255], vec![2]]);
    check_all(&texts.clone().map(Bytes::from));
    check_all(&texts.clone().map(Some).into_iter().chain([None]).collect::<Vec<_>>());
    check_all(&[Some(()), None]);
    check_all(&[Some(Some(0_u8)), Some(Some(1)), Some(None), None]);
    let pairs: Vec<_> =
        texts.iter().flat_map(|text| [(text.clone(), -1_i8), (text.clone(), 0)]).collect();
    check_all(&pairs);
}

#[test]
fn floats_are_in_total_order() {
    let nan = f64::from_bits(0x7ff8_0000_0000_0001);
    let values = [
        f64::NAN.copysign(-1.0),
        f64::NEG_INFINITY,
        f64::MIN,
        -1.5,
        -f64::MIN_POSITIVE,
        -5e-324,
        -0.0,
        0.0,
        5e-324,
        1.5,
        f64::MAX,
        f64::INFINITY,
        f64::NAN,
        nan,
    ];
    check_all(&values.map(TotalF64));
    assert!(values.map(TotalF64).is_sorted());
    let narrow =
        [f32::NAN.copysign(-1.0), f32::MIN, -0.0, 0.0, f32::MIN_POSITIVE, f32::INFINITY, f32::NAN];
    check_all(&narrow.map(TotalF32));
    assert!(narrow.map(TotalF32).is_sorted());
    assert_ne!(TotalF64(0.0), TotalF64(-0.0));
    assert_eq!(TotalF64(f64::NAN), TotalF64(f64::NAN));
}

type Deep = (Option<String>, Vec<u8>, (i16, [u8; 3]), bool, Option<(u64, String)>);

proptest! {
    #[test]
    fn bytes_are_in_the_order_of_values(
        deep: (Deep, Deep),
        numbers: ((u8, u16, u32, u64, u128), (u8, u16, u32, u64, u128)),
        signed: ((i8, i16, i32, i64, i128), (i8, i16, i32, i64, i128)),
        floats: ((u64, u32), (u64, u32)),
        close in (proptest::collection::vec(0_u8..3, 0..5), proptest::collection::vec(0_u8..3, 0..5)),
    ) {
        check(&deep.0, &deep.1);
        check(&numbers.0, &numbers.1);
        check(&signed.0, &signed.1);
        check(&TotalF64(f64::from_bits(floats.0.0)), &TotalF64(f64::from_bits(floats.1.0)));
        check(&TotalF32(f32::from_bits(floats.0.1)), &TotalF32(f32::from_bits(floats.1.1)));
        check(&close.0, &close.1);
        check(&Bytes::from(close.0.clone()), &Bytes::from(close.1.clone()));
        let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
        check(&(text(&close.0), deep.0.1.clone()), &(text(&close.1), deep.1.1.clone()));
    }

    #[test]
    fn random_bytes_never_panic_and_have_one_form(bytes in proptest::collection::vec(0_u8..4, 0..24)) {
        let mut input = Input::new(&bytes);
        if let Ok(value) = <Deep as HasOrderedCodec>::Codec::default().decode(&mut input) {
            let value: Deep = value;
            assert_eq!(encode(&value), &bytes[..input.offset()]);
        }
    }
}

#[test]
fn escapes_that_nobody_writes_are_refused() {
    for bytes in [[1, 0, 0, 0], [1, 3, 0, 0], [2, 1, 0, 0]] {
        let refused = OrderedStringCodec.decode(&mut Input::new(&bytes));
        assert!(
            matches!(refused, Err(CodecError::Invalid { what: "ordered_string", .. })),
            "{bytes:?}"
        );
    }
    let not_utf8 = OrderedStringCodec.decode(&mut Input::new(&[0xc3, 0x28, 0]));
    assert!(matches!(not_utf8, Err(CodecError::Invalid { reason: "not UTF-8", .. })));
}

#[test]
fn wider_integers_read_narrower_ones_after_migration() {
    let stored = Codec::<(u16, i32)>::snapshot(&DefaultOrderedCodec);
    let codec = <(u64, i64) as HasOrderedCodec>::Codec::default();
    let decoder = decoder_for::<(u64, i64), _>(&codec, &stored).unwrap();
    let bytes = encode(&(500_u16, -7_i32));
    assert_eq!(decoder.decode_value(&mut Input::new(&bytes)).unwrap(), (500, -7));
    let wide = OrderedNumberCodec::<i16>::default();
    assert_eq!(wide.resolve(&NumberCodec::<u8>::default().snapshot()).answer(), "after migration");
    assert_eq!(
        wide.resolve(&OrderedNumberCodec::<u8>::default().snapshot()).answer(),
        "after migration"
    );
    assert_eq!(wide.resolve(&wide.snapshot()).answer(), "as is");
    for other in
        [NumberCodec::<i16>::default().snapshot(), Codec::<i32>::snapshot(&DefaultOrderedCodec)]
    {
        assert_eq!(wide.resolve(&other).answer(), "incompatible", "{other}");
    }
    assert_eq!(OrderedStringCodec.resolve(&StringCodec.snapshot()).answer(), "incompatible");
}

#[test]
fn codecs_without_an_order_are_told_apart() {
    let unordered = [
        Codec::<(u8, u16)>::snapshot(&crate::codec::DefaultCodec),
        StringCodec.snapshot(),
        Codec::<Option<i8>>::snapshot(&crate::codec::DefaultCodec),
        Codec::<Vec<u8>>::snapshot(&crate::codec::DefaultCodec),
        PostcardCodec::<u64>::new("ordered", 1).snapshot(),
    ];
    assert!(unordered.iter().all(|snapshot| !is_ordered(snapshot)));
    assert!(is_ordered(&Codec::<Deep>::snapshot(&DefaultOrderedCodec)));
}

#[test]
fn entries_of_sorted_maps_are_in_ascending_order() {
    let read = |bytes: &[u8]| {
        let mut found = Vec::new();
        let codec = OrderedNumberCodec::<i8>::default();
        let keys = |input: &mut Input<'_>| codec.decode(input);
        let values = |input: &mut Input<'_>| input.u8("value");
        decode_sorted_entries(keys, values, &mut Input::new(bytes), |k, v| found.push((k, v)))
            .map(|()| found)
    };
    assert_eq!(read(&[2, 0x7f, 7, 0x80, 8]).unwrap(), [(-1, 7), (0, 8)]);
    assert_eq!(read(&[0]).unwrap(), []);
    for wrong in [[2, 0x80, 7, 0x7f, 8], [2, 0x80, 7, 0x80, 7]] {
        assert!(matches!(
            read(&wrong),
            Err(CodecError::Invalid { what: "sorted map", offset: 3, .. })
        ));
    }
}
