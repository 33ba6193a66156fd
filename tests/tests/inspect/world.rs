//! Small checkpoints of several operators on local files, written by the heap backend, for what the golden
//! files do not have: damage in one operator and not in another, subtasks without state, and names that
//! somebody has chosen with care.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use alluvium::core::{
    AssignerName, AttemptId, CheckpointId, CheckpointMetadata, CheckpointProperties, JobId,
    KeyGroupAssigner, KeyedStateHandle, MaxParallelism, OperatorState, OperatorUid, Parallelism,
    SubtaskIndex, SubtaskState,
};
use alluvium::format::codec::{Codec, DefaultCodec};
use alluvium::format::metadata::write_metadata;
use alluvium::heap::HeapStateBackend;
use alluvium::state::{
    KeyedBackendSpec, KeyedStateBackend, ListStateDescriptor, OperatorStateBackend, SnapshotMode,
    SnapshotTarget, StateBackend, StateKey, ValueStateDescriptor,
};
use alluvium::storage::{
    CheckpointStreams, HandleReader, JobLayout, ReadAccess, Storage, StreamPolicy,
};

/// The folder of a job, with what goes into its next checkpoint.
pub(super) struct World {
    dir: tempfile::TempDir,
    storage: Arc<dyn Storage>,
    checkpoint: CheckpointId,
    operators: Vec<OperatorState>,
}

fn parallelism() -> Parallelism {
    Parallelism::new(2, MaxParallelism::new(8).unwrap()).unwrap()
}

impl World {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = alluvium::storage::open(dir.path().join("job").to_str().unwrap()).unwrap();
        Self { dir, storage, checkpoint: CheckpointId::FIRST, operators: Vec::new() }
    }

    /// The root, whose only job is `job`.
    pub(super) fn root(&self) -> String {
        self.dir.path().display().to_string()
    }

    /// A file of the job.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("job").join(name)
    }

    /// The address of a checkpoint.
    pub(super) fn uri(&self, checkpoint: u64) -> String {
        self.path(&format!("chk-{checkpoint}")).display().to_string()
    }

    /// Flips a bit of a file.
    pub(super) fn flip(&self, name: &str, place: usize) {
        let mut bytes = std::fs::read(self.path(name)).unwrap();
        bytes[place] ^= 1;
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn target(&self) -> SnapshotTarget {
        // Every stream has a file, however short it is.
        let policy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };
        SnapshotTarget {
            streams: CheckpointStreams::new(Arc::clone(&self.storage), policy),
            checkpoint: self.checkpoint,
            attempt: AttemptId::new(1),
            mode: SnapshotMode::Full,
        }
    }

    /// The keyed state of a subtask: a value for each of those numbers whose key is its; none when no state
    /// is registered.
    pub(super) fn keyed<K: StateKey>(
        &self,
        (uid, subtask): (&str, u16),
        state: Option<&str>,
        numbers: Range<u64>,
        key: impl Fn(u64) -> K,
    ) -> Option<KeyedStateHandle>
    where
        DefaultCodec: Codec<K>,
    {
        let spec = KeyedBackendSpec {
            uid: OperatorUid::new(uid).unwrap(),
            subtask: SubtaskIndex::new(subtask),
            parallelism: parallelism(),
            key: DefaultCodec,
            assigner: KeyGroupAssigner::<K>::Stable,
            hash_seed: 7,
        };
        let reader = HandleReader::new(Arc::clone(&self.storage), ReadAccess::Copy);
        let mut backend = HeapStateBackend::default().open(spec, &[], &reader).unwrap();
        if let Some(state) = state {
            let values = backend.value_state(ValueStateDescriptor::<u64>::new(state)).unwrap();
            for number in numbers {
                // A key of the other subtask is an error.
                if let Ok(mut at) = backend.at(&key(number)) {
                    values.update(&mut at, |value| *value = number).unwrap();
                }
            }
        }
        backend.freeze(self.checkpoint).unwrap().write(&self.target()).unwrap()
    }

    /// Adds an operator of two subtasks with that keyed state, and a list of one number in each.
    pub(super) fn operator(&mut self, uid: &str, keyed: [Option<KeyedStateHandle>; 2]) {
        let (target, uid) = (self.target(), OperatorUid::new(uid).unwrap());
        let subtasks = parallelism().subtasks().zip(keyed).map(|(index, keyed)| {
            let mut backend = OperatorStateBackend::new(Vec::new());
            let list = backend.list_state(ListStateDescriptor::<u64>::new("list")).unwrap();
            backend.update(list, vec![u64::from(index.get())]).unwrap();
            let operator = backend.freeze().unwrap().write(&target, &uid, index).unwrap();
            SubtaskState { index, keyed, operator }
        });
        let subtasks = subtasks.collect();
        self.operators.push(OperatorState { uid, parallelism: parallelism(), subtasks });
    }

    /// An operator whose state `count` has a value for each of those numbers.
    pub(super) fn counts(&mut self, uid: &str, numbers: Range<u64>) {
        let keyed = [0, 1]
            .map(|subtask| self.keyed((uid, subtask), Some("count"), numbers.clone(), |it| it));
        self.operator(uid, keyed);
    }

    /// Completes a checkpoint of what was added since the one before.
    pub(super) fn commit(&mut self) -> CheckpointMetadata {
        let properties = CheckpointProperties {
            job: JobId::new("job").unwrap(),
            checkpoint: self.checkpoint,
            attempt: AttemptId::new(1),
            triggered_at_ms: 1_000,
            completed_at_ms: 2_000,
            max_parallelism: parallelism().max(),
            assigner: AssignerName::Stable,
        };
        let operators = std::mem::take(&mut self.operators);
        let metadata = CheckpointMetadata { properties, operators };
        let path = JobLayout::metadata(self.checkpoint);
        self.storage.create(&path, &write_metadata(&metadata).unwrap()).unwrap();
        self.checkpoint = self.checkpoint.next();
        metadata
    }
}

/// Two operators, `left` and `right`, in checkpoints 1 and 2; the second has more keys.
pub(super) fn two_operators() -> World {
    let mut world = World::new();
    for more in [0, 20] {
        world.counts("left", 0..100 + more);
        world.counts("right", 0..100 + more);
        world.commit();
    }
    world
}
