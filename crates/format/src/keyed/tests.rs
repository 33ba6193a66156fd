use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, KeyGroup, KeyGroupRange, MaxParallelism, OperatorUid,
    SharedFile, StoragePath, SubtaskIndex,
};
use bytes::Bytes;

use super::*;
use crate::codec::{Codec, HasCodec, Input};
use crate::envelope::{Block, FOOTER_LEN, HEADER_LEN, Source, StreamIdentity, StreamKind};
use crate::{CodecError, FormatError};

mod round_trip;
mod rules;

fn max() -> MaxParallelism {
    MaxParallelism::new(128).unwrap()
}

fn group(group: u16) -> KeyGroup {
    KeyGroup::new(group, max()).unwrap()
}

fn header() -> KeyedHeader {
    let state = |name: &str, kind, value| StateMeta {
        name: name.to_owned(),
        kind,
        namespace: <() as HasCodec>::Codec::default().snapshot(),
        value,
    };
    KeyedHeader {
        uid: OperatorUid::new("count").unwrap(),
        max_parallelism: max(),
        assigner: AssignerName::Stable,
        key_groups: KeyGroupRange::new(10, 20, max()).unwrap(),
        key: <String as HasCodec>::Codec::default().snapshot(),
        hash_seeds: vec![
            HashSeedRun { last: group(14), seed: 7 },
            HashSeedRun { last: group(20), seed: u64::MAX },
        ],
        states: vec![
            state("sum", StateKind::Reducing, <u64 as HasCodec>::Codec::default().snapshot()),
            state("last", StateKind::List, <Vec<u8> as HasCodec>::Codec::default().snapshot()),
        ],
    }
}

fn identity() -> StreamIdentity {
    StreamIdentity {
        kind: StreamKind::Keyed,
        subtask: Some(SubtaskIndex::new(0)),
        checkpoint: CheckpointId::FIRST,
        attempt: AttemptId::new(1),
    }
}

fn shared(number: u16) -> SharedFile {
    let path = StoragePath::new(&format!("shared/count-0-keyed-1-{number}")).unwrap();
    SharedFile { path, len_bytes: 1000, seal: u32::from(number) }
}

fn writer() -> KeyedWriter<Vec<u8>> {
    KeyedWriter::new(Vec::new(), &identity(), &header()).unwrap()
}

fn in_shared(file: u16, is_delta: bool, offset: u64) -> BlockRef {
    BlockRef { file, is_delta, records: 5, block: Block { offset, len_bytes: 30, checksum: 9 } }
}

/// A map of each layout, with blocks of its own and of two shared files.
fn stream() -> (Finished<Vec<u8>>, Vec<MapEntry>) {
    let mut writer = writer();
    let (first, second) =
        (writer.shared_file(&shared(1)).unwrap(), writer.shared_file(&shared(2)).unwrap());
    assert_eq!((first, second, writer.shared_file(&shared(1)).unwrap()), (1, 2, 1));
    let delta = writer.block(true, 3, b"changes").unwrap();
    let full = writer.block(false, 2, b"two entries").unwrap();
    let chain = |entry_count, blocks| Chain { entry_count, blocks };
    let segmented = MapLayout::Segmented(vec![
        chain(8, vec![in_shared(1, false, 40), in_shared(2, true, 946), delta]),
        Chain::default(),
        chain(2, vec![full]),
        chain(0, vec![in_shared(1, false, 500)]),
    ]);
    let maps = vec![
        MapEntry { key_group: group(10), state: 0, layout: segmented },
        MapEntry {
            key_group: group(10),
            state: 1,
            layout: MapLayout::Unsegmented(vec![writer.block(false, 1, b"a list").unwrap()]),
        },
        MapEntry {
            key_group: group(20),
            state: 0,
            layout: MapLayout::Segmented(vec![Chain::default(); 3]),
        },
    ];
    for map in &maps {
        writer.map(map.clone()).unwrap();
    }
    (writer.finish().unwrap(), maps)
}

