//! The heap backend: registers states, opens keys, freezes, restores.

mod at;
mod frozen;
mod register;
mod restore;

pub use at::HeapAt;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use alluvium_core::{CheckpointId, KeyGroup, KeyGroupRange, KeyedStateHandle};
use alluvium_format::codec::Codec;
use alluvium_state::{
    AggregateFunction, AggregatingState, AggregatingStateDescriptor, FrozenState, KeyedBackendSpec,
    KeyedStateBackend, ListState, ListStateDescriptor, MapState, MapStateDescriptor, ReducingState,
    ReducingStateDescriptor, RestoreError, SnapshotError, StateBackend, StateError, StateKey,
    StateRef, StateValue, ValueState, ValueStateDescriptor,
};
use alluvium_storage::HandleReader;

use self::restore::RestoredState;
use crate::map::StateMapKind;
use crate::table::{AnyTable, NamespacedTable};
use crate::{Probe, TableHasher};

/// Opens keyed state in memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeapStateBackend {
    map: StateMapKind,
}

impl HeapStateBackend {
    /// A backend whose tables use a map; the default is [`StateMapKind::CopyOnWrite`].
    pub const fn new(map: StateMapKind) -> Self {
        Self { map }
    }
}

impl StateBackend for HeapStateBackend {
    type Keyed<K: StateKey, C: Codec<K>> = HeapKeyedStateBackend<K, C>;

    fn name(&self) -> &'static str {
        match self.map {
            StateMapKind::CopyOnWrite => "heap",
            StateMapKind::Nested => "heap-nested",
        }
    }

    fn open<K: StateKey, C: Codec<K>>(
        &self,
        spec: KeyedBackendSpec<K, C>,
        restored: &[KeyedStateHandle],
        reader: &HandleReader,
    ) -> Result<Self::Keyed<K, C>, RestoreError> {
        HeapKeyedStateBackend::open(self.map, spec, restored, reader)
    }
}

/// Numbers the backends of the process, so that handles of another one are noticed.
static NEXT_BACKEND: AtomicU32 = AtomicU32::new(0);

/// Keyed state of one subtask, in memory.
pub struct HeapKeyedStateBackend<K, C> {
    number: u32,
    map: StateMapKind,
    spec: KeyedBackendSpec<K, C>,
    key_groups: KeyGroupRange,
    hasher: TableHasher,
    tables: Vec<Registered<K>>,
    /// Restored states that nobody registered yet, by name.
    restored: BTreeMap<String, RestoredState>,
    /// Encoded key of the record at hand.
    scratch: Vec<u8>,
}

/// A table, seen once without its types and once with its namespace type only.
struct Registered<K> {
    table: Box<dyn AnyTable<K>>,
    /// `fn(&mut dyn AnyTable<K>) -> Option<&mut dyn NamespacedTable<K, N>>`, boxed.
    namespaced: Box<dyn std::any::Any + Send + Sync>,
}

type NamespacedMut<K, N> =
    for<'t> fn(&'t mut dyn AnyTable<K>) -> Option<&'t mut dyn NamespacedTable<K, N>>;
type NamespacedRef<K, N> = for<'t> fn(&'t dyn AnyTable<K>) -> Option<&'t dyn NamespacedTable<K, N>>;

/// Both views of a table over one namespace type.
struct Views<K, N> {
    exclusive: NamespacedMut<K, N>,
    shared: NamespacedRef<K, N>,
}

impl<K: StateKey, C: Codec<K>> HeapKeyedStateBackend<K, C> {
    fn open(
        map: StateMapKind,
        spec: KeyedBackendSpec<K, C>,
        handles: &[KeyedStateHandle],
        reader: &HandleReader,
    ) -> Result<Self, RestoreError> {
        let key_groups = KeyGroupRange::of_subtask(spec.subtask, spec.parallelism)
            .map_err(|error| restore::subtask_error(&error))?;
        let restored = restore::read_handles(&spec, key_groups, handles, reader)?;
        Ok(Self {
            number: NEXT_BACKEND.fetch_add(1, Ordering::Relaxed),
            map,
            key_groups,
            hasher: TableHasher::new(spec.hash_seed),
            tables: Vec::new(),
            restored,
            scratch: Vec::new(),
            spec,
        })
    }

    fn registered(&self, id: alluvium_state::StateId) -> Result<&Registered<K>, StateError> {
        if id.backend != self.number {
            return Err(StateError::ForeignHandle);
        }
        self.tables.get(usize::from(id.index)).ok_or(StateError::ForeignHandle)
    }
}

