//! Checkpoints that nobody writes by accident: files that refer to each other in circles under checksums that
//! are right, and names that are no text.
//!
//! A stream names its shared files with their seals (SPEC 6.2), so a circle needs files whose seals are known
//! before they are written. CRC32 is no obstacle to whoever wants one: four bytes of freedom, here of a hash
//! seed, give any checksum.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "functions that the tests share are not tests to clippy"
)]

use std::sync::Arc;

use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, CheckpointMetadata, CheckpointProperties, JobId,
    KeyGroup, KeyGroupAssigner, KeyedStateHandle, MaxParallelism, OperatorState, OperatorUid,
    Parallelism, SharedFile, StateHandle, StateLocation, StoragePath, SubtaskIndex, SubtaskState,
};
use alluvium_format::codec::{Codec, DefaultCodec, NumberCodec, StringCodec, UnitCodec};
use alluvium_format::envelope::{Block, StreamIdentity, StreamKind};
use alluvium_format::keyed::{
    BlockRef, Chain, HashSeedRun, KeyedHeader, KeyedReader, KeyedWriter, MapEntry, MapLayout,
    StateKind, StateMeta,
};
use alluvium_format::metadata::write_metadata;
use alluvium_heap::HeapStateBackend;
use alluvium_inspect::{Checkpoint, GcOptions, Selection, gc, verify};
use alluvium_state::{KeyedBackendSpec, KeyedStateBackend, StateBackend, ValueStateDescriptor};
use alluvium_storage::{HandleReader, JobLayout, ReadAccess, Storage};

/// The seal that every file of a circle gets.
const SEAL: u32 = 0x0bad_5ea1;
/// The first seed that is tried; its last four bytes are the freedom.
const SEED: u64 = 0x0123_4567_89ab_cdef;
/// An entry of each block: key, its key group of four, value.
const ENTRIES: [(&str, u16, u64); 2] = [("a", 0, 1), ("be", 2, 300)];

