//! Flushing several column families as one.

use librocksdb_sys as ffi;
use rocksdb::{AsRawPtr, DB};

use super::ColumnHandle;
use super::call::call;
use crate::engine::EngineError;

/// Whether to wait until the files are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum FlushWait {
    /// Only switch the memtables.
    No,
    /// Also wait for the flush.
    Yes,
}

/// Flushes the default column family and these, as one atomic flush.
pub(in crate::engine) fn flush<'a>(
    db: &DB,
    columns: impl Iterator<Item = &'a ColumnHandle>,
    wait: FlushWait,
) -> Result<(), EngineError> {
    const OPERATION: &str = "flush";
    // SAFETY: the database is open. The handle is the database's own, alive until it is closed,
    // and is only used in this function.
    let default = unsafe { ffi::rocksdb_get_default_column_family_handle(db.as_raw_ptr()) };
    let default = Default(default);
    let mut handles = vec![default.0];
    handles.extend(columns.map(ColumnHandle::as_ptr));
    let count = i32::try_from(handles.len()).map_err(|error| EngineError::new(OPERATION, error))?;
    let options = FlushOptions::new(wait);
    // SAFETY: database, options and handles are alive during the call, and `handles` has `count`
    // of them.
    unsafe {
        call!(OPERATION, rocksdb_flush_cfs(db.as_raw_ptr(), options.0, handles.as_mut_ptr(), count))
    }
}

/// The box around the handle of the default column family; the handle itself stays.
struct Default(*mut ffi::rocksdb_column_family_handle_t);

impl Drop for Default {
    fn drop(&mut self) {
        // SAFETY: the box is ours; RocksDB marks it so that the handle inside is left alone.
        unsafe { ffi::rocksdb_column_family_handle_destroy(self.0) };
    }
}

struct FlushOptions(*mut ffi::rocksdb_flushoptions_t);

impl FlushOptions {
    fn new(wait: FlushWait) -> Self {
        // SAFETY: the options are made here and destroyed once.
        unsafe {
            let options = ffi::rocksdb_flushoptions_create();
            ffi::rocksdb_flushoptions_set_wait(options, u8::from(wait == FlushWait::Yes));
            ffi::rocksdb_flushoptions_set_allow_write_stall(options, 1);
            Self(options)
        }
    }
}

impl Drop for FlushOptions {
    fn drop(&mut self) {
        // SAFETY: made in `new`, destroyed once.
        unsafe { ffi::rocksdb_flushoptions_destroy(self.0) };
    }
}
