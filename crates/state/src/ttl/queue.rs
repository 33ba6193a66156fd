//! Both ends of lists, and parts of them, where elements expire: positions count what is visible.
//!
//! What removes elements from the front goes no further than it must, and takes along what has expired
//! in front of them; the others go through the whole list.

use super::Verdict;
use super::access::{for_change, list_elements, stamped_list};
use crate::whole_list::from_position;
use crate::{Elements, KeyContext, ListState, StateError, StateRef, StateValue};

type OfContext<T, C> = ListState<T, <C as KeyContext>::Namespace>;

/// How many elements are visible; that alone refreshes none.
pub(crate) fn list_len<T: StateValue, C: KeyContext>(
    state: OfContext<T, C>,
    at: &C,
) -> Result<u64, StateError> {
    let (state, moment) = (stamped_list(state), at.ttl(state.id())?);
    at.list_iter(state)?.try_fold(0, |count, element| {
        element.map(|stamped| count + u64::from(moment.is_visible(stamped.stamp_ms)))
    })
}

pub(crate) fn list_elements_from<T: StateValue, C: KeyContext>(
    state: OfContext<T, C>,
    at: &C,
    position: u64,
) -> Result<Elements<'_, T>, StateError> {
    Ok(from_position(list_elements(state, at)?, position))
}

pub(crate) fn list_pop_front<T: StateValue, C: KeyContext>(
    state: OfContext<T, C>,
    at: &mut C,
) -> Result<Option<T>, StateError> {
    let (moment, mut first) = (for_change(at, state)?, None);
    at.list_remove_while(stamped_list(state), |stamped| {
        if first.is_some() {
            return false;
        }
        first = moment.is_visible(stamped.stamp_ms).then(|| stamped.value.clone());
        true
    })?;
    Ok(first)
}

pub(crate) fn list_remove_front<T: StateValue, C: KeyContext>(
    state: OfContext<T, C>,
    at: &mut C,
    count: u64,
) -> Result<(), StateError> {
    let (moment, mut left) = (for_change(at, state)?, count);
    at.list_remove_while(stamped_list(state), |stamped| {
        let is_visible = moment.is_visible(stamped.stamp_ms);
        let goes = !is_visible || left > 0;
        left -= u64::from(is_visible && goes);
        goes
    })
}

pub(crate) fn list_truncate<T: StateValue, C: KeyContext>(
    state: OfContext<T, C>,
    at: &mut C,
    len: u64,
) -> Result<(), StateError> {
    let (moment, mut left) = (for_change(at, state)?, len);
    at.list_retain(stamped_list(state), |stamped| {
        if left == 0 || !moment.is_visible(stamped.stamp_ms) {
            return Verdict::Removed;
        }
        left -= 1;
        Verdict::Unchanged
    })
}
