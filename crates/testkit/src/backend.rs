//! A whole state backend that is as simple as it can be: every entry is encoded, in one `BTreeMap`
//! for each state.
//!
//! It is the example of what another project has to write, and what the suite is tested with: see
//! [`with_mistake`](ModelStateBackend::with_mistake). It takes only the public interfaces of
//! `alluvium-state`, `alluvium-format` and `alluvium-storage`.
//!
//! Ladder of names: [`ModelStateBackend`] > [`ModelKeyedStateBackend`] (one subtask) > table (one
//! state, registered) > row (one key and namespace, or one timer). [`ModelAt`] is one key and
//! namespace of all tables.
//!
//! Invariants:
//! - a row is encoded as it stands in a stream (SPEC 6.4), so state is kept, written and rescaled
//!   without its types; only a registered state has codecs;
//! - a freeze clones a pointer for each state; the first write afterwards copies that state;
//! - every snapshot is full, so `complete` and `abort` have nothing to do.

mod at;
mod expiry;
mod kinds;
mod register;
mod row;
mod slips;
mod stream;
mod table;
mod timers;

pub use at::ModelAt;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use alluvium_core::{CheckpointId, KeyGroup, KeyGroupAssigner, KeyGroupRange, KeyedStateHandle};
use alluvium_format::codec::{Codec, Input, OrderedCodec, UnitCodec};
use alluvium_format::keyed::{StateKind, StateMeta};
use alluvium_state::ttl::LeftBehind;
use alluvium_state::{
    AggregateFunction, AggregatingState, AggregatingStateDescriptor, FrozenState, KeyedBackendSpec,
    KeyedStateBackend, ListState, ListStateDescriptor, MapState, MapStateDescriptor, ReducingState,
    ReducingStateDescriptor, RestoreError, SnapshotError, SortedKey, SortedMapState,
    SortedMapStateDescriptor, Stamping, StateBackend, StateError, StateId, StateKey, StateRef,
    StateValue, TimeDomain, Timer, TimerDescriptor, Timers, ValueState, ValueStateDescriptor,
    check_key_len,
};
use alluvium_storage::HandleReader;

use self::register::Request;
use self::row::Row;
use self::slips::Slips;
use self::stream::{FrozenModel, restore};
use self::table::{Stored, Table};
use crate::mistake::Mistake;

/// Opens keyed state in `BTreeMap`s.
#[derive(Debug, Clone, Copy, Default)]
pub struct ModelStateBackend {
    mistake: Option<Mistake>,
}

impl ModelStateBackend {
    /// A backend that does everything right.
    pub const fn new() -> Self {
        Self { mistake: None }
    }

    /// A backend that does one thing wrong.
    pub const fn with_mistake(mistake: Mistake) -> Self {
        Self { mistake: Some(mistake) }
    }
}

/// Numbers the backends of the process, so that handles of another one are noticed.
static NEXT_BACKEND: AtomicU32 = AtomicU32::new(0);

impl StateBackend for ModelStateBackend {
    type Keyed<K: StateKey, C: Codec<K>> = ModelKeyedStateBackend<K, C>;

    fn name(&self) -> &'static str {
        "model"
    }

    fn open<K: StateKey, C: Codec<K>>(
        &self,
        spec: KeyedBackendSpec<K, C>,
        restored: &[KeyedStateHandle],
        reader: &HandleReader,
    ) -> Result<Self::Keyed<K, C>, RestoreError> {
        let slips = Slips::new(self.mistake);
        let (key_groups, restored) = restore(&spec, restored, reader, &slips)?;
        let number = NEXT_BACKEND.fetch_add(1, Ordering::Relaxed);
        let tables = Vec::new();
        let left = LeftBehind::default();
        Ok(ModelKeyedStateBackend { number, spec, key_groups, tables, restored, left, slips })
    }
}

/// Keyed state of one subtask, in `BTreeMap`s.
pub struct ModelKeyedStateBackend<K, C> {
    number: u32,
    spec: KeyedBackendSpec<K, C>,
    key_groups: KeyGroupRange,
    /// The registered states; a handle names one by its position.
    tables: Vec<Table>,
    /// Restored states that nobody registered yet, by name.
    restored: BTreeMap<String, Stored>,
    /// What reads of expiring state left to be done.
    left: LeftBehind<Self>,
    slips: Slips,
}

impl<K, C> ModelKeyedStateBackend<K, C> {
    const fn makes(&self, mistake: Mistake) -> bool {
        self.slips.makes(mistake)
    }

    fn is_own(&self, id: StateId) -> bool {
        id.backend() == self.number || self.makes(Mistake::ForeignHandleAccepted)
    }

