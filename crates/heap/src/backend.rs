//! The heap backend: registers states, opens keys, freezes, restores.

mod at;
mod batched;
mod dropped;
mod fill;
mod frozen;
mod prefetch;
mod register;
mod registered;
mod restore;
mod timers;
mod ttl;

pub use at::HeapAt;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use alluvium_core::{CheckpointId, KeyGroup, KeyGroupRange, KeyedStateHandle};
use alluvium_format::codec::{Codec, OrderedCodec};
use alluvium_format::keyed::StateMeta;
use alluvium_state::{
    AggregateFunction, AggregatingState, AggregatingStateDescriptor, BackgroundLoad, FrozenState,
    KeyedBackendSpec, KeyedStateBackend, ListState, ListStateDescriptor, MapState,
    MapStateDescriptor, ReducingState, ReducingStateDescriptor, RestoreError, SnapshotError,
    SortedKey, SortedMapState, SortedMapStateDescriptor, Stamping, StateBackend, StateError,
    StateKey, StateRef, StateValue, TimeDomain, Timer, TimerDescriptor, Timers, ValueState,
    ValueStateDescriptor, check_key_len,
};
use alluvium_storage::HandleReader;

use self::frozen::Written;
use self::registered::{Registered, Views};
use self::restore::RestoredState;
use self::ttl::TtlWork;
use crate::TableHasher;
use crate::base::{Base, IncrementalOptions};
use crate::expiry::{ListExpiry, MapExpiry, SortedMapExpiry, ValueExpiry};
use crate::map::{Probe, StateMapKind};
use crate::moment::{Epoch, Moment};
use crate::table::{LoadJob, NamespacedTable, not_loaded};

/// Opens keyed state in memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeapStateBackend {
    map: StateMapKind,
    is_lazy: bool,
    incremental: IncrementalOptions,
    max_segment_entries: Option<usize>,
}

impl HeapStateBackend {
    /// A backend whose tables use a map; the default is [`StateMapKind::CopyOnWrite`].
    pub const fn new(map: StateMapKind) -> Self {
        Self {
            map,
            is_lazy: false,
            incremental: IncrementalOptions::DEFAULT,
            max_segment_entries: None,
        }
    }

    /// Restores lazily: [`StateBackend::open`] reads indexes only, and a segment of restored
    /// entries is read, checked and decoded when one of them is first touched. Default: everything
    /// is read and checked before `open` returns.
    #[must_use]
    pub const fn lazy(mut self) -> Self {
        self.is_lazy = true;
        self
    }

    /// Most entries that a segment holds on average, at least 1. Smaller ones are copied and loaded
    /// faster, and cost more memory and larger indexes. Default: as many as weigh about 29 KiB, and
    /// 512 where keys, namespaces or values own memory.
    #[must_use]
    pub const fn max_segment_entries(mut self, entries: usize) -> Self {
        self.max_segment_entries = Some(entries);
        self
    }

