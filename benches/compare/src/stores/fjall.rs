//! `fjall`: LSM trees with a journal. A keyspace for each kind of state; the journal is buffered, and
//! not handed to the system after each write.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use tempfile::TempDir;

use super::{MEMORY_LEN_BYTES, RIGHT_USE};
use crate::rows::{entry_sum, number, pair, piece, piece_sum, second, sum};
use crate::store::{Durable, Lists, Maps, Values};

/// A database with a keyspace for each kind of state.
pub(crate) struct Fjall {
    values: Keyspace,
    maps: Keyspace,
    lists: Keyspace,
    db: Database,
    dir: TempDir,
    /// Number of the next piece of a list.
    next_piece: u64,
}

impl Fjall {
    pub(crate) fn create() -> Self {
        Self::open(tempfile::tempdir().expect(RIGHT_USE))
    }

    fn open(dir: TempDir) -> Self {
        let db = open(dir.path());
        let keyspace = |name| {
            let options = || KeyspaceCreateOptions::default().manual_journal_persist(true);
            db.keyspace(name, options).expect(RIGHT_USE)
        };
        let (values, maps, lists) = (keyspace("value"), keyspace("map"), keyspace("list"));
        Self { values, maps, lists, db, dir, next_piece: 0 }
    }

    fn next_piece(&mut self) -> u64 {
        let piece = self.next_piece;
        self.next_piece += 1;
        piece
    }
}

fn open(dir: &Path) -> Database {
    let cache_len_bytes = MEMORY_LEN_BYTES as u64;
    let builder = Database::builder(dir).cache_size(cache_len_bytes).manual_journal_persist(true);
    builder.open().expect(RIGHT_USE)
}

/// A number in a row.
#[inline]
fn get(keyspace: &Keyspace, row: &[u8]) -> u64 {
    keyspace.get(row).expect(RIGHT_USE).map_or(0, |value| number(&value))
}

impl Values for Fjall {
    fn get(&self, keys: impl Iterator<Item = u64>) -> u64 {
        sum(keys.map(|key| get(&self.values, &key.to_be_bytes())))
    }

    fn set(&mut self, pairs: impl Iterator<Item = (u64, u64)>) {
        for (key, value) in pairs {
            self.values.insert(key.to_be_bytes(), value.to_le_bytes()).expect(RIGHT_USE);
        }
    }

    fn remove(&mut self, keys: impl Iterator<Item = u64>) {
        for key in keys {
            self.values.remove(key.to_be_bytes()).expect(RIGHT_USE);
        }
    }
}

impl Maps for Fjall {
    fn get(&self, entries: impl Iterator<Item = (u64, u64)>) -> u64 {
        sum(entries.map(|(key, user_key)| get(&self.maps, &pair(key, user_key))))
    }

    fn iterate(&self, keys: impl Iterator<Item = u64>) -> u64 {
        sum(keys.map(|key| {
            sum(self.maps.prefix(key.to_be_bytes()).map(|entry| {
                let (row, value) = entry.into_inner().expect(RIGHT_USE);
                entry_sum(second(&row), number(&value))
            }))
        }))
    }

    fn put(&mut self, entries: impl Iterator<Item = ((u64, u64), f64)>) {
        for ((key, user_key), value) in entries {
            let (row, bits) = (pair(key, user_key), value.to_bits());
            self.maps.insert(row, bits.to_le_bytes()).expect(RIGHT_USE);
        }
    }

    fn remove(&mut self, entries: impl Iterator<Item = (u64, u64)>) {
        for (key, user_key) in entries {
            self.maps.remove(pair(key, user_key)).expect(RIGHT_USE);
        }
    }
}

impl Lists for Fjall {
    fn iterate(&self, keys: impl Iterator<Item = u64>) -> u64 {
        sum(keys.map(|key| {
            let pieces = self.lists.prefix(key.to_be_bytes());
            sum(pieces.map(|piece| piece_sum(&piece.value().expect(RIGHT_USE))))
        }))
    }

    fn append(&mut self, elements: impl Iterator<Item = (u64, u64)>) {
        for (key, element) in elements {
            let row = pair(key, self.next_piece());
            self.lists.insert(row, element.to_le_bytes()).expect(RIGHT_USE);
        }
    }

    fn fill(&mut self, lists: impl Iterator<Item = (u64, Vec<u64>)>) {
        for (key, list) in lists {
            let row = pair(key, self.next_piece());
            self.lists.insert(row, piece(&list)).expect(RIGHT_USE);
        }
    }
}

impl Durable for Fjall {
    /// The journal is on disk; nothing is kept for later.
    fn secure(&mut self) {
        self.db.persist(PersistMode::SyncAll).expect(RIGHT_USE);
    }

    fn forget(&mut self) {}

    fn reopened(&self) -> Self {
        let dir = tempfile::tempdir().expect(RIGHT_USE);
        super::copy_files(self.dir.path(), dir.path());
        Self::open(dir)
    }
}
