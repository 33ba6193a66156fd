//! List state as a queue: its length, a part of it, and both of its ends.
//!
//! What these cost depends on the backend and on the [layout](ListLayout). In memory every list can
//! do them without going through its elements. RocksDB rewrites a whole list in one row for most of
//! them, and one or a few rows of a long list. Where elements expire, positions count those that have
//! not, so a length and a position are found by going through the elements.

use alluvium_format::keyed::StateKind;

use super::ListState;
use crate::ttl::queue;
use crate::{Elements, KeyContext, StateError, StateKey, StateValue};

/// How a backend with rows keeps a list. It makes no difference to what a list can do, and none in
/// memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListLayout {
    /// In one row: for lists that are read whole. Appending does not read it.
    #[default]
    Whole,
    /// In a row for each element: for queues and logs of many elements.
    Long,
}

impl ListLayout {
    /// The kind under which such a state is stored.
    ///
    /// Source: SPEC 6.3.
    pub const fn kind(self) -> StateKind {
        match self {
            Self::Whole => StateKind::List,
            Self::Long => StateKind::LongList,
        }
    }
}

impl<T: StateValue, N: StateKey> ListState<T, N> {
    /// How many elements there are; 0 when there is no list.
    #[inline]
    pub fn len<C: KeyContext<Namespace = N>>(self, at: &C) -> Result<u64, StateError> {
        if self.id.has_ttl() {
            return queue::list_len(self, at);
        }
        at.list_len(self)
    }

    /// Whether there is no element.
    #[inline]
    pub fn is_empty<C: KeyContext<Namespace = N>>(self, at: &C) -> Result<bool, StateError> {
        if self.id.has_ttl() {
            return Ok(queue::list_len(self, at)? == 0);
        }
        Ok(at.list_iter(self)?.next().transpose()?.is_none())
    }

    /// The elements from a position on, in order; the first one is at 0. There are none from the end
    /// on.
    #[inline]
    pub fn elements_from<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
        position: u64,
    ) -> Result<Elements<'_, T>, StateError> {
        if self.id.has_ttl() {
            return queue::list_elements_from(self, at, position);
        }
        at.list_iter_from(self, position)
    }

    /// Removes the first element and gives it.
    ///
    /// ```
    /// # use alluvium_state::{KeyContext, ListState, StateError};
    /// /// Handles what waits, oldest first, while there is time.
    /// fn work_off(
    ///     waiting: ListState<String>,
    ///     at: &mut impl KeyContext<Namespace = ()>,
    ///     mut handle: impl FnMut(String) -> bool,
    /// ) -> Result<(), StateError> {
    ///     while let Some(element) = waiting.pop_front(at)? {
    ///         if !handle(element) {
    ///             break;
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[inline]
    pub fn pop_front<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
    ) -> Result<Option<T>, StateError> {
        if self.id.has_ttl() {
            return queue::list_pop_front(self, at);
        }
        at.list_pop_front(self)
    }

    /// Removes elements from the front, all of them when there are no more.
    #[inline]
    pub fn remove_front<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        count: u64,
    ) -> Result<(), StateError> {
        if self.id.has_ttl() {
            return queue::list_remove_front(self, at, count);
        }
        at.list_remove_front(self, count)
    }

    /// Removes everything behind the first `len` elements.
    #[inline]
    pub fn truncate<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        len: u64,
    ) -> Result<(), StateError> {
        if self.id.has_ttl() {
            return queue::list_truncate(self, at, len);
        }
        at.list_truncate(self, len)
    }
}
