//! The cases of flink-benchmarks, as operations on a store.

use alluvium_benches::cases::{Access, Case, Content, Inputs};

use crate::store::{Lists, Maps, Values};

/// State of one kind in a store.
pub(crate) trait Cases {
    /// Gives state to each key, as [`Content`] draws it.
    fn fill(&mut self, inputs: &Inputs);
    /// Runs a case on each access; the sum of what was read.
    fn run(&mut self, case: Case, accesses: &[Access]) -> u64;
    /// Removes what a case has added, and puts back what it has removed.
    fn put_back(&mut self, case: Case, accesses: &[Access]);
    /// The sum of the state of a key.
    fn sum_of(&self, key: u64) -> u64;
}

/// Values in a store.
pub(crate) struct OfValues<S>(pub(super) S);

/// Maps in a store.
pub(crate) struct OfMaps<S>(pub(super) S);

/// Lists in a store.
pub(crate) struct OfLists<S>(pub(super) S);

impl<S: Values> Cases for OfValues<S> {
    fn fill(&mut self, inputs: &Inputs) {
        let mut content = Content::new();
        self.0.set((0..inputs.keys).map(|key| (key, content.value())));
    }

    fn run(&mut self, case: Case, accesses: &[Access]) -> u64 {
        match case {
            Case::ValueGet => return self.0.get(accesses.iter().map(|access| access.key)),
            Case::ValueUpdate => {
                self.0.set(accesses.iter().map(|access| (access.key, access.value)));
            }
            Case::ValueAdd => {
                self.0.set(accesses.iter().map(|access| (access.new_key, access.value)));
            }
            _ => panic!("{} is no case of values", case.name()),
        }
        0
    }

    fn put_back(&mut self, case: Case, accesses: &[Access]) {
        if case == Case::ValueAdd {
            self.0.remove(accesses.iter().map(|access| access.new_key));
        }
    }

    fn sum_of(&self, key: u64) -> u64 {
        self.0.get(std::iter::once(key))
    }
}

impl<S: Maps> Cases for OfMaps<S> {
    fn fill(&mut self, inputs: &Inputs) {
        let mut content = Content::new();
        let entries = (0..inputs.keys)
            .flat_map(|key| inputs.map_keys().iter().map(move |user_key| (key, *user_key)));
        self.0.put(entries.map(|entry| (entry, content.user_value())));
    }

    fn run(&mut self, case: Case, accesses: &[Access]) -> u64 {
        match case {
            Case::MapGet => return self.0.get(accesses.iter().map(entry)),
            Case::MapIterate => return self.0.iterate(accesses.iter().map(|access| access.key)),
            Case::MapUpdate => {
                self.0.put(accesses.iter().map(|access| (entry(access), access.map_value)));
            }
            Case::MapAdd => {
                self.0.put(accesses.iter().map(|access| (new_entry(access), access.map_value)));
            }
            Case::MapRemove => self.0.remove(accesses.iter().map(entry)),
            _ => panic!("{} is no case of maps that is compared", case.name()),
        }
        0
    }

    fn put_back(&mut self, case: Case, accesses: &[Access]) {
        match case {
            Case::MapAdd => self.0.remove(accesses.iter().map(new_entry)),
            Case::MapRemove => {
                self.0.put(accesses.iter().map(|access| (entry(access), access.map_value)));
            }
            _ => {}
        }
    }

    fn sum_of(&self, key: u64) -> u64 {
        self.0.iterate(std::iter::once(key))
    }
}

impl<S: Lists> Cases for OfLists<S> {
    fn fill(&mut self, inputs: &Inputs) {
        let mut content = Content::new();
        self.0.fill((0..inputs.keys).map(|key| (key, content.list())));
    }

    fn run(&mut self, case: Case, accesses: &[Access]) -> u64 {
        match case {
            Case::ListGetAndIterate => {
                return self.0.iterate(accesses.iter().map(|access| access.key));
            }
            Case::ListAppend => {
                self.0.append(accesses.iter().map(|access| (access.key, access.value)));
            }
            _ => panic!("{} is no case of lists that is compared", case.name()),
        }
        0
    }

    fn put_back(&mut self, _: Case, _: &[Access]) {}

    fn sum_of(&self, key: u64) -> u64 {
        self.0.iterate(std::iter::once(key))
    }
}

fn entry(access: &Access) -> (u64, u64) {
    (access.key, access.map_key)
}

fn new_entry(access: &Access) -> (u64, u64) {
    (access.new_key, access.map_key)
}
