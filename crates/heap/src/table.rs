//! The table of one state: a map for each key group, and the codec of its entries.
//!
//! Invariants: a table keeps the types it was made with; what it writes, it can read.

mod codec;
mod frozen;

pub(crate) use codec::{EntryCodec, Plain, SlotCodec, TypedEntryCodec, probe};
pub(crate) use frozen::{FrozenTable, RawTable};

use std::any::Any;
use std::sync::Arc;

use alluvium_format::keyed::StateMeta;
use alluvium_state::{AggregateFunction, ReduceFunction, SnapshotError, StateKey, StateValue};

use self::frozen::{EncodedTable, SharedTable};
use crate::map::{CopyOnWriteStateMap, NestedStateMap, Probe, StateMap, StateMapKind, take};

/// A table of any namespace and state type.
pub(crate) trait AnyTable<K>: Send {
    fn meta(&self) -> &StateMeta;
    fn entry_count(&self) -> usize;
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    /// What the state's function is, if it has one.
    fn function(&self) -> Option<&(dyn Any + Send + Sync)>;
    fn freeze(&self) -> Result<Box<dyn FrozenTable>, SnapshotError>;
}

/// The maps of a table, one per key group.
enum Maps<K, N, S> {
    CopyOnWrite(Vec<CopyOnWriteStateMap<K, N, S>>),
    Nested(Vec<NestedStateMap<K, N, S>>),
}

/// The table of one state.
pub(crate) struct StateTable<K, N, S> {
    meta: StateMeta,
    maps: Maps<K, N, S>,
    codec: Arc<dyn EntryCodec<K, N, S>>,
    function: Option<Box<dyn Any + Send + Sync>>,
}

/// Runs an expression on the map of a key group, whichever kind it is.
macro_rules! with_map {
    ($maps:expr, $get:ident, $group:expr, $map:ident => $body:expr) => {
        match $maps {
            Maps::CopyOnWrite(maps) => maps.$get($group).map(|$map| $body),
            Maps::Nested(maps) => maps.$get($group).map(|$map| $body),
        }
    };
}

impl<K: StateKey, N: StateKey, S: StateValue> StateTable<K, N, S> {
    pub(crate) fn new(
        meta: StateMeta,
        kind: StateMapKind,
        key_group_count: usize,
        codec: Arc<dyn EntryCodec<K, N, S>>,
        function: Option<Box<dyn Any + Send + Sync>>,
    ) -> Self {
        let maps = match kind {
            StateMapKind::CopyOnWrite => {
                let maps = (0..key_group_count).map(|_| CopyOnWriteStateMap::default());
                Maps::CopyOnWrite(maps.collect())
            }
            StateMapKind::Nested => {
                Maps::Nested((0..key_group_count).map(|_| NestedStateMap::default()).collect())
            }
        };
        Self { meta, maps, codec, function }
    }

    #[inline]
    pub(crate) fn get(&self, group: usize, probe: Probe<'_, K, N>) -> Option<&S> {
        with_map!(&self.maps, get, group, map => map.get(probe)).flatten()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, group: usize, probe: Probe<'_, K, N>) -> Option<&mut S> {
        with_map!(&mut self.maps, get_mut, group, map => map.get_mut(probe)).flatten()
    }

    /// The state of a pair, made first when there is none; `None` outside the key groups.
    #[inline]
    pub(crate) fn get_or_insert_with(
        &mut self,
        group: usize,
        probe: Probe<'_, K, N>,
        initial: impl FnOnce() -> S,
    ) -> Option<&mut S> {
        with_map!(&mut self.maps, get_mut, group, map => map.get_or_insert_with(probe, initial))
    }

    /// Sets the state of a pair and says whether it was absent.
    pub(crate) fn insert(&mut self, group: usize, probe: Probe<'_, K, N>, state: S) -> bool {
        with_map!(&mut self.maps, get_mut, group, map => map.insert(probe, state)).unwrap_or(false)
    }

    /// Reduces a value into the state of a pair; `None` when the table has no such function.
    pub(crate) fn reduce(&mut self, group: usize, probe: Probe<'_, K, N>, value: S) -> Option<()> {
        let Self { maps, function, .. } = self;
        let reduce = function.as_deref()?.downcast_ref::<ReduceFunction<S>>()?;
        with_map!(maps, get_mut, group, map => {
            let mut value = Some(value);
            let slot = map.get_or_insert_with(probe, || take(&mut value));
            if let Some(value) = value {
                reduce(slot, value);
            }
        })
    }

    /// Adds an input to the state of a pair; `None` when the table has no such function.
    pub(crate) fn aggregate<A: AggregateFunction<Accumulator = S>>(
        &mut self,
        group: usize,
        probe: Probe<'_, K, N>,
        input: A::Input,
    ) -> Option<()> {
        let Self { maps, function, .. } = self;
        let aggregate = function.as_deref()?.downcast_ref::<A>()?;
        with_map!(maps, get_mut, group, map => {
            aggregate.add(map.get_or_insert_with(probe, || aggregate.create()), input);
        })
    }

    pub(crate) fn remove(&mut self, group: usize, probe: Probe<'_, K, N>) {
        with_map!(&mut self.maps, get_mut, group, map => map.remove(probe));
    }
}

/// What all tables over the same keys and namespaces can do, whatever their states are.
pub(crate) trait NamespacedTable<K, N> {
    fn remove_pair(&mut self, group: usize, probe: Probe<'_, K, N>);
    fn keys_of(&self, namespace: &N, keys: &mut Vec<K>);
}

impl<K: StateKey, N: StateKey, S: StateValue> NamespacedTable<K, N> for StateTable<K, N, S> {
    fn remove_pair(&mut self, group: usize, probe: Probe<'_, K, N>) {
        self.remove(group, probe);
    }

    fn keys_of(&self, namespace: &N, keys: &mut Vec<K>) {
        let mut visit = |key: &K, n: &N, _: &S| {
            if n == namespace {
                keys.push(key.clone());
            }
        };
        match &self.maps {
            Maps::CopyOnWrite(maps) => {
                for map in maps {
                    map.for_each(&mut visit);
                }
            }
            Maps::Nested(maps) => {
                for map in maps {
                    map.for_each(&mut visit);
                }
            }
        }
    }
}

impl<K: StateKey, N: StateKey, S: StateValue> AnyTable<K> for StateTable<K, N, S> {
    fn meta(&self) -> &StateMeta {
        &self.meta
    }

    fn entry_count(&self) -> usize {
        match &self.maps {
            Maps::CopyOnWrite(maps) => maps.iter().map(StateMap::len).sum(),
            Maps::Nested(maps) => maps.iter().map(StateMap::len).sum(),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn function(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.function.as_deref()
    }

    fn freeze(&self) -> Result<Box<dyn FrozenTable>, SnapshotError> {
        let (name, codec) = (&self.meta.name, &self.codec);
        Ok(match &self.maps {
            Maps::CopyOnWrite(maps) => {
                let maps = maps.iter().map(CopyOnWriteStateMap::freeze).collect();
                Box::new(SharedTable::new(name.clone(), Arc::clone(codec), maps))
            }
            Maps::Nested(maps) => Box::new(EncodedTable::encode(name, &**codec, maps)?),
        })
    }
}
