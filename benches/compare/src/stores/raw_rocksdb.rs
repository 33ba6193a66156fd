//! RocksDB through the crate `rocksdb`, with the options that our backend gives to it.
//!
//! A list is one row of groups, as our backend has it: a count of one byte, as all are short, and the
//! elements. An append is an operand of the merge operator.
//!
//! Rows are those of our backend, the key group in front and numbers little endian. What is near to one another in
//! the order of rows is passed by in one search of a memtable, so rows that are written in their own order, as big
//! endian keys would be, lie together and are found sooner.

use alluvium_benches::cases::KEY_GROUPS;
use alluvium_benches::engine::{EngineOptions, Raw, options_of};
use alluvium_core::MaxParallelism;
use alluvium_core::key_hash::stable_key_group;
use rocksdb::checkpoint::Checkpoint;
use tempfile::TempDir;

use super::RIGHT_USE;
use crate::contender::backend_in;
use crate::rows::{PAIR_LEN_BYTES, entry_sum, number, pair, piece, piece_sum, second, sum};
use crate::store::{Durable, Lists, Maps, Values};

const VALUES: &str = "value";
const MAPS: &str = "map";
const LISTS: &str = "list";

/// A database without a log, with a column family for each kind of state.
pub(crate) struct RawRocksDb {
    raw: Raw,
    dir: TempDir,
    /// How many checkpoints there were.
    checkpoints: u32,
}

impl RawRocksDb {
    pub(crate) fn create() -> Self {
        let dir = tempfile::tempdir().expect(RIGHT_USE);
        let options = options_of(backend_in(&dir.path().join("options")));
        Self { raw: open(dir.path(), "database", &options), dir, checkpoints: 0 }
    }

    fn checkpoint_name(number: u32) -> String {
        format!("checkpoint-{number}")
    }
}

/// Puts a key group in front.
fn with_group<const LEN: usize>(group: u8, rest: &[u8]) -> [u8; LEN] {
    let mut row = [group; LEN];
    row.iter_mut().skip(1).zip(rest).for_each(|(to, from)| *to = *from);
    row
}

/// The key group of a key, of fewer than 256.
fn group_of(key: u64) -> u8 {
    let max = MaxParallelism::new(KEY_GROUPS).expect(RIGHT_USE);
    let group = stable_key_group(&key.to_le_bytes(), max).get();
    u8::try_from(group).expect("key groups fit into a byte")
}

fn row_of(key: u64) -> [u8; 9] {
    with_group(group_of(key), &key.to_le_bytes())
}

fn entry_row_of(key: u64, user_key: u64) -> [u8; 1 + PAIR_LEN_BYTES] {
    with_group(group_of(key), &pair(key.swap_bytes(), user_key.swap_bytes()))
}

fn open(dir: &std::path::Path, name: &str, options: &EngineOptions) -> Raw {
    let columns = [(VALUES, &options.values), (MAPS, &options.maps), (LISTS, &options.lists)];
    Raw::with_columns(&dir.join(name), &options.database, &columns)
}

impl Values for RawRocksDb {
    fn get(&self, keys: impl Iterator<Item = u64>) -> u64 {
        let column = self.raw.column(VALUES);
        sum(keys.map(|key| self.raw.get(column, &row_of(key), number).unwrap_or_default()))
    }

    fn set(&mut self, pairs: impl Iterator<Item = (u64, u64)>) {
        let column = self.raw.column(VALUES);
        for (key, value) in pairs {
            self.raw.put(column, &row_of(key), &value.to_le_bytes());
        }
    }

    fn remove(&mut self, keys: impl Iterator<Item = u64>) {
        let column = self.raw.column(VALUES);
        for key in keys {
            self.raw.delete(column, &row_of(key));
        }
    }
}

impl Maps for RawRocksDb {
    fn get(&self, entries: impl Iterator<Item = (u64, u64)>) -> u64 {
        let column = self.raw.column(MAPS);
        sum(entries.map(|(key, user_key)| {
            self.raw.get(column, &entry_row_of(key, user_key), number).unwrap_or_default()
        }))
    }

