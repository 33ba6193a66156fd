//! What the methods of handles do where a state has a time to live.
//!
//! Each function works on the same state with stamps, through the same [`KeyContext`]. They are `cold`
//! so that they stay out of the methods of handles: those are only inlined into a loop over records
//! while they are small, and a call for each record costs a third of a get and half of an update.

use std::cell::Cell;

use super::touch::{ListTouch, MapTouch, ValueTouch};
use super::{Stamped, TtlAggregate, TtlMoment, Verdict};
use crate::{
    AggregateFunction, AggregatingState, Elements, Entries, KeyContext, ListState, MapState,
    ReducingState, Ref, StateError, StateKey, StateRef, StateValue, ValueState,
};

pub(super) type Found<'c, T> = Result<Option<Ref<'c, T>>, StateError>;

fn stamped_value<T, N>(state: ValueState<T, N>) -> ValueState<Stamped<T>, N>
where
    T: StateValue,
    N: StateKey,
{
    ValueState::new(state.id())
}

pub(crate) fn stamped_list<T: StateValue, N: StateKey>(
    state: ListState<T, N>,
) -> ListState<Stamped<T>, N> {
    ListState::new(state.id())
}

pub(crate) fn stamped_reducing<T: StateValue, N: StateKey>(
    state: ReducingState<T, N>,
) -> ReducingState<Stamped<T>, N> {
    ReducingState::new(state.id())
}

pub(crate) fn stamped_aggregating<A: AggregateFunction, N: StateKey>(
    state: AggregatingState<A, N>,
) -> AggregatingState<TtlAggregate<A>, N> {
    AggregatingState::new(state.id())
}

fn stamped_map<UK, UV, N>(state: MapState<UK, UV, N>) -> MapState<UK, Stamped<UV>, N>
where
    UK: StateKey,
    UV: StateValue,
    N: StateKey,
{
    MapState::new(state.id())
}

pub(super) fn without_stamp<T>(found: Ref<'_, Stamped<T>>) -> Ref<'_, T> {
    match found {
        Ref::Borrowed(stamped) => Ref::Borrowed(&stamped.value),
        Ref::Owned(stamped) => Ref::Owned(stamped.value),
    }
}

/// The rules for a change, which comes after everything that reads have left behind.
pub(crate) fn for_change<C: KeyContext>(
    at: &mut C,
    state: impl StateRef<Namespace = C::Namespace>,
) -> Result<TtlMoment, StateError> {
    at.settle()?;
    at.ttl(state.id())
}

/// A value that was found in a value, reducing or aggregating state, if it is visible.
fn seen<'c, T: StateValue, C: KeyContext>(
    at: &'c C,
    state: ValueState<Stamped<T>, C::Namespace>,
    found: Option<Ref<'c, Stamped<T>>>,
) -> Found<'c, T> {
    let Some(found) = found else { return Ok(None) };
    let moment = at.ttl(state.id())?;
    let stamp_ms = found.stamp_ms;
    touch_value(at, state, moment, stamp_ms)?;
    Ok(moment.is_visible(stamp_ms).then(|| without_stamp(found)))
}

fn touch_value<T: StateValue, C: KeyContext>(
    at: &C,
    state: ValueState<Stamped<T>, C::Namespace>,
    moment: TtlMoment,
    stamp_ms: i64,
) -> Result<(), StateError> {
    if moment.needs_touch(stamp_ms) {
        at.leave(state.id(), moment, ValueTouch { state, moment })?;
    }
    Ok(())
}

/// The items that are visible. The first one that a read changes leaves a touch of all.
fn visible<E>(
    moment: TtlMoment,
    items: impl Iterator<Item = Result<E, StateError>>,
    stamp_of: impl Fn(&E) -> i64,
    touch_all: impl Fn() -> Result<(), StateError>,
) -> impl Iterator<Item = Result<E, StateError>> {
    let mut is_left = false;
    let mut show = move |item: E| {
        let stamp_ms = stamp_of(&item);
        if !is_left && moment.needs_touch(stamp_ms) {
            is_left = true;
            touch_all()?;
        }
        Ok(moment.is_visible(stamp_ms).then_some(item))
    };
    items.filter_map(move |item| item.and_then(&mut show).transpose())
}

