//! The limits of SPEC 9 are those of the code, and the errors of SPEC 10 are those that readers report. The
//! layouts, codes and vectors of the other sections are compared in `crates/format/tests/spec.rs` and
//! `crates/storage/src/copies/sums/tests.rs`.

use std::collections::BTreeSet;

use alluvium::core::{CheckpointId, JobId, MaxParallelism, OperatorUid, Parallelism, StoragePath};
use alluvium::format::codec::{
    Codec, CodecSnapshot, DefaultCodec, Extent, Input, MAX_EMPTY_ITEMS, PostcardCodec,
};
use alluvium::format::envelope::{Envelope, EnvelopeWriter, StreamIdentity, StreamKind};
use alluvium::format::keyed::MAX_CHAIN_LEN;
use alluvium::format::metadata::MAX_METADATA_LEN_BYTES;
use alluvium::format::sst::{MAX_LEVEL, MAX_SEQUENCE_NUMBER};
use alluvium::state::{check_key_len, check_state_name};
use alluvium::storage::StreamPolicy;
use alluvium_core::{AttemptId, SubtaskIndex};
use alluvium_tests::top;

fn spec() -> String {
    std::fs::read_to_string(top().join("SPEC.md")).unwrap()
}

/// The rows of the first table of a section.
fn table(section: &str) -> Vec<Vec<String>> {
    let spec = spec();
    let (_, text) = spec.split_once(&format!("\n## {section} ")).unwrap();
    let (text, _) = text.split_once("\n## ").unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with('|')).skip(2);
    let rows = lines.map_while(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    let rows = rows.map(|row| row.split(" | ").map(|cell| cell.trim().to_owned()).collect());
    rows.collect()
}

/// A number as the document writes it: `65,535`, `2^30` or `2^32 - 1`.
fn number(text: &str) -> u64 {
    match text.strip_prefix("2^") {
        Some(power) => match power.strip_suffix(" - 1") {
            Some(exponent) => u64::MAX >> (64 - exponent.parse::<u32>().unwrap()),
            None => 1 << power.parse::<u32>().unwrap(),
        },
        None => text.replace(',', "").parse().unwrap_or_else(|_| panic!("{text:?} is no number")),
    }
}

fn bounds(limit: &str) -> (u64, u64) {
    let (least, most) = limit.split_once(" to ").unwrap_or_else(|| panic!("{limit:?}"));
    (number(least), number(most.strip_suffix(", or none").unwrap_or(most)))
}

fn x(len: u64) -> String {
    "x".repeat(usize::try_from(len).unwrap())
}

fn codec(name: &str, parts: Vec<CodecSnapshot>) -> CodecSnapshot {
    CodecSnapshot { name: name.to_owned(), version: 1, parameters: Vec::new(), children: parts }
}

/// `option<option<...<u8>>>`, so many levels deep.
fn nested(levels: u64) -> CodecSnapshot {
    (1..levels).fold(codec("u8", Vec::new()), |inner, _| codec("option", vec![inner]))
}

fn is_read(snapshot: &CodecSnapshot) -> bool {
    let mut bytes = Vec::new();
    snapshot.encode(&mut bytes).is_ok() && CodecSnapshot::decode(&mut Input::new(&bytes)).is_ok()
}

/// A stream of so many bytes, whose index has what header and footer leave.
fn is_stream(len: u64) -> bool {
    let identity = StreamIdentity {
        kind: StreamKind::Keyed,
        subtask: Some(SubtaskIndex::new(0)),
        checkpoint: CheckpointId::FIRST,
        attempt: AttemptId::new(1),
    };
    let writer = EnvelopeWriter::new(Vec::new(), &identity).unwrap();
    let index = vec![0; usize::try_from(len.saturating_sub(64)).unwrap()];
    let (mut bytes, _) = writer.finish(&index).unwrap();
    bytes.truncate(usize::try_from(len).unwrap());
    Envelope::open_bytes(bytes.into(), StreamKind::Keyed).is_ok()
}

/// A varint of so many bytes.
fn is_varint(len: u64) -> bool {
    let Some(rest) = len.checked_sub(1) else { return Input::new(&[]).varint("n").is_ok() };
    let mut bytes = vec![0xff; usize::try_from(rest).unwrap()];
    bytes.push(1);
    let mut input = Input::new(&bytes);
    input.varint("n").is_ok() && input.is_empty()
}

/// So many items without bytes in a list.
fn are_empty_items(count: u64) -> bool {
    let mut bytes = Vec::new();
    DefaultCodec.encode(&vec![(); usize::try_from(count).unwrap()], &mut bytes).is_ok()
}

