//! Keyed state of one subtask in RocksDB: opens its database, registers states, opens keys.

mod at;
mod batched;
mod kept;
mod key;
mod keys;
mod migrate;
mod register;
mod restore;
mod table;
mod timers;
mod ttl;

pub use at::RocksDbAt;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use alluvium_core::{CheckpointId, KeyGroup, KeyGroupRange, KeyedStateHandle};
use alluvium_format::codec::{Codec, OrderedCodec};
use alluvium_format::keyed::StateMeta;
use alluvium_state::ttl::LeftBehind;
use alluvium_state::{
    AggregateFunction, AggregatingState, AggregatingStateDescriptor, FrozenState, KeyedBackendSpec,
    KeyedStateBackend, KeyedStreams, ListState, ListStateDescriptor, MapState, MapStateDescriptor,
    ReducingState, ReducingStateDescriptor, RestoreError, SnapshotError, SortedKey, SortedMapState,
    SortedMapStateDescriptor, Stamping, StateError, StateId, StateKey, StateRef, StateValue,
    TimeDomain, Timer, TimerDescriptor, Timers, ValueState, ValueStateDescriptor,
};
use alluvium_storage::HandleReader;

use self::kept::Kept;
use self::table::Table;
use crate::engine::{Column, Engine};
use crate::folder::{FolderOwner, LocalFolder};
use crate::history::History;
use crate::options::EngineOptions;
use crate::restore::RestoreStatistics;
use crate::row_filter::filter;
use crate::row_format::RowFormat;
use crate::row_key::RowKeyLayout;
use crate::snapshot::{Freezing, FrozenBackend, FrozenColumn};
use crate::state_backend::RocksDbStateBackend;
use crate::store::{Failure, Store};

/// Dirty bytes from which on an announced checkpoint begins with a flush.
const ANNOUNCED_FLUSH_LEN_BYTES: u64 = 8 * 1024 * 1024;

/// Numbers the backends of the process, so that handles of another one are noticed.
static NEXT_BACKEND: AtomicU32 = AtomicU32::new(0);

/// Keyed state of one subtask, in a RocksDB database of its own.
pub struct RocksDbKeyedStateBackend<K, C> {
    number: u32,
    spec: KeyedBackendSpec<K, C>,
    key_groups: KeyGroupRange,
    layout: RowKeyLayout,
    options: EngineOptions,
    tables: Vec<Table>,
    /// Restored states that nobody registered yet, by name.
    kept: BTreeMap<String, Kept>,
    /// Numbers the column families.
    next_column: u32,
    history: History,
    /// The last checkpoint that was announced.
    announced: Option<CheckpointId>,
    statistics: RestoreStatistics,
    store: Store,
    /// Key group and key of the record at hand.
    key: Vec<u8>,
    scratch: Scratch,
    /// What reads of states with a time to live left to be done.
    left: LeftBehind<Self>,
}

/// Buffers that keep their memory from call to call.
#[derive(Default)]
struct Scratch {
    row: Cell<Vec<u8>>,
    value: Cell<Vec<u8>>,
}

/// Runs `body` with an empty buffer, whose memory is kept.
fn with_buffer<R>(buffer: &Cell<Vec<u8>>, body: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut bytes = buffer.take();
    bytes.clear();
    let result = body(&mut bytes);
    buffer.set(bytes);
    result
}

impl<K, C> RocksDbKeyedStateBackend<K, C> {
    /// How many compactions have waited until the files of a freeze were listed.
    pub fn compactions_held_back(&self) -> u64 {
        self.store.engine().compactions_held_back()
    }

    /// What the restore did that this backend began with.
    pub const fn restore_statistics(&self) -> &RestoreStatistics {
        &self.statistics
    }
}

