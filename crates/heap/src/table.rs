//! The table of one state: one map per key group.
//!
//! Tables of different types live in one backend, so they are used through [`AnyTable`] where types
//! do not matter, and downcast to [`StateTable`] where they do.
//!
//! Invariants: the map at index `i` belongs to the `i`-th key group of the backend's range.

mod codec;
mod copy_on_write;
mod fetch;
mod frozen;
mod load;
mod raw;
mod sweep;
mod timers;

pub(crate) use codec::{
    EntryCodec, EntryReader, Plain, SlotCodec, TypedEntryCodec, TypedEntryReader,
};
pub(crate) use copy_on_write::CopyOnWriteTable;
pub(crate) use fetch::{ROUND, Round};
pub(crate) use frozen::{BlockWriter, FrozenTable};
pub(crate) use load::{LoadRules, Refusal, StreamedMap};
pub(crate) use raw::RawTable;
pub(crate) use sweep::{Spot, spot_of};
pub(crate) use timers::{TimerKey, TimerPlace, TimerTable};

use std::any::Any;
use std::sync::{Arc, Weak};

use alluvium_format::CodecError;
use alluvium_format::keyed::StateMeta;
use alluvium_state::{
    AggregateFunction, ReduceFunction, SnapshotError, StateError, StateKey, StateTtl, StateValue,
};

use self::fetch::Worth;
use self::frozen::{EncodedTable, FrozenExpiry, SharedTable};
use self::sweep::Place;
use crate::TableHasher;
use crate::expiry::Expiry;
use crate::map::{NestedStateMap, Probe, StateMap, take};
use crate::moment::Moment;
use crate::segment::LoadError;
use crate::slot::{InlineSlot, SharedSlot, Slot, is_shared};

/// A count as it is stored.
pub(crate) fn count_of(entries: usize) -> Result<u32, CodecError> {
    let (what, found) = ("number of entries of a segment", entries as u64);
    let limit = u64::from(u32::MAX);
    u32::try_from(entries).map_err(|_| CodecError::TooLarge { what, found, limit })
}

/// Loads what a table has not loaded yet, as long as the backend is there.
pub(crate) type LoadJob = Box<dyn FnOnce(&Weak<()>) -> Result<(), LoadError> + Send>;

/// A table of any namespace and state type.
pub(crate) trait AnyTable<K>: Any + Send {
    fn meta(&self) -> &StateMeta;
    fn entry_count(&self) -> usize;
    /// What the state's function is, if it has one.
    fn function(&self) -> Option<&(dyn Any + Send + Sync)>;
    fn freeze(&self, hashers: &Arc<[TableHasher]>) -> Result<Box<dyn FrozenTable>, SnapshotError>;
    /// Says where the backend stands.
    fn set_moment(&mut self, moment: Moment);
    /// A job that loads what is not loaded; `None` when everything is.
    fn load_job(&self) -> Option<LoadJob>;
    /// The time to live of the state, if it has one.
    fn ttl(&self) -> Option<&StateTtl> {
        None
    }
    /// Whether entries are to be fetched before they are used; asked once for each batch.
    fn is_worth_fetching(&mut self) -> bool {
        false
    }
    /// Fetches entries, if that is worth it.
    fn fetch(&self, round: &Round) {
        let _ = round;
    }
    /// Cleans up among the next entries.
    fn sweep(&mut self, hashers: &[TableHasher]) -> Result<(), LoadError> {
        let _ = hashers;
        Ok(())
    }
}

/// How large a table is to become.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) key_group_count: usize,
    pub(crate) max_segment_entries: usize,
}

/// The maps of a table, one per key group.
pub(crate) enum Maps<K: StateKey, N: StateKey, S: StateValue> {
    Inline(CopyOnWriteTable<InlineSlot<K, N, S>>),
    Shared(CopyOnWriteTable<SharedSlot<K, N, S>>),
    Nested(Vec<NestedStateMap<K, N, S>>, Arc<dyn EntryCodec<InlineSlot<K, N, S>>>),
}

/// The table of one state.
pub(crate) struct StateTable<K: StateKey, N: StateKey, S: StateValue> {
    meta: StateMeta,
    pub(crate) maps: Maps<K, N, S>,
    function: Option<Box<dyn Any + Send + Sync>>,
    expiry: Option<Arc<dyn Expiry<S>>>,
    /// Where the clean-up goes on.
    place: Place,
    worth: Worth,
}

impl<K: StateKey, N: StateKey, S: StateValue> StateTable<K, N, S> {
    pub(crate) fn new(
        meta: StateMeta,
        maps: Maps<K, N, S>,
        function: Option<Box<dyn Any + Send + Sync>>,
        expiry: Option<Arc<dyn Expiry<S>>>,
    ) -> Self {
        let (place, worth) = (Place::default(), Worth::default());
        Self { meta, maps, function, expiry, place, worth }
    }