/// Whether something of this size is taken; `None` for what no small probe can say.
fn probe(what: &str) -> Option<fn(u64) -> bool> {
    Some(match what {
        "job id, operator uid" => |n| JobId::new(&x(n)).is_ok() && OperatorUid::new(&x(n)).is_ok(),
        "path" => |n| {
            // Components of one byte, and the last of one or two.
            let path: String = "a/".repeat(usize::try_from(n.saturating_sub(1) / 2).unwrap());
            let rest = n - path.len() as u64;
            StoragePath::new(&(path + &x(rest))).is_ok()
        },
        "component of a path" => |n| StoragePath::new(&format!("chk-1/{}", x(n))).is_ok(),
        "text" => |n| is_read(&codec(&x(n), Vec::new())),
        "name of a state, for writers" => |n| check_state_name(&x(n)).is_ok(),
        "name of a `postcard` or `user` type" => |n| {
            let parameters = PostcardCodec::<u8>::new(&x(n), 1).snapshot().parameters;
            parameters.len() as u64 == 2 + n + 4
        },
        "encoded key, namespace, or user key of a map state, for writers" => {
            |n| check_key_len("key", usize::try_from(n).unwrap()).is_ok()
        }
        "varint" => is_varint,
        "checkpoint id" => |n| CheckpointId::new(n).is_ok(),
        "max parallelism" => |n| MaxParallelism::new(u32::try_from(n).unwrap()).is_ok(),
        "subtask field of a header" => |n| u16::try_from(n).map(SubtaskIndex::new).is_ok(),
        "stream" => is_stream,
        "nesting of a codec" => |n| n > 0 && is_read(&nested(n)),
        "parts of a codec" => |n| {
            let parts = vec![codec("u8", Vec::new()); usize::try_from(n).unwrap()];
            is_read(&codec("other", parts))
        },
        "fields of a `tuple`" => |n| {
            let parts = vec![codec("u8", Vec::new()); usize::try_from(n).unwrap()];
            Extent::of(&codec("tuple", parts)).is_ok()
        },
        "`fixed_bytes`" => |n| {
            let parameters = u32::try_from(n).unwrap().to_le_bytes().to_vec();
            Extent::of(&CodecSnapshot { parameters, ..codec("fixed_bytes", Vec::new()) }).is_ok()
        },
        "items without bytes in a `vec` or `map`" => are_empty_items,
        _ => return None,
    })
}

/// The largest number that a field of this width holds, or a constant of the code.
fn largest(what: &str) -> Option<u64> {
    let (u16_max, u32_max) = (u64::from(u16::MAX), u64::from(u32::MAX));
    Some(match what {
        "name of a state, for readers"
        | "shared files of a keyed stream"
        | "SSTs, and shared files, of a stream of kind 4"
        | "states of a stream"
        | "operators of a checkpoint" => u16_max,
        "attempt; claims begin at 1"
        | "block, for readers"
        | "maps of a keyed stream"
        | "segments, or blocks, of a map"
        | "entries of a segment"
        | "records of a block"
        | "items of an operator state" => u32_max,
        "block, for writers" => u64::from(i32::MAX.unsigned_abs()),
        "blocks of a chain" => MAX_CHAIN_LEN as u64,
        "`_metadata`" => MAX_METADATA_LEN_BYTES,
        "level of an SST" => u64::from(MAX_LEVEL),
        "sequence number of a row" => MAX_SEQUENCE_NUMBER,
        _ => return None,
    })
}

#[test]
fn the_limits_are_those_of_the_code() {
    let rows = table("9");
    assert!(rows.len() >= 38, "{} rows", rows.len());
    for row in &rows {
        let (what, limit) = (row[0].as_str(), row[1].as_str());
        if let Some(is_taken) = probe(what) {
            let (least, most) = bounds(limit);
            assert!(is_taken(least), "{what} of {least}");
            assert!(least == 0 || !is_taken(least - 1), "{what} below {least}");
            if what != "stream" {
                assert!(is_taken(most), "{what} of {most}");
                assert!(most == u64::MAX || !is_taken(most + 1), "{what} above {most}");
            }
            continue;
        }
        if let Some(most) = largest(what) {
            assert_eq!(bounds(limit).1, most, "{what}");
            continue;
        }
        match what {
            "parallelism" => {
                assert_eq!(limit, "1 to max parallelism");
                let max = MaxParallelism::new(7).unwrap();
                let is_taken = |n| Parallelism::new(n, max).is_ok();
                assert_eq!([0, 1, 7, 8].map(is_taken), [false, true, true, false]);
            }
            "seed runs of a keyed stream" => assert_eq!(limit, "1 to the number of its key groups"),
            "sections of a keyed operator state" => {
                assert_eq!(limit, "0 to the number of key groups of its subtask");
            }
            "claims that a run tries in a row" => {
                let source = top().join("crates/storage/src/fencing.rs");
                let source = std::fs::read_to_string(source).unwrap();
                assert!(source.contains(&format!("const MAX_TRIES: u32 = {limit};")), "{limit}");
            }
            "stream that is inlined by default" => {
                let limit = limit.strip_prefix("below ").map(number);
                assert_eq!(limit, Some(StreamPolicy::INLINE_BELOW_BYTES));
            }
            "stream in the memory of the coordinator" => {
                let limit = limit.strip_prefix("at most ").map(number);
                assert_eq!(limit, Some(StreamPolicy::COORDINATOR_MEMORY_BYTES));
            }
            other => panic!("SPEC 9 has a limit that is compared with nothing: {other}"),
        }
    }
    assert_eq!(MAX_EMPTY_ITEMS, 65_536);
}

