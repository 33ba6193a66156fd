//! Reads and writes of single rows and batches, as the backend uses them.
//!
//! Invariants: options are made once; after a write has failed, every call fails with its cause.

use std::sync::Arc;

use alluvium_state::{EngineFailure, RestoreError, ScanOrder, SnapshotError, StateError};
use rocksdb::{DBPinnableSlice, ReadOptions, WriteBatch, WriteOptions};

use crate::engine::{Column, Cursor, Engine, EngineError, Row, Snapshot, write_options};
use crate::row_key::RowRange;

/// Bytes from which a batch is written.
const BATCH_LEN_BYTES: usize = 1024 * 1024;

/// A database with the options of its calls.
pub(crate) struct Store {
    engine: Arc<Engine>,
    writes: WriteOptions,
    reads: ReadOptions,
}

/// A call of the engine that failed, before anybody said for whom.
#[derive(Debug)]
pub(crate) struct Failure {
    operation: &'static str,
    source: EngineFailure,
}

impl Failure {
    pub(crate) fn new(operation: &'static str, error: impl Into<Arc<EngineError>>) -> Self {
        Self { operation, source: error.into() }
    }

    pub(crate) fn of_io(operation: &'static str, error: std::io::Error) -> Self {
        Self { operation, source: Arc::new(error) }
    }
}

impl From<Failure> for StateError {
    fn from(Failure { operation, source }: Failure) -> Self {
        Self::Engine { operation, source }
    }
}

impl From<Failure> for SnapshotError {
    fn from(Failure { operation, source }: Failure) -> Self {
        Self::Engine { operation, source }
    }
}

impl From<Failure> for RestoreError {
    fn from(Failure { operation, source }: Failure) -> Self {
        Self::Engine { operation, source }
    }
}

impl Store {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, writes: write_options(), reads: ReadOptions::default() }
    }

    pub(crate) const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Fails if a write failed before.
    #[inline]
    pub(crate) fn check(&self, operation: &'static str) -> Result<(), Failure> {
        self.engine.check().map_err(|error| Failure::new(operation, error))
    }

    /// The value of a row, pinned where it lies.
    pub(crate) fn get(
        &self,
        column: &Column,
        row: &[u8],
    ) -> Result<Option<DBPinnableSlice<'_>>, Failure> {
        const OPERATION: &str = "read a row";
        self.check(OPERATION)?;
        let found = self.engine.db().get_pinned_cf_opt(&column, row, &self.reads);
        found.map_err(|error| Failure::new(OPERATION, EngineError::new(OPERATION, error)))
    }

    /// The values of rows in ascending order, in their order.
    pub(crate) fn get_sorted<'r>(
        &self,
        column: &Column,
        rows: impl IntoIterator<Item = &'r [u8]>,
    ) -> Result<Vec<Option<DBPinnableSlice<'_>>>, Failure> {
        const OPERATION: &str = "read rows";
        self.check(OPERATION)?;
        let db = self.engine.db();
        let found = db.batched_multi_get_cf_opt(&column, rows, true, &self.reads);
        let found = found.into_iter().collect::<Result<Vec<_>, _>>();
        found.map_err(|error| Failure::new(OPERATION, EngineError::new(OPERATION, error)))
    }

    pub(crate) fn put(&self, column: &Column, row: &[u8], value: &[u8]) -> Result<(), Failure> {
        const OPERATION: &str = "write a row";
        self.check(OPERATION)?;
        let written = self.engine.db().put_cf_opt(&column, row, value, &self.writes);
        self.written(OPERATION, written)
    }

    pub(crate) fn merge(&self, column: &Column, row: &[u8], value: &[u8]) -> Result<(), Failure> {
        const OPERATION: &str = "append to a row";
        self.check(OPERATION)?;
        let written = self.engine.db().merge_cf_opt(&column, row, value, &self.writes);
        self.written(OPERATION, written)
    }

    pub(crate) fn delete(&self, column: &Column, row: &[u8]) -> Result<(), Failure> {
        const OPERATION: &str = "delete a row";
        self.check(OPERATION)?;
        let written = self.engine.db().delete_cf_opt(&column, row, &self.writes);
        self.written(OPERATION, written)
    }

    /// Deletes all rows that begin with a prefix.
    pub(crate) fn delete_prefix(&self, column: &Column, prefix: &[u8]) -> Result<(), Failure> {
        let mut batch = Batch::new(self, column);
        let mut rows = self.rows(column, RowRange::of_prefix(prefix))?;
        while let Some((row, _)) = rows.row()? {
            batch.delete(row)?;
            rows.advance();
        }
        batch.finish()
    }

    /// The rows of a range as they are now.
    pub(crate) fn rows<'c>(
        &self,
        column: &'c Column,
        range: RowRange,
    ) -> Result<Rows<'c>, Failure> {
        self.scan(column, range, ScanOrder::Ascending)
    }

    /// The same, in any order.
    pub(crate) fn scan<'c>(
        &self,
        column: &'c Column,
        range: RowRange,
        order: ScanOrder,
    ) -> Result<Rows<'c>, Failure> {
        self.check(Rows::OPERATION)?;
        Rows::open_at(column, None, range, order)
    }

    /// Changes an option of an open column.
    pub(crate) fn set_column_option(
        &self,
        column: &Column,
        name: &str,
        value: &str,
    ) -> Result<(), Failure> {
        const OPERATION: &str = "set an option";
        let set = self.engine.db().set_options_cf(&column, &[(name, value)]);
        set.map_err(|error| Failure::new(OPERATION, EngineError::new(OPERATION, error)))
    }

    fn written(
        &self,
        operation: &'static str,
        outcome: Result<(), rocksdb::Error>,
    ) -> Result<(), Failure> {
        outcome.map_err(|error| {
            let cause = self.engine.poison(EngineError::new(operation, error));
            Failure::new(operation, cause)
        })
    }
}