    fn iterate(&self, keys: impl Iterator<Item = u64>) -> u64 {
        let column = self.raw.column(MAPS);
        sum(keys.map(|key| {
            let (mut sum, start) = (0_u64, row_of(key));
            let mut end = start;
            // The last byte is the highest one of the number, which is 0 in all keys.
            end.iter_mut().last().into_iter().for_each(|last| *last += 1);
            self.raw.scan(column, &start, end.to_vec(), |row, value| {
                let user_key = second(row.get(1..).unwrap_or_default()).swap_bytes();
                sum = sum.wrapping_add(entry_sum(user_key, number(value)));
            });
            sum
        }))
    }

    fn put(&mut self, entries: impl Iterator<Item = ((u64, u64), f64)>) {
        let column = self.raw.column(MAPS);
        for ((key, user_key), value) in entries {
            self.raw.put(column, &entry_row_of(key, user_key), &value.to_bits().to_le_bytes());
        }
    }

    fn remove(&mut self, entries: impl Iterator<Item = (u64, u64)>) {
        let column = self.raw.column(MAPS);
        for (key, user_key) in entries {
            self.raw.delete(column, &entry_row_of(key, user_key));
        }
    }
}

/// A group of a list.
fn group(elements: &[u64]) -> Vec<u8> {
    let count = u8::try_from(elements.len()).ok().filter(|count| *count < 128);
    let mut group = vec![count.expect("a count in one byte")];
    group.append(&mut piece(elements));
    group
}

impl Lists for RawRocksDb {
    fn iterate(&self, keys: impl Iterator<Item = u64>) -> u64 {
        let column = self.raw.column(LISTS);
        sum(keys.map(|key| {
            let sum_of_groups = |mut row: &[u8]| {
                let mut sum = 0_u64;
                while let Some((&elements, rest)) = row.split_first() {
                    let (group, rest) = rest.split_at(usize::from(elements) * 8);
                    sum = sum.wrapping_add(piece_sum(group));
                    row = rest;
                }
                sum
            };
            self.raw.get(column, &row_of(key), sum_of_groups).unwrap_or_default()
        }))
    }

    fn append(&mut self, elements: impl Iterator<Item = (u64, u64)>) {
        let column = self.raw.column(LISTS);
        let mut group = [1; 9];
        for (key, element) in elements {
            let (_, number) = group.split_at_mut(1);
            number.copy_from_slice(&element.to_le_bytes());
            self.raw.merge(column, &row_of(key), &group);
        }
    }

    fn fill(&mut self, lists: impl Iterator<Item = (u64, Vec<u64>)>) {
        let column = self.raw.column(LISTS);
        for (key, list) in lists {
            self.raw.put(column, &row_of(key), &group(&list));
        }
    }
}

impl Durable for RawRocksDb {
    /// A folder with hard links to all files, those of what is flushed for it included.
    fn secure(&mut self) {
        self.checkpoints += 1;
        let checkpoint = self.dir.path().join(Self::checkpoint_name(self.checkpoints));
        let made = Checkpoint::new(&self.raw.db).and_then(|it| it.create_checkpoint(checkpoint));
        made.expect(RIGHT_USE);
    }

    fn forget(&mut self) {
        if let Some(number @ 1..) = self.checkpoints.checked_sub(1) {
            let last_but_one = self.dir.path().join(Self::checkpoint_name(number));
            std::fs::remove_dir_all(last_but_one).expect(RIGHT_USE);
        }
    }

    fn reopened(&self) -> Self {
        let dir = tempfile::tempdir().expect(RIGHT_USE);
        let checkpoint = Self::checkpoint_name(self.checkpoints);
        super::copy_files(&self.dir.path().join(checkpoint), &dir.path().join("database"));
        let options = options_of(backend_in(&dir.path().join("options")));
        Self { raw: open(dir.path(), "database", &options), dir, checkpoints: 0 }
    }
}
