//! Checkpoints of one subtask and of two, in local files, and opening them.
//!
//! The subtasks of a parallelism are opened one after the other and the slowest counts, as on
//! machines of their own. Opening ends when the state is registered and the keys with the first
//! numbers, as far as they are the subtask's, have been read.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{AttemptId, CheckpointId, KeyedStateHandle};
use alluvium_format::codec::DefaultCodec;
use alluvium_state::{
    KeyedStateBackend, SnapshotMode, SnapshotTarget, StateBackend, ValueState, ValueStateDescriptor,
};
use alluvium_storage::{
    CheckpointStreams, HandleReader, LocalStorage, ReadAccess, Storage, StreamPolicy,
};
use bytes::Bytes;
use tempfile::TempDir;

use super::{Done, KEY_GROUPS, RESCALED_VALUE_LEN_BYTES, mixed};
use crate::measure::timed;
use crate::random::Random;
use crate::targets;

/// What fails only when the bench itself is wrong.
const RIGHT_USE: &str = "a key of an own key group and an own handle";
/// Numbers of the keys that are read from each opened state.
const READ_KEYS: u64 = 128;

/// What is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// One subtask, from the checkpoint of one.
    Restore,
    /// Two subtasks, from the checkpoint of one.
    RescaleOut,
    /// One subtask, from the checkpoint of two.
    RescaleIn,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Restore, Self::RescaleOut, Self::RescaleIn];

    /// Name in figures and on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::RescaleOut => "rescale_out",
            Self::RescaleIn => "rescale_in",
        }
    }

    /// The step with a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

/// Checkpoints of the same state, by one subtask and by two.
pub struct Rescaling<S> {
    backend: S,
    reader: HandleReader,
    of_one: Vec<KeyedStateHandle>,
    of_two: Vec<KeyedStateHandle>,
    /// Goes when nothing reads it any more.
    _dir: TempDir,
}

impl<S: StateBackend> Rescaling<S> {
    /// Fills a backend with so many keys and takes checkpoints of it, incremental ones if the
    /// backend is one that has them by default.
    pub fn new(backend: S, keys: u64, mode: SnapshotMode) -> Self {
        let dir = tempfile::tempdir().expect("a folder for temporary files");
        let storage = LocalStorage::open(dir.path()).expect("the folder can be written to");
        let storage: Arc<dyn Storage> = Arc::new(storage);
        // As a job that goes on with its own checkpoints.
        let reader = HandleReader::new(Arc::clone(&storage), ReadAccess::Copy).shareable(true);
        let mut rescaling =
            Self { backend, reader, of_one: Vec::new(), of_two: Vec::new(), _dir: dir };
        rescaling.of_one = rescaling.checkpoint(1, keys, &storage, mode);
        rescaling.of_two = rescaling.checkpoint(2, keys, &storage, mode);
        rescaling
    }

    /// Opens all subtasks; the time is that of the slowest.
    pub fn run(&self, step: Step) -> Done {
        let (handles, parallelism) = match step {
            Step::Restore => (&self.of_one, 1),
            Step::RescaleOut => (&self.of_one, 2),
            Step::RescaleIn => (&self.of_two, 1),
        };
        let mut done = Done { took: Duration::ZERO, checksum: 0 };
        for subtask in 0..parallelism {
            let (took, (opened, checksum)) = timed(|| {
                let mut opened = self.open((subtask, parallelism), handles);
                let checksum = read_first(&mut opened);
                (opened, checksum)
            });
            drop(opened);
            done.took = done.took.max(took);
            done.checksum = done.checksum.wrapping_add(checksum);
        }
        done
    }

    fn open(
        &self,
        (subtask, parallelism): (u16, u16),
        from: &[KeyedStateHandle],
    ) -> Opened<S::Keyed<u64, DefaultCodec>> {
        let spec = targets::spec_of::<u64>(subtask, u32::from(parallelism), KEY_GROUPS);
        let mut keyed = self.backend.open(spec, from, &self.reader).expect("the handles are whole");
        let state = keyed.value_state(ValueStateDescriptor::<Bytes>::new("value"));
        Opened { state: state.expect("the state fits"), keyed }
    }

    fn checkpoint(
        &self,
        parallelism: u16,
        keys: u64,
        storage: &Arc<dyn Storage>,
        mode: SnapshotMode,
    ) -> Vec<KeyedStateHandle> {
        let mut handles = Vec::new();
        for subtask in 0..parallelism {
            let Opened { mut keyed, state } = self.open((subtask, parallelism), &[]);
            for number in 0..keys {
                let key = mixed(number);
                let group = keyed.key_group_of(&key).expect(RIGHT_USE);
                if keyed.key_groups().contains(group) {
                    let mut at = keyed.at_key_group(group, &key, &()).expect(RIGHT_USE);
                    state.set(&mut at, value_of(number)).expect(RIGHT_USE);
                }
            }
            let checkpoint = CheckpointId::FIRST;
            let frozen = keyed.freeze(checkpoint).expect("nothing failed before");
            let streams = CheckpointStreams::new(Arc::clone(storage), StreamPolicy::files());
            let attempt = AttemptId::new(u32::from(parallelism));
            let target = SnapshotTarget { streams, checkpoint, attempt, mode };
            handles.push(targets::write(frozen, &target));
        }
        handles
    }
}

struct Opened<B> {
    keyed: B,
    state: ValueState<Bytes>,
}

fn read_first<B: KeyedStateBackend<Key = u64>>(opened: &mut Opened<B>) -> u64 {
    let Opened { keyed, state } = opened;
    let mut sum = 0_u64;
    for key in (0..READ_KEYS).map(mixed) {
        let group = keyed.key_group_of(&key).expect(RIGHT_USE);
        if keyed.key_groups().contains(group) {
            let at = keyed.at_key_group(group, &key, &()).expect(RIGHT_USE);
            let value = state.get(&at).expect(RIGHT_USE).expect("the key has a value");
            let first = value.first_chunk::<8>().copied().unwrap_or_default();
            sum = sum.wrapping_add(u64::from_le_bytes(first));
        }
    }
    sum
}

/// Bytes that do not compress, with the number's own first.
fn value_of(number: u64) -> Bytes {
    let mut random = Random::new(number);
    let words = RESCALED_VALUE_LEN_BYTES / size_of::<u64>();
    (0..words).flat_map(|_| random.next_u64().to_le_bytes()).collect()
}
