use super::*;
use alluvium_format::codec::{
    Codec, DefaultCodec, DefaultOrderedCodec, FixedBytesCodec, HasCodec, HasOrderedCodec, TotalF64,
};

#[expect(clippy::needless_pass_by_value, reason = "a table of values reads better")]
fn json<T: HasCodec>(value: T) -> String {
    let mut bytes = Vec::new();
    let codec = T::Codec::default();
    codec.encode(&value, &mut bytes).unwrap();
    JsonCodec::of(&codec.snapshot()).unwrap().render(&bytes).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "a table of values reads better")]
fn ordered<T: HasOrderedCodec>(value: T) -> String {
    let mut bytes = Vec::new();
    Codec::<T>::encode(&DefaultOrderedCodec, &value, &mut bytes).unwrap();
    let snapshot = Codec::<T>::snapshot(&DefaultOrderedCodec);
    JsonCodec::of(&snapshot).unwrap().render(&bytes).unwrap()
}

#[test]
fn values_of_every_codec() {
    assert_eq!(json(258_u16), "258");
    assert_eq!(json(u128::MAX), u128::MAX.to_string());
    for (found, expected) in [
        (json(-2_i8), "-2"),
        (json(i64::MIN), "-9223372036854775808"),
        (json(i128::MIN), "-170141183460469231731687303715884105728"),
        (json(1.5_f64), "1.5"),
        (json(-0.0_f64), "-0.0"),
        (json(f32::NAN), "\"NaN\""),
        (json(f64::NEG_INFINITY), "\"-Infinity\""),
        (json(true), "true"),
        (json("Zürich \"\\\n\u{1}".to_owned()), "\"Zürich \\\"\\\\\\n\\u0001\""),
        (json(bytes::Bytes::from_static(&[0, 255])), "\"00ff\""),
        (json(()), "null"),
        (json(Some(7_u8)), "7"),
        (json(None::<u8>), "null"),
        (json(vec![1_u16, 2]), "[1, 2]"),
        (json((1_u8, "a".to_owned(), vec![(); 3])), "[1, \"a\", [null, null, null]]"),
        (json(std::collections::BTreeMap::from([(1_u8, true)])), "[[1, true]]"),
        (ordered(-2_i64), "-2"),
        (ordered(258_u16), "258"),
        (ordered(TotalF64(-1.5)), "-1.5"),
        (ordered(TotalF64(1.5)), "1.5"),
        (ordered("Zü\u{0}\u{1}".to_owned()), "\"Zü\\u0000\\u0001\""),
    ] {
        assert_eq!(found, expected);
    }
    let fixed = Codec::<[u8; 3]>::snapshot(&FixedBytesCodec::<3>);
    assert_eq!(JsonCodec::of(&fixed).unwrap().render(&[1, 0, 255]).unwrap(), "\"0100ff\"");
}

fn refusal(snapshot: &CodecSnapshot, bytes: &[u8]) -> CodecError {
    JsonCodec::of(snapshot).unwrap().render(bytes).unwrap_err()
}

#[test]
fn bytes_that_no_codec_writes_are_refused() {
    let snapshot = Codec::<bool>::snapshot(&DefaultCodec);
    assert!(matches!(refusal(&snapshot, &[2]), CodecError::Invalid { .. }));
    assert!(matches!(refusal(&snapshot, &[1, 1]), CodecError::TrailingBytes { .. }));
    let snapshot = Codec::<String>::snapshot(&DefaultCodec);
    assert!(matches!(refusal(&snapshot, &[1, 255]), CodecError::Invalid { .. }));
    assert!(matches!(refusal(&snapshot, &[200, 255]), CodecError::Truncated { .. }));
    let snapshot = Codec::<std::collections::BTreeMap<u8, bool>>::snapshot(&DefaultCodec);
    assert!(matches!(refusal(&snapshot, &[2, 1, 0, 1, 1]), CodecError::Invalid { .. }));
    let unknown = CodecSnapshot { name: "unknown".to_owned(), ..snapshot };
    assert!(JsonCodec::of(&unknown).is_err());
}

/// 65,536 items in each of three bytes would be a bomb of 1 : 100,000.
#[test]
fn items_without_bytes_do_not_explode() {
    let snapshot = Codec::<Vec<Vec<()>>>::snapshot(&DefaultCodec);
    let inner = [0x80, 0x80, 4];
    let mut bytes = vec![100];
    bytes.extend(inner.repeat(100));
    assert!(matches!(refusal(&snapshot, &bytes), CodecError::Invalid { .. }));
    bytes.truncate(4);
    bytes[0] = 1;
    assert!(JsonCodec::of(&snapshot).unwrap().render(&bytes).is_ok());
}
