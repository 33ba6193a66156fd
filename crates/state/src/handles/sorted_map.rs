//! Sorted map state: user keys in their order, ranges of them, the first and the last.
//!
//! The order is that of `Ord`, which is that of the encoded keys by the contract of
//! [`OrderedCodec`](alluvium_format::codec::OrderedCodec).
//!
//! Invariants: a map without entries is none; what goes through entries reads them as it gets to
//! them, so taking a few of a long range costs what these few cost.

use std::ops::{Bound, RangeBounds};

use super::SortedMapState;
use crate::ttl::{access, sorted_map as expiring};
use crate::{Elements, Entries, KeyContext, Ref, SortedKey, StateError, StateKey, StateValue};

/// In which order entries are gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanOrder {
    /// From the least user key on.
    Ascending,
    /// From the greatest user key on.
    Descending,
}

/// Whether no key can lie in a range, because its start is above its end or at it.
/// `BTreeMap::range` panics on most of these; a sorted map has no entries there.
pub fn is_empty_range<UK: Ord>(range: (Bound<&UK>, Bound<&UK>)) -> bool {
    match range {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (
            Bound::Included(start) | Bound::Excluded(start),
            Bound::Included(end) | Bound::Excluded(end),
        ) => start >= end,
        _ => false,
    }
}

/// All user keys.
const fn all<UK>() -> (Bound<&'static UK>, Bound<&'static UK>) {
    (Bound::Unbounded, Bound::Unbounded)
}

/// A user key and its value.
type Entry<'c, UK, UV> = (Ref<'c, UK>, Ref<'c, UV>);

