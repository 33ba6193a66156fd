//! SPEC.md says what the code does: its tables, vectors and worked example are run here.

#![expect(clippy::unwrap_used, reason = "functions that the tests share are not tests to clippy")]

use std::collections::BTreeMap;
use std::fmt::Debug;

use alluvium_core::key_hash::{flink_key_group, flink_murmur, stable_hash, stable_key_group};
use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, CheckpointMetadata, CheckpointProperties, JavaHash,
    JobId, KeyGroup, KeyGroupRange, KeyedStateHandle, MaxParallelism, OperatorState, OperatorUid,
    Parallelism, StateHandle, StateLocation, SubtaskIndex, SubtaskState,
};
use alluvium_format::codec::{
    BytesCodec, Codec, CodecSnapshot, HasCodec, Input, NumberCodec, StringCodec, UnitCodec,
};
use alluvium_format::envelope::{self, Envelope, StreamIdentity, StreamKind};
use alluvium_format::keyed::{
    BLOCK_ENTRY_LEN, KeyedHeader, KeyedReader, KeyedWriter, StateKind, StateMeta,
};
use alluvium_format::metadata::{read_metadata, write_metadata};
use bytes::Bytes;

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
    ]) {
        assert_eq!(number::<u16>(kind[0]), code.code(), "{}", kind[1]);
        assert!(kind[1].contains(&code.to_string()) || code == StreamKind::Metadata);
    }
}

#[test]
fn a_block_entry_is_laid_out_as_the_writer_writes_it() {
    let max = MaxParallelism::new(4).unwrap();
    let (group, segment, entry_count) = (KeyGroup::new(2, max).unwrap(), 0x0102_0304, 0x0a0b_0c0d);
    let header = KeyedHeader { states: vec![state("m"), state("n")], ..keyed_header() };
    let mut writer = KeyedWriter::new(Vec::new(), &identity(), &header).unwrap();
    writer.block(group, 1, segment, entry_count, b"entries").unwrap();
    let envelope = Envelope::open(writer.finish().unwrap().0.into(), StreamKind::Keyed).unwrap();
    let (_, entry) = envelope.index().split_last_chunk::<40>().unwrap();

    let fields: [(&str, u64); 12] = [
        ("state", 1),
        ("key group", 2),
        ("file", 0),
        ("kind", 1),
        ("compression", 0),
        ("segment", u64::from(segment)),
        ("entry count", u64::from(entry_count)),
        ("offset", 40),
        ("stored length", 7),
        ("raw length", 7),
        ("checksum", u64::from(crc32fast::hash(b"entries"))),
        ("reserved", 0),
    ];
    let rows = layout("6.5");
    assert_eq!(rows.len(), fields.len(), "rows of the table");
    let mut next = 0;
    for ((offset, size, name), (field, value)) in rows.into_iter().zip(fields) {
        assert_eq!((offset, name), (next, field), "the fields follow each other");
        next = offset + size;
        let mut bytes = entry[offset..next].to_vec();
        bytes.resize(8, 0);
        assert_eq!(u64::from_le_bytes(bytes.try_into().unwrap()), value, "{name}");
    }
    assert_eq!(next, usize::from(BLOCK_ENTRY_LEN));
    assert!(section("6.5").contains(&format!("A block entry has {BLOCK_ENTRY_LEN} bytes.")));
}

#[test]
fn codes_of_state_kinds_and_assigners() {
    let kinds = [
        (StateKind::Value, "value"),
        (StateKind::List, "list"),
        (StateKind::Map, "map"),
        (StateKind::Reducing, "reducing"),
        (StateKind::Aggregating, "aggregating"),
    ];
    let rows = table("6.3", ["code", "kind", "value codec"]);
    assert_eq!(rows.len(), kinds.len());
    for ([code, name, _], (kind, expected)) in rows.into_iter().zip(kinds) {
        assert_eq!((number::<u8>(code), name), (kind.code(), expected));
    }
    for [code, name, _] in table("3.2", ["code", "name", "key group"]) {
        assert_eq!(AssignerName::from_code(number(code)).unwrap().to_string(), name);
    }
}

