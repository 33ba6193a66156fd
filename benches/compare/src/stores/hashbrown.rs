//! `hashbrown`: tables, and tables and vectors in tables. It knows no snapshot but a copy of everything.

use hashbrown::HashMap;

use super::Hashing;
use crate::rows::{entry_sum, sum};
use crate::store::{Fixable, Lists, Maps, Values};

/// Tables that grow as they need to.
#[derive(Debug, Default)]
pub(crate) struct Hashbrown {
    values: HashMap<u64, u64, Hashing>,
    maps: HashMap<u64, HashMap<u64, f64, Hashing>, Hashing>,
    lists: HashMap<u64, Vec<u64>, Hashing>,
}

impl Values for Hashbrown {
    fn get(&self, keys: impl Iterator<Item = u64>) -> u64 {
        Self::get_fixed(&self.values, keys)
    }

    fn set(&mut self, pairs: impl Iterator<Item = (u64, u64)>) {
        for (key, value) in pairs {
            self.values.insert(key, value);
        }
    }

    fn remove(&mut self, keys: impl Iterator<Item = u64>) {
        for key in keys {
            self.values.remove(&key);
        }
    }
}

impl Fixable for Hashbrown {
    type Fixed = HashMap<u64, u64, Hashing>;

    fn fix(&self) -> Self::Fixed {
        self.values.clone()
    }

    fn get_fixed(fixed: &Self::Fixed, keys: impl Iterator<Item = u64>) -> u64 {
        sum(keys.map(|key| fixed.get(&key).copied().unwrap_or_default()))
    }
}

impl Maps for Hashbrown {
    fn get(&self, entries: impl Iterator<Item = (u64, u64)>) -> u64 {
        sum(entries.map(|(key, user_key)| {
            let value = self.maps.get(&key).and_then(|map| map.get(&user_key));
            value.map_or(0, |value| value.to_bits())
        }))
    }

    fn iterate(&self, keys: impl Iterator<Item = u64>) -> u64 {
        sum(keys.map(|key| {
            let entries = self.maps.get(&key).into_iter().flatten();
            sum(entries.map(|(user_key, value)| entry_sum(*user_key, value.to_bits())))
        }))
    }

    fn put(&mut self, entries: impl Iterator<Item = ((u64, u64), f64)>) {
        for ((key, user_key), value) in entries {
            self.maps.entry(key).or_default().insert(user_key, value);
        }
    }

    fn remove(&mut self, entries: impl Iterator<Item = (u64, u64)>) {
        for (key, user_key) in entries {
            let Some(map) = self.maps.get_mut(&key) else { continue };
            map.remove(&user_key);
            if map.is_empty() {
                self.maps.remove(&key);
            }
        }
    }
}

impl Lists for Hashbrown {
    fn iterate(&self, keys: impl Iterator<Item = u64>) -> u64 {
        sum(keys.map(|key| sum(self.lists.get(&key).into_iter().flatten().copied())))
    }

    fn append(&mut self, elements: impl Iterator<Item = (u64, u64)>) {
        for (key, element) in elements {
            self.lists.entry(key).or_default().push(element);
        }
    }

    fn fill(&mut self, lists: impl Iterator<Item = (u64, Vec<u64>)>) {
        self.lists.extend(lists);
    }
}
