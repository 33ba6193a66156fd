//! The map of one state in one key group: two of them.
//!
//! Invariants: a (key, namespace) pair has at most one entry; the hash of a [`Probe`] is that of
//! its pair under the table's hasher.

mod copy_on_write;
mod nested;

pub use copy_on_write::{CopyOnWriteSnapshot, CopyOnWriteStateMap};
pub use nested::NestedStateMap;

use crate::TableHasher;

/// Which map the tables of a backend use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum StateMapKind {
    /// [`CopyOnWriteStateMap`]: asynchronous and incremental snapshots.
    #[default]
    CopyOnWrite,
    /// [`NestedStateMap`]: synchronous snapshots.
    Nested,
}

/// A key and a namespace on their way into a map, hashed once.
#[derive(Debug)]
pub struct Probe<'a, K, N> {
    /// Hash of key and namespace.
    pub hash: u64,
    /// The key.
    pub key: &'a K,
    /// The namespace.
    pub namespace: &'a N,
    /// The hasher that gave the hash.
    pub hasher: TableHasher,
}

impl<'a, K: std::hash::Hash, N: std::hash::Hash> Probe<'a, K, N> {
    /// Hashes a pair.
    #[inline]
    pub fn new(key: &'a K, namespace: &'a N, hasher: TableHasher) -> Self {
        Self { hash: hasher.hash_pair(key, namespace), key, namespace, hasher }
    }
}

impl<K, N> Clone for Probe<'_, K, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, N> Copy for Probe<'_, K, N> {}

/// Takes a state that is there by construction: the closure that calls this runs at most once.
pub(crate) fn take<S>(state: &mut Option<S>) -> S {
    let Some(state) = state.take() else { unreachable!("a new entry is made once") };
    state
}

/// What both maps can do on their own.
pub trait StateMap<K, N, S> {
    /// How many entries there are.
    fn len(&self) -> usize;

    /// Whether there is no entry.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The state of a pair.
    fn get(&self, probe: &Probe<'_, K, N>) -> Option<&S>;

    /// The state of a pair, to be changed; made first when there is none.
    fn get_or_insert_with(
        &mut self,
        probe: &Probe<'_, K, N>,
        initial: impl FnOnce() -> S,
    ) -> &mut S;

    /// The state of a pair, to be changed, if there is one.
    fn get_mut(&mut self, probe: &Probe<'_, K, N>) -> Option<&mut S>;

    /// Sets the state of a pair and says whether it was absent.
    fn insert(&mut self, probe: &Probe<'_, K, N>, state: S) -> bool {
        let before = self.len();
        let mut state = Some(state);
        let slot = self.get_or_insert_with(probe, || take(&mut state));
        if let Some(state) = state {
            *slot = state;
        }
        self.len() > before
    }

    /// Removes the state of a pair.
    fn remove(&mut self, probe: &Probe<'_, K, N>);

    /// Goes through all entries, in no order.
    fn for_each<'a>(&'a self, visit: impl FnMut(&'a K, &'a N, &'a S))
    where
        K: 'a,
        N: 'a,
        S: 'a;
}

#[cfg(test)]
mod tests;
