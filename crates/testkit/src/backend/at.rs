//! One key and namespace of a model backend.
//!
//! Every call decodes the whole value, changes it, and encodes it again.

use std::hash::Hash;
use std::ops::{Bound, RangeBounds};

use alluvium_core::KeyGroup;
use alluvium_format::codec::Codec;
use alluvium_format::keyed::StateKind;
use alluvium_state::ttl::{Touch, TtlMoment};
use alluvium_state::{
    AggregateFunction, AggregatingState, Elements, Entries, KeyContext, ListState, MapState,
    ReduceFunction, ReducingState, Ref, ScanOrder, SortedKey, SortedMapState, StateError, StateId,
    StateKey, StateRef, StateValue, TimeDomain, Timers, ValueState,
};

use super::ModelKeyedStateBackend;
use super::row::Row;
use super::table::{SortedUserMap, Table, UserMap};
use crate::mistake::Mistake;

/// One key and namespace of a [`ModelKeyedStateBackend`].
pub struct ModelAt<'a, K, C, N> {
    backend: &'a mut ModelKeyedStateBackend<K, C>,
    key_group: KeyGroup,
    /// The encoded key.
    key: Vec<u8>,
    namespace: &'a N,
}

impl<'a, K: StateKey, C: Codec<K>, N: StateKey> ModelAt<'a, K, C, N> {
    pub(super) fn new(
        backend: &'a mut ModelKeyedStateBackend<K, C>,
        key_group: KeyGroup,
        key: &K,
        namespace: &'a N,
    ) -> Result<Self, StateError> {
        backend.freeze_late();
        backend.settle()?;
        let mut encoded = backend.encode_key(key)?;
        if backend.makes(Mistake::KeysMixedUp) {
            encoded.truncate(2);
        }
        Ok(Self { backend, key_group, key: encoded, namespace })
    }

    fn makes(&self, mistake: Mistake) -> bool {
        self.backend.makes(mistake)
    }

    fn row(&self, table: &Table, timer: Option<(u8, i64)>) -> Result<Row, StateError> {
        let mut namespace = table.encode_namespace(self.namespace)?;
        if self.makes(Mistake::NamespacesMixedUp) {
            namespace.clear();
        }
        Ok(Row { timer, key: self.key.clone(), namespace, key_group: self.key_group })
    }

    fn get<V: 'static>(&self, id: StateId) -> Result<Option<V>, StateError> {
        let table = self.backend.table(id)?;
        table.get(&self.row(table, None)?)
    }

    fn set<V: 'static>(&mut self, id: StateId, value: Option<&V>) -> Result<(), StateError> {
        let row = self.row(self.backend.table(id)?, None)?;
        self.backend.table_mut(id)?.set(row, value)
    }

    /// An empty list is the same as none.
    fn set_list<T: 'static>(&mut self, id: StateId, list: &Vec<T>) -> Result<(), StateError> {
        self.set(id, Some(list).filter(|list| !list.is_empty()))
    }

    fn map<UK, UV>(&self, state: MapState<UK, UV, N>) -> Result<UserMap<UK, UV>, StateError>
    where
        UK: StateKey + Hash,
        UV: StateValue,
    {
        Ok(self.get::<UserMap<UK, UV>>(state.id())?.unwrap_or_default())
    }

    fn sorted_map<UK: SortedKey, UV: StateValue>(
        &self,
        state: SortedMapState<UK, UV, N>,
    ) -> Result<SortedUserMap<UK, UV>, StateError> {
        Ok(self.get::<SortedUserMap<UK, UV>>(state.id())?.unwrap_or_default())
    }

    fn timer_row(
        &self,
        timers: Timers<N>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<Row, StateError> {
        let domain =
            if self.makes(Mistake::DomainsMixedUp) { TimeDomain::EventTime } else { domain };
        self.row(self.backend.table(timers.id())?, Some((domain.code(), time_ms)))
    }
}