    /// The state of a pair. Takes the parts of a probe: a whole one would be put into memory for
    /// [`Maps::get`], whether that is called or not.
    #[inline(always)]
    pub(crate) fn get(
        &self,
        group: usize,
        hash: u64,
        key: &K,
        namespace: &N,
        hasher: impl FnOnce() -> TableHasher,
    ) -> Result<Option<&S>, LoadError> {
        // Of the two kinds of copy-on-write maps a type has one, so the other costs its caller nothing.
        match (is_shared::<K, N, S>(), &self.maps) {
            (false, Maps::Inline(table)) => table.get(group, hash, key, namespace),
            (true, Maps::Shared(table)) => table.get(group, hash, key, namespace),
            (_, maps) => maps.get(group, hash, key, namespace, hasher()),
        }
    }

    /// How many entries there are.
    fn entries(&self) -> usize {
        match &self.maps {
            Maps::Inline(table) => table.groups.maps().map(|(_, map)| map.entry_count()).sum(),
            Maps::Shared(table) => table.groups.maps().map(|(_, map)| map.entry_count()).sum(),
            Maps::Nested(maps, _) => maps.iter().map(StateMap::len).sum(),
        }
    }

    #[inline]
    pub(crate) fn get_mut(
        &mut self,
        group: usize,
        probe: &Probe<'_, K, N>,
    ) -> Result<Option<&mut S>, LoadError> {
        match &mut self.maps {
            Maps::Inline(table) => {
                table.at(group).map_or(Ok(None), |(map, writing)| map.find_mut(probe, writing))
            }
            Maps::Shared(table) => {
                table.at(group).map_or(Ok(None), |(map, writing)| map.find_mut(probe, writing))
            }
            Maps::Nested(maps, _) => Ok(maps.get_mut(group).and_then(|map| map.get_mut(probe))),
        }
    }

    /// The state of a pair, made first when there is none; `None` outside the key groups.
    #[inline(always)]
    pub(crate) fn get_or_insert_with(
        &mut self,
        group: usize,
        probe: &Probe<'_, K, N>,
        initial: impl FnOnce() -> S,
    ) -> Result<Option<&mut S>, LoadError> {
        self.maps.get_or_insert_with(group, probe, initial)
    }

    /// Sets the state of a pair.
    pub(crate) fn insert(
        &mut self,
        group: usize,
        probe: &Probe<'_, K, N>,
        state: S,
    ) -> Result<(), LoadError> {
        let mut new = Some(state);
        let slot = self.maps.get_or_insert_with(group, probe, || take(&mut new))?;
        if let (Some(slot), Some(state)) = (slot, new) {
            *slot = state;
        }
        Ok(())
    }

    /// Reduces a value into the state of a pair; `None` when the table has no such function.
    pub(crate) fn reduce(
        &mut self,
        group: usize,
        probe: &Probe<'_, K, N>,
        value: S,
    ) -> Result<Option<()>, LoadError> {
        let Self { maps, function, .. } = self;
        let function = function.as_deref().and_then(|it| it.downcast_ref::<ReduceFunction<S>>());
        let Some(reduce) = function else { return Ok(None) };
        let mut value = Some(value);
        let slot = maps.get_or_insert_with(group, probe, || take(&mut value))?;
        Ok(slot.map(|slot| {
            if let Some(value) = value {
                reduce(slot, value);
            }
        }))
    }

    /// Adds an input to the state of a pair; `None` when the table has no such function.
    pub(crate) fn aggregate<A: AggregateFunction<Accumulator = S>>(
        &mut self,
        group: usize,
        probe: &Probe<'_, K, N>,
        input: A::Input,
    ) -> Result<Option<()>, LoadError> {
        let Self { maps, function, .. } = self;
        let function = function.as_deref().and_then(|function| function.downcast_ref::<A>());
        let Some(aggregate) = function else { return Ok(None) };
        let slot = maps.get_or_insert_with(group, probe, || aggregate.create())?;
        Ok(slot.map(|slot| aggregate.add(slot, input)))
    }

    /// Merges an accumulator into the state of a pair; `None` when the table has no such function.
    pub(crate) fn merge<A: AggregateFunction<Accumulator = S>>(
        &mut self,
        group: usize,
        probe: &Probe<'_, K, N>,
        accumulator: S,
    ) -> Result<Option<()>, LoadError> {
        let Self { maps, function, .. } = self;
        let function = function.as_deref().and_then(|function| function.downcast_ref::<A>());
        let Some(aggregate) = function else { return Ok(None) };
        let mut accumulator = Some(accumulator);
        let slot = maps.get_or_insert_with(group, probe, || take(&mut accumulator))?;
        Ok(slot.map(|slot| {
            if let Some(accumulator) = accumulator {
                aggregate.merge(slot, &accumulator);
            }
        }))
    }