impl<K: StateKey, C: Codec<K>> RocksDbKeyedStateBackend<K, C> {
    pub(crate) fn open(
        backend: &RocksDbStateBackend,
        spec: KeyedBackendSpec<K, C>,
        handles: &[KeyedStateHandle],
        reader: &HandleReader,
    ) -> Result<Self, RestoreError> {
        let restored = KeyedStreams::open(&spec, handles, reader)?;
        let owner = FolderOwner { uid: &spec.uid, subtask: spec.subtask, seed: spec.hash_seed };
        let folder = LocalFolder::create(&backend.base, owner)
            .map_err(|error| Failure::of_io("make a local folder", error))?;
        let engine = Engine::create_in(folder, &backend.options.database())
            .map_err(|error| Failure::new("open a database", error))?;
        let mut opened = Self {
            number: NEXT_BACKEND.fetch_add(1, Ordering::Relaxed),
            key_groups: restored.key_groups,
            layout: RowKeyLayout::new(spec.parallelism.max()),
            options: backend.options.clone(),
            tables: Vec::new(),
            kept: BTreeMap::new(),
            next_column: 0,
            history: History::default(),
            announced: None,
            statistics: RestoreStatistics::default(),
            store: Store::new(engine),
            key: Vec::new(),
            scratch: Scratch::default(),
            left: LeftBehind::default(),
            spec,
        };
        opened.restore(&restored, reader)?;
        Ok(opened)
    }

    /// A new column family for a state.
    fn create_column(&mut self, meta: &StateMeta, format: &RowFormat) -> Result<Column, Failure> {
        // Names of states may hold bytes that those of column families may not.
        let name = format!("state-{}", self.next_column);
        self.next_column += 1;
        let mut options = self.options.column(meta);
        filter(None, format.expiry.as_ref(), &mut options);
        let column = Column::create(self.store.engine(), &name, &options);
        column.map_err(|error| Failure::new("make a column family", error))
    }

    fn format_of(&self, meta: &StateMeta) -> Result<RowFormat, StateError> {
        RowFormat::new(self.layout, &self.spec.key.snapshot(), meta)
            .map_err(|source| StateError::Decode { state: meta.name.clone(), source })
    }

    #[inline]
    fn table(&self, id: StateId) -> Result<&Table, StateError> {
        match self.tables.get(id.index()) {
            Some(table) if id.backend() == self.number => Ok(table),
            _ => Err(StateError::ForeignHandle),
        }
    }
}

impl<K: StateKey, C: Codec<K>> KeyedStateBackend for RocksDbKeyedStateBackend<K, C> {
    type Key = K;
    type At<'a, N: StateKey> = RocksDbAt<'a, K, C, N>;

    fn key_groups(&self) -> KeyGroupRange {
        self.key_groups
    }

    fn key_group_of(&mut self, key: &K) -> Result<KeyGroup, StateError> {
        self.assign_key(key)
    }

