//! SPEC.md says what the code does: its tables, vectors and worked example are run here.

#![expect(clippy::unwrap_used, reason = "functions that the tests share are not tests to clippy")]

use std::collections::BTreeMap;
use std::fmt::Debug;

use alluvium_core::key_hash::{flink_key_group, flink_murmur, stable_hash, stable_key_group};
use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, JavaHash, MaxParallelism, OperatorUid, SubtaskIndex,
};
use alluvium_format::codec::{
    BytesCodec, Codec, CodecSnapshot, FixedBytesCodec, HasCodec, HasOrderedCodec, Input,
    NumberCodec, Stamped, StringCodec, TotalF64, TtlCodec, UnitCodec,
};
use alluvium_format::envelope::{self, StreamIdentity, StreamKind};
use alluvium_format::keyed::{
    HashSeedRun, KeyedHeader, StateKind, StateMeta, TimeDomain, ordered_time,
};
use bytes::Bytes;

#[path = "spec/example.rs"]
mod example;
#[path = "spec/fields.rs"]
mod fields;
#[path = "spec/keyed.rs"]
mod keyed;
#[path = "spec/metadata.rs"]
mod metadata;
#[path = "spec/operator.rs"]
mod operator;
#[path = "spec/sst.rs"]
mod sst;

/// The bytes whose checksum section 1.3 gives.
const CHECKED: &[u8] = b"123456789";
const SPEC: &str = include_str!("../../../SPEC.md");

/// The text under the heading of a number, up to the next heading of any level.
fn section(number: &str) -> &'static str {
    let is_own = |line: &&str| {
        let title = line.trim_start_matches('#');
        title.len() < line.len() && title.trim_start().starts_with(&format!("{number} "))
    };
    let heading = SPEC.lines().find(is_own);
    let Some(heading) = heading else { panic!("SPEC.md has no section {number}") };
    let (_, after) = SPEC.split_once(heading).unwrap();
    after.split("\n#").next().unwrap()
}

