//! Input that lies, under checksums that are right: each is refused by a named error, at once, and takes no more
//! memory than input of its length may, and no byte is read twice.

#![expect(clippy::unwrap_used, reason = "functions that the tests share are not tests to clippy")]

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_core::{AttemptId, CheckpointId, SubtaskIndex};
use alluvium_format::codec::{CodecSnapshot, Input};
use alluvium_format::envelope::{EnvelopeWriter, StreamIdentity, StreamKind};
use alluvium_format::keyed::KeyedReader;
use alluvium_format::metadata::read_metadata;
use alluvium_format::operator::read_operator_state;
use alluvium_format::{FormatError, Source};
use bytes::Bytes;

/// Lengths and counts that nobody has bytes for.
const BOMBS: [u64; 5] = [1 << 20, u32::MAX as u64, 1 << 40, i64::MAX as u64, u64::MAX];

fn sealed(kind: StreamKind, blocks: &[u8], index: &[u8]) -> Bytes {
    let subtask = (kind != StreamKind::Metadata).then(|| SubtaskIndex::new(0));
    let (checkpoint, attempt) = (CheckpointId::FIRST, AttemptId::new(1));
    let identity = StreamIdentity { kind, subtask, checkpoint, attempt };
    let mut writer = EnvelopeWriter::new(Vec::new(), &identity).unwrap();
    if !blocks.is_empty() {
        writer.block(blocks).unwrap();
    }
    writer.finish(index).unwrap().0.into()
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_le_bytes(), bytes].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
    out
}

/// Runs a decoder that must refuse its input, and gives what it says. Memory: 64 KiB and twice the input, since
/// nothing of a lie is worth room.
#[track_caller]
fn refused<T>(bytes: Bytes, read: impl FnOnce(Bytes) -> Result<T, FormatError>) -> String {
    let (len, mut error) = (bytes.len(), None);
    let used = allocation_counter::measure(|| error = read(bytes).err());
    let peak = used.bytes_max;
    assert!(peak <= 64 * 1024 + 2 * len as u64, "{peak} bytes for {len} bytes of input");
    error.expect("it is refused").to_string()
}

/// Metadata of an operator with one subtask.
fn metadata(job: &[u8], uid: &[u8], subtask: &[u8]) -> Bytes {
    metadata_of((128, 1), job, uid, subtask)
}

/// Metadata of an operator of some max parallelism and parallelism.
fn metadata_of((max, parallelism): (u16, u16), job: &[u8], uid: &[u8], subtasks: &[u8]) -> Bytes {
    let times = [0; 16];
    let head = [max.to_le_bytes().as_slice(), &[1], &1_u16.to_le_bytes()].concat();
    let parallelism = parallelism.to_le_bytes();
    let index = [&text(job), times.as_slice(), &head, &text(uid), &parallelism, subtasks].concat();
    sealed(StreamKind::Metadata, &[], &index)
}

/// Operator state in a file.
fn in_file(path: &[u8]) -> Vec<u8> {
    [&[2, 2], 10_u64.to_le_bytes().as_slice(), &[0; 4], &text(path)].concat()
}

/// Keyed state in a file, which refers to other files.
fn keyed(count: u16, files: &[&[u8]]) -> Vec<u8> {
    let groups = [0_u16.to_le_bytes(), 127_u16.to_le_bytes()].concat();
    let handle = [[2].as_slice(), &10_u64.to_le_bytes(), &[0; 4], &text(b"shared/own")].concat();
    let files = files.iter().flat_map(|path| [text(path), vec![0; 12]].concat());
    [[1].as_slice(), &groups, &handle, &count.to_le_bytes()]
        .concat()
        .into_iter()
        .chain(files)
        .collect()
}

#[test]
fn the_metadata_that_the_cases_change_is_good() {
    for subtask in [in_file(b"chk-1/op-0-operator-1"), keyed(1, &[b"shared/other"])] {
        read_metadata(metadata(b"job", b"op", &subtask)).unwrap();
    }
}

#[test]
fn paths_that_lead_elsewhere() {
    let long = [b"chk-1/".as_slice(), &[b'x'; 4_091]].concat();
    let component = [b"chk-1/".as_slice(), &[b'x'; 256]].concat();
    let deep = b"d/".repeat(2_000);
    let cases: [(&[u8], &str); 14] = [
        (b"", "it is empty"),
        (b"..", "holds the component . or .."),
        (b"../../etc/passwd", "holds the component . or .."),
        (b"chk-1/../../x", "holds the component . or .."),
        (b"./x", "holds the component . or .."),
        (b"/etc/passwd", "absolute or holds an empty component"),
        (b"//server/share", "absolute or holds an empty component"),
        (b"chk-1/", "absolute or holds an empty component"),
        (b"chk-1/a\0b", "control character or a backslash"),
        (b"C:\\windows", "control character or a backslash"),
        (b"chk-1/\xff\xfe", "not UTF-8"),
        (&long, "longer than 1,024 bytes"),
        (&component, "longer than 255 bytes"),
        (&deep, "longer than 1,024 bytes"),
    ];
    for (path, rule) in cases {
        for subtask in [in_file(path), keyed(1, &[path])] {
            let error = refused(metadata(b"job", b"op", &subtask), read_metadata);
            assert!(error.contains(rule), "{path:?}: {error}");
        }
    }
}

