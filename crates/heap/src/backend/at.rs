//! One key and namespace of a heap backend.

use std::any::Any;
use std::ops::Bound;

use alluvium_format::codec::Codec;
use alluvium_state::ttl::{Touch, TtlMoment, Verdict};
use alluvium_state::{
    AggregateFunction, AggregatingState, Elements, Entries, KeyContext, ListState, MapState,
    ReduceFunction, ReducingState, Ref, ScanOrder, SortedKey, SortedMapState, StateError, StateId,
    StateKey, StateRef, StateValue, TimeDomain, Timers, ValueState,
};

mod lists;

use self::lists::index_of;
use super::HeapKeyedStateBackend;
use crate::TableHasher;
use crate::map::Probe;
use crate::segment::LoadError;
use crate::shared_list::{SharedList, elements_from};
use crate::sorted_map::SortedUserMap;
use crate::table::{StateTable, TimerPlace, not_loaded};
use crate::user_map::UserMap;

/// One key and namespace of a [`HeapKeyedStateBackend`], hashed once.
pub struct HeapAt<'a, K, C, N> {
    backend: &'a mut HeapKeyedStateBackend<K, C>,
    group: usize,
    /// Lent and not copied on the way: a copy is written in words and read in pairs of them, which a
    /// processor does not forward, so each access would wait until the one before is over.
    probe: Probe<'a, K, N>,
}

impl<'a, K: StateKey, C: Codec<K>, N: StateKey> HeapAt<'a, K, C, N> {
    #[inline(always)]
    pub(super) fn new(
        backend: &'a mut HeapKeyedStateBackend<K, C>,
        group: usize,
        probe: Probe<'a, K, N>,
    ) -> Self {
        Self { backend, group, probe }
    }

    /// The hasher of the maps inside keys.
    const fn user_hasher(&self) -> TableHasher {
        self.backend.user_hasher()
    }

    #[inline(always)]
    fn get<S: StateValue>(&self, id: StateId) -> Result<Option<&S>, StateError> {
        match self.backend.registered(id)?.typed::<StateTable<K, N, S>>() {
            Some(table) => {
                let Probe { hash, key, namespace, hasher } = self.probe;
                table.get(self.group, hash, key, namespace, || hasher).map_err(not_loaded)
            }
            None => Err(StateError::ForeignHandle),
        }
    }

    /// The function of a state, if it is of this type.
    fn function<F: Any>(&self, id: StateId) -> Result<&F, StateError> {
        let function = self.backend.registered(id)?.table().function();
        function.and_then(|function| function.downcast_ref()).ok_or(StateError::ForeignHandle)
    }

    /// Runs `body` on the table of a state, with the probe of this pair.
    #[inline(always)]
    fn with_table<S: StateValue, R>(
        &mut self,
        id: StateId,
        body: impl FnOnce(&mut StateTable<K, N, S>, &Probe<'_, K, N>) -> Result<R, LoadError>,
    ) -> Result<R, StateError> {
        let Self { backend, probe, .. } = self;
        let Some(registered) =
            backend.tables.get_mut(id.index()).filter(|_| id.backend() == backend.number)
        else {
            return Err(StateError::ForeignHandle);
        };
        match registered.typed_mut::<StateTable<K, N, S>>() {
            Some(table) => body(table, probe).map_err(not_loaded),
            None => Err(StateError::ForeignHandle),
        }
    }

    /// Changes a state in one probe, making it first when there is none.
    #[inline(always)]
    fn update<S: StateValue, R>(
        &mut self,
        id: StateId,
        initial: impl FnOnce() -> S,
        change: impl FnOnce(&mut S) -> R,
    ) -> Result<R, StateError> {
        let group = self.group;
        let changed = self.with_table::<S, _>(id, |table, probe| {
            Ok(table.get_or_insert_with(group, probe, initial)?.map(change))
        });
        match changed {
            Ok(Some(result)) => Ok(result),
            Ok(None) => Err(StateError::ForeignHandle),
            Err(error) => Err(error),
        }
    }

    fn insert<S: StateValue>(&mut self, id: StateId, state: S) -> Result<(), StateError> {
        let group = self.group;
        self.with_table::<S, _>(id, |table, probe| table.insert(group, probe, state))
    }
}

impl<K: StateKey, C: Codec<K>, N: StateKey> KeyContext for HeapAt<'_, K, C, N> {
    type Namespace = N;

