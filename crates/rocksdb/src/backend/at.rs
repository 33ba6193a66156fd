//! One key and namespace of a RocksDB backend.
//!
//! Key group and key are encoded once, when the key is opened. Each call appends the namespace, by
//! the codec of its state, and for maps the user key, in a buffer that is kept from call to call.

use std::ops::Bound;

use alluvium_format::codec::Codec;
use alluvium_state::ttl::{Touch, TtlMoment, Verdict};
use alluvium_state::{
    AggregateFunction, AggregatingState, Elements, Entries, KeyContext, ListState, MapState,
    ReduceFunction, ReducingState, Ref, ScanOrder, SortedKey, SortedMapState, StateError, StateId,
    StateKey, StateRef, StateValue, TimeDomain, Timers, ValueState, whole_list,
};

use super::table::{Elements as ElementCodec, Entries as EntryCodecs, Table, Values};
use super::{RocksDbKeyedStateBackend, with_buffer};
use crate::list_row::put_group;
use crate::long_list::Gaps;
use crate::store::Store;

mod entries;
mod iterate;
mod lists;
use iterate::ListChunks;

/// One key and namespace of a [`RocksDbKeyedStateBackend`], encoded once.
pub struct RocksDbAt<'a, K, C, N> {
    backend: &'a mut RocksDbKeyedStateBackend<K, C>,
    namespace: &'a N,
}

impl<'a, K: StateKey, C: Codec<K>, N: StateKey> RocksDbAt<'a, K, C, N> {
    /// The key is the one that was encoded last.
    pub(super) fn new(backend: &'a mut RocksDbKeyedStateBackend<K, C>, namespace: &'a N) -> Self {
        Self { backend, namespace }
    }

    const fn store(&self) -> &Store {
        &self.backend.store
    }

    /// Runs `body` with what the rows of this pair begin with, in a buffer that it may go on with.
    #[inline]
    fn with_row<R>(
        &self,
        table: &Table,
        body: impl FnOnce(&mut Vec<u8>) -> Result<R, StateError>,
    ) -> Result<R, StateError> {
        with_buffer(&self.backend.scratch.row, |row| {
            row.extend_from_slice(&self.backend.key);
            table.put_namespace(self.namespace, row)?;
            body(row)
        })
    }

    fn read<T: StateValue>(
        &self,
        table: &Table,
        codec: &dyn super::table::Coded<T>,
        row: &[u8],
    ) -> Result<Option<T>, StateError> {
        let Some(bytes) = self.store().get(&table.column, row)? else { return Ok(None) };
        table.decode(codec, &bytes).map(Some)
    }

    fn write<T: StateValue>(
        &self,
        table: &Table,
        codec: &dyn super::table::Coded<T>,
        row: &[u8],
        value: &T,
    ) -> Result<(), StateError> {
        with_buffer(&self.backend.scratch.value, |bytes| {
            codec.put(value, bytes).map_err(table.encode_error())?;
            Ok(self.store().put(&table.column, row, bytes)?)
        })
    }

    /// The value of a state with one row for each pair.
    fn get<T: StateValue>(&self, table: &Table) -> Result<Option<T>, StateError> {
        let codec = &*table.content::<Values<T>>()?.0;
        self.with_row(table, |row| self.read(table, codec, row))
    }

    /// Reads that value, changes it and writes it.
    fn change<T: StateValue, R>(
        &self,
        table: &Table,
        change: impl FnOnce(Option<T>) -> (T, R),
    ) -> Result<R, StateError> {
        let codec = &*table.content::<Values<T>>()?.0;
        self.with_row(table, |row| {
            let (value, result) = change(self.read(table, codec, row)?);
            self.write(table, codec, row, &value)?;
            Ok(result)
        })
    }

    fn table(&self, id: StateId) -> Result<&Table, StateError> {
        self.backend.table(id)
    }
}

