//! Target `checkpoint`: a whole checkpoint of several streams with full and delta blocks, damaged.
//!
//! The first byte of an input says how. Even: the rest are changes of bytes of its files, which no
//! checksum was told about. Odd: the rest are changes of the records of its blocks, and the stream is
//! written anew around them, so that all checksums are right.
//!
//! A change is six bytes: file or block, what is done (a byte is flipped, the rest is cut off, a byte is put
//! in, a byte is taken out), place (`u16`, little endian), two bytes of which the first is the new one.
//!
//! Invariants checked:
//! - nothing panics, whatever is changed, in eager restores into copy-on-write maps and into nested ones;
//! - without right checksums, a restore is refused or the state is what it was: never anything else;
//! - with right checksums, a restore is refused or all of the state can be read;
//! - memory: a restore of damaged state takes no more than four times what one of sound state takes, and what
//!   every decoder may take.

use std::sync::{Mutex, OnceLock, PoisonError};

use alluvium_core::{KeyedStateHandle, StateHandle, StateLocation, StoragePath};
use alluvium_format::keyed::{Chain, KeyedReader, KeyedWriter, MapEntry, MapLayout};
use alluvium_heap::{HeapStateBackend, StateMapKind};
use alluvium_state::{
    Elements, KeyedStateBackend, ListStateDescriptor, MapStateDescriptor, SnapshotMode, StateError,
    TimeDomain, TimerDescriptor, ValueStateDescriptor,
};
use alluvium_storage::StreamPolicy;
use alluvium_testkit::job::{KeyedOf, TestJob};
use bytes::Bytes;

use crate::bound::{BASE_LEN_BYTES, limited, measured};

const COPY_ON_WRITE: HeapStateBackend = HeapStateBackend::new(StateMapKind::CopyOnWrite);
const NESTED: HeapStateBackend = HeapStateBackend::new(StateMapKind::Nested);
const SMALL_SEGMENTS: HeapStateBackend = COPY_ON_WRITE.max_segment_entries(3);

type Keyed = KeyedOf<HeapStateBackend, String>;
type Job = TestJob<'static, HeapStateBackend, String>;

/// How much more a restore of damaged state may take.
const FACTOR: u64 = 4;

/// A checkpoint as it was written, and the storage where it is damaged.
struct Checkpoint {
    job: Job,
    handle: KeyedStateHandle,
    files: Vec<(StoragePath, Vec<u8>)>,
    lines: Vec<String>,
    /// What a restore of the whole takes, in bytes.
    restore_len_bytes: u64,
}

/// Runs the target.
///
/// Panics: where a check fails.
pub fn run(input: &[u8]) {
    static INCREMENTAL: OnceLock<Mutex<Checkpoint>> = OnceLock::new();
    static FULL: OnceLock<Mutex<Checkpoint>> = OnceLock::new();
    let Some((mode, changes)) = input.split_first() else { return };
    let is_resealed = mode % 2 == 1;
    let (cell, mode) = if is_resealed {
        (&FULL, SnapshotMode::Full)
    } else {
        (&INCREMENTAL, SnapshotMode::Incremental)
    };
    let checkpoint = cell.get_or_init(|| Mutex::new(Checkpoint::write(mode)));
    let checkpoint = checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
    if is_resealed {
        checkpoint.change_records(changes);
    } else {
        checkpoint.change_files(changes);
    }
}