    /// Errors: [`StateError::ForeignKeyGroup`]; [`StateError::Key`], since the key is encoded here.
    fn at_key_group<'a, N: StateKey>(
        &'a mut self,
        key_group: KeyGroup,
        key: &'a K,
        namespace: &'a N,
    ) -> Result<RocksDbAt<'a, K, C, N>, StateError> {
        self.settle()?;
        self.encode_key(key)?;
        self.open_key_group(key_group)?;
        Ok(RocksDbAt::new(self, namespace))
    }

    fn at_namespace<'a, N: StateKey>(
        &'a mut self,
        key: &'a K,
        namespace: &'a N,
    ) -> Result<RocksDbAt<'a, K, C, N>, StateError> {
        self.settle()?;
        let key_group = self.assign_key(key)?;
        self.open_key_group(key_group)?;
        Ok(RocksDbAt::new(self, namespace))
    }

    fn value_state<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ValueStateDescriptor<T, VC, N, NC>,
    ) -> Result<ValueState<T, N>, StateError> {
        Ok(ValueState::new(match descriptor.with_stamps()? {
            Stamping::Off(plain) => self.register_value(plain)?,
            Stamping::On(stamped, ttl) => {
                let id = self.register_value(stamped)?;
                self.set_ttl(id, ttl)?
            }
        }))
    }

    fn list_state<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ListStateDescriptor<T, VC, N, NC>,
    ) -> Result<ListState<T, N>, StateError> {
        Ok(ListState::new(match descriptor.with_stamps()? {
            Stamping::Off(plain) => self.register_list(plain)?,
            Stamping::On(stamped, ttl) => {
                let id = self.register_list(stamped)?;
                self.set_ttl(id, ttl)?
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
            Stamping::Off(plain) => self.register_map(plain)?,
            Stamping::On(stamped, ttl) => {
                let id = self.register_map(stamped)?;
                self.set_ttl(id, ttl)?
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
            Stamping::Off(plain) => self.register_sorted_map(plain)?,
            Stamping::On(stamped, ttl) => {
                let id = self.register_sorted_map(stamped)?;
                self.set_ttl(id, ttl)?
            }
        }))
    }

    fn reducing_state<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ReducingStateDescriptor<T, VC, N, NC>,
    ) -> Result<ReducingState<T, N>, StateError> {
        Ok(ReducingState::new(match descriptor.with_stamps()? {
            Stamping::Off(plain) => self.register_reducing(plain)?,
            Stamping::On(stamped, ttl) => {
                let id = self.register_reducing(stamped)?;
                self.set_ttl(id, ttl)?
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
            Stamping::Off(plain) => self.register_aggregating(plain)?,
            Stamping::On(stamped, ttl) => {
                let id = self.register_aggregating(stamped)?;
                self.set_ttl(id, ttl)?
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
        self.next_timer(timers, domain)
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
        self.keys_of(state, namespace, key_group)
    }

    fn keys_and_namespaces_in_group<S: StateRef>(
        &mut self,
        state: S,
        key_group: KeyGroup,
    ) -> Result<Vec<(K, S::Namespace)>, StateError> {
        self.settle()?;
        self.pairs_of(state, key_group)
    }

    fn unregistered_states(&self) -> Vec<StateMeta> {
        self.kept.values().map(|kept| kept.meta.clone()).collect()
    }

    fn drop_restored_state(&mut self, name: &str) -> Result<bool, StateError> {
        if self.tables.iter().any(|table| table.meta.name == name) {
            return Err(StateError::Registered { name: name.to_owned() });
        }
        let Some(kept) = self.kept.remove(name) else { return Ok(false) };
        // Frozen states still read it.
        kept.column.drop_family();
        Ok(self.store.check("drop a state").map(|()| true)?)
    }

    fn entry_count(&self) -> Result<usize, StateError> {
        let mut count = 0;
        for table in &self.tables {
            table.for_each_pair(&self.store, self.layout.rows_of(self.key_groups), |_| {
                count += 1;
                Ok(())
            })?;
        }
        Ok(count)
    }

    /// Flushes what is dirty, if it is much: what comes until the freeze is less.
    fn announce(&mut self, checkpoint: CheckpointId) {
        if self.announced.replace(checkpoint) == Some(checkpoint) {
            return;
        }
        let columns: Vec<&Column> = self
            .tables
            .iter()
            .map(|table| &table.column)
            .chain(self.kept.values().map(|kept| &kept.column))
            .collect();
        let engine = self.store.engine();
        if engine.dirty_bytes(&columns) >= ANNOUNCED_FLUSH_LEN_BYTES {
            // A failure poisons, and is told by the next call that can tell it.
            let _ = engine.pre_flush(&columns);
        }
    }

    fn freeze(&mut self, checkpoint: CheckpointId) -> Result<Box<dyn FrozenState>, SnapshotError> {
        self.settle().map_err(|error| SnapshotError::State(Arc::new(error)))?;
        let registered = self
            .tables
            .iter()
            .map(|table| FrozenColumn::new(&table.meta, &table.format, &table.column));
        let kept = self
            .kept
            .values()
            .map(|kept| FrozenColumn::new(&kept.meta, &kept.format, &kept.column));
        let columns = registered.chain(kept).collect();
        let freezing = Freezing {
            store: &self.store,
            key_groups: self.key_groups,
            checkpoint,
            history: &mut self.history,
            parallel_uploads: self.options.parallel_transfers,
        };
        let frozen = FrozenBackend::freeze(&self.spec, freezing, columns)?;
        Ok(Box::new(frozen))
    }

    fn complete(&mut self, checkpoint: CheckpointId) {
        self.history.complete(checkpoint);
    }

    fn abort(&mut self, checkpoint: CheckpointId) {
        self.history.abort(checkpoint);
    }
}

impl<K, C> std::fmt::Debug for RocksDbKeyedStateBackend<K, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (uid, groups, states) = (&self.spec.uid, self.key_groups, self.tables.len());
        let dir = self.store.engine().dir().display();
        write!(f, "RocksDbKeyedStateBackend({uid}, key groups {groups}, {states} states, {dir})")
    }
}

#[cfg(test)]
mod tests;