    fn table(&self, id: StateId) -> Result<&Table, StateError> {
        let table = self.tables.get(id.index()).filter(|_| self.is_own(id));
        table.ok_or(StateError::ForeignHandle)
    }

    fn table_mut(&mut self, id: StateId) -> Result<&mut Table, StateError> {
        let is_own = self.is_own(id);
        let table = self.tables.get_mut(id.index()).filter(|_| is_own);
        table.ok_or(StateError::ForeignHandle)
    }

    fn rows_in_group<'t>(
        &self,
        table: &'t Table,
        key_group: KeyGroup,
    ) -> Result<impl Iterator<Item = &'t Row> + use<'t, K, C>, StateError> {
        let visible = table.visible_rows()?;
        let (range, in_all) = (self.key_groups, self.makes(Mistake::KeysOfAllGroups));
        if !range.contains(key_group) {
            return Err(StateError::ForeignKeyGroup { key_group, range });
        }
        let rows = visible.into_iter();
        Ok(rows.filter(move |row| row.key_group == key_group || in_all))
    }

    /// Every state, registered or not, as it is now; without what has expired.
    fn stored(&self) -> Result<Vec<Stored>, StateError> {
        let mut states = Vec::new();
        for table in &self.tables {
            let is_sorted = table.stored.meta.kind == StateKind::SortedMap;
            let keeps_expired = self.makes(Mistake::ExpiredWritten)
                || (is_sorted && self.makes(Mistake::ExpiredSortedEntriesWritten));
            states.push(if keeps_expired { table.stored.clone() } else { table.unexpired()? });
        }
        if !self.makes(Mistake::UnregisteredDropped) {
            states.extend(self.restored.values().cloned());
        }
        Ok(states)
    }

    /// Does what reads of expiring state have left behind.
    fn settle(&mut self) -> Result<(), StateError> {
        LeftBehind::settle(self, |backend| &mut backend.left)
    }
}

impl<K: StateKey, C: Codec<K>> ModelKeyedStateBackend<K, C> {
    fn encode_key(&self, key: &K) -> Result<Vec<u8>, StateError> {
        let mut encoded = Vec::new();
        self.spec.key.encode(key, &mut encoded).map_err(|source| StateError::Key { source })?;
        if !self.makes(Mistake::LongKeysAccepted) {
            check_key_len("key", encoded.len())?;
        }
        Ok(encoded)
    }

    fn decode_key(&self, table: &Table, key: &[u8]) -> Result<K, StateError> {
        let key = self.spec.key.decode(&mut Input::new(key));
        key.map_err(|source| table.cannot_decode(source))
    }
}

impl<K: StateKey, C: Codec<K>> KeyedStateBackend for ModelKeyedStateBackend<K, C> {
    type Key = K;
    type At<'a, N: StateKey> = ModelAt<'a, K, C, N>;

    fn key_groups(&self) -> KeyGroupRange {
        self.key_groups
    }

    fn key_group_of(&mut self, key: &K) -> Result<KeyGroup, StateError> {
        let encoded = self.encode_key(key)?;
        let max = self.spec.parallelism.max();
        let assigner = match self.spec.assigner {
            _ if self.makes(Mistake::FlinkAssignerIgnored) => KeyGroupAssigner::Stable,
            assigner => assigner,
        };
        let found = assigner.assign(key, &encoded, max);
        if self.makes(Mistake::KeyGroupOffByOne) {
            return Ok(KeyGroup::new(found.get() + 1, max).unwrap_or(found));
        }
        Ok(found)
    }