/// The cells of the table of a section that has these titles, without the row of titles.
fn table<const N: usize>(number: &str, titles: [&str; N]) -> Vec<[&'static str; N]> {
    let mut rows = section(number)
        .lines()
        .map(|line| {
            let cells = line.strip_prefix('|')?.strip_suffix('|')?.split('|');
            let cells: Vec<_> = cells.map(|cell| cell.trim().trim_matches('`')).collect();
            <[&str; N]>::try_from(cells).ok()
        })
        .skip_while(|row| *row != Some(titles));
    assert!(rows.next().is_some(), "section {number} has no table {titles:?}");
    let rows: Vec<_> = rows.map_while(|row| row).skip(1).collect();
    assert!(!rows.is_empty(), "table {titles:?} of section {number} is empty");
    rows
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    assert!(digits.len().is_multiple_of(2), "whole bytes: {hex}");
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn number<T: std::str::FromStr<Err: Debug>>(cell: &str) -> T {
    cell.replace(',', "").parse().unwrap()
}

/// Offset and size of each field, in the order of the document.
fn layout(section: &str) -> Vec<(usize, usize, &'static str)> {
    table(section, ["offset", "size", "field", "meaning"])
        .into_iter()
        .map(|[offset, size, field, _]| (number(offset), number(size), field))
        .collect()
}

#[test]
fn the_header_and_the_footer_are_laid_out_as_the_code_says() {
    let header = [
        (envelope::MAGIC_OFFSET, 8, "magic"),
        (envelope::KIND_OFFSET, 2, "kind"),
        (envelope::VERSION_OFFSET, 2, "version"),
        (envelope::COMPATIBLE_FEATURES_OFFSET, 4, "compatible features"),
        (envelope::INCOMPATIBLE_FEATURES_OFFSET, 4, "incompatible features"),
        (envelope::SUBTASK_OFFSET, 4, "subtask"),
        (envelope::CHECKPOINT_OFFSET, 8, "checkpoint"),
        (envelope::ATTEMPT_OFFSET, 4, "attempt"),
        (envelope::HEADER_CHECKSUM_OFFSET, 4, "header checksum"),
    ];
    assert_eq!(layout("4.2"), header);
    assert!(section("4.2").contains(&format!("The header has {} bytes.", envelope::HEADER_LEN)));
    let version = format!("u16: {}", envelope::VERSION);
    assert!(section("4.2").contains(&format!("| 10 | 2 | version | {version} |")));
    assert!(SPEC.starts_with(&format!("# Alluvium formats, version {}\n", envelope::VERSION)));
    let footer = [
        (envelope::INDEX_OFFSET_OFFSET, 8, "index offset"),
        (envelope::INDEX_LEN_OFFSET, 8, "index length"),
        (envelope::INDEX_CHECKSUM_OFFSET, 4, "index checksum"),
        (envelope::SEAL_OFFSET, 4, "seal"),
    ];
    assert_eq!(layout("4.3"), footer);
    assert!(section("4.3").contains(&format!("The footer has {} bytes.", envelope::FOOTER_LEN)));
    for (kind, code) in table("4.5", ["kind", "stream", "section"]).iter().zip([
        StreamKind::Metadata,
        StreamKind::Keyed,
        StreamKind::Operator,
        StreamKind::SstIndex,
    ]) {
        assert_eq!(number::<u16>(kind[0]), code.code(), "{}", kind[1]);
        assert!(kind[1].contains(&code.to_string()) || code == StreamKind::Metadata);
    }
}

#[test]
fn codes_of_state_kinds_and_assigners() {
    let kinds = [
        (StateKind::Value, "value"),
        (StateKind::List, "list"),
        (StateKind::Map, "map"),
        (StateKind::Reducing, "reducing"),
        (StateKind::Aggregating, "aggregating"),
        (StateKind::Timers, "timers"),
        (StateKind::SortedMap, "sorted map"),
        (StateKind::LongList, "long list"),
    ];
    let rows = table("6.3", ["code", "kind", "value codec"]);
    assert_eq!(rows.len(), kinds.len());
    for ([code, name, _], (kind, expected)) in rows.into_iter().zip(kinds) {
        assert_eq!((number::<u8>(code), name), (kind.code(), expected));
    }
    let domains = table("6.3", ["code", "time domain"]);
    assert_eq!(domains.len(), TimeDomain::ALL.len());
    for ([code, name], domain) in domains.into_iter().zip(TimeDomain::ALL) {
        assert_eq!((number::<u8>(code), name), (domain.code(), domain.to_string().as_str()));
        assert_eq!(TimeDomain::from_code(domain.code()), Some(domain));
    }
    for [code, name, _] in table("3.2", ["code", "name", "key group"]) {
        assert_eq!(AssignerName::from_code(number(code)).unwrap().to_string(), name);
    }
}

#[test]
fn timers_are_written_as_the_examples_are() {
    let spaced = |bytes: &[u8]| {
        let hex: Vec<_> = bytes.iter().map(|byte| to_hex(&[*byte])).collect();
        format!("`{}`", hex.join(" "))
    };
    let event = TimeDomain::EventTime.code();
    let (_, key) = encode(&"a".to_owned());
    let (_, timer) = encode(&(event, 1_000_i64, ()));
    let entry = spaced(&[key.as_slice(), &timer].concat());
    assert!(section("6.3").contains(&entry), "{entry}");
    let row = spaced(&[&[5, event], ordered_time(1_000).as_slice(), &key].concat());
    assert!(section("12.3").contains(&row), "{row}");
}

fn encode<T: HasCodec + PartialEq + Debug>(value: &T) -> (String, Vec<u8>) {
    encode_with(&T::Codec::default(), value)
}

fn encode_ordered<T: HasOrderedCodec + PartialEq + Debug>(value: &T) -> (String, Vec<u8>) {
    encode_with(&T::Codec::default(), value)
}

#[test]
fn rows_of_sorted_maps_and_long_lists_are_written_as_the_examples_are() {
    let (_, key) = encode(&"a".to_owned());
    let (_, user_key) = encode_ordered(&7_u16);
    for rest in [user_key, 2_u64.to_be_bytes().to_vec()] {
        let row = [&[0, 5], key.as_slice(), &rest].concat();
        let hex: Vec<_> = row.iter().map(|byte| to_hex(&[*byte])).collect();
        assert!(section("12.3").contains(&format!("`{}`", hex.join(" "))), "{hex:?}");
    }
}

/// Bytes of a value, which must come back from them.
fn encode_with<T: PartialEq + Debug>(codec: &impl Codec<T>, value: &T) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    codec.encode(value, &mut bytes).unwrap();
    let mut input = Input::new(&bytes);
    assert_eq!(&codec.decode(&mut input).unwrap(), value);
    assert!(input.is_empty());
    (codec.snapshot().to_string(), bytes)
}

