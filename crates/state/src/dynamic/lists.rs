//! Lists and long lists: whole, and as queues.

use super::adapter::{Adapter, Handle};
use super::{DynAt, DynState, Encoded};
use crate::{KeyedStateBackend, Ref, StateError};

/// What a [`DynKeyedState`](super::DynKeyedState) does with lists of either kind; errors are said there.
/// What each costs is said at [`ListLayout`](crate::ListLayout).
pub trait DynLists {
    /// The elements of a list, in order.
    fn list_get(&mut self, state: DynState, at: DynAt<'_>) -> Result<Vec<Vec<u8>>, StateError>;

    /// Appends an element.
    fn list_add(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        element: &[u8],
    ) -> Result<(), StateError>;

    /// Replaces the list; an empty one is the same as none.
    fn list_set(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        elements: &[&[u8]],
    ) -> Result<(), StateError>;

    /// How many elements there are; 0 when there is no list.
    fn list_len(&mut self, state: DynState, at: DynAt<'_>) -> Result<u64, StateError>;

    /// The elements from a position on, in order, at most `limit` of them; the first one is at 0.
    fn list_elements_from(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        position: u64,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StateError>;

    /// Removes the first element and gives it.
    fn list_pop_front(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
    ) -> Result<Option<Vec<u8>>, StateError>;

    /// Removes elements from the front, all of them when there are no more.
    fn list_remove_front(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        count: u64,
    ) -> Result<(), StateError>;

    /// Removes everything behind the first `len` elements.
    fn list_truncate(&mut self, state: DynState, at: DynAt<'_>, len: u64)
    -> Result<(), StateError>;
}

impl<B: KeyedStateBackend<Key = Encoded>> DynLists for Adapter<B> {
    fn list_get(&mut self, state: DynState, at: DynAt<'_>) -> Result<Vec<Vec<u8>>, StateError> {
        let ((list, _), at) = self.open(state, at, Handle::list)?;
        all_bytes_of(list.elements(&at)?)
    }

    fn list_add(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        element: &[u8],
    ) -> Result<(), StateError> {
        let ((list, elements), mut at) = self.open(state, at, Handle::list)?;
        list.add(&mut at, elements.value(element)?)
    }

    fn list_set(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        elements: &[&[u8]],
    ) -> Result<(), StateError> {
        let ((list, part), mut at) = self.open(state, at, Handle::list)?;
        let elements = elements.iter().map(|element| part.value(element));
        list.set(&mut at, elements.collect::<Result<_, _>>()?)
    }

    fn list_len(&mut self, state: DynState, at: DynAt<'_>) -> Result<u64, StateError> {
        let ((list, _), at) = self.open(state, at, Handle::list)?;
        list.len(&at)
    }

    fn list_elements_from(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        position: u64,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StateError> {
        let ((list, _), at) = self.open(state, at, Handle::list)?;
        all_bytes_of(list.elements_from(&at, position)?.take(limit))
    }

    fn list_pop_front(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let ((list, _), mut at) = self.open(state, at, Handle::list)?;
        Ok(list.pop_front(&mut at)?.map(|element| element.0))
    }

    fn list_remove_front(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        count: u64,
    ) -> Result<(), StateError> {
        let ((list, _), mut at) = self.open(state, at, Handle::list)?;
        list.remove_front(&mut at, count)
    }

    fn list_truncate(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        len: u64,
    ) -> Result<(), StateError> {
        let ((list, _), mut at) = self.open(state, at, Handle::list)?;
        list.truncate(&mut at, len)
    }
}

fn all_bytes_of<'a>(
    elements: impl Iterator<Item = Result<Ref<'a, Encoded>, StateError>>,
) -> Result<Vec<Vec<u8>>, StateError> {
    elements.map(|element| Ok(element?.into_owned().0)).collect()
}