#[test]
fn names_that_are_no_names() {
    let long = [b'x'; 4_097];
    for name in [b"".as_slice(), b"..", b"a/b", b"a\0", b"a\\b", b"\xc0\xaf", &long] {
        let subtask = in_file(b"chk-1/file");
        for bytes in [metadata(name, b"op", &subtask), metadata(b"job", name, &subtask)] {
            let error = refused(bytes, read_metadata);
            assert!(error.contains("index at offset"), "{name:?}: {error}");
        }
    }
}

#[test]
fn lengths_and_counts_beyond_the_input() {
    for bomb in BOMBS {
        let inlined = [&[2, 1], bomb.to_le_bytes().as_slice(), &[0; 4], b"bytes"].concat();
        let error = refused(metadata(b"job", b"op", &inlined), read_metadata);
        assert!(error.contains("more needed for inlined stream"), "{error}");
    }
    let many = refused(metadata(b"job", b"op", &keyed(u16::MAX, &[b"shared/a"])), read_metadata);
    assert!(many.contains("path of a shared file"), "{many}");
    let twice = keyed(2, &[b"shared/a", b"shared/a"]);
    let error = refused(metadata(b"job", b"op", &twice), read_metadata);
    assert!(error.contains("shared file shared/a comes twice"), "{error}");
}

fn codec(name: &str) -> Vec<u8> {
    let (name, parameters, children) = (name.to_owned(), Vec::new(), Vec::new());
    let mut bytes = Vec::new();
    CodecSnapshot { name, version: 1, parameters, children }.encode(&mut bytes).unwrap();
    bytes
}

/// The index of a keyed stream with one map, from its layout on.
fn keyed_index(map: &[u8]) -> Bytes {
    let scope = [text(b"op"), vec![128, 0, 1, 0, 0, 127, 0], codec("string")].concat();
    let seeds = [&[1, 0, 127, 0], [0; 8].as_slice()].concat();
    let states = [&[1, 0], text(b"n").as_slice(), &[1], &codec("unit"), &codec("u64")].concat();
    let before_map = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    let index = [scope, seeds, states, before_map.to_vec(), map.to_vec()].concat();
    sealed(StreamKind::Keyed, &[], &index)
}

/// Counts of things that could each be one byte, before bytes that are none of them: nothing is reserved for
/// what never comes.
#[test]
fn counts_of_what_never_comes() {
    const COUNT: u16 = 32_768;
    let junk = vec![0xff; usize::from(COUNT)];
    let subtasks = metadata_of((COUNT, COUNT), b"job", b"op", &junk);
    let error = refused(subtasks, read_metadata);
    assert!(error.contains("subtask flags 0xff are unknown"), "{error}");

    let count = varint(u64::from(COUNT));
    for (layout, count, rule) in [
        (1, count.clone(), "length of a chain"),
        (2, varint(u64::from(COUNT) / 7), "block flags 0xff are unknown"),
    ] {
        let map = [&[layout], count.as_slice(), &junk].concat();
        let error = refused(keyed_index(&map), KeyedReader::open_bytes);
        assert!(error.contains(rule), "{error}");
    }
    // The longest chain, and a map of one segment: both are good but for the junk.
    let chain = [[1, 1].as_slice(), &varint(255), &[1], &junk].concat();
    let error = refused(keyed_index(&chain), KeyedReader::open_bytes);
    assert!(error.contains("block flags 0xff are unknown"), "{error}");
    let sound = keyed_index(&[1, 1, 0]);
    KeyedReader::open_bytes(sound).unwrap();

    let row = state("state", u32::from(COUNT), (40, &junk));
    let error = refused(operator(&junk, &[row]), read_operator_state);
    assert!(error.contains("item"), "{error}");
}

/// A row of the index of operator state: a state of bytes with items in a block.
fn state(name: &str, items: u32, (offset, block): (u64, &[u8])) -> Vec<u8> {
    let mut row = text(name.as_bytes());
    row.push(1);
    row.extend(codec("bytes"));
    row.extend(items.to_le_bytes());
    row.extend(offset.to_le_bytes());
    row.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
    row.extend(crc32(block).to_le_bytes());
    row
}

/// CRC32 of SPEC 1.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes
        .iter()
        .fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

fn operator(blocks: &[u8], rows: &[Vec<u8>]) -> Bytes {
    let count = u16::try_from(rows.len()).unwrap().to_le_bytes();
    sealed(StreamKind::Operator, blocks, &[text(b"op"), count.to_vec(), rows.concat()].concat())
}

