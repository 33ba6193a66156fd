//! Target `checkpoint`: a checkpoint of several streams with full and delta blocks, damaged.
//!
//! The first byte of an input says what is changed by the rest, in the remainder of a division by four:
//!
//! - 0: bytes of the files of one subtask, which no checksum is told about;
//! - 1: the records of one stream with full blocks, which is written anew around them, so that all checksums are
//!   right;
//! - 2: bytes of any file of a whole checkpoint (`whole`): its metadata, keyed state of several subtasks with
//!   delta blocks in files of earlier checkpoints, operator state, an index of SST files and an SST;
//! - 3: any index and all records of the same, under checksums and seals that are right everywhere.
//!
//! A change is six bytes: file or part, what is done (a byte is flipped, the rest is cut off, a byte is put
//! in, a byte is taken out), place (`u16`, little endian), two bytes of which the first is the new one.
//!
//! Invariants checked:
//! - nothing panics, whatever is changed, in eager restores into copy-on-write maps and into nested ones, and at
//!   another parallelism;
//! - without right checksums, a restore is refused or the state is what it was: never anything else;
//! - with right checksums, a restore is refused or all of the state can be read;
//! - memory: a restore of damaged state takes no more than four times what one of sound state takes, and what
//!   every decoder may take.

mod resealed;
mod states;
mod whole;

use std::sync::{Mutex, OnceLock, PoisonError};

use alluvium_core::{KeyedStateHandle, MaxParallelism, StateHandle, StateLocation, StoragePath};
use alluvium_format::keyed::{Chain, KeyedReader, KeyedWriter, MapEntry, MapLayout};
use alluvium_heap::{HeapStateBackend, StateMapKind};
use alluvium_state::SnapshotMode;
use alluvium_storage::StreamPolicy;
use alluvium_testkit::job::{KeyedOf, TestJob};
use bytes::Bytes;

use self::states::{fill, lines};
use crate::bound::{BASE_LEN_BYTES, limited, measured};

const COPY_ON_WRITE: HeapStateBackend = HeapStateBackend::new(StateMapKind::CopyOnWrite);
const NESTED: HeapStateBackend = HeapStateBackend::new(StateMapKind::Nested);
const SMALL_SEGMENTS: HeapStateBackend = COPY_ON_WRITE.max_segment_entries(8);

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
    if mode % 4 > 1 {
        return whole::run(mode % 4 == 3, changes);
    }
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
        job.max_parallelism = few_key_groups();
        job.mode = mode;
        job.policy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };
        let mut keyed = job.open_one(&[]);
        let mut handles = Vec::new();
        for round in 0..3 {
            fill(&mut keyed, round, |_| true)
                .unwrap_or_else(|error| panic!("round {round}: {error}"));
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
        let spec = alluvium_state::KeyedBackendSpec {
            uid: self.job.uid.clone(),
            subtask: alluvium_core::SubtaskIndex::new(0),
            parallelism: self.job.parallelism(1),
            key: alluvium_format::codec::DefaultCodec,
            assigner: self.job.assigner,
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

/// Few, so that segments have several entries, and delta blocks are worth it.
fn few_key_groups() -> MaxParallelism {
    match MaxParallelism::new(4) {
        Ok(max) => max,
        Err(error) => unreachable!("{error}"),
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

#[cfg(test)]
mod tests;
