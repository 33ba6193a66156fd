//! Lists that a backend keeps in one piece: every operation reads all of it, and writes what is left.
//!
//! These are the default methods of [`KeyContext`], for backends and layouts that have nothing
//! better.
//!
//! Invariants: what changes nothing writes nothing.

use crate::ttl::Verdict;
use crate::ttl::access::stays;
use crate::{Elements, KeyContext, ListState, Ref, StateError, StateValue};

type OfContext<T, C> = ListState<T, <C as KeyContext>::Namespace>;

/// See [`ListState::len`].
///
/// Errors: those of [`KeyContext::list_iter`] and its elements.
pub fn len<T: StateValue, C: KeyContext>(
    at: &C,
    state: OfContext<T, C>,
) -> Result<u64, StateError> {
    at.list_iter(state)?.try_fold(0, |count, element| element.map(|_| count + 1))
}

/// See [`ListState::elements_from`].
///
/// Errors: as [`len`].
pub fn iter_from<T: StateValue, C: KeyContext>(
    at: &C,
    state: OfContext<T, C>,
    position: u64,
) -> Result<Elements<'_, T>, StateError> {
    Ok(from_position(at.list_iter(state)?, position))
}

/// Elements without those before a position; an error is told wherever it comes.
pub(crate) fn from_position<T>(elements: Elements<'_, T>, position: u64) -> Elements<'_, T> {
    let mut before = position;
    Elements::new(elements.filter(move |element| {
        let is_before = before > 0 && element.is_ok();
        before -= u64::from(is_before);
        !is_before
    }))
}

/// See [`ListState::pop_front`].
///
/// Errors: as [`len`], and those of [`KeyContext::list_set`].
pub fn pop_front<T: StateValue, C: KeyContext>(
    at: &mut C,
    state: OfContext<T, C>,
) -> Result<Option<T>, StateError> {
    let mut elements = at.list_iter(state)?.map(|element| element.map(Ref::into_owned));
    let first = elements.next().transpose()?;
    let rest = elements.collect::<Result<Vec<_>, _>>()?;
    if first.is_some() {
        at.list_set(state, rest)?;
    }
    Ok(first)
}

/// See [`ListState::remove_front`].
///
/// Errors: as [`pop_front`].
pub fn remove_front<T: StateValue, C: KeyContext>(
    at: &mut C,
    state: OfContext<T, C>,
    count: u64,
) -> Result<(), StateError> {
    let rest = iter_from(at, state, count)?.map(|element| element.map(Ref::into_owned));
    let rest = rest.collect::<Result<Vec<_>, _>>()?;
    if count == 0 { Ok(()) } else { at.list_set(state, rest) }
}

/// See [`ListState::truncate`].
///
/// Errors: as [`pop_front`].
pub fn truncate<T: StateValue, C: KeyContext>(
    at: &mut C,
    state: OfContext<T, C>,
    len: u64,
) -> Result<(), StateError> {
    let mut elements = at.list_iter(state)?.map(|element| element.map(Ref::into_owned));
    let mut kept = Vec::new();
    while (kept.len() as u64) < len {
        match elements.next().transpose()? {
            Some(element) => kept.push(element),
            None => return Ok(()),
        }
    }
    let is_longer = elements.next().transpose()?.is_some();
    drop(elements);
    if is_longer { at.list_set(state, kept) } else { Ok(()) }
}

/// See [`KeyContext::list_remove_while`].
///
/// Errors: as [`pop_front`].
pub fn remove_while<T: StateValue, C: KeyContext>(
    at: &mut C,
    state: OfContext<T, C>,
    mut goes: impl FnMut(&T) -> bool,
) -> Result<(), StateError> {
    let mut is_front = true;
    retain(at, state, |element| {
        is_front = is_front && goes(element);
        if is_front { Verdict::Removed } else { Verdict::Unchanged }
    })
}

/// See [`KeyContext::list_retain`].
///
/// Errors: as [`pop_front`].
pub fn retain<T: StateValue, C: KeyContext>(
    at: &mut C,
    state: OfContext<T, C>,
    mut keep: impl FnMut(&mut T) -> Verdict,
) -> Result<(), StateError> {
    let (mut kept, mut is_changed) = (Vec::new(), false);
    for element in at.list_iter(state)? {
        let mut element = element?.into_owned();
        if stays(keep(&mut element), &mut is_changed) {
            kept.push(element);
        }
    }
    if is_changed { at.list_set(state, kept) } else { Ok(()) }
}
