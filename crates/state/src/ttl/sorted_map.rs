//! What the methods of sorted maps do where they have a time to live.
//!
//! A range reads the entries that it comes to, and no others: those alone get new stamps where reading
//! counts, and those alone go if they have expired.
//!
//! Each function works on the same state with stamps, through the same [`KeyContext`].

use std::collections::BTreeSet;
use std::ops::Bound;

use super::access::{Found, changing, for_change, without_stamp};
use super::{Stamped, Touch, TtlMoment, Verdict};
use crate::{
    Entries, KeyContext, ScanOrder, SortedKey, SortedMapState, StateError, StateKey, StateRef,
    StateValue,
};

type OfContext<UK, UV, C> = SortedMapState<UK, UV, <C as KeyContext>::Namespace>;

fn stamped<UK: SortedKey, UV: StateValue, N: StateKey>(
    state: SortedMapState<UK, UV, N>,
) -> SortedMapState<UK, Stamped<UV>, N> {
    SortedMapState::new(state.id())
}

/// What reads left to be done to some entries.
struct EntriesTouch<UK, UV, N> {
    state: SortedMapState<UK, Stamped<UV>, N>,
    moment: TtlMoment,
    user_keys: BTreeSet<UK>,
}

impl<UK: SortedKey, UV: StateValue, N: StateKey> Touch<N> for EntriesTouch<UK, UV, N> {
    fn merge(&mut self, later: Self) {
        self.user_keys.extend(later.user_keys);
    }

    fn run<C: KeyContext<Namespace = N>>(self, at: &mut C) -> Result<(), StateError> {
        let Self { state, moment, user_keys } = self;
        user_keys.into_iter().try_for_each(|user_key| {
            let Some(found) = at.sorted_map_get(state, &user_key)? else { return Ok(()) };
            let mut value = found.into_owned();
            match moment.touch(&mut value.stamp_ms) {
                Verdict::Unchanged => Ok(()),
                Verdict::Changed => at.sorted_map_put(state, user_key, value),
                Verdict::Removed => at.sorted_map_remove(state, &user_key),
            }
        })
    }
}

/// Leaves behind what reading an entry does to it.
fn touch<UK: SortedKey, UV: StateValue, C: KeyContext>(
    at: &C,
    state: OfContext<UK, Stamped<UV>, C>,
    moment: TtlMoment,
    (user_key, stamp_ms): (&UK, i64),
) -> Result<(), StateError> {
    if !moment.needs_touch(stamp_ms) {
        return Ok(());
    }
    let user_keys = BTreeSet::from([user_key.clone()]);
    at.leave(state.id(), moment, EntriesTouch { state, moment, user_keys })
}

pub(crate) fn get<'c, UK: SortedKey, UV: StateValue, C: KeyContext>(
    state: OfContext<UK, UV, C>,
    at: &'c C,
    user_key: &UK,
) -> Found<'c, UV> {
    let state = stamped(state);
    let Some(found) = at.sorted_map_get(state, user_key)? else { return Ok(None) };
    let (moment, stamp_ms) = (at.ttl(state.id())?, found.stamp_ms);
    touch(at, state, moment, (user_key, stamp_ms))?;
    Ok(moment.is_visible(stamp_ms).then(|| without_stamp(found)))
}

pub(crate) fn put<UK: SortedKey, UV: StateValue, C: KeyContext>(
    state: OfContext<UK, UV, C>,
    at: &mut C,
    user_key: UK,
    value: UV,
) -> Result<(), StateError> {
    let stamp_ms = for_change(at, state)?.now_ms();
    at.sorted_map_put(stamped(state), user_key, Stamped { stamp_ms, value })
}

pub(crate) fn update<UK: SortedKey, UV: StateValue, C: KeyContext, R>(
    state: OfContext<UK, UV, C>,
    at: &mut C,
    user_key: UK,
    initial: impl FnOnce() -> UV,
    change: impl FnOnce(&mut UV) -> R,
) -> Result<R, StateError> {
    let moment = for_change(at, state)?;
    changing(moment, initial, change, |make, change| {
        at.sorted_map_update(stamped(state), user_key, make, change)
    })
}

pub(crate) fn remove<UK: SortedKey, UV: StateValue, C: KeyContext>(
    state: OfContext<UK, UV, C>,
    at: &mut C,
    user_key: &UK,
) -> Result<(), StateError> {
    at.settle()?;
    at.sorted_map_remove(stamped(state), user_key)
}

pub(crate) fn range<'c, UK: SortedKey, UV: StateValue, C: KeyContext>(
    state: OfContext<UK, UV, C>,
    at: &'c C,
    range: (Bound<&UK>, Bound<&UK>),
    order: ScanOrder,
) -> Result<Entries<'c, UK, UV>, StateError> {
    let (state, moment) = (stamped(state), at.ttl(state.id())?);
    let entries = at.sorted_map_range(state, range, order)?;
    Ok(Entries::new(entries.filter_map(move |entry| {
        let (user_key, value) = match entry {
            Ok(entry) => entry,
            Err(error) => return Some(Err(error)),
        };
        let stamp_ms = value.stamp_ms;
        if let Err(error) = touch(at, state, moment, (&*user_key, stamp_ms)) {
            return Some(Err(error));
        }
        moment.is_visible(stamp_ms).then(|| Ok((user_key, without_stamp(value))))
    })))
}

/// Whether no entry is visible; that alone refreshes none.
pub(crate) fn is_empty<UK: SortedKey, UV: StateValue, C: KeyContext>(
    state: OfContext<UK, UV, C>,
    at: &C,
) -> Result<bool, StateError> {
    let (state, moment) = (stamped(state), at.ttl(state.id())?);
    let all = (Bound::Unbounded, Bound::Unbounded);
    for entry in at.sorted_map_range(state, all, ScanOrder::Ascending)? {
        if moment.is_visible(entry?.1.stamp_ms) {
            return Ok(false);
        }
    }
    Ok(true)
}