    /// Visits all entries, with the position of their key group.
    pub(crate) fn try_for_each(
        &self,
        mut visit: impl FnMut(usize, &K, &N, &S),
    ) -> Result<(), LoadError> {
        let count = match &self.maps {
            Maps::Inline(table) => table.groups.count(),
            Maps::Shared(table) => table.groups.count(),
            Maps::Nested(maps, _) => maps.len(),
        };
        (0..count).try_for_each(|group| {
            self.try_for_each_of(group, |key, namespace, state| visit(group, key, namespace, state))
        })
    }

    /// Whether keys are listed for what they hold: not for what has expired.
    fn is_listed(&self) -> impl Fn(&S) -> bool + '_ {
        let expiry = self.expiry.as_deref().map(|expiry| (expiry, expiry.ttl().now()));
        move |state| expiry.as_ref().is_none_or(|(expiry, moment)| expiry.is_visible(state, moment))
    }

    /// Visits all entries of a key group.
    pub(crate) fn try_for_each_of(
        &self,
        group: usize,
        visit: impl FnMut(&K, &N, &S),
    ) -> Result<(), LoadError> {
        match &self.maps {
            Maps::Inline(table) => {
                table.groups.map(group).map_or(Ok(()), |map| map.try_for_each(visit))
            }
            Maps::Shared(table) => {
                table.groups.map(group).map_or(Ok(()), |map| map.try_for_each(visit))
            }
            Maps::Nested(maps, _) => maps.get(group).map_or(Ok(()), |map| {
                map.for_each(visit);
                Ok(())
            }),
        }
    }

    pub(crate) fn remove(
        &mut self,
        group: usize,
        probe: &Probe<'_, K, N>,
    ) -> Result<(), LoadError> {
        match &mut self.maps {
            Maps::Inline(table) => {
                table.at(group).map_or(Ok(false), |(map, writing)| map.delete(probe, writing))?;
            }
            Maps::Shared(table) => {
                table.at(group).map_or(Ok(false), |(map, writing)| map.delete(probe, writing))?;
            }
            Maps::Nested(maps, _) => {
                if let Some(map) = maps.get_mut(group) {
                    map.remove(probe);
                }
            }
        }
        Ok(())
    }
}

/// What all tables over the same keys and namespaces can do, whatever their states are.
pub(crate) trait NamespacedTable<K, N> {
    fn remove_pair(&mut self, group: usize, probe: &Probe<'_, K, N>) -> Result<(), LoadError>;
    /// The keys of a key group that have something under a namespace, each once.
    fn keys_of(&self, group: usize, namespace: &N) -> Result<Vec<K>, LoadError>;
    /// The pairs of a key group that have something, each once.
    fn pairs_of(&self, group: usize) -> Result<Vec<(K, N)>, LoadError>;
}

impl<K: StateKey, N: StateKey, S: StateValue> NamespacedTable<K, N> for StateTable<K, N, S> {
    fn remove_pair(&mut self, group: usize, probe: &Probe<'_, K, N>) -> Result<(), LoadError> {
        self.remove(group, probe)
    }

    fn keys_of(&self, group: usize, namespace: &N) -> Result<Vec<K>, LoadError> {
        let (mut keys, is_listed) = (Vec::new(), self.is_listed());
        self.try_for_each_of(group, |key, n, state| {
            if n == namespace && is_listed(state) {
                keys.push(key.clone());
            }
        })?;
        Ok(keys)
    }

    fn pairs_of(&self, group: usize) -> Result<Vec<(K, N)>, LoadError> {
        let (mut pairs, is_listed) = (Vec::new(), self.is_listed());
        self.try_for_each_of(group, |key, n, state| {
            if is_listed(state) {
                pairs.push((key.clone(), n.clone()));
            }
        })?;
        Ok(pairs)
    }
}

impl<K: StateKey, N: StateKey, S: StateValue> AnyTable<K> for StateTable<K, N, S> {
    fn meta(&self) -> &StateMeta {
        &self.meta
    }

    fn entry_count(&self) -> usize {
        self.entries()
    }

    fn is_worth_fetching(&mut self) -> bool {
        self.is_worth_it()
    }

    fn fetch(&self, round: &Round) {
        if self.worth.is_worth_it() {
            self.fetch_round(round);
        }
    }

    fn function(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.function.as_deref()
    }