/// Changes of one value by a function, which begins anew where there is none that is visible.
pub(super) fn changing<T, R>(
    moment: TtlMoment,
    initial: impl FnOnce() -> T,
    change: impl FnOnce(&mut T) -> R,
    update: impl FnOnce(
        &dyn Fn() -> Stamped<T>,
        &mut dyn FnMut(&mut Stamped<T>),
    ) -> Result<(), StateError>,
) -> Result<R, StateError> {
    let (initial, mut change, mut result) = (Cell::new(Some(initial)), Some(change), None);
    let stamp_ms = moment.now_ms();
    let make = || {
        let Some(initial) = initial.take() else { unreachable!("a value begins once") };
        initial()
    };
    update(&|| Stamped { stamp_ms, value: make() }, &mut |stamped| {
        if !moment.is_visible(stamped.stamp_ms) {
            stamped.value = make();
        }
        stamped.stamp_ms = stamp_ms;
        result = change.take().map(|change| change(&mut stamped.value));
    })?;
    let Some(result) = result else { unreachable!("what is changed is changed once") };
    Ok(result)
}

#[cold]
pub(crate) fn value_get<T: StateValue, C: KeyContext>(
    state: ValueState<T, C::Namespace>,
    at: &C,
) -> Found<'_, T> {
    let state = stamped_value(state);
    seen(at, state, at.value_get(state)?)
}

#[cold]
pub(crate) fn value_set<T: StateValue, C: KeyContext>(
    state: ValueState<T, C::Namespace>,
    at: &mut C,
    value: T,
) -> Result<(), StateError> {
    let stamp_ms = for_change(at, state)?.now_ms();
    at.value_set(stamped_value(state), Stamped { stamp_ms, value })
}

#[cold]
pub(crate) fn value_update<T: StateValue, C: KeyContext, R>(
    state: ValueState<T, C::Namespace>,
    at: &mut C,
    initial: impl FnOnce() -> T,
    change: impl FnOnce(&mut T) -> R,
) -> Result<R, StateError> {
    let moment = for_change(at, state)?;
    changing(moment, initial, change, |make, change| {
        at.value_update(stamped_value(state), make, change)
    })
}

#[cold]
pub(crate) fn list_elements<T: StateValue, C: KeyContext>(
    state: ListState<T, C::Namespace>,
    at: &C,
) -> Result<Elements<'_, T>, StateError> {
    let (state, moment) = (stamped_list(state), at.ttl(state.id())?);
    let elements = at.list_iter(state)?;
    let touch = move || at.leave(state.id(), moment, ListTouch { state, moment });
    let elements = visible(moment, elements, |stamped| stamped.stamp_ms, touch);
    Ok(Elements::new(elements.map(|element| element.map(without_stamp))))
}

#[cold]
pub(crate) fn list_add_all<T: StateValue, C: KeyContext>(
    state: ListState<T, C::Namespace>,
    at: &mut C,
    elements: impl Iterator<Item = T>,
) -> Result<(), StateError> {
    let stamp_ms = for_change(at, state)?.now_ms();
    at.list_add_all(stamped_list(state), elements.map(|value| Stamped { stamp_ms, value }))
}

#[cold]
pub(crate) fn list_set<T: StateValue, C: KeyContext>(
    state: ListState<T, C::Namespace>,
    at: &mut C,
    elements: Vec<T>,
) -> Result<(), StateError> {
    let stamp_ms = for_change(at, state)?.now_ms();
    let elements = elements.into_iter().map(|value| Stamped { stamp_ms, value });
    at.list_set(stamped_list(state), elements.collect())
}

#[cold]
pub(crate) fn map_get<'c, UK: StateKey, UV: StateValue, C: KeyContext>(
    state: MapState<UK, UV, C::Namespace>,
    at: &'c C,
    user_key: &UK,
) -> Found<'c, UV> {
    let state = stamped_map(state);
    let Some(found) = at.map_get(state, user_key)? else { return Ok(None) };
    let (moment, stamp_ms) = (at.ttl(state.id())?, found.stamp_ms);
    if moment.needs_touch(stamp_ms) {
        at.leave(state.id(), moment, MapTouch::of(state, moment, user_key))?;
    }
    Ok(moment.is_visible(stamp_ms).then(|| without_stamp(found)))
}

#[cold]
pub(crate) fn map_put<UK: StateKey, UV: StateValue, C: KeyContext>(
    state: MapState<UK, UV, C::Namespace>,
    at: &mut C,
    user_key: UK,
    value: UV,
) -> Result<(), StateError> {
    let stamp_ms = for_change(at, state)?.now_ms();
    at.map_put(stamped_map(state), user_key, Stamped { stamp_ms, value })
}