    /// Bounds of incremental snapshots; default [`IncrementalOptions::default`].
    #[must_use]
    pub const fn incremental(mut self, options: IncrementalOptions) -> Self {
        self.incremental = options;
        self
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
        HeapKeyedStateBackend::open(*self, spec, restored, reader)
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
    /// Hashers by the position of the key group.
    hashers: Arc<[TableHasher]>,
    is_lazy: bool,
    incremental: IncrementalOptions,
    max_segment_entries: usize,
    tables: Vec<Registered<K>>,
    /// Restored states that nobody registered yet, by name.
    restored: BTreeMap<String, RestoredState>,
    moment: Moment,
    /// The newest confirmed checkpoint that later ones may refer to.
    base: Option<Arc<Base>>,
    /// Checkpoints that are neither confirmed nor given up, oldest first.
    pending: Vec<Pending>,
    /// States that were dropped, and when; those that a base may still have.
    dropped: Vec<(String, Epoch)>,
    /// Tells background work that the backend is there.
    alive: Arc<()>,
    /// Encoded key of the record at hand.
    scratch: Vec<u8>,
    ttl: TtlWork<Self>,
}

/// A checkpoint on its way.
struct Pending {
    checkpoint: CheckpointId,
    epoch: Epoch,
    written: Written,
}

impl<K: StateKey, C: Codec<K>> HeapKeyedStateBackend<K, C> {
    fn open(
        backend: HeapStateBackend,
        spec: KeyedBackendSpec<K, C>,
        handles: &[KeyedStateHandle],
        reader: &HandleReader,
    ) -> Result<Self, RestoreError> {
        let HeapStateBackend { map, is_lazy, incremental, max_segment_entries } = backend;
        let restored = restore::read_handles(&spec, handles, reader, is_lazy)?;
        let base = restored.base.map(Arc::new);
        Ok(Self {
            number: NEXT_BACKEND.fetch_add(1, Ordering::Relaxed),
            map,
            key_groups: restored.key_groups,
            hashers: restored.hashers.into(),
            is_lazy,
            incremental,
            max_segment_entries: max_segment_entries.unwrap_or(usize::MAX).max(1),
            tables: Vec::new(),
            restored: restored.states,
            moment: Moment { base: base.as_ref().map(|base| base.epoch), ..Moment::FIRST },
            base,
            pending: Vec::new(),
            dropped: Vec::new(),
            alive: Arc::new(()),
            scratch: Vec::new(),
            ttl: TtlWork::default(),
            spec,
        })
    }

    /// The table of a state and the position of a key group in it.
    fn table_in_group<S: StateRef>(
        &self,
        state: S,
        key_group: KeyGroup,
    ) -> Result<(&dyn NamespacedTable<K, S::Namespace>, usize), StateError> {
        let registered = self.registered(state.id())?;
        let table = registered.shared::<S::Namespace>().ok_or(StateError::ForeignHandle)?;
        let range = self.key_groups;
        match range.index_of(key_group) {
            Some(group) => Ok((table, group)),
            None => Err(StateError::ForeignKeyGroup { key_group, range }),
        }
    }

    /// Tells all tables where the backend stands.
    fn set_moment(&mut self, moment: Moment) {
        self.moment = moment;
        for registered in &mut self.tables {
            registered.table_mut().set_moment(moment);
        }
    }

    /// The key group of a key that has to be encoded for it.
    fn key_group_of_encoded(&mut self, key: &K) -> Result<KeyGroup, StateError> {
        self.scratch.clear();
        self.spec
            .key
            .encode(key, &mut self.scratch)
            .map_err(|source| StateError::Key { source })?;
        check_key_len("key", self.scratch.len())?;
        Ok(self.spec.assigner.assign(key, &self.scratch, self.spec.parallelism.max()))
    }

    #[cold]
    const fn foreign(&self, key_group: KeyGroup) -> StateError {
        StateError::ForeignKeyGroup { key_group, range: self.key_groups }
    }

    /// The hasher of a key group, by its position.
    #[inline(always)]
    fn hasher(&self, group: usize) -> TableHasher {
        self.hashers.get(group).copied().unwrap_or(TableHasher::new(0))
    }

    /// The hasher of the maps inside keys.
    const fn user_hasher(&self) -> TableHasher {
        TableHasher::new(self.spec.hash_seed)
    }

    #[inline]
    fn registered(&self, id: alluvium_state::StateId) -> Result<&Registered<K>, StateError> {
        match self.tables.get(id.index()) {
            Some(registered) if id.backend() == self.number => Ok(registered),
            _ => Err(StateError::ForeignHandle),
        }
    }
}

impl<K: StateKey, C: Codec<K>> KeyedStateBackend for HeapKeyedStateBackend<K, C> {
    type Key = K;
    type At<'a, N: StateKey> = HeapAt<'a, K, C, N>;

    fn key_groups(&self) -> KeyGroupRange {
        self.key_groups
    }