impl<UK: SortedKey, UV: StateValue, N: StateKey> SortedMapState<UK, UV, N> {
    /// The value of a user key.
    ///
    /// Errors: [`StateError::ForeignHandle`], as for all methods of handles.
    #[inline]
    pub fn get<'c, C: KeyContext<Namespace = N>>(
        self,
        at: &'c C,
        user_key: &UK,
    ) -> Result<Option<Ref<'c, UV>>, StateError> {
        if self.id.has_ttl() {
            return expiring::get(self, at, user_key);
        }
        at.sorted_map_get(self, user_key)
    }

    /// Sets the value of a user key.
    #[inline]
    pub fn put<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        user_key: UK,
        value: UV,
    ) -> Result<(), StateError> {
        if self.id.has_ttl() {
            return expiring::put(self, at, user_key, value);
        }
        at.sorted_map_put(self, user_key, value)
    }

    /// Changes the value of a user key in place, beginning with the default when there is none.
    #[inline]
    pub fn update<C: KeyContext<Namespace = N>, R>(
        self,
        at: &mut C,
        user_key: UK,
        change: impl FnOnce(&mut UV) -> R,
    ) -> Result<R, StateError>
    where
        UV: Default,
    {
        if self.id.has_ttl() {
            return expiring::update(self, at, user_key, UV::default, change);
        }
        at.sorted_map_update(self, user_key, UV::default, change)
    }

    /// Removes a user key.
    #[inline]
    pub fn remove<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        user_key: &UK,
    ) -> Result<(), StateError> {
        if self.id.has_ttl() {
            return expiring::remove(self, at, user_key);
        }
        at.sorted_map_remove(self, user_key)
    }

    /// Whether a user key is there.
    #[inline]
    pub fn contains<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
        user_key: &UK,
    ) -> Result<bool, StateError> {
        Ok(self.get(at, user_key)?.is_some())
    }

    /// Whether there is no entry.
    #[inline]
    pub fn is_empty<C: KeyContext<Namespace = N>>(self, at: &C) -> Result<bool, StateError> {
        if self.id.has_ttl() {
            return expiring::is_empty(self, at);
        }
        Ok(self.first(at)?.is_none())
    }

    /// The entries whose user keys lie in a range, in ascending order. A range whose start is above
    /// its end has none.
    ///
    /// ```
    /// # use alluvium_state::{KeyContext, SortedMapState, StateError};
    /// /// The value at a time, or at the latest one before it.
    /// fn as_of(
    ///     prices: SortedMapState<i64, u64>,
    ///     at: &impl KeyContext<Namespace = ()>,
    ///     time_ms: i64,
    /// ) -> Result<Option<u64>, StateError> {
    ///     let latest = prices.range_rev(at, ..=time_ms)?.next().transpose()?;
    ///     Ok(latest.map(|(_, price)| price.into_owned()))
    /// }
    /// ```
    #[inline]
    pub fn range<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
        range: impl RangeBounds<UK>,
    ) -> Result<Entries<'_, UK, UV>, StateError> {
        self.scan(at, (range.start_bound(), range.end_bound()), ScanOrder::Ascending)
    }

    /// The entries whose user keys lie in a range, in descending order.
    #[inline]
    pub fn range_rev<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
        range: impl RangeBounds<UK>,
    ) -> Result<Entries<'_, UK, UV>, StateError> {
        self.scan(at, (range.start_bound(), range.end_bound()), ScanOrder::Descending)
    }

    /// All entries, in ascending order.
    #[inline]
    pub fn entries<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
    ) -> Result<Entries<'_, UK, UV>, StateError> {
        self.scan(at, all(), ScanOrder::Ascending)
    }

    /// All user keys, in ascending order.
    #[inline]
    pub fn keys<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
    ) -> Result<Elements<'_, UK>, StateError> {
        Ok(Elements::new(self.entries(at)?.map(|entry| entry.map(|(key, _)| key))))
    }

    /// All values, in ascending order of their user keys.
    #[inline]
    pub fn values<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
    ) -> Result<Elements<'_, UV>, StateError> {
        Ok(Elements::new(self.entries(at)?.map(|entry| entry.map(|(_, value)| value))))
    }

    /// The entry with the least user key.
    #[inline]
    pub fn first<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
    ) -> Result<Option<Entry<'_, UK, UV>>, StateError> {
        self.scan(at, all(), ScanOrder::Ascending)?.next().transpose()
    }

    /// The entry with the greatest user key.
    #[inline]
    pub fn last<C: KeyContext<Namespace = N>>(
        self,
        at: &C,
    ) -> Result<Option<Entry<'_, UK, UV>>, StateError> {
        self.scan(at, all(), ScanOrder::Descending)?.next().transpose()
    }

    /// Removes the entry with the least user key and gives it.
    ///
    /// A backend that marks what was removed, as RocksDB does, passes over the marks until it has
    /// cleaned up: to take many, go through a [range](SortedMapState::range) and remove its keys.
    #[inline]
    pub fn pop_first<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
    ) -> Result<Option<(UK, UV)>, StateError> {
        let first = self.first(at)?.map(|(key, value)| (key.into_owned(), value.into_owned()));
        self.take(at, first)
    }

    /// Removes the entry with the greatest user key and gives it; else as
    /// [`SortedMapState::pop_first`].
    #[inline]
    pub fn pop_last<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
    ) -> Result<Option<(UK, UV)>, StateError> {
        let last = self.last(at)?.map(|(key, value)| (key.into_owned(), value.into_owned()));
        self.take(at, last)
    }

    fn scan<'c, C: KeyContext<Namespace = N>>(
        self,
        at: &'c C,
        range: (Bound<&UK>, Bound<&UK>),
        order: ScanOrder,
    ) -> Result<Entries<'c, UK, UV>, StateError> {
        if self.id.has_ttl() {
            return expiring::range(self, at, range, order);
        }
        at.sorted_map_range(self, range, order)
    }

    fn take<C: KeyContext<Namespace = N>>(
        self,
        at: &mut C,
        entry: Option<(UK, UV)>,
    ) -> Result<Option<(UK, UV)>, StateError> {
        if let Some((key, _)) = &entry {
            self.remove(at, key)?;
        }
        Ok(entry)
    }

    /// Removes all entries.
    #[inline]
    pub fn clear<C: KeyContext<Namespace = N>>(self, at: &mut C) -> Result<(), StateError> {
        access::clear(self, at)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ranges_that_no_key_can_lie_in() {
        let numbers: BTreeSet<u8> = (0..6).collect();
        let bounds = |n| [Bound::Unbounded, Bound::Included(n), Bound::Excluded(n)];
        for (start, end) in (1..5).flat_map(|start| (1..5).map(move |end| (start, end))) {
            for start in bounds(start) {
                for end in bounds(end) {
                    let range = (start.as_ref(), end.as_ref());
                    let holds = numbers.iter().filter(|n| range.contains(*n)).count();
                    let adjacent = matches!((start, end), (Bound::Excluded(a), Bound::Excluded(b)) if a + 1 == b);
                    assert_eq!(is_empty_range(range), holds == 0 && !adjacent, "{range:?}");
                    if !is_empty_range(range) {
                        assert_eq!(numbers.range((start, end)).count(), holds);
                    }
                }
            }
        }
    }
}
