//! RocksDB itself, through the safe crate, with the options that the backend gives to it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use alluvium_format::codec::DefaultCodec;
use alluvium_rocksdb::{RocksDbKeyedStateBackend, RocksDbStateBackend};
use alluvium_state::{
    KeyedStateBackend, ListStateDescriptor, MapStateDescriptor, StateBackend, ValueStateDescriptor,
};
use alluvium_storage::{HandleReader, ReadAccess};
use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, FlushOptions, Options, ReadOptions, WriteOptions,
};

use crate::cases::KEY_GROUPS;
use crate::null_storage::NullStorage;
use crate::targets::spec_of;

/// What fails only when the bench itself is wrong.
const RIGHT_USE: &str = "RocksDB does not fail here";

/// Options of a database and of the column families of value, map and list states.
pub struct EngineOptions {
    /// Of the database.
    pub database: Options,
    /// Of the column family of a value state.
    pub values: Options,
    /// Of a map state.
    pub maps: Options,
    /// Of a list state.
    pub lists: Options,
}

/// The options that a backend gives to RocksDB, and the memory of its own that goes with them.
pub fn options_of(backend: RocksDbStateBackend) -> EngineOptions {
    let databases: Arc<Mutex<Vec<Options>>> = Arc::default();
    let columns: Arc<Mutex<Vec<Options>>> = Arc::default();
    let keep = |seen: &Arc<Mutex<Vec<Options>>>| {
        let seen = Arc::clone(seen);
        move |options: &mut Options| seen.lock().expect("nobody panics").push(options.clone())
    };
    let backend = backend.customize_database(keep(&databases)).customize_column(keep(&columns));
    let nowhere = HandleReader::new(Arc::new(NullStorage::default()), ReadAccess::Copy);
    let spec = spec_of::<u64>(0, 1, KEY_GROUPS);
    let mut keyed: RocksDbKeyedStateBackend<u64, DefaultCodec> =
        backend.open(spec, &[], &nowhere).expect("nothing to restore");
    keyed.value_state(ValueStateDescriptor::<u64>::new("value")).expect("a new state");
    keyed.map_state(MapStateDescriptor::<u64, u64>::new("map")).expect("a new state");
    keyed.list_state(ListStateDescriptor::<u64>::new("list")).expect("a new state");
    drop(keyed);
    let take =
        |seen: Arc<Mutex<Vec<Options>>>| std::mem::take(&mut *seen.lock().expect("as above"));
    let database = take(databases).pop().expect("one was opened");
    let [values, maps, lists] =
        <[Options; 3]>::try_from(take(columns)).unwrap_or_else(|_| panic!("three were made"));
    EngineOptions { database, values, maps, lists }
}

/// An open database, with the options of its calls.
pub struct Raw {
    /// The database.
    pub db: DB,
    /// Writes without a log.
    pub writes: WriteOptions,
    /// Reads as they come.
    pub reads: ReadOptions,
}

impl Raw {
    /// A database with a column family for each state of the bench.
    pub fn create(dir: &Path, options: &EngineOptions) -> Self {
        let columns = [
            ("value", &options.values),
            ("map", &options.maps),
            ("list", &options.lists),
            ("append", &options.lists),
        ];
        Self::with_columns(dir, &options.database, &columns)
    }

    /// A database with column families by their names; what is there already stays.
    pub fn with_columns(dir: &Path, base: &Options, columns: &[(&str, &Options)]) -> Self {
        let mut database = base.clone();
        database.create_if_missing(true);
        database.create_missing_column_families(true);
        database.set_atomic_flush(true);
        let columns = columns
            .iter()
            .map(|(name, options)| ColumnFamilyDescriptor::new(*name, (*options).clone()));
        let db = DB::open_cf_descriptors(&database, dir, columns).expect(RIGHT_USE);
        let mut writes = WriteOptions::default();
        writes.disable_wal(true);
        Self { db, writes, reads: ReadOptions::default() }
    }

    /// A column family by its name.
    pub fn column(&self, name: &str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("a column family of the bench")
    }

    /// Sets the value of a row.
    #[inline]
    pub fn put(&self, column: &ColumnFamily, row: &[u8], value: &[u8]) {
        self.db.put_cf_opt(column, row, value, &self.writes).expect(RIGHT_USE);
    }

    /// Gives an operand to the merge operator of a row.
    #[inline]
    pub fn merge(&self, column: &ColumnFamily, row: &[u8], value: &[u8]) {
        self.db.merge_cf_opt(column, row, value, &self.writes).expect(RIGHT_USE);
    }

    /// Deletes a row.
    #[inline]
    pub fn delete(&self, column: &ColumnFamily, row: &[u8]) {
        self.db.delete_cf_opt(column, row, &self.writes).expect(RIGHT_USE);
    }

    /// Looks at the value of a row.
    #[inline]
    pub fn get<R>(
        &self,
        column: &ColumnFamily,
        row: &[u8],
        look: impl FnOnce(&[u8]) -> R,
    ) -> Option<R> {
        let found = self.db.get_pinned_cf_opt(column, row, &self.reads).expect(RIGHT_USE);
        found.map(|value| look(&value))
    }

    /// Visits the rows from one on, up to another.
    #[inline]
    pub fn scan(
        &self,
        column: &ColumnFamily,
        first: &[u8],
        end: Vec<u8>,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) {
        let mut reads = ReadOptions::default();
        reads.set_iterate_lower_bound(first);
        reads.set_iterate_upper_bound(end);
        let mut rows = self.db.raw_iterator_cf_opt(column, reads);
        rows.seek_to_first();
        while let Some((row, value)) = rows.item() {
            visit(row, value);
            rows.next();
        }
        rows.status().expect(RIGHT_USE);
    }

    /// Puts everything into files.
    pub fn flush(&self, columns: &[&str]) {
        let columns: Vec<_> = columns.iter().map(|name| self.column(name)).collect();
        self.db.flush_cfs_opt(&columns, &FlushOptions::default()).expect(RIGHT_USE);
    }
}