impl<K: StateKey, C: Codec<K>, N: StateKey> KeyContext for RocksDbAt<'_, K, C, N> {
    type Namespace = N;

    fn value_get<T: StateValue>(
        &self,
        state: ValueState<T, N>,
    ) -> Result<Option<Ref<'_, T>>, StateError> {
        Ok(self.get(self.table(state.id())?)?.map(Ref::Owned))
    }

    fn value_set<T: StateValue>(
        &mut self,
        state: ValueState<T, N>,
        value: T,
    ) -> Result<(), StateError> {
        let table = self.table(state.id())?;
        let codec = &*table.content::<Values<T>>()?.0;
        self.with_row(table, |row| self.write(table, codec, row, &value))
    }

    fn value_update<T: StateValue, R>(
        &mut self,
        state: ValueState<T, N>,
        initial: impl FnOnce() -> T,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, StateError> {
        self.change(self.table(state.id())?, |value| {
            let mut value = value.unwrap_or_else(initial);
            let result = change(&mut value);
            (value, result)
        })
    }

    fn list_iter<T: StateValue>(
        &self,
        state: ListState<T, N>,
    ) -> Result<Elements<'_, T>, StateError> {
        if let Some(table) = self.long_list::<T>(state.id())? {
            return self.long_iter(table, 0);
        }
        let table = self.table(state.id())?;
        let codec = &*table.content::<ElementCodec<T>>()?.0;
        let row = self.with_row(table, |row| Ok(self.store().get(&table.column, row)?))?;
        Ok(Elements::of_chunks(ListChunks::new(table, codec, row)))
    }

    fn list_add_all<T: StateValue>(
        &mut self,
        state: ListState<T, N>,
        elements: impl Iterator<Item = T>,
    ) -> Result<(), StateError> {
        if let Some(table) = self.long_list::<T>(state.id())? {
            return self.long_append(table, elements, true);
        }
        let table = self.table(state.id())?;
        let codec = &*table.content::<ElementCodec<T>>()?.0;
        with_buffer(&self.backend.scratch.value, |bytes| {
            put_group(elements, bytes, |element, out| codec.put(&element, out))
                .map_err(table.encode_error())?;
            if bytes.is_empty() {
                return Ok(self.store().check("append to a row")?);
            }
            self.with_row(table, |row| Ok(self.store().merge(&table.column, row, bytes)?))
        })
    }

    fn list_set<T: StateValue>(
        &mut self,
        state: ListState<T, N>,
        elements: Vec<T>,
    ) -> Result<(), StateError> {
        if let Some(table) = self.long_list::<T>(state.id())? {
            return self.long_append(table, elements.into_iter(), false);
        }
        let table = self.table(state.id())?;
        let codec = &*table.content::<ElementCodec<T>>()?.0;
        with_buffer(&self.backend.scratch.value, |bytes| {
            put_group(elements.iter(), bytes, |element, out| codec.put(element, out))
                .map_err(table.encode_error())?;
            self.with_row(table, |row| {
                if bytes.is_empty() {
                    Ok(self.store().delete(&table.column, row)?)
                } else {
                    Ok(self.store().put(&table.column, row, bytes)?)
                }
            })
        })
    }

    fn list_len<T: StateValue>(&self, state: ListState<T, N>) -> Result<u64, StateError> {
        match self.queue::<T>(state.id())? {
            Some(table) => self.long_len(table),
            None => whole_list::len(self, state),
        }
    }

    fn list_iter_from<T: StateValue>(
        &self,
        state: ListState<T, N>,
        position: u64,
    ) -> Result<Elements<'_, T>, StateError> {
        match self.queue::<T>(state.id())? {
            Some(table) => self.long_iter(table, position),
            None => whole_list::iter_from(self, state, position),
        }
    }

    fn list_pop_front<T: StateValue>(
        &mut self,
        state: ListState<T, N>,
    ) -> Result<Option<T>, StateError> {
        match self.queue::<T>(state.id())? {
            Some(table) => self.long_pop_front(table),
            None => whole_list::pop_front(self, state),
        }
    }

    fn list_remove_front<T: StateValue>(
        &mut self,
        state: ListState<T, N>,
        count: u64,
    ) -> Result<(), StateError> {
        match self.queue::<T>(state.id())? {
            Some(table) => {
                self.long_cut(table, |all| all.start.saturating_add(count).min(all.end)..all.end)
            }
            None => whole_list::remove_front(self, state, count),
        }
    }

    fn list_truncate<T: StateValue>(
        &mut self,
        state: ListState<T, N>,
        len: u64,
    ) -> Result<(), StateError> {
        match self.queue::<T>(state.id())? {
            Some(table) => {
                self.long_cut(table, |all| all.start..all.start.saturating_add(len).min(all.end))
            }
            None => whole_list::truncate(self, state, len),
        }
    }

    fn list_remove_while<T: StateValue>(
        &mut self,
        state: ListState<T, N>,
        goes: impl FnMut(&T) -> bool,
    ) -> Result<(), StateError> {
        match self.long_list::<T>(state.id())? {
            Some(table) => self.long_remove_while(table, goes),
            None => whole_list::remove_while(self, state, goes),
        }
    }

    fn list_retain<T: StateValue>(
        &mut self,
        state: ListState<T, N>,
        keep: impl FnMut(&mut T) -> Verdict,
    ) -> Result<(), StateError> {
        match self.long_list::<T>(state.id())? {
            Some(table) if table.format.gaps() == Gaps::Expired => self.long_retain(table, keep),
            _ => whole_list::retain(self, state, keep),
        }
    }

    fn map_get<UK: StateKey, UV: StateValue>(
        &self,
        state: MapState<UK, UV, N>,
        user_key: &UK,
    ) -> Result<Option<Ref<'_, UV>>, StateError> {
        Ok(self.entry_get(state.id(), user_key)?.map(Ref::Owned))
    }

    fn map_put<UK: StateKey, UV: StateValue>(
        &mut self,
        state: MapState<UK, UV, N>,
        user_key: UK,
        value: UV,
    ) -> Result<(), StateError> {
        self.entry_put(state.id(), &user_key, &value)
    }

    fn map_put_all<UK: StateKey, UV: StateValue>(
        &mut self,
        state: MapState<UK, UV, N>,
        entries: impl Iterator<Item = (UK, UV)>,
    ) -> Result<(), StateError> {
        self.entries_put(state.id(), entries)
    }

    fn map_update<UK: StateKey, UV: StateValue, R>(
        &mut self,
        state: MapState<UK, UV, N>,
        user_key: UK,
        initial: impl FnOnce() -> UV,
        change: impl FnOnce(&mut UV) -> R,
    ) -> Result<R, StateError> {
        self.entry_update(state.id(), &user_key, initial, change)
    }

    fn map_remove<UK: StateKey, UV: StateValue>(
        &mut self,
        state: MapState<UK, UV, N>,
        user_key: &UK,
    ) -> Result<(), StateError> {
        self.entry_remove::<UK, UV>(state.id(), user_key)
    }

    fn map_entries<UK: StateKey, UV: StateValue>(
        &self,
        state: MapState<UK, UV, N>,
    ) -> Result<Entries<'_, UK, UV>, StateError> {
        self.all_entries(state.id())
    }

    fn sorted_map_get<UK: SortedKey, UV: StateValue>(
        &self,
        state: SortedMapState<UK, UV, N>,
        user_key: &UK,
    ) -> Result<Option<Ref<'_, UV>>, StateError> {
        Ok(self.entry_get(state.id(), user_key)?.map(Ref::Owned))
    }

    fn sorted_map_put<UK: SortedKey, UV: StateValue>(
        &mut self,
        state: SortedMapState<UK, UV, N>,
        user_key: UK,
        value: UV,
    ) -> Result<(), StateError> {
        self.entry_put(state.id(), &user_key, &value)
    }

    fn sorted_map_update<UK: SortedKey, UV: StateValue, R>(
        &mut self,
        state: SortedMapState<UK, UV, N>,
        user_key: UK,
        initial: impl FnOnce() -> UV,
        change: impl FnOnce(&mut UV) -> R,
    ) -> Result<R, StateError> {
        self.entry_update(state.id(), &user_key, initial, change)
    }

    fn sorted_map_remove<UK: SortedKey, UV: StateValue>(
        &mut self,
        state: SortedMapState<UK, UV, N>,
        user_key: &UK,
    ) -> Result<(), StateError> {
        self.entry_remove::<UK, UV>(state.id(), user_key)
    }

    fn sorted_map_range<UK: SortedKey, UV: StateValue>(
        &self,
        state: SortedMapState<UK, UV, N>,
        range: (Bound<&UK>, Bound<&UK>),
        order: ScanOrder,
    ) -> Result<Entries<'_, UK, UV>, StateError> {
        self.entry_range(state.id(), range, order)
    }

    fn reducing_get<T: StateValue>(
        &self,
        state: ReducingState<T, N>,
    ) -> Result<Option<Ref<'_, T>>, StateError> {
        Ok(self.get(self.table(state.id())?)?.map(Ref::Owned))
    }

    fn reducing_add<T: StateValue>(
        &mut self,
        state: ReducingState<T, N>,
        value: T,
    ) -> Result<(), StateError> {
        let table = self.table(state.id())?;
        let reduce = table.function::<ReduceFunction<T>>()?;
        self.change(table, |reduced| match reduced {
            None => (value, ()),
            Some(mut reduced) => {
                reduce(&mut reduced, value);
                (reduced, ())
            }
        })
    }

    fn reducing_function<T: StateValue>(
        &self,
        state: ReducingState<T, N>,
    ) -> Result<ReduceFunction<T>, StateError> {
        self.table(state.id())?.function::<ReduceFunction<T>>().cloned()
    }

    fn aggregating_function<A: AggregateFunction>(
        &self,
        state: AggregatingState<A, N>,
    ) -> Result<&A, StateError> {
        self.table(state.id())?.function()
    }

    fn aggregating_accumulator<A: AggregateFunction>(
        &self,
        state: AggregatingState<A, N>,
    ) -> Result<Option<Ref<'_, A::Accumulator>>, StateError> {
        Ok(self.get(self.table(state.id())?)?.map(Ref::Owned))
    }

    fn aggregating_merge<A: AggregateFunction>(
        &mut self,
        state: AggregatingState<A, N>,
        accumulator: A::Accumulator,
    ) -> Result<(), StateError> {
        let table = self.table(state.id())?;
        let aggregate = table.function::<A>()?;
        self.change::<A::Accumulator, _>(table, |found| match found {
            None => (accumulator, ()),
            Some(mut merged) => {
                aggregate.merge(&mut merged, &accumulator);
                (merged, ())
            }
        })
    }

    fn aggregating_add<A: AggregateFunction>(
        &mut self,
        state: AggregatingState<A, N>,
        input: A::Input,
    ) -> Result<(), StateError> {
        let table = self.table(state.id())?;
        let aggregate = table.function::<A>()?;
        self.change::<A::Accumulator, _>(table, |accumulator| {
            let mut accumulator = accumulator.unwrap_or_else(|| aggregate.create());
            aggregate.add(&mut accumulator, input);
            (accumulator, ())
        })
    }

    fn timer_register(
        &mut self,
        timers: Timers<N>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError> {
        self.backend.register_timer(timers, (domain, time_ms, self.namespace))
    }

    fn timer_delete(
        &mut self,
        timers: Timers<N>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError> {
        self.backend.delete_timer(timers, (domain, time_ms, self.namespace))
    }

    fn clear<S: StateRef<Namespace = N>>(&mut self, state: S) -> Result<(), StateError> {
        let table = self.table(state.id())?;
        if table.format.is_timers() {
            return self.backend.clear_timers(state.id(), self.namespace);
        }
        if table.format.is_long_list() {
            return self.long_cut(table, |all| all.end..all.end);
        }
        self.with_row(table, |row| {
            if table.format.is_map() {
                Ok(self.store().delete_prefix(&table.column, row)?)
            } else {
                Ok(self.store().delete(&table.column, row)?)
            }
        })
    }

    fn ttl(&self, state: StateId) -> Result<TtlMoment, StateError> {
        self.backend.ttl_of(state)
    }

    /// Compactions do not drop meanwhile what has not expired now.
    fn leave<T: Touch<N>>(
        &self,
        state: StateId,
        moment: TtlMoment,
        touch: T,
    ) -> Result<(), StateError> {
        let expiry = self.table(state)?.format.expiry.as_ref();
        self.backend.left.leave::<N, T, _>(state, moment.now_ms(), touch, || {
            let held = expiry.map(|expiry| expiry.hold(moment));
            let (key, namespace) = (self.backend.key.clone(), self.namespace.clone());
            Ok(move |backend: &mut RocksDbKeyedStateBackend<K, C>, touch: T| {
                backend.key = key;
                let done = touch.run(&mut RocksDbAt::new(backend, &namespace));
                drop(held);
                done
            })
        })
    }

    fn settle(&mut self) -> Result<(), StateError> {
        self.backend.settle()
    }
}
