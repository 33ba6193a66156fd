//! The entries of a map, one after the other.
//!
//! Roles: a backend that has entries lying side by side gives them as a slice; any other gives an iterator,
//! and what that costs for each entry, a call through a trait object among it.

use std::{fmt, slice};

use crate::{Ref, StateError};

type Rest<'a, K, V> = dyn Iterator<Item = Result<(Ref<'a, K>, Ref<'a, V>), StateError>> + 'a;

/// Entries of a map: an iterator over `Result<(Ref<K>, Ref<V>), StateError>`.
pub struct Entries<'a, K, V> {
    near: slice::Iter<'a, (K, V)>,
    /// What comes after those that lie in memory.
    rest: Option<Box<Rest<'a, K, V>>>,
}

impl<'a, K, V> Entries<'a, K, V> {
    /// Entries that lie in memory.
    #[inline]
    pub fn of_slice(entries: &'a [(K, V)]) -> Self {
        Self { near: entries.iter(), rest: None }
    }

    /// Entries that come one at a time.
    pub fn new(
        entries: impl Iterator<Item = Result<(Ref<'a, K>, Ref<'a, V>), StateError>> + 'a,
    ) -> Self {
        Self { near: [].iter(), rest: Some(Box::new(entries)) }
    }
}

impl<'a, K, V> Iterator for Entries<'a, K, V> {
    type Item = Result<(Ref<'a, K>, Ref<'a, V>), StateError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.near.next() {
            Some((key, value)) => Some(Ok((Ref::Borrowed(key), Ref::Borrowed(value)))),
            None => self.rest.as_mut()?.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let near = self.near.len();
        let (least, most) = self.rest.as_ref().map_or((0, Some(0)), Iterator::size_hint);
        (near.saturating_add(least), most.and_then(|most| near.checked_add(most)))
    }
}

impl<K, V> fmt::Debug for Entries<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entries({} at hand)", self.near.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_and_iterators_give_the_same() {
        let pairs = [(1_u8, 'a'), (2, 'b')];
        let taken = |entries: Entries<'_, u8, char>| -> Vec<(u8, char)> {
            entries.map(|entry| entry.unwrap()).map(|(key, value)| (*key, *value)).collect()
        };
        assert_eq!(Entries::of_slice(&pairs).size_hint(), (2, Some(2)));
        assert_eq!(taken(Entries::of_slice(&pairs)), pairs);
        let one_by_one =
            || pairs.iter().map(|(key, value)| Ok((Ref::Borrowed(key), Ref::Owned(*value))));
        assert_eq!(Entries::new(one_by_one()).size_hint(), (2, Some(2)));
        assert_eq!(taken(Entries::new(one_by_one())), pairs);
    }
}
