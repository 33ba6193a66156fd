//! Fetches entries from memory before they are used.
//!
//! An engine has a batch of records at hand and works on one after the other, so a processor waits for the
//! entry of each. What is fetched here is waited for side by side: first where each entry would be, then
//! the entries, then what they own.
//!
//! Invariants: nothing is changed, nothing is loaded from a stream, and nothing can fail.

use std::any::TypeId;

use alluvium_state::{StateKey, StateValue};
use hashbrown::HashTable;

use super::{CopyOnWriteTable, Maps, StateTable};
use crate::slot::{Slot, is_shared};

/// Keys of a round: about as many accesses to memory as are under way at a time.
pub(crate) const ROUND: usize = 64;
/// Entries of less than this, in bytes, are in the caches of a core anyway.
const MIN_LEN_BYTES: usize = 1024 * 1024;
/// What an entry behind a pointer weighs besides its types, roughly, in bytes.
const SHARED_LEN_BYTES: usize = 64;
/// After so many rounds the entries are counted again.
const ROUNDS_OF_A_COUNT: u32 = 1024;

/// The position of the key group of each key, and its hash.
pub(crate) type Round = [(usize, u64)];

/// Whether it is worth it.
#[derive(Debug, Default)]
pub(crate) struct Worth {
    is_worth_it: bool,
    rounds_left: u32,
}

impl Worth {
    /// The last answer.
    pub(super) const fn is_worth_it(&self) -> bool {
        self.is_worth_it
    }
}

impl<K: StateKey, N: StateKey, S: StateValue> StateTable<K, N, S> {
    pub(super) fn is_worth_it(&mut self) -> bool {
        // Which namespaces come is not known before.
        if TypeId::of::<N>() != TypeId::of::<()>() {
            return false;
        }
        if self.worth.rounds_left == 0 {
            let owned = if is_shared::<K, N, S>() { SHARED_LEN_BYTES } else { 0 };
            let entry_len = size_of::<(K, S)>() + owned;
            let len_bytes = self.entries().saturating_mul(entry_len);
            let (is_worth_it, rounds_left) = (len_bytes >= MIN_LEN_BYTES, ROUNDS_OF_A_COUNT);
            self.worth = Worth { is_worth_it, rounds_left };
        }
        self.worth.rounds_left -= 1;
        self.worth.is_worth_it
    }

    pub(super) fn fetch_round(&self, round: &Round) {
        match &self.maps {
            Maps::Inline(table) => table.fetch(round),
            Maps::Shared(table) => table.fetch(round),
            Maps::Nested(..) => {}
        }
    }
}

impl<E: Slot> CopyOnWriteTable<E> {
    fn fetch(&self, round: &Round) {
        let mut tables: [Option<&HashTable<E>>; ROUND] = [None; ROUND];
        for (place, (group, hash)) in tables.iter_mut().zip(round) {
            *place = self.groups.map(*group).and_then(|map| map.loaded_table_of(*hash));
        }
        // The first entry whose tag is right; it is seldom another one than that of the key.
        let mut entries: [Option<&E>; ROUND] = [None; ROUND];
        for ((place, table), (_, hash)) in entries.iter_mut().zip(tables).zip(round) {
            *place = table.and_then(|table| table.find(*hash, |_| true));
        }
        let found = entries.iter().flatten();
        std::hint::black_box(found.fold(0, |touched, entry| touched ^ self.codec.touch(entry)));
    }
}