/// Bytes of a value, which must come back from them.
fn encode<T: HasCodec + PartialEq + Debug>(value: &T) -> (String, Vec<u8>) {
    let (codec, mut bytes) = (T::Codec::default(), Vec::new());
    codec.encode(value, &mut bytes).unwrap();
    let mut input = Input::new(&bytes);
    assert_eq!(&codec.decode(&mut input).unwrap(), value);
    assert!(input.is_empty());
    (codec.snapshot().to_string(), bytes)
}

#[test]
fn the_codec_vectors() {
    let rows = table("5.3", ["codec", "value", "bytes (hex)"]);
    assert_eq!(rows.len(), 12, "rows of the table");
    for [codec, value, hex] in rows {
        let pair = || value.split_once(", ").unwrap();
        let (name, bytes) = match codec {
            "u16" => encode(&number::<u16>(value)),
            "i64" => encode(&number::<i64>(value)),
            "f64" => encode(&number::<f64>(value)),
            "bool" => encode(&number::<bool>(value)),
            "string" => encode(&value.to_owned()),
            "bytes" if value == "the bytes 00 and ff" => encode(&Bytes::from_static(&[0, 255])),
            "unit" => encode(&()),
            "option<u8>" if value == "none" => encode(&None::<u8>),
            "option<u8>" => encode(&Some(number::<u8>(value))),
            "vec<u16>" => encode(&value.split(", ").map(number).collect::<Vec<u16>>()),
            "map<u8, bool>" if value == "1 is true" => encode(&BTreeMap::from([(1_u8, true)])),
            "tuple<u8, string>" => encode(&(number::<u8>(pair().0), pair().1.to_owned())),
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
    assert!(section("1.3").contains(&format!("{:08x}", crc32fast::hash(b"123456789"))));
}

/// The file of section 11: its lines are offset, bytes, `;` and a meaning.
fn example_file() -> Vec<u8> {
    let (_, block) = section("11").split_once("```hex\n").unwrap();
    let (block, _) = block.split_once("\n```").unwrap();
    let mut file = Vec::new();
    for line in block.lines() {
        let (bytes, meaning) = line.split_once(';').unwrap();
        assert!(!meaning.trim().is_empty(), "a meaning: {line}");
        let (offset, bytes) = bytes.split_once("  ").unwrap();
        assert_eq!(usize::from_str_radix(offset, 16).unwrap(), file.len(), "offset of {line}");
        file.extend(unhex(bytes));
    }
    file
}

fn state(name: &str) -> StateMeta {
    let (namespace, value) = (UnitCodec.snapshot(), NumberCodec::<u64>::default().snapshot());
    StateMeta { name: name.to_owned(), kind: StateKind::Value, namespace, value }
}

fn keyed_header() -> KeyedHeader {
    let max_parallelism = MaxParallelism::new(4).unwrap();
    KeyedHeader {
        uid: OperatorUid::new("count").unwrap(),
        max_parallelism,
        assigner: AssignerName::Stable,
        key_groups: max_parallelism.all_key_groups(),
        key: StringCodec.snapshot(),
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

/// The entries of the example: key, encoded key, key group, value.
fn example_entries() -> Vec<(&'static str, Vec<u8>, KeyGroup, u64)> {
    let max = MaxParallelism::new(4).unwrap();
    let rows = table("11", ["key", "encoded key", "XXH64", "key group", "value"]);
    rows.into_iter()
        .map(|[key, encoded, hash, group, value]| {
            let (encoded, group) = (unhex(encoded), KeyGroup::new(number(group), max).unwrap());
            assert_eq!(encode(&key.to_owned()).1, encoded);
            assert_eq!(format!("{:016x}", stable_hash(&encoded)), hash);
            assert_eq!(stable_key_group(&encoded, max), group);
            (key, encoded, group, number(value))
        })
        .collect()
}

/// What the text of the example says, as the code writes it.
fn example_metadata() -> CheckpointMetadata {
    let mut writer = KeyedWriter::new(Vec::new(), &identity(), &keyed_header()).unwrap();
    for (_, mut entry, group, value) in example_entries() {
        entry.extend(encode(&value).1);
        writer.block(group, 0, 0, 1, &entry).unwrap();
    }
    let (bytes, seal) = writer.finish().unwrap();
    let len_bytes = bytes.len() as u64;
    let stream = StateHandle { location: StateLocation::Inline(bytes.into()), len_bytes, seal };
    let max_parallelism = MaxParallelism::new(4).unwrap();
    let keyed = KeyedStateHandle {
        key_groups: max_parallelism.all_key_groups(),
        stream,
        shared: Vec::new(),
    };
    let index = SubtaskIndex::new(0);
    CheckpointMetadata {
        properties: CheckpointProperties {
            job: JobId::new("wordcount").unwrap(),
            checkpoint: identity().checkpoint,
            attempt: identity().attempt,
            triggered_at_ms: 1_700_000_000_000,
            completed_at_ms: 1_700_000_000_250,
            max_parallelism,
            assigner: AssignerName::Stable,
        },
        operators: vec![OperatorState {
            uid: OperatorUid::new("count").unwrap(),
            parallelism: Parallelism::new(1, max_parallelism).unwrap(),
            subtasks: vec![SubtaskState { index, keyed: Some(keyed), operator: None }],
        }],
    }
}

#[test]
fn the_worked_example_is_what_the_code_writes() {
    let written = write_metadata(&example_metadata()).unwrap();
    assert_eq!(to_hex(&example_file()), to_hex(&written));
}

#[test]
fn the_worked_example_says_what_its_text_says() {
    let metadata = read_metadata(example_file().into()).unwrap();
    assert_eq!(metadata, example_metadata());
    assert_eq!(write_metadata(&metadata).unwrap(), example_file());

    let [operator] = &metadata.operators[..] else { panic!("one operator") };
    let [subtask] = &operator.subtasks[..] else { panic!("one subtask") };
    let handle = subtask.keyed.as_ref().unwrap();
    let all = KeyGroupRange::new(0, 3, metadata.properties.max_parallelism).unwrap();
    assert_eq!((handle.key_groups, &subtask.operator), (all, &None));
    let StateLocation::Inline(stream) = &handle.stream.location else { panic!("inlined") };
    assert_eq!(stream.len() as u64, handle.stream.len_bytes);
    assert_eq!(stream[stream.len() - 4..], handle.stream.seal.to_le_bytes());

    let reader = KeyedReader::open(stream.clone()).unwrap();
    assert_eq!((reader.header(), reader.identity()), (&keyed_header(), &identity()));
    let mut found = Vec::new();
    for block in reader.blocks() {
        let bytes = reader.entries(block).unwrap();
        let mut input = Input::new(&bytes);
        for _ in 0..block.entry_count {
            let key = StringCodec.decode(&mut input).unwrap();
            found.push((key, block.key_group, input.u64("value").unwrap()));
        }
        assert!(input.is_empty());
    }
    let expected: Vec<_> = example_entries()
        .into_iter()
        .map(|(key, _, group, value)| (key.to_owned(), group, value))
        .collect();
    assert_eq!(found, expected);

    let text = section("11");
    let seals = [
        format!("the seal `{}`", to_hex(&example_file()[example_file().len() - 4..])),
        format!("the length {} and", stream.len()),
        format!("the seal `{}`", to_hex(&handle.stream.seal.to_le_bytes())),
    ];
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in seals {
        assert!(flat.contains(&said), "section 11 says {said:?}");
    }
}
