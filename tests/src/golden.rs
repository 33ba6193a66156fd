//! Golden files: checkpoints and savepoints that were written once and are read for ever.
//!
//! Each *case* is a folder with what a job would leave: `job/`, the folder of a checkpoint or savepoint,
//! and `content.txt`, what it holds. One case is of its own ([`types`]): values of other types, and files that no
//! metadata refers to. A *set* of cases is written by one state of the formats and never
//! changed; the next change of a format adds another set.
//!
//! Invariants: nothing here depends on time, on chance or on the order of threads, so that a writer that
//! writes other bytes today has changed its format. RocksDB puts times and identities into its SST files,
//! so those are compared by their content.

pub mod content;
mod operator;
mod states;
pub mod types;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium::core::{
    AssignerName, AttemptId, CheckpointId, CheckpointMetadata, CheckpointProperties, JobId,
    KeyGroupAssigner, KeyedStateHandle, MaxParallelism, OperatorState, OperatorStateHandle,
    OperatorUid, Parallelism, StoragePath, SubtaskIndex, SubtaskState,
};
use alluvium::format::codec::DefaultCodec;
use alluvium::format::metadata::{read_metadata, write_metadata};
use alluvium::heap::{HeapStateBackend, StateMapKind};
use alluvium::state::{
    KeyedBackendSpec, KeyedStateBackend, SnapshotMode, SnapshotTarget, StateBackend,
};
use alluvium::storage::{
    CheckpointStreams, HandleReader, JobLayout, ReadAccess, Storage, StreamPolicy,
};
use alluvium_testkit::clock::ManualClock;

/// The set that the formats of today write.
pub const NEWEST_SET: &str = "v2";

const PARALLELISM: u32 = 2;
/// When each round writes, in milliseconds.
const TIMES_MS: [u64; 3] = [1_000, 1_040, 1_080];
/// The name of the savepoints.
pub(crate) const SAVEPOINT: &str = "savepoint-job-0123456789ab";

/// Which backend writes a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// The heap backend with copy-on-write maps and small segments.
    CopyOnWrite,
    /// The heap backend with nested maps.
    Nested,
    /// The RocksDB backend.
    RocksDb,
}

/// What is in a case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The name of its folder.
    pub name: &'static str,
    /// Who writes it.
    pub writer: Writer,
    assigner: AssignerName,
    mode: SnapshotMode,
    is_inlined: bool,
    is_savepoint: bool,
}

const fn case(name: &'static str, writer: Writer, mode: SnapshotMode) -> Case {
    let (assigner, is_inlined, is_savepoint) = (AssignerName::Stable, false, false);
    Case { name, writer, assigner, mode, is_inlined, is_savepoint }
}

/// The cases of the newest set with one state of each kind.
pub const CASES: [Case; 8] = [
    case("heap-incremental", Writer::CopyOnWrite, SnapshotMode::Incremental),
    Case {
        assigner: AssignerName::Flink,
        ..case("heap-flink-incremental", Writer::CopyOnWrite, SnapshotMode::Incremental)
    },
    Case { is_inlined: true, ..case("heap-inlined", Writer::CopyOnWrite, SnapshotMode::Full) },
    Case {
        is_savepoint: true,
        ..case("heap-native-savepoint", Writer::CopyOnWrite, SnapshotMode::Native)
    },
    Case {
        assigner: AssignerName::Flink,
        is_savepoint: true,
        ..case("nested-canonical-savepoint", Writer::Nested, SnapshotMode::Full)
    },
    case("rocksdb-incremental", Writer::RocksDb, SnapshotMode::Incremental),
    Case {
        assigner: AssignerName::Flink,
        is_savepoint: true,
        ..case("rocksdb-native-savepoint", Writer::RocksDb, SnapshotMode::Native)
    },
    Case {
        is_savepoint: true,
        ..case("rocksdb-canonical-savepoint", Writer::RocksDb, SnapshotMode::Full)
    },
];

/// The folder of all sets.
pub fn sets_dir() -> PathBuf {
    crate::top().join("tests/golden")
}

fn assigner(name: AssignerName) -> KeyGroupAssigner<String> {
    if name == AssignerName::Flink { KeyGroupAssigner::flink() } else { KeyGroupAssigner::Stable }
}