fn open(bytes: &[u8]) -> Result<KeyedReader, FormatError> {
    let reader = KeyedReader::open_bytes(Bytes::copy_from_slice(bytes))?;
    reader.verify(max().all_key_groups())?;
    Ok(reader)
}

#[test]
fn what_was_written_is_read() {
    let (Finished { out, seal, shared: files }, maps) = stream();
    let reader = open(&out).unwrap();
    assert_eq!((reader.header(), reader.identity()), (&header(), &identity()));
    assert_eq!((reader.maps(), reader.seal()), (maps.as_slice(), seal));
    assert_eq!(
        (reader.shared(), &files),
        (&[shared(1), shared(2)][..], &vec![shared(1), shared(2)])
    );
    assert_eq!(reader.maps().iter().map(MapEntry::entry_count).collect::<Vec<_>>(), [10, 1, 0]);
    let own = reader.maps().iter().flat_map(MapEntry::blocks).filter(|block| block.is_own());
    let own: Vec<_> = own.map(|block| reader.block(block).unwrap()).collect();
    assert_eq!(own, [&b"changes"[..], b"two entries", b"a list"]);
    let upper = KeyGroupRange::new(15, 127, max()).unwrap();
    let upper: Vec<_> = reader.maps_of(upper).map(|map| (map.key_group, map.state)).collect();
    assert_eq!(upper, [(group(20), 0)]);
}

#[test]
fn a_block_of_a_shared_file_is_not_read_from_this_stream() {
    let reader = open(&stream().0.out).unwrap();
    let error = reader.block(&in_shared(1, false, 40)).unwrap_err();
    assert!(matches!(error, FormatError::Malformed { what: "block", offset: 40, .. }), "{error}");
}

/// What one checkpoint wrote, the next one refers to.
#[test]
fn a_block_of_an_earlier_stream_is_read_from_it() {
    let (Finished { out: earlier, .. }, maps) = stream();
    let block = maps[1].blocks().next().unwrap().block;
    assert_eq!(read_block(&Bytes::from(earlier.clone()), &block).unwrap(), &b"a list"[..]);
    let mut damaged = earlier.clone();
    damaged[usize::try_from(block.offset).unwrap()] ^= 1;
    let error = read_block(&Bytes::from(damaged), &block).unwrap_err();
    assert!(matches!(error, FormatError::Checksum { what: "block", .. }), "{error}");
    let len = earlier.len() as u64;
    let outside =
        [(39, 6), (0, 1), (len - 24, 1), (len - 30, 7), (len, 0), (u64::MAX, 1), (u64::MAX - 5, 6)];
    for (offset, len_bytes) in outside {
        let block = Block { offset, len_bytes, checksum: 0 };
        let error = read_block(&Bytes::from(earlier.clone()), &block).unwrap_err();
        assert!(matches!(error, FormatError::Malformed { what: "block", .. }), "{offset}: {error}");
    }
    let short = read_block(&Bytes::from_static(b"short"), &block).unwrap_err();
    assert!(matches!(short, FormatError::Malformed { what: "block", .. }), "{short}");
}

#[test]
fn a_stream_without_states_or_maps() {
    let header = KeyedHeader { states: Vec::new(), ..header() };
    let writer = KeyedWriter::new(Vec::new(), &identity(), &header).unwrap();
    let reader = open(&writer.finish().unwrap().out).unwrap();
    assert_eq!(*reader.header(), header);
    assert!(reader.maps().is_empty());
}

#[test]
fn a_key_group_has_the_seed_of_its_run() {
    let header = header();
    let seeds = [9, 10, 14, 15, 20, 21].map(|key_group| header.hash_seed_of(group(key_group)));
    assert_eq!(seeds, [None, Some(7), Some(7), Some(u64::MAX), Some(u64::MAX), None]);
}