#[cold]
pub(crate) fn map_put_all<UK: StateKey, UV: StateValue, C: KeyContext>(
    state: MapState<UK, UV, C::Namespace>,
    at: &mut C,
    entries: impl Iterator<Item = (UK, UV)>,
) -> Result<(), StateError> {
    let stamp_ms = for_change(at, state)?.now_ms();
    let stamped = entries.map(|(user_key, value)| (user_key, Stamped { stamp_ms, value }));
    at.map_put_all(stamped_map(state), stamped)
}

#[cold]
pub(crate) fn map_update<UK: StateKey, UV: StateValue, C: KeyContext, R>(
    state: MapState<UK, UV, C::Namespace>,
    at: &mut C,
    user_key: UK,
    initial: impl FnOnce() -> UV,
    change: impl FnOnce(&mut UV) -> R,
) -> Result<R, StateError> {
    let moment = for_change(at, state)?;
    changing(moment, initial, change, |make, change| {
        at.map_update(stamped_map(state), user_key, make, change)
    })
}

#[cold]
pub(crate) fn map_remove<UK: StateKey, UV: StateValue, C: KeyContext>(
    state: MapState<UK, UV, C::Namespace>,
    at: &mut C,
    user_key: &UK,
) -> Result<(), StateError> {
    at.settle()?;
    at.map_remove(stamped_map(state), user_key)
}

#[cold]
pub(crate) fn map_entries<UK: StateKey, UV: StateValue, C: KeyContext>(
    state: MapState<UK, UV, C::Namespace>,
    at: &C,
) -> Result<Entries<'_, UK, UV>, StateError> {
    let (state, moment) = (stamped_map(state), at.ttl(state.id())?);
    let entries = at.map_entries(state)?;
    let touch = move || at.leave(state.id(), moment, MapTouch::of_all(state, moment));
    let entries = visible(moment, entries, |(_, stamped)| stamped.stamp_ms, touch);
    Ok(Entries::new(entries.map(|entry| entry.map(|(key, value)| (key, without_stamp(value))))))
}

/// Whether no entry is visible; that alone refreshes none.
#[cold]
pub(crate) fn map_is_empty<UK: StateKey, UV: StateValue, C: KeyContext>(
    state: MapState<UK, UV, C::Namespace>,
    at: &C,
) -> Result<bool, StateError> {
    let (state, moment) = (stamped_map(state), at.ttl(state.id())?);
    for entry in at.map_entries(state)? {
        if moment.is_visible(entry?.1.stamp_ms) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cold]
pub(crate) fn reducing_get<T: StateValue, C: KeyContext>(
    state: ReducingState<T, C::Namespace>,
    at: &C,
) -> Found<'_, T> {
    let found = at.reducing_get(stamped_reducing(state))?;
    seen(at, ValueState::new(state.id()), found)
}

#[cold]
pub(crate) fn reducing_add<T: StateValue, C: KeyContext>(
    state: ReducingState<T, C::Namespace>,
    at: &mut C,
    value: T,
) -> Result<(), StateError> {
    let stamp_ms = for_change(at, state)?.now_ms();
    at.reducing_add(stamped_reducing(state), Stamped { stamp_ms, value })
}

#[cold]
pub(crate) fn aggregating_get<A: AggregateFunction, C: KeyContext>(
    state: AggregatingState<A, C::Namespace>,
    at: &C,
) -> Result<Option<A::Output>, StateError> {
    let found = at.aggregating_get(stamped_aggregating(state))?;
    let Some(Stamped { stamp_ms, value }) = found else { return Ok(None) };
    let moment = at.ttl(state.id())?;
    let accumulators = ValueState::<Stamped<A::Accumulator>, _>::new(state.id());
    touch_value(at, accumulators, moment, stamp_ms)?;
    Ok(moment.is_visible(stamp_ms).then_some(value))
}

#[cold]
pub(crate) fn aggregating_add<A: AggregateFunction, C: KeyContext>(
    state: AggregatingState<A, C::Namespace>,
    at: &mut C,
    input: A::Input,
) -> Result<(), StateError> {
    let stamp_ms = for_change(at, state)?.now_ms();
    at.aggregating_add(stamped_aggregating(state), Stamped { stamp_ms, value: input })
}

/// Removes what a state of any kind holds.
pub(crate) fn clear<C: KeyContext>(
    state: impl StateRef<Namespace = C::Namespace>,
    at: &mut C,
) -> Result<(), StateError> {
    if state.id().has_ttl() {
        at.settle()?;
    }
    at.clear(state)
}

/// A verdict as the answer whether something stays, and whether it was changed.
pub(crate) fn stays(verdict: Verdict, is_changed: &mut bool) -> bool {
    *is_changed |= verdict != Verdict::Unchanged;
    verdict != Verdict::Removed
}