impl<K: StateKey, C: Codec<K>, N: StateKey> KeyContext for ModelAt<'_, K, C, N> {
    type Namespace = N;

    fn ttl(&self, state: StateId) -> Result<TtlMoment, StateError> {
        let expiry = self.backend.table(state)?.expiry.as_ref().ok_or(StateError::ForeignHandle)?;
        if self.makes(Mistake::NothingExpires) {
            return Ok(expiry.ttl.at(i64::MIN));
        }
        let stands_at = self.backend.left.time_of(state);
        Ok(stands_at.map_or_else(|| expiry.ttl.now(), |now_ms| expiry.ttl.at(now_ms)))
    }

    fn leave<T: Touch<N>>(
        &self,
        state: StateId,
        moment: TtlMoment,
        touch: T,
    ) -> Result<(), StateError> {
        if self.makes(Mistake::ReadsLeaveNothing) {
            return Ok(());
        }
        self.backend.left.leave::<N, T, _>(state, moment.now_ms(), touch, || {
            let (key_group, namespace) = (self.key_group, self.namespace.clone());
            let key = self.key.clone();
            Ok(move |backend: &mut ModelKeyedStateBackend<K, C>, touch: T| {
                touch.run(&mut ModelAt { backend, key_group, key, namespace: &namespace })
            })
        })
    }

    fn settle(&mut self) -> Result<(), StateError> {
        self.backend.settle()
    }

    fn value_get<T: StateValue>(
        &self,
        state: ValueState<T, N>,
    ) -> Result<Option<Ref<'_, T>>, StateError> {
        Ok(self.get::<T>(state.id())?.map(Ref::Owned))
    }

    fn value_set<T: StateValue>(
        &mut self,
        state: ValueState<T, N>,
        value: T,
    ) -> Result<(), StateError> {
        self.set(state.id(), Some(&value))
    }

    fn value_update<T: StateValue, R>(
        &mut self,
        state: ValueState<T, N>,
        initial: impl FnOnce() -> T,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, StateError> {
        let mut value = self.get::<T>(state.id())?.unwrap_or_else(initial);
        let result = change(&mut value);
        self.set(state.id(), Some(&value))?;
        Ok(result)
    }

    fn list_iter<T: StateValue>(
        &self,
        state: ListState<T, N>,
    ) -> Result<Elements<'_, T>, StateError> {
        let list = self.get::<Vec<T>>(state.id())?.unwrap_or_default();
        Ok(Elements::new(list.into_iter().map(|element| Ok(Ref::Owned(element)))))
    }

    fn list_add_all<T: StateValue>(
        &mut self,
        state: ListState<T, N>,
        elements: impl Iterator<Item = T>,
    ) -> Result<(), StateError> {
        let mut list = self.get::<Vec<T>>(state.id())?.unwrap_or_default();
        let mut added: Vec<T> = elements.collect();
        if self.makes(Mistake::LostLastElement) && added.len() > 1 {
            added.pop();
        }
        if self.makes(Mistake::PrependedElements) {
            std::mem::swap(&mut list, &mut added);
        }
        list.append(&mut added);
        self.set_list(state.id(), &list)
    }

    fn list_set<T: StateValue>(
        &mut self,
        state: ListState<T, N>,
        elements: Vec<T>,
    ) -> Result<(), StateError> {
        if self.makes(Mistake::EmptyListKept) {
            return self.set(state.id(), Some(&elements));
        }
        self.set_list(state.id(), &elements)
    }

    fn map_get<UK: StateKey, UV: StateValue>(
        &self,
        state: MapState<UK, UV, N>,
        user_key: &UK,
    ) -> Result<Option<Ref<'_, UV>>, StateError> {
        Ok(self.map(state)?.remove(user_key).map(Ref::Owned))
    }

    fn map_put<UK: StateKey, UV: StateValue>(
        &mut self,
        state: MapState<UK, UV, N>,
        user_key: UK,
        value: UV,
    ) -> Result<(), StateError> {
        let mut map = self.map(state)?;
        if !self.makes(Mistake::FirstPutWins) || !map.contains_key(&user_key) {
            map.insert(user_key, value);
        }
        self.set(state.id(), Some(&map))
    }

    fn map_update<UK: StateKey, UV: StateValue, R>(
        &mut self,
        state: MapState<UK, UV, N>,
        user_key: UK,
        initial: impl FnOnce() -> UV,
        change: impl FnOnce(&mut UV) -> R,
    ) -> Result<R, StateError> {
        let mut map = self.map(state)?;
        let result = change(map.entry(user_key).or_insert_with(initial));
        self.set(state.id(), Some(&map))?;
        Ok(result)
    }

    fn map_remove<UK: StateKey, UV: StateValue>(
        &mut self,
        state: MapState<UK, UV, N>,
        user_key: &UK,
    ) -> Result<(), StateError> {
        let mut map = self.map(state)?;
        map.remove(user_key);
        if self.makes(Mistake::RemoveClearsMap) {
            map.clear();
        }
        let is_kept = !map.is_empty() || self.makes(Mistake::EmptyMapKept);
        self.set(state.id(), Some(&map).filter(|_| is_kept))
    }

    fn map_entries<UK: StateKey, UV: StateValue>(
        &self,
        state: MapState<UK, UV, N>,
    ) -> Result<Entries<'_, UK, UV>, StateError> {
        let owned = |(user_key, value)| Ok((Ref::Owned(user_key), Ref::Owned(value)));
        Ok(Entries::new(self.map(state)?.into_iter().map(owned)))
    }

    fn sorted_map_get<UK: SortedKey, UV: StateValue>(
        &self,
        state: SortedMapState<UK, UV, N>,
        user_key: &UK,
    ) -> Result<Option<Ref<'_, UV>>, StateError> {
        Ok(self.sorted_map(state)?.remove(user_key).map(Ref::Owned))
    }

    fn sorted_map_put<UK: SortedKey, UV: StateValue>(
        &mut self,
        state: SortedMapState<UK, UV, N>,
        user_key: UK,
        value: UV,
    ) -> Result<(), StateError> {
        let mut map = self.sorted_map(state)?;
        map.insert(user_key, value);
        self.set(state.id(), Some(&map))
    }

    fn sorted_map_update<UK: SortedKey, UV: StateValue, R>(
        &mut self,
        state: SortedMapState<UK, UV, N>,
        user_key: UK,
        initial: impl FnOnce() -> UV,
        change: impl FnOnce(&mut UV) -> R,
    ) -> Result<R, StateError> {
        let mut map = self.sorted_map(state)?;
        let result = change(map.entry(user_key).or_insert_with(initial));
        self.set(state.id(), Some(&map))?;
        Ok(result)
    }

    fn sorted_map_remove<UK: SortedKey, UV: StateValue>(
        &mut self,
        state: SortedMapState<UK, UV, N>,
        user_key: &UK,
    ) -> Result<(), StateError> {
        let mut map = self.sorted_map(state)?;
        map.remove(user_key);
        self.set(state.id(), Some(&map).filter(|map| !map.is_empty()))
    }

    fn sorted_map_range<UK: SortedKey, UV: StateValue>(
        &self,
        state: SortedMapState<UK, UV, N>,
        (start, end): (Bound<&UK>, Bound<&UK>),
        order: ScanOrder,
    ) -> Result<Entries<'_, UK, UV>, StateError> {
        let mut map = self.sorted_map(state)?;
        let end = match end {
            Bound::Excluded(end) if self.makes(Mistake::RangeTooLong) => Bound::Included(end),
            end => end,
        };
        map.retain(|user_key, _| (start, end).contains(user_key));
        let owned = |(user_key, value)| Ok((Ref::Owned(user_key), Ref::Owned(value)));
        let is_reverse =
            order == ScanOrder::Descending && !self.makes(Mistake::DescendingIsAscending);
        Ok(if is_reverse {
            Entries::new(map.into_iter().rev().map(owned))
        } else {
            Entries::new(map.into_iter().map(owned))
        })
    }

    fn reducing_get<T: StateValue>(
        &self,
        state: ReducingState<T, N>,
    ) -> Result<Option<Ref<'_, T>>, StateError> {
        Ok(self.get::<T>(state.id())?.map(Ref::Owned))
    }

    fn reducing_add<T: StateValue>(
        &mut self,
        state: ReducingState<T, N>,
        value: T,
    ) -> Result<(), StateError> {
        let reduce = self.backend.table(state.id())?.function::<ReduceFunction<T>>()?;
        let reduced = match self.get::<T>(state.id())? {
            None => value,
            Some(before) => {
                let swap = self.makes(Mistake::ReducedBackwards);
                let (mut first, second) = if swap { (value, before) } else { (before, value) };
                reduce(&mut first, second);
                first
            }
        };
        self.set(state.id(), Some(&reduced))
    }

    fn reducing_function<T: StateValue>(
        &self,
        state: ReducingState<T, N>,
    ) -> Result<ReduceFunction<T>, StateError> {
        self.backend.table(state.id())?.function::<ReduceFunction<T>>().cloned()
    }

    fn aggregating_function<A: AggregateFunction>(
        &self,
        state: AggregatingState<A, N>,
    ) -> Result<&A, StateError> {
        self.backend.table(state.id())?.function::<A>()
    }

    fn aggregating_accumulator<A: AggregateFunction>(
        &self,
        state: AggregatingState<A, N>,
    ) -> Result<Option<Ref<'_, A::Accumulator>>, StateError> {
        Ok(self.get::<A::Accumulator>(state.id())?.map(Ref::Owned))
    }

    fn aggregating_merge<A: AggregateFunction>(
        &mut self,
        state: AggregatingState<A, N>,
        accumulator: A::Accumulator,
    ) -> Result<(), StateError> {
        let function = self.backend.table(state.id())?.function::<A>()?;
        let merged = match self.get::<A::Accumulator>(state.id())? {
            Some(_) if self.makes(Mistake::MergeReplaces) => accumulator,
            Some(mut before) => {
                function.merge(&mut before, &accumulator);
                before
            }
            None => accumulator,
        };
        self.set(state.id(), Some(&merged))
    }

    fn aggregating_add<A: AggregateFunction>(
        &mut self,
        state: AggregatingState<A, N>,
        input: A::Input,
    ) -> Result<(), StateError> {
        let function = self.backend.table(state.id())?.function::<A>()?;
        let before = self.get::<A::Accumulator>(state.id())?;
        let before = before.filter(|_| !self.makes(Mistake::FreshAccumulator));
        let mut accumulator = before.unwrap_or_else(|| function.create());
        function.add(&mut accumulator, input);
        self.set(state.id(), Some(&accumulator))
    }

    fn timer_register(
        &mut self,
        timers: Timers<N>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError> {
        let row = self.timer_row(timers, domain, time_ms)?;
        if self.makes(Mistake::PastTimerDropped) && self.backend.slips.has_passed(&row) {
            return Ok(true);
        }
        let is_new = self.backend.table_mut(timers.id())?.rows_mut().insert(row, Vec::new());
        Ok(is_new.is_none() || self.makes(Mistake::KnownTimerIsNew))
    }

    fn timer_delete(
        &mut self,
        timers: Timers<N>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError> {
        let row = self.timer_row(timers, domain, time_ms)?;
        if self.makes(Mistake::DeletedTimerFires) {
            return Ok(self.backend.table(timers.id())?.stored.rows.contains_key(&row));
        }
        Ok(self.backend.table_mut(timers.id())?.rows_mut().remove(&row).is_some())
    }

    fn clear<S: StateRef<Namespace = N>>(&mut self, state: S) -> Result<(), StateError> {
        let table = self.backend.table(state.id())?;
        let row = self.row(table, None)?;
        let is_timers = table.stored.meta.kind == StateKind::Timers;
        if self.makes(Mistake::LostClear) {
            return Ok(());
        }
        let grave = self.backend.slips.grave_of(&table.stored, &row);
        self.backend.slips.bury(grave);
        let all_namespaces = self.makes(Mistake::ClearOfAllNamespaces);
        let not_all_domains = self.makes(Mistake::TimersNotCleared);
        let rows = self.backend.table_mut(state.id())?.rows_mut();
        if is_timers || all_namespaces {
            rows.retain(|found, _| {
                let is_kept_domain = not_all_domains && found.timer > Some((1, i64::MAX));
                let is_namespace = found.namespace == row.namespace || all_namespaces;
                found.key != row.key || !is_namespace || is_kept_domain
            });
        } else {
            rows.remove(&row);
        }
        Ok(())
    }
}
