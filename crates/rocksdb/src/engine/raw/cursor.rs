//! Goes through a range of rows, now or as they were at a snapshot.
//!
//! The safe crate's iterator takes only the safe crate's snapshots, which borrow the database.
//!
//! Invariants: a cursor borrows column and snapshot, which keep their database open; both are of the
//! same one.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use alluvium_state::ScanOrder;
use librocksdb_sys as ffi;
use rocksdb::AsRawPtr;

use super::Snapshot;
use super::call::{bytes, call};
use crate::engine::{Column, EngineError};
use crate::row_key::RowRange;

const OPERATION: &str = "go through rows";

/// Key and value of a row.
pub(crate) type Row<'r> = (&'r [u8], &'r [u8]);

/// Rows of a range, in ascending or descending order.
pub(crate) struct Cursor<'c> {
    iterator: NonNull<ffi::rocksdb_iterator_t>,
    options: NonNull<ffi::rocksdb_readoptions_t>,
    order: ScanOrder,
    /// The options point into these bytes.
    _range: Box<RowRange>,
    borrowed: PhantomData<(&'c Column, &'c Snapshot)>,
}

impl<'c> Cursor<'c> {
    /// Stands at the first row of the range, or at the last one if the order is descending. Rows
    /// come as they are in the snapshot, or now.
    pub(crate) fn open(
        column: &'c Column,
        snapshot: Option<&'c Snapshot>,
        range: RowRange,
        order: ScanOrder,
    ) -> Result<Self, EngineError> {
        let (db, range) = (column.engine().db(), Box::new(range));
        if snapshot.is_some_and(|snapshot| !Arc::ptr_eq(snapshot.engine(), column.engine())) {
            return Err(EngineError::new(OPERATION, "the snapshot is of another engine"));
        }
        let none = || EngineError::new(OPERATION, "no memory");
        // SAFETY: the call has no preconditions.
        let options =
            NonNull::new(unsafe { ffi::rocksdb_readoptions_create() }).ok_or_else(none)?;
        let raw = options.as_ptr();
        // SAFETY: the options are alive. They keep pointers to the bounds, whose heap memory stays
        // where it is, and to the snapshot: `Cursor` owns the former and borrows the latter, and
        // its iterator is destroyed before both.
        unsafe {
            let first = &range.first;
            ffi::rocksdb_readoptions_set_iterate_lower_bound(
                raw,
                first.as_ptr().cast(),
                first.len(),
            );
            if let Some(end) = &range.end {
                ffi::rocksdb_readoptions_set_iterate_upper_bound(
                    raw,
                    end.as_ptr().cast(),
                    end.len(),
                );
            }
            // A job may have set a prefix extractor, and ranges cross prefixes.
            ffi::rocksdb_readoptions_set_total_order_seek(raw, 1);
            if let Some(snapshot) = snapshot {
                ffi::rocksdb_readoptions_set_snapshot(raw, snapshot.as_ptr());
                // What is read once to be written elsewhere should not drive out what is in use.
                ffi::rocksdb_readoptions_set_fill_cache(raw, 0);
            }
        }
        // SAFETY: database, options and column are alive; the column is one of the database.
        let iterator = unsafe {
            ffi::rocksdb_create_iterator_cf(db.as_raw_ptr(), raw, column.handle().as_ptr())
        };
        let Some(iterator) = NonNull::new(iterator) else {
            // SAFETY: nobody else has the options.
            unsafe { ffi::rocksdb_readoptions_destroy(raw) };
            return Err(none());
        };
        // SAFETY: the iterator is alive. Both places are looked for within the bounds.
        unsafe {
            match order {
                ScanOrder::Ascending => ffi::rocksdb_iter_seek_to_first(iterator.as_ptr()),
                ScanOrder::Descending => ffi::rocksdb_iter_seek_to_last(iterator.as_ptr()),
            }
        }
        Ok(Self { iterator, options, order, _range: range, borrowed: PhantomData })
    }

    /// Key and value of the row at hand; `None` after the last.
    pub(crate) fn row(&self) -> Result<Option<Row<'_>>, EngineError> {
        let raw = self.iterator.as_ptr();
        // SAFETY: the iterator is alive.
        if unsafe { ffi::rocksdb_iter_valid(raw) } == 0 {
            return self.status().map(|()| None);
        }
        let (mut key_len, mut value_len) = (0, 0);
        // SAFETY: the iterator stands at a row. What it gives is alive until it is moved, for
        // which `self` must be borrowed exclusively.
        unsafe {
            let key = ffi::rocksdb_iter_key(raw, &raw mut key_len);
            let value = ffi::rocksdb_iter_value(raw, &raw mut value_len);
            Ok(Some((bytes(key, key_len), bytes(value, value_len))))
        }
    }

    /// Goes to the next row of its order, if there is one at hand.
    pub(crate) fn advance(&mut self) {
        let raw = self.iterator.as_ptr();
        // SAFETY: the iterator is alive, and is moved only when it stands at a row.
        unsafe {
            if ffi::rocksdb_iter_valid(raw) != 0 {
                match self.order {
                    ScanOrder::Ascending => ffi::rocksdb_iter_next(raw),
                    ScanOrder::Descending => ffi::rocksdb_iter_prev(raw),
                }
            }
        }
    }

    /// Goes to the first row of the range from this one on, whatever the order.
    pub(crate) fn seek(&mut self, row: &[u8]) {
        // SAFETY: the iterator is alive, and the bytes are read during the call only.
        unsafe {
            ffi::rocksdb_iter_seek(self.iterator.as_ptr(), row.as_ptr().cast(), row.len());
        }
    }

    fn status(&self) -> Result<(), EngineError> {
        // SAFETY: the iterator is alive.
        unsafe { call!(OPERATION, rocksdb_iter_get_error(self.iterator.as_ptr())) }
    }
}

impl Drop for Cursor<'_> {
    fn drop(&mut self) {
        // SAFETY: both are destroyed once, the iterator before the options that it was made with.
        unsafe {
            ffi::rocksdb_iter_destroy(self.iterator.as_ptr());
            ffi::rocksdb_readoptions_destroy(self.options.as_ptr());
        }
    }
}