#[test]
fn every_flipped_bit_every_cut_and_every_extension_is_found() {
    let bytes = stream().0.out;
    for position in 0..bytes.len() {
        assert!(open(&bytes[..position]).is_err(), "cut at {position}");
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << bit;
            assert!(open(&damaged).is_err(), "byte {position} bit {bit}");
        }
    }
    for more in [1, 24, 64] {
        assert!(open(&[bytes.as_slice(), &vec![0; more]].concat()).is_err(), "{more} more");
    }
}

/// Bytes that notes which ranges are read and can fail or end early.
#[derive(Debug, Default)]
struct Watched {
    bytes: Bytes,
    reads: Mutex<Vec<Range<u64>>>,
    fails_at: Option<u64>,
    cuts: AtomicU64,
}

impl Source for Watched {
    fn len_bytes(&self) -> u64 {
        self.bytes.len_bytes()
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, FormatError> {
        let mut reads = self.reads.lock().unwrap();
        if self.fails_at == Some(reads.len() as u64) {
            return Err(FormatError::Read("the disk is gone".into()));
        }
        reads.push(range.clone());
        self.bytes.read(range.start..range.end - self.cuts.load(Ordering::Relaxed))
    }
}

#[test]
fn opening_reads_no_block() {
    let bytes = Bytes::from(stream().0.out);
    let source = Arc::new(Watched { bytes: bytes.clone(), ..Watched::default() });
    let reader = KeyedReader::open(source.clone()).unwrap();
    let (header, footer) = (HEADER_LEN as u64, FOOTER_LEN as u64);
    let (index, len) = (header + 7 + 11 + 6, bytes.len_bytes());
    let opened = [0..header, len - footer..len, index..len - footer];
    assert_eq!(*source.reads.lock().unwrap(), opened);
    let block = *reader.maps()[1].blocks().next().unwrap();
    assert_eq!(reader.block(&block).unwrap(), &b"a list"[..]);
    assert_eq!(source.reads.lock().unwrap().last(), Some(&(header + 18..header + 24)));
    assert_eq!(reader.source().len_bytes(), len);
}

#[test]
fn a_read_that_fails_or_ends_early_is_an_error() {
    let bytes = Bytes::from(stream().0.out);
    for fails_at in 0..3 {
        let source =
            Watched { bytes: bytes.clone(), fails_at: Some(fails_at), ..Watched::default() };
        let error = KeyedReader::open(Arc::new(source)).unwrap_err();
        assert!(matches!(error, FormatError::Read(_)), "{error}");
        assert_eq!(error.to_string(), "cannot read the stream: the disk is gone");
    }
    let source = Watched { bytes: bytes.clone(), cuts: AtomicU64::new(1), ..Watched::default() };
    let error = KeyedReader::open(Arc::new(source)).unwrap_err();
    assert!(matches!(error, FormatError::Truncated { what: "header", .. }), "{error}");
    let source = Arc::new(Watched { bytes, ..Watched::default() });
    let reader = KeyedReader::open(source.clone()).unwrap();
    source.cuts.store(1, Ordering::Relaxed);
    let error = reader.verify(max().all_key_groups()).unwrap_err();
    assert!(matches!(error, FormatError::Truncated { what: "block", .. }), "{error}");
}

#[test]
fn the_head_of_a_delta_block() {
    let mut bytes = Vec::new();
    write_delta_header(300, &mut bytes);
    assert_eq!(bytes, [0xac, 2]);
    assert_eq!(read_delta_header(&mut Input::new(&bytes), 300).unwrap(), 300);
    let above = read_delta_header(&mut Input::new(&bytes), 299);
    assert!(matches!(above, Err(CodecError::Invalid { what: "number of removals", .. })));
    let cut = read_delta_header(&mut Input::new(&bytes[..1]), 300);
    assert!(matches!(cut, Err(CodecError::Truncated { .. })));
    let long = read_delta_header(&mut Input::new(&[255, 255, 255, 255, 255, 1]), u32::MAX);
    assert!(matches!(long, Err(CodecError::Invalid { reason: "above 32 bits", .. })));
}