    fn freeze(&self, hashers: &Arc<[TableHasher]>) -> Result<Box<dyn FrozenTable>, SnapshotError> {
        let (name, expiry) = (&self.meta.name, FrozenExpiry::now(self.expiry.as_ref()));
        Ok(match &self.maps {
            Maps::Inline(table) => Box::new(SharedTable::of(name, table, hashers, expiry)),
            Maps::Shared(table) => Box::new(SharedTable::of(name, table, hashers, expiry)),
            Maps::Nested(maps, codec) => {
                Box::new(EncodedTable::encode(name, &**codec, maps, expiry.as_ref())?)
            }
        })
    }

    fn set_moment(&mut self, moment: Moment) {
        match &mut self.maps {
            Maps::Inline(table) => table.moment = moment,
            Maps::Shared(table) => table.moment = moment,
            Maps::Nested(..) => {}
        }
    }

    fn load_job(&self) -> Option<LoadJob> {
        match &self.maps {
            Maps::Inline(table) => table.load_job(),
            Maps::Shared(table) => table.load_job(),
            Maps::Nested(..) => None,
        }
    }

    fn ttl(&self) -> Option<&StateTtl> {
        self.expiry.as_deref().map(Expiry::ttl)
    }

    fn sweep(&mut self, hashers: &[TableHasher]) -> Result<(), LoadError> {
        self.sweep_next(hashers)
    }
}

impl<K: StateKey, N: StateKey, S: StateValue> Maps<K, N, S> {
    #[inline(never)]
    fn get(
        &self,
        group: usize,
        hash: u64,
        key: &K,
        namespace: &N,
        hasher: TableHasher,
    ) -> Result<Option<&S>, LoadError> {
        match self {
            Self::Inline(table) => table.get(group, hash, key, namespace),
            Self::Shared(table) => table.get(group, hash, key, namespace),
            Self::Nested(maps, _) => {
                let probe = Probe { hash, key, namespace, hasher };
                Ok(maps.get(group).and_then(|map| map.get(&probe)))
            }
        }
    }

    /// The state of a pair, made first when there is none; `None` outside the key groups.
    #[inline(always)]
    fn get_or_insert_with(
        &mut self,
        group: usize,
        probe: &Probe<'_, K, N>,
        initial: impl FnOnce() -> S,
    ) -> Result<Option<&mut S>, LoadError> {
        // As in `StateTable::get`.
        match (is_shared::<K, N, S>(), self) {
            (false, Self::Inline(table)) => table.entry(group, probe, initial),
            (true, Self::Shared(table)) => table.entry(group, probe, initial),
            (_, maps) => maps.entry(group, probe, initial),
        }
    }

    #[inline(never)]
    fn entry(
        &mut self,
        group: usize,
        probe: &Probe<'_, K, N>,
        initial: impl FnOnce() -> S,
    ) -> Result<Option<&mut S>, LoadError> {
        match self {
            Self::Inline(table) => table.entry(group, probe, initial),
            Self::Shared(table) => table.entry(group, probe, initial),
            Self::Nested(maps, _) => {
                Ok(maps.get_mut(group).map(|map| map.get_or_insert_with(probe, initial)))
            }
        }
    }

    /// Empty maps in place.
    pub(crate) fn inline(shape: Shape, codec: Arc<dyn EntryCodec<InlineSlot<K, N, S>>>) -> Self {
        Self::Inline(CopyOnWriteTable::new(shape, codec))
    }

    /// Empty maps of entries behind pointers.
    pub(crate) fn shared(shape: Shape, codec: Arc<dyn EntryCodec<SharedSlot<K, N, S>>>) -> Self {
        Self::Shared(CopyOnWriteTable::new(shape, codec))
    }

    /// Empty nested maps.
    pub(crate) fn nested(shape: Shape, codec: Arc<dyn EntryCodec<InlineSlot<K, N, S>>>) -> Self {
        let maps = (0..shape.key_group_count).map(|_| NestedStateMap::default());
        Self::Nested(maps.collect(), codec)
    }
}

impl<E: Slot> SharedTable<E> {
    fn of(
        name: &str,
        table: &CopyOnWriteTable<E>,
        hashers: &Arc<[TableHasher]>,
        expiry: Option<FrozenExpiry<E::State>>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            codec: Arc::clone(&table.codec),
            groups: table.groups.clone(),
            hashers: Arc::clone(hashers),
            spares: table.spares.sender(),
            expiry,
        }
    }
}

/// What could not be loaded, as everybody hears of it who needs it.
pub(crate) fn not_loaded(error: LoadError) -> StateError {
    match Arc::try_unwrap(error) {
        Ok(error) => error,
        Err(source) => StateError::NotLoaded { source },
    }
}