    fn at_key_group<'a, N: StateKey>(
        &'a mut self,
        key_group: KeyGroup,
        key: &'a K,
        namespace: &'a N,
    ) -> Result<ModelAt<'a, K, C, N>, StateError> {
        let range = self.key_groups;
        if !range.contains(key_group) && !self.makes(Mistake::ForeignKeyAccepted) {
            return Err(StateError::ForeignKeyGroup { key_group, range });
        }
        ModelAt::new(self, key_group, key, namespace)
    }

    fn value_state<T: StateValue, VC: Codec<T>, N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: ValueStateDescriptor<T, VC, N, NC>,
    ) -> Result<ValueState<T, N>, StateError> {
        Ok(ValueState::new(match descriptor.with_stamps()? {
            Stamping::Off(plain) => self.register_value(plain, None)?,
            Stamping::On(stamped, ttl) => {
                self.register_value(stamped, Some((ttl, expiry::value)))?.with_ttl()
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
                self.register_list(stamped, Some((ttl, expiry::list)))?.with_ttl()
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
                self.register_map(stamped, Some((ttl, expiry::map)))?.with_ttl()
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
                self.register_sorted_map(stamped, Some((ttl, expiry::sorted_map)))?.with_ttl()
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
                self.register_reducing(stamped, Some((ttl, expiry::value)))?.with_ttl()
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
                self.register_aggregating(stamped, Some((ttl, expiry::value)))?.with_ttl()
            }
        }))
    }

    fn timers<N: StateKey, NC: Codec<N>>(
        &mut self,
        descriptor: TimerDescriptor<N, NC>,
    ) -> Result<Timers<N>, StateError> {
        let TimerDescriptor { name, namespace, .. } = descriptor;
        let (kind, value) = (StateKind::Timers, UnitCodec);
        let request = Request { name, kind, namespace, value, function: None, expiry: None };
        self.register::<N, (), _, _>(request).map(Timers::new)
    }

    fn next_timer_ms<N: StateKey>(
        &mut self,
        timers: Timers<N>,
        domain: TimeDomain,
    ) -> Result<Option<i64>, StateError> {
        let first = self.first_timer(timers, domain)?;
        Ok(first.and_then(|row| row.timer).map(|(_, time_ms)| time_ms))
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
        let table = self.table(state.id())?;
        let namespace = table.encode_namespace(namespace)?;
        let is_wanted =
            |found: &[u8]| found == namespace || self.makes(Mistake::KeysOfAllNamespaces);
        let rows = self.rows_in_group(table, key_group)?.filter(|row| is_wanted(&row.namespace));
        let mut keys: Vec<&[u8]> = rows.map(|row| row.key.as_slice()).collect();
        if !self.makes(Mistake::KeyListedTwice) {
            keys = keys.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        }
        keys.into_iter().map(|key| self.decode_key(table, key)).collect()
    }

    fn keys_and_namespaces_in_group<S: StateRef>(
        &mut self,
        state: S,
        key_group: KeyGroup,
    ) -> Result<Vec<(K, S::Namespace)>, StateError> {
        self.settle()?;
        let table = self.table(state.id())?;
        let rows = self.rows_in_group(table, key_group)?;
        let pairs: BTreeSet<_> = rows.map(|row| (&row.key, &row.namespace)).collect();
        let decode = |(key, namespace): (&Vec<u8>, &Vec<u8>)| {
            Ok((self.decode_key(table, key)?, table.decode_namespace(namespace)?))
        };
        pairs.into_iter().map(decode).collect()
    }

    fn unregistered_states(&self) -> Vec<StateMeta> {
        self.restored.values().map(|stored| stored.meta.clone()).collect()
    }

    fn drop_restored_state(&mut self, name: &str) -> Result<bool, StateError> {
        if self.tables.iter().any(|table| table.stored.meta.name == name) {
            return Err(StateError::Registered { name: name.to_owned() });
        }
        if self.makes(Mistake::DroppedStateKept) {
            return Ok(self.restored.contains_key(name));
        }
        Ok(self.restored.remove(name).is_some())
    }

    fn entry_count(&self) -> Result<usize, StateError> {
        let count = |table: &Table| {
            let rows = table.stored.rows.keys();
            if self.makes(Mistake::CountOfKeys) {
                rows.map(|row| &row.key).collect::<BTreeSet<_>>().len()
            } else {
                rows.len()
            }
        };
        Ok(self.tables.iter().map(count).sum())
    }

    fn freeze(&mut self, checkpoint: CheckpointId) -> Result<Box<dyn FrozenState>, SnapshotError> {
        let state_error = |error| SnapshotError::State(Arc::new(error));
        self.settle().map_err(state_error)?;
        let stored = self.stored().map_err(state_error)?;
        let states = self.slips.frozen(checkpoint, stored);
        Ok(Box::new(FrozenModel::new(&self.spec, self.key_groups, states, self.slips.mistake())))
    }

    fn complete(&mut self, checkpoint: CheckpointId) {
        if let Some(states) = self.slips.forgets(checkpoint, Mistake::CompleteForgetsChanges) {
            self.go_back_to(&states);
        }
    }

    fn abort(&mut self, checkpoint: CheckpointId) {
        if let Some(states) = self.slips.forgets(checkpoint, Mistake::AbortForgetsChanges) {
            self.go_back_to(&states);
        }
    }
}

impl<K, C> std::fmt::Debug for ModelKeyedStateBackend<K, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (uid, groups) = (&self.spec.uid, self.key_groups);
        write!(
            f,
            "ModelKeyedStateBackend({uid}, key groups {groups}, {} states)",
            self.tables.len()
        )
    }
}
