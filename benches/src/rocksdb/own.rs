//! The backend, used as an engine uses it: key groups are known.

use std::path::Path;
use std::sync::Arc;

use alluvium_benches::null_storage::NullStorage;
use alluvium_benches::targets::{self, spec_of};
use alluvium_core::{CheckpointId, KeyedStateHandle};
use alluvium_format::codec::DefaultCodec;
use alluvium_rocksdb::{RocksDbKeyedStateBackend, RocksDbMemory, RocksDbStateBackend};
use alluvium_state::{KeyedStateBackend, StateBackend, ValueStateDescriptor};
use alluvium_storage::{HandleReader, ReadAccess, Storage};

use crate::records::{KEY_GROUPS, Record};

pub(crate) const MIB: usize = 1024 * 1024;
/// What fails only when the bench itself is wrong.
pub(crate) const RIGHT_USE: &str = "a key of an own key group and an own handle";

pub(crate) type Keyed = RocksDbKeyedStateBackend<u64, DefaultCodec>;

/// Opens the only subtask, with nothing in it.
pub(crate) fn open_empty(backend: &RocksDbStateBackend) -> Keyed {
    let nowhere = HandleReader::new(Arc::new(NullStorage::default()), ReadAccess::Copy);
    open(backend, (0, 1), &[], &nowhere)
}

/// Opens a subtask of so many.
pub(crate) fn open(
    backend: &RocksDbStateBackend,
    (subtask, parallelism): (u16, u32),
    from: &[KeyedStateHandle],
    reader: &HandleReader,
) -> Keyed {
    let spec = spec_of::<u64>(subtask, parallelism, KEY_GROUPS);
    backend.open(spec, from, reader).expect("the handles are whole")
}

/// A backend with a budget of memory of its own.
pub(crate) fn backend(base: &Path, memory_len_bytes: usize) -> RocksDbStateBackend {
    let memory = RocksDbMemory::new(memory_len_bytes).expect("enough memory");
    RocksDbStateBackend::new(base).memory(&memory)
}

/// A state of `u64` values, by its name.
pub(crate) fn values(keyed: &mut Keyed, name: &str) -> alluvium_state::ValueState<u64> {
    keyed.value_state(ValueStateDescriptor::<u64>::new(name)).expect("a new state")
}

/// A state of values of 100 bytes.
pub(crate) fn wide(keyed: &mut Keyed, name: &str) -> alluvium_state::ValueState<Wide> {
    keyed.value_state(ValueStateDescriptor::<Wide>::new(name)).expect("a new state")
}

/// A value of a row of 100 bytes, more or less.
pub(crate) type Wide = [u8; 92];

/// A value with a number in it, and bytes that do not compress much.
pub(crate) fn wide_value(number: u64) -> Wide {
    let mut random = alluvium_benches::random::Random::new(number);
    let mut value = [0; 92];
    for piece in value.chunks_mut(8) {
        let bytes = random.next_u64().to_le_bytes();
        piece.copy_from_slice(bytes.get(..piece.len()).unwrap_or_default());
    }
    value
}

/// Sets the value of a record.
#[inline]
pub(crate) fn set<T: alluvium_state::StateValue>(
    keyed: &mut Keyed,
    state: alluvium_state::ValueState<T>,
    record: &Record,
    value: T,
) {
    let mut at = keyed.at_key_group(record.group, &record.key, &()).expect(RIGHT_USE);
    state.set(&mut at, value).expect(RIGHT_USE);
}

/// Numbers checkpoints and completes the one before.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    next: CheckpointId,
    written: Option<CheckpointId>,
}

impl Checkpoints {
    pub(crate) fn new() -> Self {
        Self { next: CheckpointId::FIRST, written: None }
    }

    /// The number of the next one; that before must be written by now, and exists from now on.
    pub(crate) fn begin(&mut self, keyed: &mut Keyed) -> CheckpointId {
        let checkpoint = self.next;
        self.next = checkpoint.next();
        if let Some(written) = self.written.replace(checkpoint) {
            keyed.complete(written);
        }
        checkpoint
    }

    /// Takes one at once.
    pub(crate) fn take(&mut self, keyed: &mut Keyed, into: Arc<dyn Storage>) -> KeyedStateHandle {
        let checkpoint = self.begin(keyed);
        let frozen = keyed.freeze(checkpoint).expect("nothing failed before");
        targets::write(frozen, &targets::incremental_target(into, checkpoint))
    }
}
