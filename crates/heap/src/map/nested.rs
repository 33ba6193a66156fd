//! `NestedStateMap`: namespace, then key. The simple reference.
//!
//! Invariants: no inner table is empty. There is no frozen form: a snapshot is encoded while the
//! job waits.
//!
//! Source: Flink `NestedStateMap` (up to 1.12).

use std::fmt;
use std::hash::Hash;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::{Probe, StateMap};
use crate::TableHasher;
use crate::table::{Spot, spot_of};

/// Nested hash tables: one inner table per namespace.
#[derive(Clone)]
pub struct NestedStateMap<K, N, S> {
    namespaces: HashTable<(N, HashTable<(K, S)>)>,
    len: usize,
}

impl<K, N, S> Default for NestedStateMap<K, N, S> {
    fn default() -> Self {
        Self { namespaces: HashTable::new(), len: 0 }
    }
}

impl<K, N, S> fmt::Debug for NestedStateMap<K, N, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NestedStateMap({} entries)", self.len)
    }
}

impl<K: Eq + Hash + Clone, N: Eq + Hash + Clone, S> NestedStateMap<K, N, S> {
    fn inner(&self, namespace: &N, hasher: TableHasher) -> Option<&HashTable<(K, S)>> {
        let hash = hasher.hash(namespace);
        self.namespaces.find(hash, |(n, _)| n == namespace).map(|(_, inner)| inner)
    }

    /// Its parts are the buckets of its namespaces.
    pub(crate) fn spot(&self, part: usize, bucket: usize) -> Spot<'_, K, N, S> {
        if part >= self.namespaces.num_buckets() {
            return Spot::EndOfMap;
        }
        let Some((namespace, inner)) = self.namespaces.get_bucket(part) else {
            return Spot::EndOfPart;
        };
        spot_of(Some(inner), bucket, |(key, state)| Spot::Entry(key, namespace, state))
    }

    fn inner_mut(&mut self, namespace: &N, hasher: TableHasher) -> Option<&mut HashTable<(K, S)>> {
        let hash = hasher.hash(namespace);
        self.namespaces.find_mut(hash, |(n, _)| n == namespace).map(|(_, inner)| inner)
    }

    fn inner_or_new(&mut self, namespace: &N, hasher: TableHasher) -> &mut HashTable<(K, S)> {
        let hash = hasher.hash(namespace);
        let rehash = |(namespace, _): &(N, HashTable<(K, S)>)| hasher.hash(namespace);
        let entry = match self.namespaces.entry(hash, |(n, _)| n == namespace, rehash) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => entry.insert((namespace.clone(), HashTable::new())),
        };
        &mut entry.into_mut().1
    }
}

impl<K: Eq + Hash + Clone, N: Eq + Hash + Clone, S> StateMap<K, N, S> for NestedStateMap<K, N, S> {
    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, probe: &Probe<'_, K, N>) -> Option<&S> {
        let inner = self.inner(probe.namespace, probe.hasher)?;
        inner.find(probe.hash, |(key, _)| key == probe.key).map(|(_, state)| state)
    }

    fn get_or_insert_with(
        &mut self,
        probe: &Probe<'_, K, N>,
        initial: impl FnOnce() -> S,
    ) -> &mut S {
        if self.get(probe).is_none() {
            self.len += 1;
        }
        let rehash = |(key, _): &(K, S)| probe.hasher.hash_pair(key, probe.namespace);
        let inner = self.inner_or_new(probe.namespace, probe.hasher);
        let entry = match inner.entry(probe.hash, |(key, _)| key == probe.key, rehash) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => entry.insert((probe.key.clone(), initial())),
        };
        &mut entry.into_mut().1
    }

    fn get_mut(&mut self, probe: &Probe<'_, K, N>) -> Option<&mut S> {
        let inner = self.inner_mut(probe.namespace, probe.hasher)?;
        inner.find_mut(probe.hash, |(key, _)| key == probe.key).map(|(_, state)| state)
    }

    fn remove(&mut self, probe: &Probe<'_, K, N>) {
        let Some(inner) = self.inner_mut(probe.namespace, probe.hasher) else { return };
        let Ok(entry) = inner.find_entry(probe.hash, |(key, _)| key == probe.key) else { return };
        entry.remove();
        let is_empty = inner.is_empty();
        self.len -= 1;
        if is_empty {
            let hash = probe.hasher.hash(probe.namespace);
            if let Ok(entry) = self.namespaces.find_entry(hash, |(n, _)| n == probe.namespace) {
                entry.remove();
            }
        }
    }

    fn for_each<'a>(&'a self, mut visit: impl FnMut(&'a K, &'a N, &'a S))
    where
        K: 'a,
        N: 'a,
        S: 'a,
    {
        for (namespace, inner) in &self.namespaces {
            for (key, state) in inner {
                visit(key, namespace, state);
            }
        }
    }
}
