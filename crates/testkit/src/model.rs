//! A `BTreeMap` that does what keyed state must do, and programs that compare the two.
//!
//! A [`Change`] is applied to a backend and to a [`Model`]; what the backend then
//! holds, read entry by entry, must be what the model holds. A [`Program`] draws changes,
//! freezes, restores and rescales from a seed; [`run_ttl_program`] those of states that expire.
//!
//! Ladder of names: program > step > change; [`Contents`] > [`Address`] (kind of state, key,
//! namespace) > [`Content`].
//!
//! Invariants:
//! - the model holds no empty list and no empty map: empty is the same as absent;
//! - a comparison goes both ways: nothing is missing, nothing is there in addition.

pub mod by_bytes;
pub mod change;
mod contents;
mod firing;
mod many;
mod merging;
mod program;
mod ttl_program;

pub use contents::{check_contents, content_at, contents_of};
pub use firing::check_timers;
pub use many::Programs;
pub use program::{Program, run_program};
pub use ttl_program::run_ttl_program;

use std::collections::{BTreeMap, BTreeSet};

use alluvium_state::TimeDomain;

use self::change::Change;

/// Which of the states of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `ValueState<u64, u32>`
    Value,
    /// `ListState<String, u32>`
    List,
    /// `MapState<u32, String, u32>`
    Map,
    /// `ReducingState<u64, u32>`, see [`change::reduce`]
    Reducing,
    /// `AggregatingState<CountAndSum, u32>`
    Aggregating,
    /// `Timers<u32>`
    Timers,
    /// `SortedMapState<i32, String, u32>`
    SortedMap,
    /// `ListState<String, u32>` of the layout for long lists
    LongList,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Value,
        Self::List,
        Self::Map,
        Self::Reducing,
        Self::Aggregating,
        Self::Timers,
        Self::SortedMap,
        Self::LongList,
    ];
}

/// Where something is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The state.
    pub kind: Kind,
    /// The key.
    pub key: String,
    /// The namespace.
    pub namespace: u32,
}

/// What is stored there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A value.
    Value(u64),
    /// A list, not empty.
    List(Vec<String>),
    /// A map, not empty.
    Map(BTreeMap<u32, String>),
    /// What was reduced so far.
    Reducing(u64),
    /// Count and sum of the inputs.
    Aggregating((u64, u64)),
    /// Domains and times, not empty.
    Timers(BTreeSet<(TimeDomain, i64)>),
    /// A sorted map, not empty.
    SortedMap(BTreeMap<i32, String>),
    /// A long list, not empty.
    LongList(Vec<String>),
}

impl Content {
    /// How many entries a backend counts for it.
    pub fn entry_count(&self) -> usize {
        if let Self::Timers(timers) = self { timers.len() } else { 1 }
    }
}

/// Everything that is stored.
pub type Contents = BTreeMap<Address, Content>;

/// Keyed state as a plain map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    contents: Contents,
}

impl Model {
    /// Everything that is stored.
    pub const fn contents(&self) -> &Contents {
        &self.contents
    }

    /// What is stored at an address.
    pub fn get(&self, address: &Address) -> Option<&Content> {
        self.contents.get(address)
    }

    /// Makes a change.
    pub fn apply(&mut self, key: &str, namespace: u32, change: &Change) {
        let address = Address { kind: change.kind(), key: key.to_owned(), namespace };
        let before = self.contents.remove(&address);
        if let Some(after) = change.result(before) {
            self.contents.insert(address, after);
        }
    }

    /// Forgets everything at addresses that are not wanted.
    pub fn retain(&mut self, mut wanted: impl FnMut(&Address) -> bool) {
        self.contents.retain(|address, _| wanted(address));
    }

    /// Compares everything that was found with the model.
    ///
    /// Panics: at the first difference.
    #[track_caller]
    pub fn check(&self, found: &Contents) {
        if let Some(difference) = self.difference(found) {
            panic!("{difference}");
        }
    }

    /// The first address at which something else was found, in words; `None` when all is equal.
    pub fn difference(&self, found: &Contents) -> Option<String> {
        let missing =
            self.contents.iter().find(|(address, content)| found.get(*address) != Some(*content));
        if let Some((address, content)) = missing {
            let there = found.get(address);
            return Some(format!("{address:?}: {content:?} expected, {there:?} found"));
        }
        let surplus = found.iter().find(|(address, _)| !self.contents.contains_key(*address));
        surplus.map(|(address, there)| format!("{address:?}: nothing expected, {there:?} found"))
    }
}

#[cfg(test)]
mod tests;