fn parallelism() -> Parallelism {
    Parallelism::new(PARALLELISM, MaxParallelism::new(4).unwrap()).unwrap()
}

fn uid() -> OperatorUid {
    OperatorUid::new("operator").unwrap()
}

fn spec(subtask: SubtaskIndex, of: AssignerName) -> KeyedBackendSpec<String, DefaultCodec> {
    KeyedBackendSpec {
        uid: uid(),
        subtask,
        parallelism: parallelism(),
        key: DefaultCodec,
        assigner: assigner(of),
        hash_seed: 7 + u64::from(subtask.get()),
    }
}

/// Writes a case into an empty folder, all but its content.
///
/// Panics: where anything fails, and for [`Writer::RocksDb`] without the feature `rocksdb`.
pub fn write(case: &Case, dir: &Path) {
    match case.writer {
        Writer::CopyOnWrite => {
            write_by(case, &HeapStateBackend::default().max_segment_entries(8), dir);
        }
        Writer::Nested => write_by(case, &HeapStateBackend::new(StateMapKind::Nested), dir),
        Writer::RocksDb => write_by_rocksdb(case, dir),
    }
}

#[cfg(feature = "rocksdb")]
fn write_by_rocksdb(case: &Case, dir: &Path) {
    let work = tempfile::tempdir().unwrap();
    write_by(case, &alluvium::rocksdb::RocksDbStateBackend::new(work.path()), dir);
}

#[cfg(not(feature = "rocksdb"))]
fn write_by_rocksdb(case: &Case, _: &Path) {
    panic!("{} is written with the feature rocksdb", case.name);
}

fn write_by<B: StateBackend>(case: &Case, backend: &B, dir: &Path) {
    let folder = dir.join(if case.is_savepoint { SAVEPOINT } else { "job" });
    let storage = alluvium::storage::open(folder.to_str().unwrap()).unwrap();
    let reader = HandleReader::new(Arc::clone(&storage), ReadAccess::Copy);
    let clock = ManualClock::new(0);
    let mut subtasks: Vec<_> = (parallelism().subtasks())
        .map(|index| backend.open(spec(index, case.assigner), &[], &reader).unwrap())
        .collect();
    let (mut checkpoint, mut keyed) = (CheckpointId::FIRST, Vec::new());
    for time_ms in TIMES_MS {
        clock.set(time_ms);
        states::fill(&mut subtasks, assigner(case.assigner), &clock);
        // Of a savepoint, only the last snapshot goes into its folder.
        if case.is_savepoint && time_ms != TIMES_MS[TIMES_MS.len() - 1] {
            continue;
        }
        let target = target(case, checkpoint, &storage);
        let frozen: Vec<_> =
            subtasks.iter_mut().map(|state| state.freeze(checkpoint).unwrap()).collect();
        keyed = frozen.into_iter().map(|frozen| frozen.write(&target).unwrap().unwrap()).collect();
        subtasks.iter_mut().for_each(|state| state.complete(checkpoint));
        checkpoint = checkpoint.next();
    }
    let checkpoint = CheckpointId::new(checkpoint.get() - 1).unwrap();
    let operator = operator::write(&target(case, checkpoint, &storage), &uid(), parallelism());
    let metadata = metadata(case, checkpoint, keyed, operator);
    let path = if case.is_savepoint {
        JobLayout::savepoint_metadata()
    } else {
        JobLayout::metadata(checkpoint)
    };
    storage.create(&path, &write_metadata(&metadata).unwrap()).unwrap();
    remove_others(&folder, &metadata, &path);
}

