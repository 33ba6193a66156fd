//! One key and namespace of a heap backend.

use alluvium_format::codec::Codec;
use alluvium_state::{
    AggregateFunction, AggregatingState, Elements, Entries, KeyContext, ListState, MapState,
    ReducingState, Ref, StateError, StateId, StateKey, StateRef, StateValue, ValueState,
};

use super::HeapKeyedStateBackend;
use crate::map::Probe;
use crate::shared_list::SharedList;
use crate::table::StateTable;
use crate::user_map::UserMap;

/// One key and namespace of a [`HeapKeyedStateBackend`], hashed once.
pub struct HeapAt<'a, K, C, N> {
    backend: &'a mut HeapKeyedStateBackend<K, C>,
    group: usize,
    hash: u64,
    key: &'a K,
    namespace: &'a N,
}

impl<'a, K: StateKey, C: Codec<K>, N: StateKey> HeapAt<'a, K, C, N> {
    pub(super) fn new(
        backend: &'a mut HeapKeyedStateBackend<K, C>,
        group: usize,
        key: &'a K,
        namespace: &'a N,
    ) -> Self {
        let hash = backend.hasher.hash_pair(key, namespace);
        Self { backend, group, hash, key, namespace }
    }

    #[inline]
    fn get<S: StateValue>(&self, id: StateId) -> Result<Option<&S>, StateError> {
        let registered = self.backend.registered(id)?;
        let table = registered.table.as_any().downcast_ref::<StateTable<K, N, S>>();
        let probe = Probe {
            hash: self.hash,
            key: self.key,
            namespace: self.namespace,
            hasher: &self.backend.hasher,
        };
        table.map(|table| table.get(self.group, probe)).ok_or(StateError::ForeignHandle)
    }

    /// Runs `body` on the table of a state, with the probe of this pair.
    #[inline]
    fn with_table<S: StateValue, R>(
        &mut self,
        id: StateId,
        body: impl FnOnce(&mut StateTable<K, N, S>, Probe<'_, K, N>) -> R,
    ) -> Result<R, StateError> {
        let probe_parts = (self.hash, self.key, self.namespace);
        let backend = &mut *self.backend;
        if id.backend != backend.number {
            return Err(StateError::ForeignHandle);
        }
        let registered =
            backend.tables.get_mut(usize::from(id.index)).ok_or(StateError::ForeignHandle)?;
        let table = registered.table.as_any_mut().downcast_mut::<StateTable<K, N, S>>();
        let (hash, key, namespace) = probe_parts;
        let probe = Probe { hash, key, namespace, hasher: &backend.hasher };
        table.map(|table| body(table, probe)).ok_or(StateError::ForeignHandle)
    }

    /// Changes a state in one probe, making it first when there is none.
    #[inline]
    fn update<S: StateValue, R>(
        &mut self,
        id: StateId,
        initial: impl FnOnce() -> S,
        change: impl FnOnce(&mut S) -> R,
    ) -> Result<R, StateError> {
        let group = self.group;
        self.with_table::<S, _>(id, |table, probe| {
            table.get_or_insert_with(group, probe, initial).map(change)
        })?
        .ok_or(StateError::ForeignHandle)
    }

    fn insert<S: StateValue>(&mut self, id: StateId, state: S) -> Result<(), StateError> {
        let group = self.group;
        self.with_table::<S, _>(id, |table, probe| {
            table.insert(group, probe, state);
        })
    }
}

impl<K: StateKey, C: Codec<K>, N: StateKey> KeyContext for HeapAt<'_, K, C, N> {
    type Namespace = N;

    #[inline]
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

    #[inline]
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
        let elements = self.get::<SharedList<T>>(state.id())?;
        Ok(Box::new(elements.into_iter().flatten().map(|element| Ok(Ref::Borrowed(element)))))
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

    fn map_get<UK: StateKey, UV: StateValue>(
        &self,
        state: MapState<UK, UV, N>,
        user_key: &UK,
    ) -> Result<Option<Ref<'_, UV>>, StateError> {
        let map = self.get::<UserMap<UK, UV>>(state.id())?;
        let value = map.and_then(|map| map.get(user_key, &self.backend.hasher));
        Ok(value.map(Ref::Borrowed))
    }

    fn map_put<UK: StateKey, UV: StateValue>(
        &mut self,
        state: MapState<UK, UV, N>,
        user_key: UK,
        value: UV,
    ) -> Result<(), StateError> {
        let group = self.group;
        self.with_table::<UserMap<UK, UV>, _>(state.id(), |table, probe| {
            if let Some(map) = table.get_or_insert_with(group, probe, UserMap::default) {
                map.insert(user_key, value, probe.hasher);
            }
        })
    }

    fn map_update<UK: StateKey, UV: StateValue, R>(
        &mut self,
        state: MapState<UK, UV, N>,
        user_key: UK,
        initial: impl FnOnce() -> UV,
        change: impl FnOnce(&mut UV) -> R,
    ) -> Result<R, StateError> {
        let group = self.group;
        self.with_table::<UserMap<UK, UV>, _>(state.id(), |table, probe| {
            let map = table.get_or_insert_with(group, probe, UserMap::default)?;
            Some(change(map.get_or_insert_with(user_key, initial, probe.hasher)))
        })?
        .ok_or(StateError::ForeignHandle)
    }

    fn map_remove<UK: StateKey, UV: StateValue>(
        &mut self,
        state: MapState<UK, UV, N>,
        user_key: &UK,
    ) -> Result<(), StateError> {
        let group = self.group;
        self.with_table::<UserMap<UK, UV>, _>(state.id(), |table, probe| {
            let Some(map) = table.get_mut(group, probe) else { return };
            map.remove(user_key, probe.hasher);
            if map.is_empty() {
                table.remove(group, probe);
            }
        })
    }

    fn map_entries<UK: StateKey, UV: StateValue>(
        &self,
        state: MapState<UK, UV, N>,
    ) -> Result<Entries<'_, UK, UV>, StateError> {
        let map = self.get::<UserMap<UK, UV>>(state.id())?;
        let entries = map.into_iter().flat_map(UserMap::iter);
        Ok(Box::new(entries.map(|(key, value)| Ok((Ref::Borrowed(key), Ref::Borrowed(value))))))
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

    fn aggregating_get<A: AggregateFunction>(
        &self,
        state: AggregatingState<A, N>,
    ) -> Result<Option<A::Output>, StateError> {
        let function = self.backend.registered(state.id())?.table.function();
        let aggregate = function.and_then(|function| function.downcast_ref::<A>());
        let aggregate = aggregate.ok_or(StateError::ForeignHandle)?;
        let accumulator = self.get::<A::Accumulator>(state.id())?;
        Ok(accumulator.map(|accumulator| aggregate.result(accumulator)))
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

    fn clear<S: StateRef<Namespace = N>>(&mut self, state: S) -> Result<(), StateError> {
        let (hash, key, namespace, id) = (self.hash, self.key, self.namespace, state.id());
        let backend = &mut *self.backend;
        if id.backend != backend.number {
            return Err(StateError::ForeignHandle);
        }
        let registered =
            backend.tables.get_mut(usize::from(id.index)).ok_or(StateError::ForeignHandle)?;
        let probe = Probe { hash, key, namespace, hasher: &backend.hasher };
        registered.remove::<N>(self.group, probe).ok_or(StateError::ForeignHandle)
    }
}
