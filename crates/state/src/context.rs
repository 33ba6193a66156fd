//! One key and namespace of a backend: what handles read from and write to.
//!
//! A backend implements [`KeyContext`]; functions use the methods of the handles, which call it.
//!
//! Invariants: a context was hashed and checked once, when it was opened; every call through it
//! concerns that key only.

use std::ops::{Bound, Deref};

use crate::ttl::{Touch, TtlMoment, Verdict};
use crate::{
    AggregateFunction, AggregatingState, Elements, Entries, ListState, MapState, ReduceFunction,
    ReducingState, ScanOrder, SortedKey, SortedMapState, StateError, StateId, StateKey, StateRef,
    StateValue, TimeDomain, Timers, ValueState, whole_list,
};

/// A value of the state: borrowed where it lives in memory, owned where it had to be decoded.
#[derive(Debug)]
pub enum Ref<'a, T> {
    /// The value itself.
    Borrowed(&'a T),
    /// A copy made for the caller.
    Owned(T),
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Borrowed(value) => value,
            Self::Owned(value) => value,
        }
    }
}

impl<T: Clone> Ref<'_, T> {
    /// The value, copied when it was borrowed.
    pub fn into_owned(self) -> T {
        match self {
            Self::Borrowed(value) => value.clone(),
            Self::Owned(value) => value,
        }
    }
}

/// State of one key and namespace.
///
/// Errors: every method gives [`StateError::ForeignHandle`] for the handle of another backend, and
/// [`StateError::NotLoaded`] when restored state is loaded on demand and cannot be.
pub trait KeyContext {
    /// The type of the namespace.
    type Namespace: StateKey;

    /// See [`ValueState::get`].
    fn value_get<T: StateValue>(
        &self,
        state: ValueState<T, Self::Namespace>,
    ) -> Result<Option<Ref<'_, T>>, StateError>;

    /// See [`ValueState::set`].
    fn value_set<T: StateValue>(
        &mut self,
        state: ValueState<T, Self::Namespace>,
        value: T,
    ) -> Result<(), StateError>;

