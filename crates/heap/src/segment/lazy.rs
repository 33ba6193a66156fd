//! Entries that still lie in a restored stream.
//!
//! Invariants: a segment is loaded at most once, whoever comes first; what could not be loaded
//! stays an error, so nobody ever takes it for empty.

use std::fmt;
use std::sync::Arc as StdArc;

use alluvium_state::StateError;
use hashbrown::HashTable;
use triomphe::Arc;

use crate::slot::Entry;
use crate::sync::{OnceLock, point};

/// Why a segment could not be loaded; everybody who needs it hears of it.
pub(crate) type LoadError = StdArc<StateError>;

/// Where segments are loaded from.
pub(crate) trait SegmentSource<E>: Send + Sync {
    /// The entries of a segment.
    fn load(&self, number: usize) -> Result<HashTable<E>, StateError>;
}

/// A segment that is loaded when it is first touched.
pub(crate) struct LazySegment<E> {
    loaded: OnceLock<Result<HashTable<E>, LoadError>>,
    source: StdArc<dyn SegmentSource<E>>,
    number: usize,
    entry_count: usize,
}

impl<E> fmt::Debug for LazySegment<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LazySegment({} with {} entries)", self.number, self.entry_count)
    }
}

impl<E: Entry> LazySegment<E> {
    pub(crate) fn new(
        source: StdArc<dyn SegmentSource<E>>,
        number: usize,
        entry_count: usize,
    ) -> Self {
        Self { loaded: OnceLock::new(), source, number, entry_count }
    }

    pub(crate) const fn entry_count(&self) -> usize {
        self.entry_count
    }

    /// The entries, loaded first if they are not.
    #[inline]
    pub(crate) fn table(&self) -> Result<&HashTable<E>, LoadError> {
        let loaded = match self.loaded.get() {
            Some(loaded) => loaded,
            None => self.load(),
        };
        loaded.as_ref().map_err(StdArc::clone)
    }

    /// The entries, if they are loaded already.
    pub(crate) fn loaded(&self) -> Option<&HashTable<E>> {
        self.loaded.get()?.as_ref().ok()
    }

    #[cold]
    fn load(&self) -> &Result<HashTable<E>, LoadError> {
        self.loaded.get_or_init(|| self.source.load(self.number).map_err(StdArc::new))
    }

    /// The entries themselves; copied while somebody else still holds the segment.
    pub(crate) fn into_table(this: Arc<Self>) -> Result<HashTable<E>, LoadError> {
        point();
        match Arc::try_unwrap(this) {
            Ok(own) => match own.loaded.into_inner() {
                Some(loaded) => loaded,
                None => own.source.load(own.number).map_err(StdArc::new),
            },
            Err(shared) => shared.table().cloned(),
        }
    }
}