#[test]
fn the_codec_vectors() {
    let rows = table("5.3", ["codec", "value", "bytes (hex)"]);
    assert_eq!(rows.len(), 20, "rows of the table");
    for [codec, value, hex] in rows {
        let pair = || value.split_once(", ").unwrap();
        let (name, bytes) = match codec {
            "u16" => encode(&number::<u16>(value)),
            "i64" => encode(&number::<i64>(value)),
            "f64" => encode(&number::<f64>(value)),
            "bool" => encode(&number::<bool>(value)),
            "string" => encode(&value.to_owned()),
            "bytes" if value == "the bytes 00 and ff" => encode(&Bytes::from_static(&[0, 255])),
            "fixed_bytes(3)" if value == "the bytes 01, 00 and ff" => encode(&[1_u8, 0, 255]),
            "unit" => encode(&()),
            "option<u8>" if value == "none" => encode(&None::<u8>),
            "option<u8>" => encode(&Some(number::<u8>(value))),
            "vec<u16>" => encode(&value.split(", ").map(number).collect::<Vec<u16>>()),
            "map<u8, bool>" if value == "1 is true" => encode(&BTreeMap::from([(1_u8, true)])),
            "tuple<u8, string>" => encode(&(number::<u8>(pair().0), pair().1.to_owned())),
            "ordered_u16" => encode_ordered(&number::<u16>(value)),
            "ordered_i64" => encode_ordered(&number::<i64>(value)),
            "ordered_f64" => encode_ordered(&TotalF64(number(value))),
            "ordered_string" => encode_ordered(&value.to_owned()),
            "ordered_bytes" if value == "the bytes 00, 01 and ff" => {
                encode_ordered(&vec![0_u8, 1, 255])
            }
            "ttl<u8>" if value == "7 at 1,000 ms" => {
                let codec = TtlCodec { value: NumberCodec::<u8>::default(), first_stamp_ms: 0 };
                let (stamped, mut bytes) = (Stamped { stamp_ms: 1_000, value: 7 }, Vec::new());
                codec.encode(&stamped, &mut bytes).unwrap();
                assert_eq!(codec.decode(&mut Input::new(&bytes)).unwrap(), stamped);
                (codec.snapshot().to_string(), bytes)
            }
            _ => panic!("no code for {codec} {value}"),
        };
        assert_eq!((name.as_str(), to_hex(&bytes).as_str()), (codec, hex));
    }
}

#[test]
fn the_codec_snapshots() {
    let of_type = |name: &str, type_name: &[u8], version: u8| CodecSnapshot {
        name: name.to_owned(),
        version: 1,
        parameters: [&[5, 0], type_name, &[version, 0, 0, 0]].concat(),
        children: Vec::new(),
    };
    let snapshots = [
        NumberCodec::<u64>::default().snapshot(),
        StringCodec.snapshot(),
        BytesCodec.snapshot(),
        FixedBytesCodec::<16>.snapshot(),
        <BTreeMap<String, Vec<u8>> as HasCodec>::Codec::default().snapshot_of::<String, Vec<u8>>(),
        <(u8, Option<bool>) as HasCodec>::Codec::default().snapshot(),
        of_type("postcard", b"visit", 1),
        of_type("user", b"visit", 2),
    ];
    let rows = table("5.1", ["codec", "snapshot (hex)"]);
    assert_eq!(rows.len(), snapshots.len(), "rows of the table");
    for ([codec, hex], snapshot) in rows.into_iter().zip(snapshots) {
        let mut bytes = Vec::new();
        snapshot.encode(&mut bytes).unwrap();
        assert_eq!((snapshot.to_string().as_str(), to_hex(&bytes)), (codec, to_hex(&unhex(hex))));
        assert_eq!(CodecSnapshot::decode(&mut Input::new(&unhex(hex))).unwrap(), snapshot);
    }
}