    #[inline(always)]
    fn key_group_of(&mut self, key: &K) -> Result<KeyGroup, StateError> {
        let max = self.spec.parallelism.max();
        match self.spec.key.eight_bytes(key) {
            Some(eight) => Ok(self.spec.assigner.assign(key, &eight, max)),
            None => self.key_group_of_encoded(key),
        }
    }

    #[inline(always)]
    fn at_key_group<'a, N: StateKey>(
        &'a mut self,
        key_group: KeyGroup,
        key: &'a K,
        namespace: &'a N,
    ) -> Result<HeapAt<'a, K, C, N>, StateError> {
        if self.ttl.is_on {
            self.settle_and_sweep()?;
        }
        // One comparison finds the hasher and refuses a key group that has none.
        let group = self.key_groups.offset_of(key_group);
        match self.hashers.get(group) {
            Some(&hasher) => Ok(HeapAt::new(self, group, Probe::new(key, namespace, hasher))),
            None => Err(self.foreign(key_group)),
        }
    }

    fn prefetch<'k>(&mut self, keys: impl Iterator<Item = (KeyGroup, &'k K)>) {
        self.fetch(keys);
    }

    fn value_state<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ValueStateDescriptor<T, VC, N, NC>,
    ) -> Result<ValueState<T, N>, StateError> {
        Ok(ValueState::new(match descriptor.with_stamps()? {
            Stamping::Off(plain) => self.register_value(plain, None)?,
            Stamping::On(stamped, ttl) => {
                self.register_value(stamped, Some(Arc::new(ValueExpiry(ttl))))?.with_ttl()
            }
        }))
    }

    fn list_state<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ListStateDescriptor<T, VC, N, NC>,
    ) -> Result<ListState<T, N>, StateError> {
        Ok(ListState::new(match descriptor.with_stamps()? {
            Stamping::Off(plain) => self.register_list(plain, None)?,
            Stamping::On(stamped, ttl) => {
                self.register_list(stamped, Some(Arc::new(ListExpiry(ttl))))?.with_ttl()
            }
        }))
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
        Ok(MapState::new(match descriptor.with_stamps()? {
            Stamping::Off(plain) => self.register_map(plain, None)?,
            Stamping::On(stamped, ttl) => {
                let expiry = MapExpiry { ttl, hasher: self.user_hasher() };
                self.register_map(stamped, Some(Arc::new(expiry)))?.with_ttl()
            }
        }))
    }

    fn sorted_map_state<UK, UV, KC, VC, N, NC>(
        &mut self,
        descriptor: SortedMapStateDescriptor<UK, UV, KC, VC, N, NC>,
    ) -> Result<SortedMapState<UK, UV, N>, StateError>
    where
        UK: SortedKey,
        UV: StateValue,
        KC: OrderedCodec<UK>,
        VC: Codec<UV>,
        N: StateKey,
        NC: Codec<N>,
    {
        Ok(SortedMapState::new(match descriptor.with_stamps()? {
            Stamping::Off(plain) => self.register_sorted_map(plain, None)?,
            Stamping::On(stamped, ttl) => {
                self.register_sorted_map(stamped, Some(Arc::new(SortedMapExpiry(ttl))))?.with_ttl()
            }
        }))
    }

    fn reducing_state<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ReducingStateDescriptor<T, VC, N, NC>,
    ) -> Result<ReducingState<T, N>, StateError> {
        Ok(ReducingState::new(match descriptor.with_stamps()? {
            Stamping::Off(plain) => self.register_reducing(plain, None)?,
            Stamping::On(stamped, ttl) => {
                self.register_reducing(stamped, Some(Arc::new(ValueExpiry(ttl))))?.with_ttl()
            }
        }))
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
        Ok(AggregatingState::new(match descriptor.with_stamps()? {
            Stamping::Off(plain) => self.register_aggregating(plain, None)?,
            Stamping::On(stamped, ttl) => {
                self.register_aggregating(stamped, Some(Arc::new(ValueExpiry(ttl))))?.with_ttl()
            }
        }))
    }

    fn timers<N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: TimerDescriptor<N, NC>,
    ) -> Result<Timers<N>, StateError> {
        self.register_timers(descriptor).map(Timers::new)
    }

    fn next_timer_ms<N: StateKey>(
        &mut self,
        timers: Timers<N>,
        domain: TimeDomain,
    ) -> Result<Option<i64>, StateError> {
        Ok(self.timer_table(timers)?.next_ms(domain))
    }

    fn pop_timer<N: StateKey>(
        &mut self,
        timers: Timers<N>,
        domain: TimeDomain,
        up_to_ms: i64,
    ) -> Result<Option<Timer<K, N>>, StateError> {
        self.pop_due(timers, domain, up_to_ms)
    }

    fn keys_in_group<S: StateRef>(
        &mut self,
        state: S,
        namespace: &S::Namespace,
        key_group: KeyGroup,
    ) -> Result<Vec<K>, StateError> {
        self.settle()?;
        let (table, group) = self.table_in_group(state, key_group)?;
        table.keys_of(group, namespace).map_err(not_loaded)
    }

    fn keys_and_namespaces_in_group<S: StateRef>(
        &mut self,
        state: S,
        key_group: KeyGroup,
    ) -> Result<Vec<(K, S::Namespace)>, StateError> {
        self.settle()?;
        let (table, group) = self.table_in_group(state, key_group)?;
        table.pairs_of(group).map_err(not_loaded)
    }

    fn unregistered_states(&self) -> Vec<StateMeta> {
        self.restored.values().map(|restored| restored.meta.clone()).collect()
    }

    fn drop_restored_state(&mut self, name: &str) -> Result<bool, StateError> {
        self.drop_restored(name)
    }

    fn entry_count(&self) -> Result<usize, StateError> {
        Ok(self.tables.iter().map(|registered| registered.table().entry_count()).sum())
    }

    fn freeze(&mut self, checkpoint: CheckpointId) -> Result<Box<dyn FrozenState>, SnapshotError> {
        self.settle().map_err(|error| SnapshotError::State(Arc::new(error)))?;
        let written = Written::default();
        let frozen = self.freeze_tables(Arc::clone(&written))?;
        let epoch = self.moment.now;
        self.pending.push(Pending { checkpoint, epoch, written });
        self.set_moment(Moment { now: epoch + 1, ..self.moment });
        Ok(Box::new(frozen))
    }

    /// A checkpoint that left nothing to refer to takes the base away as well: it may be the one
    /// whose completion lets the files of the base go.
    fn complete(&mut self, checkpoint: CheckpointId) {
        let at = self.pending.iter().position(|pending| pending.checkpoint == checkpoint);
        let Some(at) = at else { return };
        let Some(confirmed) = self.pending.drain(..=at).next_back() else { return };
        self.base = confirmed.written.get().map(|base| self.without_dropped(base));
        let base = self.base.as_ref().map(|_| confirmed.epoch);
        self.set_moment(Moment { base, ..self.moment });
    }

    fn abort(&mut self, checkpoint: CheckpointId) {
        self.pending.retain(|pending| pending.checkpoint != checkpoint);
    }

    fn background_load(&mut self) -> Option<BackgroundLoad> {
        let jobs: Vec<LoadJob> =
            self.tables.iter().filter_map(|registered| registered.table().load_job()).collect();
        if jobs.is_empty() {
            return None;
        }
        let backend = Arc::downgrade(&self.alive);
        Some(BackgroundLoad::new(move || {
            jobs.into_iter().try_for_each(|job| job(&backend).map_err(not_loaded))
        }))
    }
}

impl<K, C> std::fmt::Debug for HeapKeyedStateBackend<K, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (uid, groups) = (&self.spec.uid, self.key_groups);
        write!(f, "HeapKeyedStateBackend({uid}, key groups {groups}, {} states)", self.tables.len())
    }
}
