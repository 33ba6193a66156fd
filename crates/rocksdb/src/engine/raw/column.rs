//! The handle of a column family.

use std::ptr::NonNull;

use librocksdb_sys as ffi;
use rocksdb::{AsRawPtr, DB, Options};

use super::call::{c_string, call};
use crate::engine::EngineError;

/// The handle of a column family, closed when it is dropped; the database must outlive it.
pub(in crate::engine) struct ColumnHandle(NonNull<ffi::rocksdb_column_family_handle_t>);

// SAFETY: RocksDB allows every use of a column family handle from any thread; it is closed once,
// by its only owner.
unsafe impl Send for ColumnHandle {}
// SAFETY: as above.
unsafe impl Sync for ColumnHandle {}

impl ColumnHandle {
    pub(in crate::engine) fn create(
        db: &DB,
        name: &str,
        options: &Options,
    ) -> Result<Self, EngineError> {
        const OPERATION: &str = "create a column family";
        let name = c_string(name.as_bytes())?;
        // SAFETY: database and options are alive during the call, the name ends with a zero byte.
        let handle = unsafe {
            call!(
                OPERATION,
                rocksdb_create_column_family(db.as_raw_ptr(), options.as_raw_ptr(), name.as_ptr())
            )
        }?;
        Self::new(OPERATION, handle)
    }

    pub(super) fn new(
        operation: &'static str,
        handle: *mut ffi::rocksdb_column_family_handle_t,
    ) -> Result<Self, EngineError> {
        NonNull::new(handle).map(Self).ok_or_else(|| EngineError::new(operation, "no handle"))
    }

    /// Drops the column family; its files go when the handle does.
    pub(in crate::engine) fn drop_family(&self, db: &DB) -> Result<(), EngineError> {
        // SAFETY: database and handle are alive, and belong together: the owner of the handle is
        // made with its database.
        unsafe {
            call!(
                "drop a column family",
                rocksdb_drop_column_family(db.as_raw_ptr(), self.0.as_ptr())
            )
        }
    }

    pub(in crate::engine) const fn as_ptr(&self) -> *mut ffi::rocksdb_column_family_handle_t {
        self.0.as_ptr()
    }
}

impl Drop for ColumnHandle {
    fn drop(&mut self) {
        // SAFETY: the handle came from RocksDB, is closed once, and its database is still open:
        // the column holds it and drops its handle first.
        unsafe { ffi::rocksdb_column_family_handle_destroy(self.0.as_ptr()) };
    }
}