/// The limits that a writer of blocks and of indexes keeps are private; these are their lines.
#[test]
fn the_limits_of_writers_are_where_they_are_said_to_be() {
    for (file, line) in [
        (
            "crates/format/src/envelope/writer.rs",
            "const MAX_BLOCK_LEN_BYTES: u64 = i32::MAX as u64;",
        ),
        ("crates/format/src/keyed/map.rs", "const LEAST_BLOCK_LEN: u64 = 1 + 1 + 1 + 4;"),
    ] {
        let source = std::fs::read_to_string(top().join(file)).unwrap();
        assert!(source.contains(line), "{file} has {line}");
    }
    let spec = spec();
    assert!(spec.contains("a block at least seven"), "LEAST_BLOCK_LEN");
}

/// The variants of an error, as the source names them.
fn variants(file: &str, name: &str) -> BTreeSet<String> {
    let source = std::fs::read_to_string(top().join(file)).unwrap();
    let (_, body) = source.split_once(&format!("pub enum {name} {{\n")).unwrap();
    let (body, _) = body.split_once("\n}\n").unwrap();
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let names = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    let word =
        |line: &str| line.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap().to_owned();
    names.map(|line| format!("{name}::{}", word(line))).collect()
}

/// Everything of the form `SomeError::Variant` in a text.
fn named_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != ':');
    let is_error = |word: &&str| word.split_once("Error::").is_some_and(|(_, it)| !it.is_empty());
    words.filter(is_error).map(|word| word.trim_end_matches(':').to_owned()).collect()
}

#[test]
fn the_errors_are_those_of_the_crates_and_of_the_reader_in_python() {
    let rows = table("10");
    assert!(rows.len() > 40, "{} rows", rows.len());
    let said: BTreeSet<String> = rows.iter().flat_map(|row| named_in(&row[1])).collect();
    let format = variants("crates/format/src/error.rs", "FormatError");
    let codec = variants("crates/format/src/error.rs", "CodecError");
    let storage = variants("crates/storage/src/error.rs", "StorageError");
    let others = [
        variants("crates/state/src/error.rs", "StateError"),
        variants("crates/state/src/error.rs", "RestoreError"),
        variants("crates/runtime/src/error.rs", "StoreError"),
    ];
    let all: BTreeSet<&String> =
        [&format, &codec, &storage].into_iter().chain(&others).flatten().collect();
    for name in &said {
        assert!(all.contains(name), "SPEC 10 names {name}, which is no error");
    }
    // What stands for bytes that a reader refuses; the others are of writers, or of storages and programs
    // that do not answer.
    let of_others = ["FormatError::Write", "FormatError::Read", "FormatError::Limit"];
    for name in format.iter().filter(|name| !of_others.contains(&name.as_str())) {
        assert!(said.contains(name), "SPEC 10 has no {name}");
    }
    for name in ["Truncated", "Invalid", "TrailingBytes"] {
        assert!(said.contains(&format!("CodecError::{name}")), "SPEC 10 has no {name}");
    }
    for name in ["NotFound", "OutsideRoot", "Truncated", "SealMismatch"] {
        assert!(said.contains(&format!("StorageError::{name}")), "SPEC 10 has no {name}");
    }
    let reader = top().join("tests/spec_reader/read_checkpoint.py");
    let by_python = named_in(&std::fs::read_to_string(reader).unwrap());
    assert!(by_python.len() > 12, "{by_python:?}");
    for name in &by_python {
        assert!(said.contains(name), "the reader in Python reports {name}, which SPEC 10 has not");
    }
}
