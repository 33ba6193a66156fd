//! The backend with one value state, used as an engine uses it: key groups are known.

use std::sync::Arc;

use alluvium_core::{CheckpointId, KeyedStateHandle};
use alluvium_format::codec::DefaultCodec;
use alluvium_heap::{HeapKeyedStateBackend, HeapStateBackend};
use alluvium_state::{
    FrozenState, KeyedStateBackend, StateBackend, ValueState, ValueStateDescriptor,
};
use alluvium_storage::{HandleReader, ReadAccess, StreamPolicy};

use super::{Contender, fill};
use crate::background::Job;
use crate::null_storage::NullStorage;
use crate::setup;
use crate::shapes::{Access, Act, Shape};

/// What fails only when the bench itself is wrong.
const RIGHT_USE: &str = "a key of an own key group and an own handle";

/// Entries that are read before they are written to.
const BATCH: usize = 64;

/// A backend and the handle of its state.
pub(crate) struct Backend<S: Shape> {
    keyed: HeapKeyedStateBackend<S::Key, DefaultCodec>,
    state: ValueState<S::Value>,
    next_checkpoint: CheckpointId,
    /// The checkpoint whose snapshot is being written.
    last_checkpoint: Option<CheckpointId>,
}

impl<S: Shape> Backend<S> {
    /// An empty heap backend.
    pub(crate) fn new() -> Self {
        let nowhere = HandleReader::new(Arc::new(NullStorage::default()), ReadAccess::Copy);
        Self::open(&HeapStateBackend::default(), &[], &nowhere)
    }

    /// A heap backend with the keys from 0 on.
    pub(crate) fn with_entries(count: u64) -> Self {
        let mut backend = Self::new();
        fill(&mut backend, count);
        backend
    }

    /// A backend restored from handles, its state registered.
    pub(crate) fn open<B>(backend: &B, from: &[KeyedStateHandle], reader: &HandleReader) -> Self
    where
        B: StateBackend<Keyed<S::Key, DefaultCodec> = HeapKeyedStateBackend<S::Key, DefaultCodec>>,
    {
        let spec = setup::spec::<S::Key>(setup::KEY_GROUPS);
        let mut keyed: HeapKeyedStateBackend<S::Key, DefaultCodec> =
            backend.open(spec, from, reader).expect("the handles are whole");
        let descriptor = ValueStateDescriptor::with_codec("value", S::ValueCodec::default());
        let state = keyed.value_state(descriptor).expect("the state fits");
        Self { keyed, state, next_checkpoint: CheckpointId::FIRST, last_checkpoint: None }
    }

    /// Completes the checkpoint before, whose snapshot must be written by now, and freezes.
    #[inline]
    pub(crate) fn freeze(&mut self) -> (Box<dyn FrozenState>, CheckpointId) {
        let checkpoint = self.next_checkpoint();
        (self.freeze_for(checkpoint), checkpoint)
    }

    /// Completes the checkpoint before, and numbers the next one.
    pub(crate) fn next_checkpoint(&mut self) -> CheckpointId {
        let checkpoint = self.next_checkpoint;
        self.next_checkpoint = checkpoint.next();
        if let Some(last) = self.last_checkpoint.replace(checkpoint) {
            self.keyed.complete(last);
        }
        checkpoint
    }

    /// The freeze alone.
    #[inline]
    pub(crate) fn freeze_for(&mut self, checkpoint: CheckpointId) -> Box<dyn FrozenState> {
        self.keyed.freeze(checkpoint).expect("pointers are cloned")
    }

    pub(crate) fn entry_count(&self) -> usize {
        self.keyed.entry_count().expect(RIGHT_USE)
    }

    #[inline(always)]
    fn get_one(&mut self, access: &Access<S>) -> u64 {
        let at = self.keyed.at_key_group(access.group, &access.key, &()).expect(RIGHT_USE);
        let value = self.state.get(&at).expect(RIGHT_USE);
        value.map_or(0, |value| S::digest(&value))
    }

    #[inline(always)]
    fn update_one(&mut self, access: &Access<S>) {
        let mut at = self.keyed.at_key_group(access.group, &access.key, &()).expect(RIGHT_USE);
        self.state
            .update_or_insert_with(&mut at, || S::value(0), |value| S::change(value))
            .expect(RIGHT_USE);
    }

    #[inline(always)]
    fn remove_one(&mut self, access: &Access<S>) {
        let mut at = self.keyed.at_key_group(access.group, &access.key, &()).expect(RIGHT_USE);
        self.state.clear(&mut at).expect(RIGHT_USE);
    }
}

impl<S: Shape> Contender<S> for Backend<S> {
    fn name(&self) -> &'static str {
        ""
    }

    fn get(&mut self, accesses: &[Access<S>]) -> u64 {
        accesses.iter().fold(0, |sum, access| sum.wrapping_add(self.get_one(access)))
    }

    fn update(&mut self, accesses: &[Access<S>]) {
        for access in accesses {
            self.update_one(access);
        }
    }

    fn get_many(&mut self, accesses: &[Access<S>]) -> u64 {
        let (mut sum, keys) = (0_u64, accesses.iter().map(|access| (access.group, &access.key)));
        let add = |_, value: Option<&S::Value>| {
            sum = sum.wrapping_add(value.map_or(0, |value| S::digest(value)));
        };
        self.keyed.multi_get(self.state, keys, &(), add).expect(RIGHT_USE);
        sum
    }

    fn update_many(&mut self, accesses: &[Access<S>]) {
        for batch in accesses.chunks(BATCH) {
            std::hint::black_box(self.get_many(batch));
            self.update(batch);
        }
    }

    fn mix(&mut self, accesses: &[Access<S>]) -> u64 {
        let mut sum = 0_u64;
        for access in accesses {
            match access.act {
                Act::Get => sum = sum.wrapping_add(self.get_one(access)),
                Act::Update => self.update_one(access),
                Act::Remove => self.remove_one(access),
            }
        }
        sum
    }

    fn snapshot(&mut self) -> Option<Job> {
        let (frozen, checkpoint) = self.freeze();
        let (storage, policy) = (Arc::new(NullStorage::paced()), StreamPolicy::files());
        let target = setup::full_target(storage, policy, checkpoint);
        Some(Box::new(move || {
            std::hint::black_box(setup::write(frozen, &target));
        }))
    }
}