impl<K> Registered<K> {
    fn shared<N: StateKey>(&self) -> Option<&dyn NamespacedTable<K, N>>
    where
        K: StateKey,
    {
        let views = self.namespaced.downcast_ref::<Views<K, N>>()?;
        (views.shared)(&*self.table)
    }

    fn remove<N: StateKey>(&mut self, group: usize, probe: Probe<'_, K, N>) -> Option<()>
    where
        K: StateKey,
    {
        let views = self.namespaced.downcast_ref::<Views<K, N>>()?;
        (views.exclusive)(&mut *self.table).map(|table| table.remove_pair(group, probe))
    }
}

impl<K: StateKey, C: Codec<K>> KeyedStateBackend for HeapKeyedStateBackend<K, C> {
    type Key = K;
    type At<'a, N: StateKey> = HeapAt<'a, K, C, N>;

    fn key_groups(&self) -> KeyGroupRange {
        self.key_groups
    }

    fn key_group_of(&mut self, key: &K) -> Result<KeyGroup, StateError> {
        self.scratch.clear();
        self.spec
            .key
            .encode(key, &mut self.scratch)
            .map_err(|source| StateError::Key { source })?;
        Ok(self.spec.assigner.assign(key, &self.scratch, self.spec.parallelism.max()))
    }

    fn at_key_group<'a, N: StateKey>(
        &'a mut self,
        key_group: KeyGroup,
        key: &'a K,
        namespace: &'a N,
    ) -> Result<HeapAt<'a, K, C, N>, StateError> {
        let range = self.key_groups;
        let group =
            range.index_of(key_group).ok_or(StateError::ForeignKeyGroup { key_group, range })?;
        Ok(HeapAt::new(self, group, key, namespace))
    }

    fn value_state<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ValueStateDescriptor<T, VC, N, NC>,
    ) -> Result<ValueState<T, N>, StateError> {
        self.register_value(descriptor).map(ValueState::new)
    }

    fn list_state<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ListStateDescriptor<T, VC, N, NC>,
    ) -> Result<ListState<T, N>, StateError> {
        self.register_list(descriptor).map(ListState::new)
    }

    fn map_state<UK, UV, KC, VC, N, NC>(
        &mut self,
        descriptor: MapStateDescriptor<UK, UV, KC, VC, N, NC>,
    ) -> Result<MapState<UK, UV, N>, StateError>
    where
        UK: StateKey,
        UV: StateValue,
        KC: Codec<UK>,
        VC: Codec<UV>,
        N: StateKey,
        NC: Codec<N>,
    {
        self.register_map(descriptor).map(MapState::new)
    }

    fn reducing_state<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ReducingStateDescriptor<T, VC, N, NC>,
    ) -> Result<ReducingState<T, N>, StateError> {
        self.register_reducing(descriptor).map(ReducingState::new)
    }

    fn aggregating_state<A, VC, N, NC>(
        &mut self,
        descriptor: AggregatingStateDescriptor<A, VC, N, NC>,
    ) -> Result<AggregatingState<A, N>, StateError>
    where
        A: AggregateFunction,
        VC: Codec<A::Accumulator>,
        N: StateKey,
        NC: Codec<N>,
    {
        self.register_aggregating(descriptor).map(AggregatingState::new)
    }

    fn keys<S: StateRef>(&self, state: S, namespace: &S::Namespace) -> Result<Vec<K>, StateError> {
        let registered = self.registered(state.id())?;
        let table = registered.shared::<S::Namespace>().ok_or(StateError::ForeignHandle)?;
        let mut keys = Vec::new();
        table.keys_of(namespace, &mut keys);
        Ok(keys)
    }

    fn entry_count(&self) -> usize {
        self.tables.iter().map(|registered| registered.table.entry_count()).sum()
    }

    fn freeze(&mut self, _checkpoint: CheckpointId) -> Result<Box<dyn FrozenState>, SnapshotError> {
        self.freeze_tables()
    }

    fn complete(&mut self, _checkpoint: CheckpointId) {}

    fn abort(&mut self, _checkpoint: CheckpointId) {}
}

impl<K, C> std::fmt::Debug for HeapKeyedStateBackend<K, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (uid, groups) = (&self.spec.uid, self.key_groups);
        write!(f, "HeapKeyedStateBackend({uid}, key groups {groups}, {} states)", self.tables.len())
    }
}
