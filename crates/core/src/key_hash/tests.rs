use super::*;
use crate::{Parallelism, java_hash_of_big_integer, java_hash_of_utf16};

const VECTORS: &str = include_str!("../../../../tests/vectors/flink-key-groups.tsv");

/// UTF-16 units of a JSON string literal, lone surrogates included.
fn utf16_of_json(json: &str) -> Vec<u16> {
    let inner = json.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
    let mut units = Vec::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend(c.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        match chars.next().unwrap() {
            'u' => {
                let hex: String = chars.by_ref().take(4).collect();
                units.push(u16::from_str_radix(&hex, 16).unwrap());
            }
            plain @ ('"' | '\\') => units.push(plain as u16),
            other => panic!("escape {other} is not in the vectors"),
        }
    }
    units
}

fn big_integer(decimal: &str) -> i32 {
    let (is_negative, digits) =
        decimal.strip_prefix('-').map_or((false, decimal), |digits| (true, digits));
    let magnitude = digits.parse::<u128>().unwrap().to_be_bytes();
    let significant = magnitude.iter().position(|&b| b != 0).unwrap_or(magnitude.len());
    java_hash_of_big_integer(is_negative, &magnitude[significant..])
}

fn java_hash(kind: &str, key: &str, raw_bits: &str) -> i32 {
    let bits = || u64::from_str_radix(raw_bits.trim_start_matches("0x"), 16).unwrap();
    match kind {
        "long" => key.parse::<i64>().unwrap().java_hash(),
        "integer" => key.parse::<i32>().unwrap().java_hash(),
        "short" => key.parse::<i16>().unwrap().java_hash(),
        "byte" => key.parse::<i8>().unwrap().java_hash(),
        "boolean" => key.parse::<bool>().unwrap().java_hash(),
        "character" => utf16_of_json(key)[0].java_hash(),
        "string" => java_hash_of_utf16(utf16_of_json(key)),
        "double" => f64::from_bits(bits()).java_hash(),
        "float" => f32::from_bits(u32::try_from(bits()).unwrap()).java_hash(),
        "biginteger" => big_integer(key),
        "tuple2<long,string>" => {
            let inner = key.strip_prefix('[').unwrap().strip_suffix(']').unwrap();
            let (number, text) = inner.split_once(',').unwrap();
            let text = String::from_utf16(&utf16_of_json(text)).unwrap();
            (number.parse::<i64>().unwrap(), text).java_hash()
        }
        other => panic!("type {other} is not known"),
    }
}

#[test]
fn every_vector_of_flink_2_3() {
    let mut checked = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let f: Vec<&str> = line.split('\t').collect();
        let code = java_hash(f[0], f[1], f[2]);
        assert_eq!(code.to_string(), f[3], "hash code: {line}");
        assert_eq!(flink_murmur(code).to_string(), f[4], "murmur: {line}");
        for (max, group, operator) in [(128, f[5], f[7]), (4096, f[6], f[8])] {
            let max = MaxParallelism::new(max).unwrap();
            let found = flink_key_group(code, max);
            assert_eq!(found.to_string(), group, "{line}");
            let owner = Parallelism::new(3, max).unwrap().owner_of(found);
            assert_eq!(owner.to_string(), operator, "{line}");
        }
        checked += 1;
    }
    assert_eq!(checked, 120, "lines of the vector file");
}

/// (key hash, max parallelism, key group, parallelism, owner) of the table in section 3 of the
/// reference.
#[test]
fn the_table_of_the_reference() {
    let surrogate_pair = java_hash_of_utf16("\u{1f600}".encode_utf16());
    let rows = [
        (0_i32.java_hash(), 128, 94, 4, 2),
        ((-1_i32).java_hash(), 128, 80, 3, 1),
        (42_i32.java_hash(), 32768, 28189, 7, 6),
        (i32::MIN.java_hash(), 128, 108, 4, 3),
        (4_294_967_297_i64.java_hash(), 128, 94, 4, 2),
        (1_234_567_890_123_i64.java_hash(), 4096, 3420, 10, 8),
        ("".java_hash(), 128, 94, 4, 2),
        ("hello".java_hash(), 128, 35, 3, 0),
        ("flink".java_hash(), 720, 594, 7, 5),
        ("Zürich".java_hash(), 128, 89, 4, 2),
        (surrogate_pair, 128, 54, 4, 1),
        (true.java_hash(), 128, 77, 2, 1),
        (3.5_f64.java_hash(), 128, 47, 4, 1),
        (1.5_f32.java_hash(), 128, 70, 4, 2),
        (5_i8.java_hash(), 128, 126, 4, 3),
        ((-3_i16).java_hash(), 128, 44, 4, 1),
        (u16::from(b'x').java_hash(), 128, 55, 4, 1),
        (("a".to_owned(), 1_i32).java_hash(), 128, 29, 4, 0),
        ((7_i64, "b".to_owned()).java_hash(), 128, 1, 4, 0),
    ];
    for (row, (code, max, group, parallelism, owner)) in rows.into_iter().enumerate() {
        let max = MaxParallelism::new(max).unwrap();
        let found = flink_key_group(code, max);
        assert_eq!(found.get(), group, "row {row}");
        let parallelism = Parallelism::new(parallelism, max).unwrap();
        assert_eq!(parallelism.owner_of(found).get(), owner, "row {row}");
    }
}

/// Published vectors of XXH64 with seed 0, and their key groups: these are in SPEC 3.2.
#[test]
fn the_stable_hash_never_changes() {
    let max = MaxParallelism::new(128).unwrap();
    let vectors: [(&[u8], u64); 4] = [
        (b"", 0xef46_db37_51d8_e999),
        (b"a", 0xd24e_c4f1_a98c_6e5b),
        (b"abc", 0x44bc_2cf5_ad77_0999),
        (b"The quick brown fox jumps over the lazy dog", 0x0b24_2d36_1fda_71bc),
    ];
    for (key, hash) in vectors {
        assert_eq!(stable_hash(key), hash);
        assert_eq!(u64::from(stable_key_group(key, max).get()), hash % 128);
    }
}

#[test]
fn assigners_keep_their_names() {
    for name in [AssignerName::Stable, AssignerName::Flink] {
        assert_eq!(AssignerName::from_code(name.code()), Some(name));
    }
    assert_eq!(AssignerName::from_code(0), None);
    let max = MaxParallelism::new(128).unwrap();
    let flink = KeyGroupAssigner::<String>::flink();
    assert_eq!(flink.name(), AssignerName::Flink);
    assert_eq!(flink.assign(&"hello".to_owned(), b"unused", max).get(), 35);
    let stable = KeyGroupAssigner::<String>::Stable;
    assert_eq!(stable.assign(&String::new(), b"", max), stable_key_group(b"", max));
}

/// Numbers far apart, those at the ends among them.
fn numbers() -> impl Iterator<Item = u64> {
    let spread = (0..10_000_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    spread.chain([1, u64::MAX - 1, u64::MAX])
}

#[test]
fn eight_bytes_are_hashed_as_any_others() {
    for number in numbers() {
        let bytes = number.to_le_bytes();
        assert_eq!(stable_hash(&bytes), xxh64(&bytes, 0), "{number}");
    }
}

#[test]
fn a_key_group_is_the_remainder_for_every_max() {
    for max in 1..=crate::MAX_KEY_GROUPS {
        for number in [0, 1, 0x8000, 0x1234_5678_9abc_def0, u64::MAX] {
            let group = KeyGroup::of_hash(number, MaxParallelism::new(max).unwrap());
            assert_eq!(u64::from(group.get()), number % u64::from(max), "{number} of {max}");
        }
    }
}