/// A [`Cursor`] whose errors say what failed.
pub(crate) struct Rows<'c>(Cursor<'c>);

impl<'c> Rows<'c> {
    const OPERATION: &'static str = "go through rows";

    pub(crate) fn open(
        column: &'c Column,
        snapshot: Option<&'c Snapshot>,
        range: RowRange,
    ) -> Result<Self, Failure> {
        Self::open_at(column, snapshot, range, ScanOrder::Ascending)
    }

    fn open_at(
        column: &'c Column,
        snapshot: Option<&'c Snapshot>,
        range: RowRange,
        order: ScanOrder,
    ) -> Result<Self, Failure> {
        let cursor = Cursor::open(column, snapshot, range, order);
        cursor.map(Self).map_err(|error| Failure::new(Self::OPERATION, error))
    }

    pub(crate) fn row(&self) -> Result<Option<Row<'_>>, Failure> {
        self.0.row().map_err(|error| Failure::new(Self::OPERATION, error))
    }

    pub(crate) fn advance(&mut self) {
        self.0.advance();
    }

    /// Goes to the first row that does not begin with a prefix and is behind all that do.
    pub(crate) fn skip_prefix(&mut self, prefix: &[u8]) {
        match RowRange::of_prefix(prefix).end {
            Some(row) => self.0.seek(&row),
            None => {
                while matches!(self.0.row(), Ok(Some(_))) {
                    self.0.advance();
                }
            }
        }
    }
}

/// Writes rows of a column, a bounded number of bytes at a time or all at once.
pub(crate) struct Batch<'s> {
    store: &'s Store,
    column: &'s Column,
    pending: WriteBatch,
    /// Bytes from which it is written.
    limit_len_bytes: usize,
}

impl<'s> Batch<'s> {
    pub(crate) fn new(store: &'s Store, column: &'s Column) -> Self {
        let (pending, limit_len_bytes) = (WriteBatch::default(), BATCH_LEN_BYTES);
        Self { store, column, pending, limit_len_bytes }
    }

    /// One that writes nothing before it is finished: when it is dropped, nothing has happened.
    pub(crate) fn all_at_once(store: &'s Store, column: &'s Column) -> Self {
        Self { limit_len_bytes: usize::MAX, ..Self::new(store, column) }
    }

    pub(crate) fn put(&mut self, row: &[u8], value: &[u8]) -> Result<(), Failure> {
        self.pending.put_cf(&self.column, row, value);
        self.write_if_large()
    }

    pub(crate) fn delete(&mut self, row: &[u8]) -> Result<(), Failure> {
        self.pending.delete_cf(&self.column, row);
        self.write_if_large()
    }

    fn write_if_large(&mut self) -> Result<(), Failure> {
        if self.pending.size_in_bytes() < self.limit_len_bytes { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<(), Failure> {
        const OPERATION: &str = "write rows";
        self.store.check(OPERATION)?;
        let batch = std::mem::take(&mut self.pending);
        let written = self.store.engine.db().write_opt(batch, &self.store.writes);
        self.store.written(OPERATION, written)
    }

    /// Writes the rest.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        if self.pending.is_empty() { Ok(()) } else { self.write() }
    }
}
