//! The bytes follow from Flink's source; no JVM was at hand to make the rows there. The hashes were
//! computed with another implementation of Murmur3, which had given the published values.

use super::*;
use crate::{KeyGroupAssigner, MaxParallelism};

fn bytes_of(fields: &[RowField<'_>]) -> Vec<u8> {
    BinaryRow::new(fields).as_bytes().to_vec()
}

/// Words of 8 bytes, each in the order in which it lies in memory.
fn words(words: &[[u8; 8]]) -> Vec<u8> {
    words.concat()
}

const NO_NULLS: [u8; 8] = [0; 8];

#[test]
fn numbers_lie_at_the_low_end_of_their_word() {
    let row = bytes_of(&[
        RowField::Boolean(true),
        RowField::TinyInt(-2),
        RowField::SmallInt(-2),
        RowField::Int(-2),
        RowField::BigInt(-2),
        RowField::Float(1.0),
        RowField::Double(-0.0),
    ]);
    let expected = words(&[
        NO_NULLS,
        [1, 0, 0, 0, 0, 0, 0, 0],
        [254, 0, 0, 0, 0, 0, 0, 0],
        [254, 255, 0, 0, 0, 0, 0, 0],
        [254, 255, 255, 255, 0, 0, 0, 0],
        [254, 255, 255, 255, 255, 255, 255, 255],
        [0, 0, 0x80, 0x3f, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0x80],
    ]);
    assert_eq!(row, expected);
}

#[test]
fn up_to_seven_bytes_of_text_lie_in_place() {
    let row = bytes_of(&[
        RowField::Text(""),
        RowField::Text("flink"),
        RowField::Bytes(&[1, 2, 3, 4, 5, 6, 7]),
        RowField::Text("eight by"),
        RowField::Bytes(&[9; 9]),
    ]);
    let expected = words(&[
        NO_NULLS,
        [0, 0, 0, 0, 0, 0, 0, 0x80],
        [b'f', b'l', b'i', b'n', b'k', 0, 0, 0x85],
        [1, 2, 3, 4, 5, 6, 7, 0x87],
        [8, 0, 0, 0, 48, 0, 0, 0],
        [9, 0, 0, 0, 56, 0, 0, 0],
        *b"eight by",
        [9; 8],
        [9, 0, 0, 0, 0, 0, 0, 0],
    ]);
    assert_eq!(row, expected);
}

#[test]
fn null_bits_stand_behind_the_row_kind_and_grow_by_words() {
    assert_eq!(bytes_of(&[]), NO_NULLS);
    assert_eq!(bytes_of(&[RowField::Null]), words(&[[0, 1, 0, 0, 0, 0, 0, 0], [0; 8]]));
    for (count, null_words) in [(56, 1), (57, 2), (120, 2), (121, 3)] {
        let mut fields = vec![RowField::Int(0); count];
        *fields.last_mut().unwrap() = RowField::Null;
        let row = bytes_of(&fields);
        assert_eq!(row.len(), 8 * (null_words + count), "{count} fields");
        let set: Vec<usize> =
            (0..8 * row.len()).filter(|bit| row[bit / 8] >> (bit % 8) & 1 == 1).collect();
        assert_eq!(set, [8 + count - 1]);
    }
}

#[test]
fn decimals_are_numbers_up_to_18_digits_and_bytes_beyond() {
    let decimal = |unscaled, precision| RowField::Decimal { unscaled, precision };
    let row = bytes_of(&[
        decimal(Some(-1), 18),
        decimal(None, 18),
        decimal(Some(-1), 19),
        decimal(Some(128), 38),
        decimal(None, 38),
    ]);
    let (filled, at) = ([0; 8], |len, offset| [len, 0, 0, 0, offset, 0, 0, 0]);
    let expected = words(&[
        [0, 0b1_0010, 0, 0, 0, 0, 0, 0],
        [255; 8],
        [0; 8],
        at(1, 48),
        at(2, 64),
        at(0, 80),
        [255, 0, 0, 0, 0, 0, 0, 0],
        filled,
        [0, 128, 0, 0, 0, 0, 0, 0],
        filled,
        filled,
        filled,
    ]);
    assert_eq!(row, expected);
}

#[test]
fn big_numbers_have_the_bytes_of_java() {
    let cases: [(i128, &[u8]); 8] = [
        (0, &[0]),
        (127, &[127]),
        (128, &[0, 128]),
        (-128, &[128]),
        (-129, &[255, 127]),
        (-1, &[255]),
        (256, &[1, 0]),
        (i128::MIN, &[128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ];
    for (number, bytes) in cases {
        assert_eq!(shortest(&number.to_be_bytes()), bytes, "{number}");
    }
}

#[test]
fn timestamps_are_milliseconds_up_to_3_digits_and_have_a_word_more_beyond() {
    let timestamp = |time, precision| RowField::Timestamp { time, precision };
    let row = bytes_of(&[
        timestamp(Some((-1, 999)), 3),
        timestamp(Some((2, 999_999)), 9),
        timestamp(None, 6),
        timestamp(None, 0),
    ]);
    let expected = words(&[
        [0, 0b1100, 0, 0, 0, 0, 0, 0],
        [255; 8],
        [0x3f, 0x42, 0x0f, 0, 40, 0, 0, 0],
        [0, 0, 0, 0, 48, 0, 0, 0],
        [0; 8],
        [2, 0, 0, 0, 0, 0, 0, 0],
        [0; 8],
    ]);
    assert_eq!(row, expected);
}

#[test]
fn the_hash_is_murmur3_with_seed_42() {
    let cases = [
        (&[][..], -1_670_924_195),
        (&[RowField::Int(1)], 1_465_514_398),
        (&[RowField::BigInt(-1)], -821_098_432),
        (&[RowField::Null], -1_748_325_344),
        (&[RowField::Text("")], 302_122_119),
        (&[RowField::Text("flink")], 36_939_213),
        (&[RowField::Text("streaming")], -1_454_436_399),
    ];
    for (fields, hash) in cases {
        assert_eq!(BinaryRow::new(fields).java_hash(), hash, "{fields:?}");
    }
}

#[test]
fn an_assigner_hashes_the_row_of_a_key() {
    let assigner: KeyGroupAssigner<(i64, String)> = KeyGroupAssigner::Flink(|key| {
        BinaryRow::new(&[RowField::BigInt(key.0), RowField::Text(&key.1)]).java_hash()
    });
    let (key, max) = ((7, "seven".to_owned()), MaxParallelism::new(128).unwrap());
    let row = BinaryRow::new(&[RowField::BigInt(7), RowField::Text("seven")]);
    let group = crate::key_hash::flink_key_group(row.java_hash(), max);
    assert_eq!(assigner.assign(&key, &[], max), group);
}