/// A hundred states of a block of items without bytes, which are one byte in it and 32 in memory.
#[test]
fn blocks_that_many_states_stand_for() {
    let items = [0; 1_000];
    let row = |number: u32| state(&format!("state {number}"), 1_000, (40, &items));
    read_operator_state(operator(&items, &[row(0)])).unwrap();
    let rows: Vec<_> = (0..100).map(row).collect();
    let error = refused(operator(&items, &rows), read_operator_state);
    assert!(error.contains("a block begins at 40 instead"), "{error}");
    for (offset, len) in
        [(39, 10), (41, 10), (1_040, 10), (u64::MAX, 0), (u64::MAX - 3, 10), (0, 0)]
    {
        let row = state("state", 10, (offset, &items[..len]));
        let error = refused(operator(&items, &[row]), read_operator_state);
        assert!(error.contains(&format!("begins at {offset} instead")), "{error}");
    }
}

#[test]
fn items_that_are_not_there() {
    for bomb in BOMBS {
        let block = varint(bomb);
        let row = state("state", u32::MAX, (40, &block));
        let error = refused(operator(&block, &[row]), read_operator_state);
        assert!(error.contains("more needed for item"), "{error}");
    }
    let error =
        refused(operator(&[0], &[state("state", u32::MAX, (40, &[0]))]), read_operator_state);
    assert!(error.contains("4294967295 items expected, 1 found"), "{error}");
}

/// Codecs in codecs, deeper than any type: refused at the seventeenth level, whatever follows.
#[test]
fn codecs_that_have_no_end() {
    let level = [&text(b"vec"), 1_u16.to_le_bytes().as_slice(), &[0, 1]].concat();
    for depth in [17, 100, 5_000] {
        let bytes = level.repeat(depth);
        let mut error = None;
        let used = allocation_counter::measure(|| {
            error = CodecSnapshot::decode(&mut Input::new(&bytes)).err();
        });
        assert!(used.bytes_max <= 64 * 1024, "{} bytes", used.bytes_max);
        let error = error.expect("it is refused").to_string();
        assert!(error.contains("nested deeper than 16 levels"), "{error}");
    }
}

/// A footer whose offset and length give the right end only as a sum that wraps.
#[test]
fn a_footer_that_wraps_around() {
    let sound = metadata(b"job", b"op", &[0]);
    read_metadata(sound.clone()).unwrap();
    let footer = sound.len() - 24;
    let end = footer as u64;
    for offset in [u64::MAX, u64::MAX - 7, 1 << 63, end + 1] {
        let mut bytes = sound.to_vec();
        bytes[footer..footer + 8].copy_from_slice(&offset.to_le_bytes());
        bytes[footer + 8..footer + 16].copy_from_slice(&end.wrapping_sub(offset).to_le_bytes());
        let seal = crc32(&bytes[footer..footer + 20]);
        bytes[footer + 20..].copy_from_slice(&seal.to_le_bytes());
        let error = refused(bytes.into(), read_metadata);
        let rule = "the index does not end where the footer begins";
        assert!(error.contains(rule), "{offset}: {error}");
    }
}

/// A stream that counts what is read of it.
#[derive(Debug)]
struct Counted {
    bytes: Bytes,
    read: AtomicU64,
}

impl Source for Counted {
    fn len_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, FormatError> {
        self.read.fetch_add(range.end - range.start, Ordering::Relaxed);
        Source::read(&self.bytes, range)
    }
}

/// No index makes its reader read a byte twice: opening takes header, index and footer, and all blocks
/// together are the rest.
#[test]
fn nothing_is_read_more_than_once() {
    let junk = vec![0xff; 4_096];
    let blocks = [[1, 1, 1, 0].as_slice(), &[0; 7]].concat();
    let cases = [
        (keyed_index(&[1, 1, 0]), true),
        (keyed_index(&[[1].as_slice(), &varint(4_000), &[0; 4_000]].concat()), true),
        (keyed_index(&blocks), true),
        (keyed_index(&[[1].as_slice(), &varint(4_096), &junk].concat()), false),
        (keyed_index(&[[2].as_slice(), &varint(500), &junk].concat()), false),
    ];
    for (number, (bytes, is_sound)) in cases.into_iter().enumerate() {
        let len = bytes.len() as u64;
        let source = Arc::new(Counted { bytes, read: AtomicU64::new(0) });
        let opened = KeyedReader::open(Arc::clone(&source) as Arc<dyn Source>);
        assert_eq!(opened.is_ok(), is_sound, "case {number}: {:?}", opened.err());
        if let Ok(keyed) = opened {
            keyed.verify(keyed.header().key_groups).unwrap();
        }
        let read = source.read.load(Ordering::Relaxed);
        assert!(read <= len, "case {number}: {read} bytes are read of {len}");
    }
}
