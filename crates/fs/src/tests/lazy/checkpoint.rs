//! A checkpoint of many segments, and what comes out of it again.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::FsStateBackend;
use alluvium_core::{KeyedStateHandle, MaxParallelism};
use alluvium_state::{KeyedStateBackend, SnapshotMode, ValueState, ValueStateDescriptor};
use alluvium_storage::{Storage, StreamPolicy};
use alluvium_testkit::job::{KeyedOf, TestJob};
use tempfile::TempDir;

pub(crate) const BOTH: [SnapshotMode; 2] = [SnapshotMode::Full, SnapshotMode::Incremental];
/// Keys; a segment holds some 200 of them.
pub(crate) const KEYS: u64 = 20_000;
/// Incremental checkpoints after the first one.
pub(crate) const DELTAS: u64 = 4;
/// Every so many keys have a tag.
const TAGGED: usize = 5;
/// Key groups; each has several segments.
const KEY_GROUPS: u32 = 16;

pub(crate) type Value = [u8; 64];
pub(crate) type Model = BTreeMap<u64, Value>;
pub(crate) type Job<'b> = TestJob<'b, FsStateBackend, u64>;
pub(crate) type Backend = KeyedOf<FsStateBackend, u64>;

pub(crate) fn value(number: u64) -> Value {
    let mut value = [0; 64];
    let mut word = number;
    for bytes in value.chunks_mut(8) {
        word = (word ^ 0x5851_f42d_4c95_7f2d).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    value
}

pub(crate) fn local(dir: &TempDir) -> Arc<dyn Storage> {
    alluvium_storage::open(&format!("file:{}", dir.path().display())).unwrap()
}

/// A job whose streams are files, however small they are.
pub(crate) fn job_on(
    backend: &FsStateBackend,
    storage: Arc<dyn Storage>,
    mode: SnapshotMode,
) -> Job<'_> {
    let mut job = TestJob::with_storage(backend, storage);
    job.max_parallelism = MaxParallelism::new(KEY_GROUPS).unwrap();
    job.policy = StreamPolicy { inline_below_bytes: 0, ..StreamPolicy::files() };
    job.mode = mode;
    job
}

pub(crate) fn register(backend: &mut Backend) -> ValueState<Value> {
    backend.value_state(ValueStateDescriptor::new("numbers")).unwrap()
}

/// A second state, which most cases never register after the restore.
fn register_tags(backend: &mut Backend) -> ValueState<u64> {
    backend.value_state(ValueStateDescriptor::new("tags")).unwrap()
}

/// What a checkpoint is restored from, and what it holds.
pub(crate) struct Checkpoint {
    pub(crate) handles: Vec<KeyedStateHandle>,
    pub(crate) model: Model,
    /// Length of all its files together.
    pub(crate) len_bytes: u64,
}

/// A checkpoint of [`KEYS`] keys; an incremental one lies in several files.
pub(crate) fn write(job: &Job<'_>, mode: SnapshotMode) -> Checkpoint {
    let mut backend = job.open_one(&[]);
    let state = register(&mut backend);
    let mut model = Model::new();
    for key in 0..KEYS {
        state.set(&mut backend.at(&key).unwrap(), value(key)).unwrap();
        model.insert(key, value(key));
    }
    let tags = register_tags(&mut backend);
    for key in (0..KEYS).step_by(TAGGED) {
        tags.set(&mut backend.at(&key).unwrap(), key + 1).unwrap();
    }
    let mut handles = job.snapshot_one(&mut backend);
    for delta in 1..=DELTAS {
        for key in (delta..KEYS).step_by(61) {
            state.set(&mut backend.at(&key).unwrap(), value(key + delta)).unwrap();
            model.insert(key, value(key + delta));
        }
        for key in (delta * 5..KEYS).step_by(211) {
            state.clear(&mut backend.at(&key).unwrap()).unwrap();
            model.remove(&key);
        }
        handles = job.snapshot_one(&mut backend);
    }
    let [handle] = handles.as_slice() else { panic!("one subtask, one handle") };
    let is_incremental = mode == SnapshotMode::Incremental;
    assert_eq!(handle.shared.len() as u64, if is_incremental { DELTAS } else { 0 });
    let shared: u64 = handle.shared.iter().map(|file| file.len_bytes).sum();
    let len_bytes = handle.stream.len_bytes + shared;
    assert!(len_bytes > KEYS * 64, "{len_bytes} bytes");
    Checkpoint { handles, model, len_bytes }
}

/// All entries of a backend.
pub(crate) fn content(backend: &mut Backend) -> Model {
    let state = register(backend);
    let keys = backend.keys(state, &()).unwrap();
    assert_eq!(keys.len(), backend.entry_count().unwrap());
    let value_of = |key: u64| {
        let value = *state.get(&backend.at(&key).unwrap()).unwrap().expect("the key is there");
        (key, value)
    };
    keys.into_iter().map(value_of).collect()
}

/// All entries of a checkpoint, restored at a parallelism.
pub(crate) fn spread(job: &Job<'_>, parallelism: u32, handles: &[KeyedStateHandle]) -> Model {
    let mut all = Model::new();
    for mut backend in job.open(parallelism, handles) {
        let own = content(&mut backend);
        let before = all.len() + own.len();
        all.extend(own);
        assert_eq!(all.len(), before, "no key is in two subtasks");
    }
    all
}

/// Checks the second state of a checkpoint at a parallelism.
pub(crate) fn check_tags(job: &Job<'_>, parallelism: u32, handles: &[KeyedStateHandle]) {
    let mut count = 0;
    for mut backend in job.open(parallelism, handles) {
        let tags = register_tags(&mut backend);
        for key in backend.keys(tags, &()).unwrap() {
            assert_eq!(*tags.get(&backend.at(&key).unwrap()).unwrap().unwrap(), key + 1);
            count += 1;
        }
    }
    assert_eq!(count, KEYS.div_ceil(TAGGED as u64));
}
