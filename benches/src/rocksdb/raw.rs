//! RocksDB itself, through the safe crate, with the options and the rows of the backend.

use std::path::Path;

use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, FlushOptions, Options, ReadOptions, WriteOptions,
};

use crate::own::EngineOptions;

/// What fails only when the bench itself is wrong.
const RIGHT_USE: &str = "RocksDB does not fail here";

/// An open database, with the options of its calls.
pub(crate) struct Raw {
    pub(crate) db: DB,
    pub(crate) writes: WriteOptions,
    pub(crate) reads: ReadOptions,
}

impl Raw {
    /// A database with a column family for each state of the bench.
    pub(crate) fn create(dir: &Path, options: &EngineOptions) -> Self {
        let columns = [
            ("value", &options.values),
            ("map", &options.maps),
            ("list", &options.lists),
            ("append", &options.lists),
        ];
        Self::with_columns(dir, &options.database, &columns)
    }

    pub(crate) fn with_columns(dir: &Path, base: &Options, columns: &[(&str, &Options)]) -> Self {
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

    pub(crate) fn column(&self, name: &str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("a column family of the bench")
    }

    #[inline]
    pub(crate) fn put(&self, column: &ColumnFamily, row: &[u8], value: &[u8]) {
        self.db.put_cf_opt(column, row, value, &self.writes).expect(RIGHT_USE);
    }

    #[inline]
    pub(crate) fn merge(&self, column: &ColumnFamily, row: &[u8], value: &[u8]) {
        self.db.merge_cf_opt(column, row, value, &self.writes).expect(RIGHT_USE);
    }

    /// Looks at the value of a row.
    #[inline]
    pub(crate) fn get<R>(
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
    pub(crate) fn scan(
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
    pub(crate) fn flush(&self, columns: &[&str]) {
        let columns: Vec<_> = columns.iter().map(|name| self.column(name)).collect();
        self.db.flush_cfs_opt(&columns, &FlushOptions::default()).expect(RIGHT_USE);
    }
}