/// One step of CRC32 for each bit, there and back (SPEC 1.3).
fn forward(state: u32, bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    bytes.iter().fold(state, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

fn backward(state: u32, bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc >> 31 == 1 { ((crc ^ 0xedb8_8320) << 1) | 1 } else { crc << 1 };
    bytes
        .iter()
        .rev()
        .fold(state, |crc, byte| (0..8).fold(crc, |crc, _| step(crc)) ^ u32::from(*byte))
}

/// The four bytes between two parts that give the whole a checksum.
fn forged(before: &[u8], after: &[u8], checksum: u32) -> [u8; 4] {
    let wanted = backward(backward(!checksum, after), &[0; 4]);
    (forward(u32::MAX, before) ^ wanted).to_le_bytes()
}

/// Changes the hash seed of a keyed stream so that its seal is [`SEAL`].
fn with_known_seal(mut stream: Vec<u8>) -> Vec<u8> {
    let footer = stream.len() - 24;
    let index = usize::try_from(u64::from_le_bytes(stream[footer..footer + 8].try_into().unwrap()));
    let index = index.unwrap();
    let seed = SEED.to_le_bytes();
    let place = index + stream[index..footer].windows(8).position(|it| it == seed).unwrap() + 4;
    let checksum = forged(&stream[footer..footer + 16], &[], SEAL);
    let covered = [&stream[..36], &stream[index..place]].concat();
    let patch = forged(&covered, &stream[place + 4..footer], u32::from_le_bytes(checksum));
    stream[place..place + 4].copy_from_slice(&patch);
    stream[footer + 16..footer + 20].copy_from_slice(&checksum);
    stream[footer + 20..].copy_from_slice(&SEAL.to_le_bytes());
    stream
}

fn max() -> MaxParallelism {
    MaxParallelism::new(4).unwrap()
}

fn uid() -> OperatorUid {
    OperatorUid::new("count").unwrap()
}

fn records((key, _, value): (&str, u16, u64)) -> Vec<u8> {
    let mut records = Vec::new();
    StringCodec.encode(&key.to_owned(), &mut records).unwrap();
    records.extend(value.to_le_bytes());
    records
}

/// The block of an entry in a file, behind its header.
fn block(file: u16, entry: (&str, u16, u64)) -> BlockRef {
    let records = records(entry);
    let len_bytes = u32::try_from(records.len()).unwrap();
    let block = Block { offset: 40, len_bytes, checksum: !forward(u32::MAX, &records) };
    BlockRef { file, is_delta: false, records: 1, block }
}

fn map(group: u16, blocks: Vec<BlockRef>) -> MapEntry {
    let chain = |block: BlockRef| Chain { entry_count: block.records, blocks: vec![block] };
    let layout = MapLayout::Segmented(blocks.into_iter().map(chain).collect());
    MapEntry { key_group: KeyGroup::new(group, max()).unwrap(), state: 0, layout }
}

/// A stream with one block of its own, that of an entry, and maps made of it and of a shared file.
fn stream(
    own: (&str, u16, u64),
    shared: &SharedFile,
    maps: impl FnOnce(BlockRef, u16) -> Vec<MapEntry>,
) -> Vec<u8> {
    let identity = StreamIdentity {
        kind: StreamKind::Keyed,
        subtask: Some(SubtaskIndex::new(0)),
        checkpoint: CheckpointId::FIRST,
        attempt: AttemptId::new(1),
    };
    let key_groups = max().all_key_groups();
    let (namespace, value) = (UnitCodec.snapshot(), NumberCodec::<u64>::default().snapshot());
    let header = KeyedHeader {
        uid: uid(),
        max_parallelism: max(),
        assigner: AssignerName::Stable,
        key_groups,
        key: StringCodec.snapshot(),
        hash_seeds: vec![HashSeedRun { last: key_groups.last(), seed: SEED }],
        states: vec![StateMeta { name: "n".to_owned(), kind: StateKind::Value, namespace, value }],
    };
    let mut writer = KeyedWriter::new(Vec::new(), &identity, &header).unwrap();
    let own = writer.block(false, 1, &records(own)).unwrap();
    let number = writer.shared_file(shared).unwrap();
    for map in maps(own, number) {
        writer.map(map).unwrap();
    }
    with_known_seal(writer.finish().unwrap().out)
}

fn shared(name: &str, len: usize) -> SharedFile {
    let path = StoragePath::new(&format!("shared/{name}")).unwrap();
    SharedFile { path, len_bytes: len as u64, seal: SEAL }
}

/// Writes files of keyed state, and a checkpoint whose stream is the first of them.
fn write(
    storage: &Arc<dyn Storage>,
    files: &[(&str, &[u8])],
    refers_to: &[SharedFile],
) -> KeyedStateHandle {
    for (name, bytes) in files {
        storage.create(&shared(name, 0).path, bytes).unwrap();
    }
    let (name, bytes) = files[0];
    let SharedFile { path, len_bytes, seal } = shared(name, bytes.len());
    let stream = StateHandle { location: StateLocation::File(path), len_bytes, seal };
    let key_groups = max().all_key_groups();
    let handle =
        KeyedStateHandle { key_groups, stream, shared: refers_to.to_vec(), written: Vec::new() };
    let (index, keyed) = (SubtaskIndex::new(0), Some(handle.clone()));
    let metadata = CheckpointMetadata {
        properties: CheckpointProperties {
            job: JobId::new("job").unwrap(),
            checkpoint: CheckpointId::FIRST,
            attempt: AttemptId::new(1),
            triggered_at_ms: 0,
            completed_at_ms: 0,
            max_parallelism: max(),
            assigner: AssignerName::Stable,
        },
        operators: vec![OperatorState {
            uid: uid(),
            parallelism: Parallelism::new(1, max()).unwrap(),
            subtasks: vec![SubtaskState { index, keyed, operator: None }],
        }],
    };
    let bytes = write_metadata(&metadata).unwrap();
    storage.create(&JobLayout::metadata(CheckpointId::FIRST), &bytes).unwrap();
    handle
}

/// Key and value of all entries, as the inspector reads them.
fn entries(uri: &str) -> Result<Vec<String>, String> {
    let checkpoint = Checkpoint::open(&format!("{uri}/chk-1")).unwrap();
    let mut lines = Vec::new();
    for entry in checkpoint.entries(Selection::default()) {
        let entry = entry.map_err(|error| error.to_string())?;
        lines.push(format!("{} {}", entry.key_json().unwrap(), entry.value_json().unwrap()));
    }
    Ok(lines)
}

/// The same, as a backend restores them.
fn restored(storage: &Arc<dyn Storage>, handle: KeyedStateHandle) -> Result<Vec<String>, String> {
    let reader = HandleReader::new(Arc::clone(storage), ReadAccess::Copy);
    let spec = KeyedBackendSpec {
        uid: uid(),
        subtask: SubtaskIndex::new(0),
        parallelism: Parallelism::new(1, max()).unwrap(),
        key: DefaultCodec,
        assigner: KeyGroupAssigner::<String>::Stable,
        hash_seed: 1,
    };
    let mut keyed = HeapStateBackend::default()
        .open(spec, &[handle], &reader)
        .map_err(|error| error.to_string())?;
    let state = keyed.value_state(ValueStateDescriptor::<u64>::new("n"));
    let state = state.map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    for key in keyed.keys(state, &()).map_err(|error| error.to_string())? {
        let value = *state.get(&keyed.at(&key).unwrap()).unwrap().unwrap();
        lines.push(format!("{key:?} {value}"));
    }
    lines.sort();
    Ok(lines)
}

const WHOLE: [&str; 2] = ["\"a\" 1", "\"be\" 300"];

/// Two files, each of which names the other one: each is read for its blocks, and nobody follows the circle.
#[test]
fn files_that_refer_to_each_other() {
    let uri = "memory:inspect-hostile-circle/job";
    let storage = alluvium_storage::open(uri).unwrap();
    let [a, b] = ENTRIES;
    // The length does not depend on what is known of the other file.
    let of_a = |len: usize| {
        stream(a, &shared("two", len), |own, file| {
            vec![map(0, vec![own]), map(2, vec![block(file, b)])]
        })
    };
    let of_b = |len: usize| {
        stream(b, &shared("one", len), |own, file| {
            vec![map(0, vec![block(file, a)]), map(2, vec![own])]
        })
    };
    let (one, two) = (of_a(of_b(1_000).len()), of_b(of_a(1_000).len()));
    assert_eq!(
        KeyedReader::open_bytes(one.clone().into()).unwrap().shared(),
        [shared("two", two.len())]
    );
    assert_eq!(
        KeyedReader::open_bytes(two.clone().into()).unwrap().shared(),
        [shared("one", one.len())]
    );
    let handle = write(&storage, &[("one", &one), ("two", &two)], &[shared("two", two.len())]);

    assert_eq!(entries(uri).unwrap(), WHOLE);
    assert_eq!(restored(&storage, handle).unwrap(), WHOLE);
    let report = verify(uri, &()).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!((report.files, report.checksums), (3, 2), "each file and each block once");

    // Files that nobody but each other needs are orphans.
    let orphans = [("three", &one), ("four", &two)];
    for (name, bytes) in orphans {
        storage.create(&shared(name, 0).path, bytes).unwrap();
    }
    let removed = gc(uri, GcOptions { is_dry_run: false, no_job_runs: true }).unwrap();
    let names: Vec<_> = removed[0].orphans.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(names, ["shared/four", "shared/three"]);
    assert_eq!(entries(uri).unwrap(), WHOLE);
}

/// A file that names itself, for a block without records and for a block that it has already.
#[test]
fn a_file_that_refers_to_itself() {
    let [a, b] = ENTRIES;
    let nothing = |file| {
        let empty = Block { offset: 40, len_bytes: 0, checksum: 0 };
        BlockRef { file, is_delta: false, records: 0, block: empty }
    };
    let of = |len: usize, is_twice: bool| {
        stream(a, &shared("self", len), |own, file| {
            let second = if is_twice { block(file, a) } else { nothing(file) };
            vec![map(0, vec![own, second])]
        })
    };
    for is_twice in [false, true] {
        let uri = format!("memory:inspect-hostile-self-{is_twice}/job");
        let storage = alluvium_storage::open(&uri).unwrap();
        let bytes = of(of(1_000, is_twice).len(), is_twice);
        let own = [shared("self", bytes.len())];
        let handle = write(&storage, &[("self", &bytes)], &own);
        let (read, restored) = (entries(&uri), restored(&storage, handle));
        if is_twice {
            // The inspector holds one segment at a time and does not know which keys belong there (SPEC 6.4): it
            // shows what both hold. A restore refuses it.
            assert_eq!(read.unwrap(), [WHOLE[0], WHOLE[0]]);
            let error = restored.unwrap_err();
            assert!(error.contains("twice"), "{error}");
        } else {
            assert_eq!(read.unwrap(), [WHOLE[0]]);
            assert_eq!(restored.unwrap(), [WHOLE[0]]);
        }
        // Every checksum is right, and each file is read once.
        let report = verify(&uri, &()).unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        assert_eq!(report.files, 2, "metadata and the file");
    }
    assert_eq!(b.1, 2, "the other entry is not in these files");
}

/// Names that are no UTF-8 are none of ours: nothing reads, counts or removes them.
#[cfg(unix)]
#[test]
fn names_that_are_no_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let dir = tempfile::tempdir().unwrap();
    let job = dir.path().join("job");
    let uri = job.display().to_string();
    let storage = alluvium_storage::open(&uri).unwrap();
    let [a, b] = ENTRIES;
    let of_a = |len: usize| {
        stream(a, &shared("two", len), |own, file| {
            vec![map(0, vec![own]), map(2, vec![block(file, b)])]
        })
    };
    let two = stream(b, &shared("one", of_a(1_000).len()), |own, file| {
        vec![map(0, vec![block(file, a)]), map(2, vec![own])]
    });
    let one = of_a(two.len());
    write(&storage, &[("one", &one), ("two", &two)], &[shared("two", two.len())]);

    let name = OsStr::from_bytes(b"chk-\xff\xfe");
    let files = [job.join("shared").join(name), job.join("chk-1").join(name), job.join(name)];
    for file in &files {
        std::fs::write(file, b"of somebody else").unwrap();
    }
    std::fs::create_dir(dir.path().join(name)).unwrap();
    let root = dir.path().display().to_string();
    for uri in [uri.as_str(), root.as_str()] {
        let report = verify(uri, &()).unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        assert_eq!(report.checkpoints.len(), 1, "{uri}");
        let removed = gc(uri, GcOptions::default()).unwrap();
        assert!(removed.iter().all(|folder| folder.orphans.is_empty()), "{removed:?}");
    }
    assert_eq!(entries(&uri).unwrap(), WHOLE);
    for file in &files {
        assert!(file.exists(), "{} is left", file.display());
    }
}