#[test]
fn the_vectors_of_the_stable_assigner() {
    let rows = table("3.2", ["bytes (hex)", "XXH64", "mod 128", "mod 32768"]);
    assert!(rows.len() >= 9, "rows of the table");
    for [bytes, hash, mod_128, mod_32768] in rows {
        let bytes = unhex(bytes);
        assert_eq!(format!("{:016x}", stable_hash(&bytes)), hash);
        for (max, group) in [(128, mod_128), (32768, mod_32768)] {
            let max = MaxParallelism::new(max).unwrap();
            assert_eq!(stable_key_group(&bytes, max).get(), number::<u16>(group), "{hash}");
        }
    }
}

#[test]
fn the_vectors_of_the_flink_assigner() {
    let rows = table("3.2", ["Java type", "key", "hash code", "murmur", "mod 128", "mod 4096"]);
    assert_eq!(rows.len(), 16, "rows of the table");
    for [java, key, code, murmur, mod_128, mod_4096] in rows {
        let found = match java {
            "Byte" => number::<i8>(key).java_hash(),
            "Short" => number::<i16>(key).java_hash(),
            "Integer" => number::<i32>(key).java_hash(),
            "Character" => number::<u16>(key).java_hash(),
            "Long" => number::<i64>(key).java_hash(),
            "Boolean" => number::<bool>(key).java_hash(),
            "Float" => number::<f32>(key).java_hash(),
            "Double" => number::<f64>(key).java_hash(),
            "String" => key.java_hash(),
            "Tuple2 of Long and String" => {
                let (first, second) = key.split_once(',').unwrap();
                (number::<i64>(first), second.to_owned()).java_hash()
            }
            other => panic!("no code for {other}"),
        };
        assert_eq!((found, flink_murmur(found)), (number(code), number(murmur)), "{java} {key}");
        for (max, group) in [(128, mod_128), (4096, mod_4096)] {
            let max = MaxParallelism::new(max).unwrap();
            assert_eq!(flink_key_group(found, max).get(), number::<u16>(group), "{java} {key}");
        }
    }
}

#[test]
fn the_checksum_is_the_one_of_the_specification() {
    assert!(section("1.3").contains(&format!("{:08x}", crc32fast::hash(CHECKED))));
}

fn state(name: &str) -> StateMeta {
    let (namespace, value) = (UnitCodec.snapshot(), NumberCodec::<u64>::default().snapshot());
    StateMeta { name: name.to_owned(), kind: StateKind::Value, namespace, value }
}

/// The seed of the example.
const SEED: u64 = 0x0123_4567_89ab_cdef;

fn keyed_header() -> KeyedHeader {
    let max_parallelism = MaxParallelism::new(4).unwrap();
    KeyedHeader {
        uid: OperatorUid::new("count").unwrap(),
        max_parallelism,
        assigner: AssignerName::Stable,
        key_groups: max_parallelism.all_key_groups(),
        key: StringCodec.snapshot(),
        hash_seeds: vec![HashSeedRun { last: max_parallelism.all_key_groups().last(), seed: SEED }],
        states: vec![state("n")],
    }
}

fn identity() -> StreamIdentity {
    StreamIdentity {
        kind: StreamKind::Keyed,
        subtask: Some(SubtaskIndex::new(0)),
        checkpoint: CheckpointId::new(3).unwrap(),
        attempt: AttemptId::new(2),
    }
}