impl Checkpoint {
    fn write(mode: SnapshotMode) -> Self {
        static BACKEND: HeapStateBackend = SMALL_SEGMENTS;
        let mut job = Job::new(&BACKEND);
        job.mode = mode;
        job.policy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };
        let mut keyed = job.open_one(&[]);
        let mut handles = Vec::new();
        for round in 0..3 {
            fill(&mut keyed, round).unwrap_or_else(|error| panic!("round {round}: {error}"));
            handles = job.snapshot_one(&mut keyed);
        }
        let Some(handle) = handles.pop() else { panic!("no state") };
        let paths: Vec<_> = handle.stream.file().into_iter().cloned().collect();
        let shared = handle.shared.iter().map(|file| file.path.clone());
        let read = |path: StoragePath| match job.storage().read_all(&path) {
            Ok(bytes) => (path, bytes.to_vec()),
            Err(error) => panic!("{path}: {error}"),
        };
        let files = paths.into_iter().chain(shared).map(read).collect();
        let lines = match lines(&mut keyed) {
            Ok(lines) => lines,
            Err(error) => panic!("{error}"),
        };
        let mut checkpoint = Self { job, handle, files, lines, restore_len_bytes: 0 };
        let of = |backend| measured(|| checkpoint.restore_by(backend, &checkpoint.handle)).1;
        checkpoint.restore_len_bytes = of(&COPY_ON_WRITE).max(of(&NESTED));
        checkpoint
    }

    fn change_files(&self, changes: &[u8]) {
        let mut files = self.files.clone();
        for change in changes.chunks_exact(6) {
            let count = files.len();
            let file = files.get_mut(usize::from(change.first().copied().unwrap_or(0)) % count);
            if let Some((_, bytes)) = file {
                apply(change, bytes);
            }
        }
        for (path, bytes) in &files {
            self.replace(path, bytes);
        }
        for backend in [&COPY_ON_WRITE, &NESTED] {
            if let Ok(read) = self.read_by(backend, &self.handle) {
                assert_eq!(read, self.lines, "damaged state was taken for sound");
            }
        }
        for (path, bytes) in &self.files {
            self.replace(path, bytes);
        }
    }

    fn replace(&self, path: &StoragePath, bytes: &[u8]) {
        let storage = self.job.storage();
        let done = storage.delete(path).and_then(|()| storage.create(path, bytes));
        done.unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    fn change_records(&self, changes: &[u8]) {
        let Some((_, bytes)) = self.files.first() else { return };
        let reader = match KeyedReader::open_bytes(Bytes::from(bytes.clone())) {
            Ok(reader) => reader,
            Err(error) => panic!("what was written is refused: {error}"),
        };
        let Some((stream, seal)) = rewritten(&reader, changes) else { return };
        let len_bytes = stream.len() as u64;
        let location = StateLocation::Inline(stream.into());
        let stream = StateHandle { location, len_bytes, seal };
        let handle = KeyedStateHandle { stream, ..self.handle.clone() };
        for backend in [&COPY_ON_WRITE, &NESTED] {
            let _ = self.read_by(backend, &handle);
        }
    }

    /// All of a restored state in lines; the error as text.
    fn read_by(
        &self,
        backend: &HeapStateBackend,
        handle: &KeyedStateHandle,
    ) -> Result<Vec<String>, String> {
        let limit = BASE_LEN_BYTES + FACTOR * self.restore_len_bytes;
        limited(limit, || self.restore_by(backend, handle))
    }

    fn restore_by(
        &self,
        backend: &HeapStateBackend,
        handle: &KeyedStateHandle,
    ) -> Result<Vec<String>, String> {
        let job = TestJob::<_, String>::new(backend);
        let open = alluvium_core::SubtaskIndex::new(0);
        let spec = alluvium_state::KeyedBackendSpec {
            uid: self.job.uid.clone(),
            subtask: open,
            parallelism: job.parallelism(1),
            key: alluvium_format::codec::DefaultCodec,
            assigner: job.assigner,
            hash_seed: 77,
        };
        let opened = alluvium_state::StateBackend::open(
            backend,
            spec,
            std::slice::from_ref(handle),
            &self.job.reader(),
        );
        let mut keyed = opened.map_err(|error| error.to_string())?;
        lines(&mut keyed).map_err(|error| error.to_string())
    }
}

/// Changes some bytes as a change says.
fn apply(change: &[u8], bytes: &mut Vec<u8>) {
    let &[_, what, low, high, new, _] = change else { return };
    let place = usize::from(u16::from_le_bytes([low, high])) % (bytes.len() + 1);
    match what % 4 {
        0 => {
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= new;
            }
        }
        1 => bytes.truncate(place),
        2 => bytes.insert(place, new),
        _ if place < bytes.len() => drop(bytes.remove(place)),
        _ => {}
    }
}

