//! `redb`: a B-tree with transactions. Each turn is one transaction; those that write are not durable
//! until a later one is.

use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, TableDefinition, WriteTransaction};
use tempfile::TempDir;

use super::{MEMORY_LEN_BYTES, RIGHT_USE};
use crate::rows::{entry_sum, piece, piece_sum, sum};
use crate::store::{Durable, Lists, Maps, Values};

const VALUES: TableDefinition<'_, u64, u64> = TableDefinition::new("value");
/// User values as bits.
const MAPS: TableDefinition<'_, (u64, u64), u64> = TableDefinition::new("map");
/// Pieces of lists, by key and number of the piece.
const LISTS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("list");

const FILE: &str = "state.redb";

/// A database with a table for each kind of state.
pub(crate) struct Redb {
    db: Database,
    dir: TempDir,
    /// Number of the next piece of a list.
    next_piece: u64,
    savepoints: Vec<u64>,
}

impl Redb {
    pub(crate) fn create() -> Self {
        let dir = tempfile::tempdir().expect(RIGHT_USE);
        let store = Self::open(dir);
        store.write(|transaction| {
            transaction.open_table(VALUES).expect(RIGHT_USE);
            transaction.open_table(MAPS).expect(RIGHT_USE);
            transaction.open_table(LISTS).expect(RIGHT_USE);
        });
        store
    }

    fn open(dir: TempDir) -> Self {
        Self { db: open(&dir.path().join(FILE)), dir, next_piece: 0, savepoints: Vec::new() }
    }

    /// Runs a transaction that is not durable.
    fn write(&self, body: impl FnOnce(&WriteTransaction)) {
        let mut transaction = self.db.begin_write().expect(RIGHT_USE);
        transaction.set_durability(Durability::None).expect(RIGHT_USE);
        body(&transaction);
        transaction.commit().expect(RIGHT_USE);
    }
}

fn open(file: &Path) -> Database {
    let mut builder = Database::builder();
    builder.set_cache_size(MEMORY_LEN_BYTES).create(file).expect(RIGHT_USE)
}

impl Values for Redb {
    fn get(&self, keys: impl Iterator<Item = u64>) -> u64 {
        let transaction = self.db.begin_read().expect(RIGHT_USE);
        let table = transaction.open_table(VALUES).expect(RIGHT_USE);
        sum(keys.map(|key| table.get(key).expect(RIGHT_USE).map_or(0, |value| value.value())))
    }

    fn set(&mut self, pairs: impl Iterator<Item = (u64, u64)>) {
        self.write(|transaction| {
            let mut table = transaction.open_table(VALUES).expect(RIGHT_USE);
            for (key, value) in pairs {
                table.insert(key, value).expect(RIGHT_USE);
            }
        });
    }

    fn remove(&mut self, keys: impl Iterator<Item = u64>) {
        self.write(|transaction| {
            let mut table = transaction.open_table(VALUES).expect(RIGHT_USE);
            for key in keys {
                table.remove(key).expect(RIGHT_USE);
            }
        });
    }
}

impl Maps for Redb {
    fn get(&self, entries: impl Iterator<Item = (u64, u64)>) -> u64 {
        let transaction = self.db.begin_read().expect(RIGHT_USE);
        let table = transaction.open_table(MAPS).expect(RIGHT_USE);
        sum(entries
            .map(|entry| table.get(entry).expect(RIGHT_USE).map_or(0, |value| value.value())))
    }

    fn iterate(&self, keys: impl Iterator<Item = u64>) -> u64 {
        let transaction = self.db.begin_read().expect(RIGHT_USE);
        let table = transaction.open_table(MAPS).expect(RIGHT_USE);
        sum(keys.map(|key| {
            let entries = table.range((key, 0)..=(key, u64::MAX)).expect(RIGHT_USE);
            sum(entries.map(|entry| {
                let (row, value) = entry.expect(RIGHT_USE);
                entry_sum(row.value().1, value.value())
            }))
        }))
    }

    fn put(&mut self, entries: impl Iterator<Item = ((u64, u64), f64)>) {
        self.write(|transaction| {
            let mut table = transaction.open_table(MAPS).expect(RIGHT_USE);
            for (entry, value) in entries {
                table.insert(entry, value.to_bits()).expect(RIGHT_USE);
            }
        });
    }

    fn remove(&mut self, entries: impl Iterator<Item = (u64, u64)>) {
        self.write(|transaction| {
            let mut table = transaction.open_table(MAPS).expect(RIGHT_USE);
            for entry in entries {
                table.remove(entry).expect(RIGHT_USE);
            }
        });
    }
}

impl Lists for Redb {
    fn iterate(&self, keys: impl Iterator<Item = u64>) -> u64 {
        let transaction = self.db.begin_read().expect(RIGHT_USE);
        let table = transaction.open_table(LISTS).expect(RIGHT_USE);
        sum(keys.map(|key| {
            let pieces = table.range((key, 0)..=(key, u64::MAX)).expect(RIGHT_USE);
            sum(pieces.map(|piece| piece_sum(piece.expect(RIGHT_USE).1.value())))
        }))
    }

    fn append(&mut self, elements: impl Iterator<Item = (u64, u64)>) {
        let mut next = self.next_piece;
        self.write(|transaction| {
            let mut table = transaction.open_table(LISTS).expect(RIGHT_USE);
            for (key, element) in elements {
                table.insert((key, next), element.to_le_bytes().as_slice()).expect(RIGHT_USE);
                next += 1;
            }
        });
        self.next_piece = next;
    }

    fn fill(&mut self, lists: impl Iterator<Item = (u64, Vec<u64>)>) {
        let mut next = self.next_piece;
        self.write(|transaction| {
            let mut table = transaction.open_table(LISTS).expect(RIGHT_USE);
            for (key, list) in lists {
                table.insert((key, next), piece(&list).as_slice()).expect(RIGHT_USE);
                next += 1;
            }
        });
        self.next_piece = next;
    }
}

impl Durable for Redb {
    /// A savepoint, which later transactions leave as it is.
    fn secure(&mut self) {
        let transaction = self.db.begin_write().expect(RIGHT_USE);
        self.savepoints.push(transaction.persistent_savepoint().expect(RIGHT_USE));
        transaction.commit().expect(RIGHT_USE);
    }

    fn forget(&mut self) {
        let Some(before_last) = self.savepoints.len().checked_sub(1) else { return };
        let transaction = self.db.begin_write().expect(RIGHT_USE);
        for savepoint in self.savepoints.drain(..before_last) {
            transaction.delete_persistent_savepoint(savepoint).expect(RIGHT_USE);
        }
        transaction.commit().expect(RIGHT_USE);
    }

    fn reopened(&self) -> Self {
        let dir = tempfile::tempdir().expect(RIGHT_USE);
        super::copy_files(self.dir.path(), dir.path());
        Self::open(dir)
    }
}