    /// See [`ValueState::update_or_insert_with`].
    fn value_update<T: StateValue, R>(
        &mut self,
        state: ValueState<T, Self::Namespace>,
        initial: impl FnOnce() -> T,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, StateError>;

    /// See [`ListState::elements`].
    fn list_iter<T: StateValue>(
        &self,
        state: ListState<T, Self::Namespace>,
    ) -> Result<Elements<'_, T>, StateError>;

    /// See [`ListState::add_all`].
    fn list_add_all<T: StateValue>(
        &mut self,
        state: ListState<T, Self::Namespace>,
        elements: impl Iterator<Item = T>,
    ) -> Result<(), StateError>;

    /// See [`ListState::set`].
    fn list_set<T: StateValue>(
        &mut self,
        state: ListState<T, Self::Namespace>,
        elements: Vec<T>,
    ) -> Result<(), StateError>;

    /// See [`ListState::len`]. By default all elements are read.
    fn list_len<T: StateValue>(
        &self,
        state: ListState<T, Self::Namespace>,
    ) -> Result<u64, StateError>
    where
        Self: Sized,
    {
        whole_list::len(self, state)
    }

    /// See [`ListState::elements_from`]. By default those before are read too.
    fn list_iter_from<T: StateValue>(
        &self,
        state: ListState<T, Self::Namespace>,
        position: u64,
    ) -> Result<Elements<'_, T>, StateError>
    where
        Self: Sized,
    {
        whole_list::iter_from(self, state, position)
    }

    /// See [`ListState::pop_front`]. By default the list is read and written whole.
    fn list_pop_front<T: StateValue>(
        &mut self,
        state: ListState<T, Self::Namespace>,
    ) -> Result<Option<T>, StateError>
    where
        Self: Sized,
    {
        whole_list::pop_front(self, state)
    }

    /// See [`ListState::remove_front`]. By default the list is read and written whole.
    fn list_remove_front<T: StateValue>(
        &mut self,
        state: ListState<T, Self::Namespace>,
        count: u64,
    ) -> Result<(), StateError>
    where
        Self: Sized,
    {
        whole_list::remove_front(self, state, count)
    }

    /// See [`ListState::truncate`]. By default the list is read and written whole.
    fn list_truncate<T: StateValue>(
        &mut self,
        state: ListState<T, Self::Namespace>,
        len: u64,
    ) -> Result<(), StateError>
    where
        Self: Sized,
    {
        whole_list::truncate(self, state, len)
    }

    /// See [`MapState::get`].
    fn map_get<UK: StateKey, UV: StateValue>(
        &self,
        state: MapState<UK, UV, Self::Namespace>,
        user_key: &UK,
    ) -> Result<Option<Ref<'_, UV>>, StateError>;

    /// See [`MapState::put`].
    fn map_put<UK: StateKey, UV: StateValue>(
        &mut self,
        state: MapState<UK, UV, Self::Namespace>,
        user_key: UK,
        value: UV,
    ) -> Result<(), StateError>;

    /// See [`MapState::put_all`].
    fn map_put_all<UK: StateKey, UV: StateValue>(
        &mut self,
        state: MapState<UK, UV, Self::Namespace>,
        mut entries: impl Iterator<Item = (UK, UV)>,
    ) -> Result<(), StateError> {
        entries.try_for_each(|(user_key, value)| self.map_put(state, user_key, value))
    }

    /// See [`MapState::update`].
    fn map_update<UK: StateKey, UV: StateValue, R>(
        &mut self,
        state: MapState<UK, UV, Self::Namespace>,
        user_key: UK,
        initial: impl FnOnce() -> UV,
        change: impl FnOnce(&mut UV) -> R,
    ) -> Result<R, StateError>;

    /// See [`MapState::remove`].
    fn map_remove<UK: StateKey, UV: StateValue>(
        &mut self,
        state: MapState<UK, UV, Self::Namespace>,
        user_key: &UK,
    ) -> Result<(), StateError>;

    /// See [`MapState::entries`].
    fn map_entries<UK: StateKey, UV: StateValue>(
        &self,
        state: MapState<UK, UV, Self::Namespace>,
    ) -> Result<Entries<'_, UK, UV>, StateError>;

    /// See [`SortedMapState::get`].
    fn sorted_map_get<UK: SortedKey, UV: StateValue>(
        &self,
        state: SortedMapState<UK, UV, Self::Namespace>,
        user_key: &UK,
    ) -> Result<Option<Ref<'_, UV>>, StateError>;

    /// See [`SortedMapState::put`].
    fn sorted_map_put<UK: SortedKey, UV: StateValue>(
        &mut self,
        state: SortedMapState<UK, UV, Self::Namespace>,
        user_key: UK,
        value: UV,
    ) -> Result<(), StateError>;

    /// See [`SortedMapState::update`].
    fn sorted_map_update<UK: SortedKey, UV: StateValue, R>(
        &mut self,
        state: SortedMapState<UK, UV, Self::Namespace>,
        user_key: UK,
        initial: impl FnOnce() -> UV,
        change: impl FnOnce(&mut UV) -> R,
    ) -> Result<R, StateError>;

    /// See [`SortedMapState::remove`].
    fn sorted_map_remove<UK: SortedKey, UV: StateValue>(
        &mut self,
        state: SortedMapState<UK, UV, Self::Namespace>,
        user_key: &UK,
    ) -> Result<(), StateError>;

    /// See [`SortedMapState::range`] and [`SortedMapState::range_rev`]; the range may be one without
    /// any key ([`is_empty_range`](crate::is_empty_range)).
    fn sorted_map_range<UK: SortedKey, UV: StateValue>(
        &self,
        state: SortedMapState<UK, UV, Self::Namespace>,
        range: (Bound<&UK>, Bound<&UK>),
        order: ScanOrder,
    ) -> Result<Entries<'_, UK, UV>, StateError>;

    /// See [`ReducingState::get`].
    fn reducing_get<T: StateValue>(
        &self,
        state: ReducingState<T, Self::Namespace>,
    ) -> Result<Option<Ref<'_, T>>, StateError>;

    /// See [`ReducingState::add`].
    fn reducing_add<T: StateValue>(
        &mut self,
        state: ReducingState<T, Self::Namespace>,
        value: T,
    ) -> Result<(), StateError>;

    /// The function of a reducing state.
    fn reducing_function<T: StateValue>(
        &self,
        state: ReducingState<T, Self::Namespace>,
    ) -> Result<ReduceFunction<T>, StateError>;

    /// See [`AggregatingState::get`].
    fn aggregating_get<A: AggregateFunction>(
        &self,
        state: AggregatingState<A, Self::Namespace>,
    ) -> Result<Option<A::Output>, StateError> {
        let function = self.aggregating_function(state)?;
        let accumulator = self.aggregating_accumulator(state)?;
        Ok(accumulator.map(|accumulator| function.result(&accumulator)))
    }

    /// The function of an aggregating state.
    fn aggregating_function<A: AggregateFunction>(
        &self,
        state: AggregatingState<A, Self::Namespace>,
    ) -> Result<&A, StateError>;

    /// What is stored for an aggregating state.
    fn aggregating_accumulator<A: AggregateFunction>(
        &self,
        state: AggregatingState<A, Self::Namespace>,
    ) -> Result<Option<Ref<'_, A::Accumulator>>, StateError>;

    /// Merges an accumulator into the one of this key and namespace; where there is none, it becomes
    /// that.
    fn aggregating_merge<A: AggregateFunction>(
        &mut self,
        state: AggregatingState<A, Self::Namespace>,
        accumulator: A::Accumulator,
    ) -> Result<(), StateError>;

    /// See [`AggregatingState::add`].
    fn aggregating_add<A: AggregateFunction>(
        &mut self,
        state: AggregatingState<A, Self::Namespace>,
        input: A::Input,
    ) -> Result<(), StateError>;

    /// See [`Timers::register`].
    fn timer_register(
        &mut self,
        timers: Timers<Self::Namespace>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError>;

    /// See [`Timers::delete`].
    fn timer_delete(
        &mut self,
        timers: Timers<Self::Namespace>,
        domain: TimeDomain,
        time_ms: i64,
    ) -> Result<bool, StateError>;

    /// Removes what a state of any kind holds for this key and namespace.
    fn clear<S: StateRef<Namespace = Self::Namespace>>(
        &mut self,
        state: S,
    ) -> Result<(), StateError>;

    /// For states with a time to live: its rules at the time of the state, which stands still while
    /// something is [left](KeyContext::leave) to be done to it, and is that of its clock otherwise.
    ///
    /// Errors: [`StateError::ForeignHandle`] for a state that has none.
    fn ttl(&self, state: StateId) -> Result<TtlMoment, StateError>;

    /// Leaves something to be done to a state at this key and namespace. It is done by
    /// [`KeyContext::settle`], before another key is opened, keys are listed or the state is frozen.
    ///
    /// Errors: those of the codecs of key and namespace.
    fn leave<T: Touch<Self::Namespace>>(
        &self,
        state: StateId,
        moment: TtlMoment,
        touch: T,
    ) -> Result<(), StateError>;

    /// Does what was left.
    ///
    /// Errors: the first one; what comes after it is not done.
    fn settle(&mut self) -> Result<(), StateError>;

    /// Lets `keep` change or remove the value, if there is one. Reducing and aggregating states have
    /// one value too, and take the handle of a value state here.
    fn value_retain<T: StateValue>(
        &mut self,
        state: ValueState<T, Self::Namespace>,
        keep: impl FnOnce(&mut T) -> Verdict,
    ) -> Result<(), StateError> {
        let Some(value) = self.value_get(state)? else { return Ok(()) };
        let mut value = value.into_owned();
        match keep(&mut value) {
            Verdict::Unchanged => Ok(()),
            Verdict::Changed => self.value_set(state, value),
            Verdict::Removed => self.clear(state),
        }
    }

    /// Removes elements from the front of a list up to the first one that `goes` says false of. By
    /// default they are counted first and then removed by their number: for backends that remove
    /// nothing by themselves meanwhile.
    fn list_remove_while<T: StateValue>(
        &mut self,
        state: ListState<T, Self::Namespace>,
        mut goes: impl FnMut(&T) -> bool,
    ) -> Result<(), StateError>
    where
        Self: Sized,
    {
        let mut count = 0;
        for element in self.list_iter(state)? {
            let element = element?;
            if !goes(&element) {
                break;
            }
            count += 1;
        }
        if count == 0 { Ok(()) } else { self.list_remove_front(state, count) }
    }

    /// Lets `keep` change or remove elements of a list, in order.
    fn list_retain<T: StateValue>(
        &mut self,
        state: ListState<T, Self::Namespace>,
        keep: impl FnMut(&mut T) -> Verdict,
    ) -> Result<(), StateError>
    where
        Self: Sized,
    {
        whole_list::retain(self, state, keep)
    }

    /// Lets `keep` change or remove the value of a user key, if there is one.
    fn map_retain_entry<UK: StateKey, UV: StateValue>(
        &mut self,
        state: MapState<UK, UV, Self::Namespace>,
        user_key: &UK,
        keep: impl FnOnce(&mut UV) -> Verdict,
    ) -> Result<(), StateError> {
        let Some(value) = self.map_get(state, user_key)? else { return Ok(()) };
        let mut value = value.into_owned();
        match keep(&mut value) {
            Verdict::Unchanged => Ok(()),
            Verdict::Changed => self.map_put(state, user_key.clone(), value),
            Verdict::Removed => self.map_remove(state, user_key),
        }
    }

    /// Lets `keep` change or remove entries of a map, in no order.
    fn map_retain<UK: StateKey, UV: StateValue>(
        &mut self,
        state: MapState<UK, UV, Self::Namespace>,
        mut keep: impl FnMut(&UK, &mut UV) -> Verdict,
    ) -> Result<(), StateError> {
        let mut changes = Vec::new();
        for entry in self.map_entries(state)? {
            let (user_key, value) = entry?;
            let mut value = value.into_owned();
            match keep(&user_key, &mut value) {
                Verdict::Unchanged => {}
                Verdict::Changed => changes.push((user_key.into_owned(), Some(value))),
                Verdict::Removed => changes.push((user_key.into_owned(), None)),
            }
        }
        changes.into_iter().try_for_each(|(user_key, value)| match value {
            Some(value) => self.map_put(state, user_key, value),
            None => self.map_remove(state, &user_key),
        })
    }
}
