//! One `hashbrown` table: what everything else is compared with.

use alluvium_heap::TableHasher;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::Contender;
use crate::background::Job;
use crate::setup;
use crate::shapes::{Access, Act, Shape};

/// A bare table.
#[derive(Debug)]
pub(crate) struct Bare<S: Shape> {
    table: HashTable<(S::Key, S::Value)>,
    hasher: TableHasher,
}

impl<S: Shape> Bare<S> {
    /// A table that need not grow up to some number of entries.
    pub(crate) fn with_capacity(count: u64) -> Self {
        let count = usize::try_from(count).expect("a size in memory");
        let hasher = TableHasher::new(setup::HASH_SEED);
        Self { table: HashTable::with_capacity(count), hasher }
    }

    /// Adds an entry whose key is known to be absent.
    #[inline]
    pub(crate) fn insert_absent(&mut self, key: S::Key, value: S::Value) {
        let hasher = &self.hasher;
        self.table.insert_unique(hasher.hash(&key), (key, value), |(key, _)| hasher.hash(key));
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    #[inline(always)]
    fn get_one(&self, access: &Access<S>) -> u64 {
        let found = self.table.find(self.hasher.hash(&access.key), |(key, _)| *key == access.key);
        found.map_or(0, |(_, value)| S::digest(value))
    }

    #[inline(always)]
    fn update_one(&mut self, access: &Access<S>) {
        let hasher = &self.hasher;
        let (hash, rehash) = (hasher.hash(&access.key), |(key, _): &_| hasher.hash(key));
        let entry = match self.table.entry(hash, |(key, _)| *key == access.key, rehash) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => entry.insert((access.key.clone(), S::value(0))),
        };
        S::change(&mut entry.into_mut().1);
    }

    #[inline(always)]
    fn remove_one(&mut self, access: &Access<S>) {
        let hash = self.hasher.hash(&access.key);
        if let Ok(entry) = self.table.find_entry(hash, |(key, _)| *key == access.key) {
            entry.remove();
        }
    }
}

impl<S: Shape> Contender<S> for Bare<S> {
    fn name(&self) -> &'static str {
        "hashbrown"
    }

    fn get(&mut self, accesses: &[Access<S>]) -> u64 {
        accesses.iter().fold(0, |sum, access| sum.wrapping_add(self.get_one(access)))
    }

    fn update(&mut self, accesses: &[Access<S>]) {
        for access in accesses {
            self.update_one(access);
        }
    }

    fn mix(&mut self, accesses: &[Access<S>]) -> u64 {
        let mut sum = 0_u64;
        for access in accesses {
            match access.act {
                Act::Get => sum = sum.wrapping_add(self.get_one(access)),
                Act::Update => self.update_one(access),
                Act::Remove => self.remove_one(access),
            }
        }
        sum
    }

    fn snapshot(&mut self) -> Option<Job> {
        None
    }
}
