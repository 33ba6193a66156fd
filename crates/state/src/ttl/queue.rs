//! Both ends of lists, and parts of them, where elements expire: positions count what is visible.
//!
//! What removes elements goes through the list and writes what is left, with the stamps that it has.

use super::Stamped;
use super::access::{for_change, list_elements, stamped_list};
use crate::whole_list::from_position;
use crate::{Elements, KeyContext, ListState, Ref, StateError, StateRef, StateValue};

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

/// The visible elements with their stamps, to be written again.
fn visible<T: StateValue, C: KeyContext>(
    state: OfContext<T, C>,
    at: &mut C,
) -> Result<Vec<Stamped<T>>, StateError> {
    let moment = for_change(at, state)?;
    let mut elements = Vec::new();
    for element in at.list_iter(stamped_list(state))? {
        let element = element?;
        if moment.is_visible(element.stamp_ms) {
            elements.push(Ref::into_owned(element));
        }
    }
    Ok(elements)
}

pub(crate) fn list_pop_front<T: StateValue, C: KeyContext>(
    state: OfContext<T, C>,
    at: &mut C,
) -> Result<Option<T>, StateError> {
    let mut elements = visible(state, at)?.into_iter();
    let first = elements.next();
    at.list_set(stamped_list(state), elements.collect())?;
    Ok(first.map(|stamped| stamped.value))
}

pub(crate) fn list_remove_front<T: StateValue, C: KeyContext>(
    state: OfContext<T, C>,
    at: &mut C,
    count: u64,
) -> Result<(), StateError> {
    let elements = visible(state, at)?.into_iter();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    at.list_set(stamped_list(state), elements.skip(count).collect())
}

pub(crate) fn list_truncate<T: StateValue, C: KeyContext>(
    state: OfContext<T, C>,
    at: &mut C,
    len: u64,
) -> Result<(), StateError> {
    let mut elements = visible(state, at)?;
    elements.truncate(usize::try_from(len).unwrap_or(usize::MAX));
    at.list_set(stamped_list(state), elements)
}