    #[inline(always)]
    fn value_get<T: StateValue>(
        &self,
        state: ValueState<T, N>,
    ) -> Result<Option<Ref<'_, T>>, StateError> {
        Ok(self.get::<T>(state.id())?.map(Ref::Borrowed))
    }

    #[inline]
    fn value_set<T: StateValue>(
        &mut self,
        state: ValueState<T, N>,
        value: T,
    ) -> Result<(), StateError> {
        self.insert(state.id(), value)
    }

    #[inline(always)]
    fn value_update<T: StateValue, R>(
        &mut self,
        state: ValueState<T, N>,
        initial: impl FnOnce() -> T,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, StateError> {
        self.update(state.id(), initial, change)
    }

    fn list_iter<T: StateValue>(
        &self,
        state: ListState<T, N>,
    ) -> Result<Elements<'_, T>, StateError> {
        Ok(elements_from(self.get::<SharedList<T>>(state.id())?, 0))
    }

    fn list_add_all<T: StateValue>(
        &mut self,
        state: ListState<T, N>,
        elements: impl Iterator<Item = T>,
    ) -> Result<(), StateError> {
        let mut elements = elements.peekable();
        if elements.peek().is_none() {
            return self.get::<SharedList<T>>(state.id()).map(drop);
        }
        self.update(state.id(), SharedList::new, |list| list.extend(elements))
    }

    fn list_set<T: StateValue>(
        &mut self,
        state: ListState<T, N>,
        elements: Vec<T>,
    ) -> Result<(), StateError> {
        if elements.is_empty() {
            self.clear(state)
        } else {
            self.insert(state.id(), SharedList::from(elements))
        }
    }

    fn list_len<T: StateValue>(&self, state: ListState<T, N>) -> Result<u64, StateError> {
        Ok(self.get::<SharedList<T>>(state.id())?.map_or(0, |list| list.len() as u64))
    }

    fn list_iter_from<T: StateValue>(
        &self,
        state: ListState<T, N>,
        position: u64,
    ) -> Result<Elements<'_, T>, StateError> {
        let list = self.get::<SharedList<T>>(state.id())?;
        Ok(elements_from(list, index_of(position)))
    }

    fn list_pop_front<T: StateValue>(
        &mut self,
        state: ListState<T, N>,
    ) -> Result<Option<T>, StateError> {
        Ok(self.cut_list(state.id(), SharedList::pop_front)?.flatten())
    }

    fn list_remove_front<T: StateValue>(
        &mut self,
        state: ListState<T, N>,
        count: u64,
    ) -> Result<(), StateError> {
        if count == 0 {
            return self.list_len(state).map(drop);
        }
        self.cut_list::<T, _>(state.id(), |list| list.remove_front(index_of(count))).map(drop)
    }

    fn list_truncate<T: StateValue>(
        &mut self,
        state: ListState<T, N>,
        len: u64,
    ) -> Result<(), StateError> {
        if self.list_len(state)? <= len {
            return Ok(());
        }
        self.cut_list::<T, _>(state.id(), |list| list.truncate(index_of(len))).map(drop)
    }

    fn map_get<UK: StateKey, UV: StateValue>(
        &self,
        state: MapState<UK, UV, N>,
        user_key: &UK,
    ) -> Result<Option<Ref<'_, UV>>, StateError> {
        let map = self.get::<UserMap<UK, UV>>(state.id())?;
        let value = map.and_then(|map| map.get(user_key, self.user_hasher()));
        Ok(value.map(Ref::Borrowed))
    }

    fn map_put<UK: StateKey, UV: StateValue>(
        &mut self,
        state: MapState<UK, UV, N>,
        user_key: UK,
        value: UV,
    ) -> Result<(), StateError> {
        let hasher = self.user_hasher();
        self.update(state.id(), UserMap::default, |map| {
            map.insert(user_key, value, hasher);
        })
    }

    fn map_put_all<UK: StateKey, UV: StateValue>(
        &mut self,
        state: MapState<UK, UV, N>,
        entries: impl Iterator<Item = (UK, UV)>,
    ) -> Result<(), StateError> {
        let (hasher, mut entries) = (self.user_hasher(), entries.peekable());
        if entries.peek().is_none() {
            return self.get::<UserMap<UK, UV>>(state.id()).map(drop);
        }
        self.update(state.id(), UserMap::default, |map| map.extend(entries, hasher))
    }

    fn map_update<UK: StateKey, UV: StateValue, R>(
        &mut self,
        state: MapState<UK, UV, N>,
        user_key: UK,
        initial: impl FnOnce() -> UV,
        change: impl FnOnce(&mut UV) -> R,
    ) -> Result<R, StateError> {
        let hasher = self.user_hasher();
        self.update(state.id(), UserMap::default, |map: &mut UserMap<UK, UV>| {
            change(map.entry(user_key, initial, hasher).0)
        })
    }

    fn map_remove<UK: StateKey, UV: StateValue>(
        &mut self,
        state: MapState<UK, UV, N>,
        user_key: &UK,
    ) -> Result<(), StateError> {
        let (group, hasher) = (self.group, self.user_hasher());
        self.with_table::<UserMap<UK, UV>, _>(state.id(), |table, probe| {
            let Some(map) = table.get_mut(group, probe)? else { return Ok(()) };
            map.remove(user_key, hasher);
            if map.is_empty() { table.remove(group, probe) } else { Ok(()) }
        })
    }

    fn map_entries<UK: StateKey, UV: StateValue>(
        &self,
        state: MapState<UK, UV, N>,
    ) -> Result<Entries<'_, UK, UV>, StateError> {
        let map = self.get::<UserMap<UK, UV>>(state.id())?;
        Ok(map.map_or(Entries::of_slice(&[]), UserMap::entries))
    }

    fn sorted_map_get<UK: SortedKey, UV: StateValue>(
        &self,
        state: SortedMapState<UK, UV, N>,
        user_key: &UK,
    ) -> Result<Option<Ref<'_, UV>>, StateError> {
        let map = self.get::<SortedUserMap<UK, UV>>(state.id())?;
        Ok(map.and_then(|map| map.get(user_key)).map(Ref::Borrowed))
    }

    fn sorted_map_put<UK: SortedKey, UV: StateValue>(
        &mut self,
        state: SortedMapState<UK, UV, N>,
        user_key: UK,
        value: UV,
    ) -> Result<(), StateError> {
        self.update(state.id(), SortedUserMap::default, |map| map.insert(user_key, value))
    }

    fn sorted_map_update<UK: SortedKey, UV: StateValue, R>(
        &mut self,
        state: SortedMapState<UK, UV, N>,
        user_key: UK,
        initial: impl FnOnce() -> UV,
        change: impl FnOnce(&mut UV) -> R,
    ) -> Result<R, StateError> {
        self.update(state.id(), SortedUserMap::default, |map: &mut SortedUserMap<UK, UV>| {
            map.update(user_key, initial, change)
        })
    }

    fn sorted_map_remove<UK: SortedKey, UV: StateValue>(
        &mut self,
        state: SortedMapState<UK, UV, N>,
        user_key: &UK,
    ) -> Result<(), StateError> {
        let map = self.get::<SortedUserMap<UK, UV>>(state.id())?;
        // What is not there leaves everything shared.
        if !map.is_some_and(|map| map.contains(user_key)) {
            return Ok(());
        }
        let group = self.group;
        self.with_table::<SortedUserMap<UK, UV>, _>(state.id(), |table, probe| {
            let Some(map) = table.get_mut(group, probe)? else { return Ok(()) };
            map.remove(user_key);
            if map.is_empty() { table.remove(group, probe) } else { Ok(()) }
        })
    }

    fn sorted_map_range<UK: SortedKey, UV: StateValue>(
        &self,
        state: SortedMapState<UK, UV, N>,
        range: (Bound<&UK>, Bound<&UK>),
        order: ScanOrder,
    ) -> Result<Entries<'_, UK, UV>, StateError> {
        let map = self.get::<SortedUserMap<UK, UV>>(state.id())?;
        let Some(map) = map else { return Ok(Entries::of_slice(&[])) };
        let entries = map.range(range, order);
        Ok(Entries::new(entries.map(|(key, value)| Ok((Ref::Borrowed(key), Ref::Borrowed(value))))))
    }

    fn reducing_get<T: StateValue>(
        &self,
        state: ReducingState<T, N>,
    ) -> Result<Option<Ref<'_, T>>, StateError> {
        Ok(self.get::<T>(state.id())?.map(Ref::Borrowed))
    }

    fn reducing_add<T: StateValue>(
        &mut self,
        state: ReducingState<T, N>,
        value: T,
    ) -> Result<(), StateError> {
        let group = self.group;
        self.with_table::<T, _>(state.id(), |table, probe| table.reduce(group, probe, value))?
            .ok_or(StateError::ForeignHandle)
    }

    fn reducing_function<T: StateValue>(
        &self,
        state: ReducingState<T, N>,
    ) -> Result<ReduceFunction<T>, StateError> {
        self.function::<ReduceFunction<T>>(state.id()).cloned()
    }

    fn aggregating_function<A: AggregateFunction>(
        &self,
        state: AggregatingState<A, N>,
    ) -> Result<&A, StateError> {
        self.function(state.id())
    }

    fn aggregating_accumulator<A: AggregateFunction>(
        &self,
        state: AggregatingState<A, N>,
    ) -> Result<Option<Ref<'_, A::Accumulator>>, StateError> {
        Ok(self.get::<A::Accumulator>(state.id())?.map(Ref::Borrowed))
    }

    fn aggregating_merge<A: AggregateFunction>(
        &mut self,
        state: AggregatingState<A, N>,
        accumulator: A::Accumulator,
    ) -> Result<(), StateError> {
        let group = self.group;
        self.with_table::<A::Accumulator, _>(state.id(), |table, probe| {
            table.merge::<A>(group, probe, accumulator)
        })?
        .ok_or(StateError::ForeignHandle)
    }

    fn aggregating_add<A: AggregateFunction>(
        &mut self,
        state: AggregatingState<A, N>,
        input: A::Input,
    ) -> Result<(), StateError> {
        let group = self.group;
        self.with_table::<A::Accumulator, _>(state.id(), |table, probe| {
            table.aggregate::<A>(group, probe, input)
        })?
        .ok_or(StateError::ForeignHandle)
    }

    fn timer_register(
        &mut self,
        timers: Timers<N>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError> {
        let (group, Probe { key, namespace, hasher, .. }) = (self.group, self.probe);
        let place = TimerPlace { group, hasher, key, namespace };
        self.backend.timer_table(timers)?.register(&place, domain, time_ms)
    }

    fn timer_delete(
        &mut self,
        timers: Timers<N>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError> {
        let (group, Probe { key, namespace, hasher, .. }) = (self.group, self.probe);
        let place = TimerPlace { group, hasher, key, namespace };
        self.backend.timer_table(timers)?.delete(&place, domain, time_ms)
    }

    fn clear<S: StateRef<Namespace = N>>(&mut self, state: S) -> Result<(), StateError> {
        let Self { backend, group, probe } = self;
        let id = state.id();
        if id.backend() != backend.number {
            return Err(StateError::ForeignHandle);
        }
        let registered = backend.tables.get_mut(id.index()).ok_or(StateError::ForeignHandle)?;
        registered.remove::<N>(*group, probe).ok_or(StateError::ForeignHandle)?
    }

    fn ttl(&self, state: StateId) -> Result<TtlMoment, StateError> {
        self.backend.ttl_of(state)
    }

    fn leave<T: Touch<N>>(
        &self,
        state: StateId,
        moment: TtlMoment,
        touch: T,
    ) -> Result<(), StateError> {
        let (group, Probe { hash, key, namespace, hasher }) = (self.group, self.probe);
        self.backend.ttl.left.leave::<N, T, _>(state, moment.now_ms(), touch, || {
            let (key, namespace) = (key.clone(), namespace.clone());
            Ok(move |backend: &mut HeapKeyedStateBackend<K, C>, touch: T| {
                let (key, namespace) = (&key, &namespace);
                touch.run(&mut HeapAt::new(backend, group, Probe { hash, key, namespace, hasher }))
            })
        })
    }

    fn settle(&mut self) -> Result<(), StateError> {
        self.backend.settle()
    }

    fn value_retain<T: StateValue>(
        &mut self,
        state: ValueState<T, N>,
        keep: impl FnOnce(&mut T) -> Verdict,
    ) -> Result<(), StateError> {
        let group = self.group;
        self.with_table::<T, _>(state.id(), |table, probe| {
            let Some(value) = table.get_mut(group, probe)? else { return Ok(()) };
            if keep(value) == Verdict::Removed { table.remove(group, probe) } else { Ok(()) }
        })
    }
}