/// Writes what a job leaves that retains all its checkpoints: one for each round, on top of one another.
pub(crate) fn write_history<B: StateBackend>(
    backend: &B,
    assigner_name: AssignerName,
    storage: &Arc<dyn Storage>,
) {
    let case = Case {
        assigner: assigner_name,
        ..case("history", Writer::CopyOnWrite, SnapshotMode::Incremental)
    };
    let reader = HandleReader::new(Arc::clone(storage), ReadAccess::Copy);
    let clock = ManualClock::new(0);
    let mut subtasks: Vec<_> = (parallelism().subtasks())
        .map(|index| backend.open(spec(index, assigner_name), &[], &reader).unwrap())
        .collect();
    let mut checkpoint = CheckpointId::FIRST;
    for time_ms in TIMES_MS {
        clock.set(time_ms);
        states::fill(&mut subtasks, assigner(assigner_name), &clock);
        let target = target(&case, checkpoint, storage);
        let frozen: Vec<_> =
            subtasks.iter_mut().map(|state| state.freeze(checkpoint).unwrap()).collect();
        let keyed = frozen.into_iter().map(|it| it.write(&target).unwrap().unwrap()).collect();
        let metadata =
            metadata(&case, checkpoint, keyed, operator::write(&target, &uid(), parallelism()));
        let bytes = write_metadata(&metadata).unwrap();
        storage.create(&JobLayout::metadata(checkpoint), &bytes).unwrap();
        subtasks.iter_mut().for_each(|state| state.complete(checkpoint));
        checkpoint = checkpoint.next();
    }
}

fn target(case: &Case, checkpoint: CheckpointId, storage: &Arc<dyn Storage>) -> SnapshotTarget {
    let inline_below_bytes = if case.is_inlined { StreamPolicy::INLINE_BELOW_BYTES } else { 0 };
    let policy = StreamPolicy { inline_below_bytes, max_inline_bytes: None };
    let storage = Arc::clone(storage);
    let streams = if case.is_savepoint {
        CheckpointStreams::savepoint(storage, policy)
    } else {
        CheckpointStreams::new(storage, policy)
    };
    SnapshotTarget { streams, checkpoint, attempt: AttemptId::new(3), mode: case.mode }
}

fn metadata(
    case: &Case,
    checkpoint: CheckpointId,
    keyed: Vec<KeyedStateHandle>,
    operator: Vec<OperatorStateHandle>,
) -> CheckpointMetadata {
    let states = keyed.into_iter().zip(operator);
    let subtasks = parallelism().subtasks().zip(states).map(|(index, (keyed, operator))| {
        SubtaskState { index, keyed: Some(keyed), operator: Some(operator) }
    });
    let subtasks = subtasks.collect();
    let properties = CheckpointProperties {
        job: JobId::new("job").unwrap(),
        checkpoint,
        attempt: AttemptId::new(3),
        triggered_at_ms: 1_700_000_000_000,
        completed_at_ms: 1_700_000_000_500,
        max_parallelism: parallelism().max(),
        assigner: case.assigner,
    };
    let operator = OperatorState { uid: uid(), parallelism: parallelism(), subtasks };
    CheckpointMetadata { properties, operators: vec![operator] }
}

/// Removes what earlier checkpoints left and this one does not need.
fn remove_others(folder: &Path, metadata: &CheckpointMetadata, own: &StoragePath) {
    let needed: Vec<PathBuf> =
        metadata.files().chain([own]).map(|path| folder.join(path.as_str())).collect();
    for file in files(folder) {
        if !needed.contains(&file) {
            std::fs::remove_file(&file).unwrap();
        }
    }
}

/// All files below a folder, in order.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// A case as it was found: its folder, its metadata, and what reads it.
#[derive(Debug)]
pub struct Found {
    /// The folder with its `_metadata`.
    pub checkpoint: PathBuf,
    /// What it says.
    pub metadata: CheckpointMetadata,
    /// Reads its streams.
    pub reader: HandleReader,
}

/// Opens the case in a folder.
///
/// Panics: where there is not exactly one checkpoint or savepoint.
pub fn find(dir: &Path) -> Found {
    let is_metadata = |path: &PathBuf| path.ends_with("_metadata");
    let mut metadata: Vec<_> = files(dir).into_iter().filter(is_metadata).collect();
    let path = metadata.pop().unwrap();
    assert!(metadata.is_empty(), "{} has one checkpoint", dir.display());
    let checkpoint = path.parent().unwrap().to_owned();
    let is_savepoint = checkpoint.file_name().is_some_and(|name| name == SAVEPOINT);
    let folder = if is_savepoint { checkpoint.as_path() } else { checkpoint.parent().unwrap() };
    let storage = alluvium::storage::open(folder.to_str().unwrap()).unwrap();
    let reader = HandleReader::new(storage, ReadAccess::Copy);
    let metadata = read_metadata(std::fs::read(&path).unwrap().into()).unwrap();
    Found { checkpoint, metadata, reader }
}