/// A stream of the same maps, whose records were changed.
fn rewritten(reader: &KeyedReader, changes: &[u8]) -> Option<(Vec<u8>, u32)> {
    let mut writer = KeyedWriter::new(Vec::new(), reader.identity(), reader.header()).ok()?;
    let count = reader.maps().iter().flat_map(MapEntry::blocks).count();
    let mut number = 0;
    for map in reader.maps() {
        let mut block = |block: &alluvium_format::keyed::BlockRef| {
            let mut records = reader.block(block).ok()?.to_vec();
            for change in changes.chunks_exact(6) {
                if usize::from(change.first().copied()?) % count == number {
                    apply(change, &mut records);
                }
            }
            number += 1;
            writer.block(block.is_delta, block.records, &records).ok()
        };
        let layout = match &map.layout {
            MapLayout::Segmented(chains) => {
                let mut segments = Vec::new();
                for Chain { entry_count, blocks } in chains {
                    let blocks = blocks.iter().map(&mut block).collect::<Option<_>>()?;
                    segments.push(Chain { entry_count: *entry_count, blocks });
                }
                MapLayout::Segmented(segments)
            }
            MapLayout::Unsegmented(blocks) => {
                MapLayout::Unsegmented(blocks.iter().map(&mut block).collect::<Option<_>>()?)
            }
        };
        writer.map(MapEntry { layout, ..map.clone() }).ok()?;
    }
    let finished = writer.finish().ok()?;
    Some((finished.out, finished.seal))
}

/// Writes to some keys of every state.
fn fill(keyed: &mut Keyed, round: u8) -> Result<(), StateError> {
    let value = keyed.value_state(ValueStateDescriptor::<u64>::new("value"))?;
    let list = keyed.list_state(ListStateDescriptor::<String>::new("list"))?;
    let map = keyed.map_state(MapStateDescriptor::<u8, String>::new("map"))?;
    let timers = keyed.timers(TimerDescriptor::<()>::new("timers"))?;
    for number in (0..24_u8).filter(|number| round == 0 || number % 4 == round) {
        let key = format!("key {number}");
        let mut at = keyed.at(&key)?;
        value.set(&mut at, u64::from(number + round))?;
        list.add(&mut at, format!("element {round}"))?;
        map.put(&mut at, round, "entry".to_owned())?;
        timers.register(&mut at, TimeDomain::EventTime, i64::from(number + round))?;
    }
    Ok(())
}

/// Everything that a backend holds.
fn lines(keyed: &mut Keyed) -> Result<Vec<String>, StateError> {
    let value = keyed.value_state(ValueStateDescriptor::<u64>::new("value"))?;
    let list = keyed.list_state(ListStateDescriptor::<String>::new("list"))?;
    let map = keyed.map_state(MapStateDescriptor::<u8, String>::new("map"))?;
    let timers = keyed.timers(TimerDescriptor::<()>::new("timers"))?;
    let mut lines = Vec::new();
    for key in keyed.keys(value, &())? {
        let at = keyed.at(&key)?;
        lines.push(format!("value {key} {:?}", value.get(&at)?.map(|value| *value)));
    }
    for key in keyed.keys(list, &())? {
        let at = keyed.at(&key)?;
        lines.push(format!("list {key} {:?}", owned(list.elements(&at)?)?));
    }
    for key in keyed.keys(map, &())? {
        let at = keyed.at(&key)?;
        let mut entries = Vec::new();
        for entry in map.entries(&at)? {
            let (user_key, text) = entry?;
            entries.push((*user_key, (*text).clone()));
        }
        entries.sort();
        lines.push(format!("map {key} {entries:?}"));
    }
    while let Some(timer) = keyed.pop_timer(timers, TimeDomain::EventTime, i64::MAX)? {
        lines.push(format!("timer {} {}", timer.key, timer.time_ms));
    }
    lines.sort();
    Ok(lines)
}

fn owned(elements: Elements<'_, String>) -> Result<Vec<String>, StateError> {
    elements.map(|element| element.map(|element| (*element).clone())).collect()
}
