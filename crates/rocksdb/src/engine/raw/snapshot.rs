//! A view of the rows at one moment.

use std::sync::Arc;

use librocksdb_sys as ffi;
use rocksdb::AsRawPtr;

use crate::engine::Engine;

/// The rows at one moment. It keeps the engine open, and can be used in any thread.
pub(crate) struct Snapshot {
    snapshot: *const ffi::rocksdb_snapshot_t,
    engine: Arc<Engine>,
}

// SAFETY: a snapshot of RocksDB is immutable and may be used and released in any thread.
unsafe impl Send for Snapshot {}
// SAFETY: as above.
unsafe impl Sync for Snapshot {}

impl Snapshot {
    pub(in crate::engine) fn take(engine: &Arc<Engine>) -> Self {
        // SAFETY: the database is open, and stays so as long as `engine` is held.
        let snapshot = unsafe { ffi::rocksdb_create_snapshot(engine.db().as_raw_ptr()) };
        Self { snapshot, engine: Arc::clone(engine) }
    }

    /// The sequence number of the last write that it sees.
    pub(crate) fn sequence_number(&self) -> u64 {
        // SAFETY: the snapshot is alive until it is dropped.
        unsafe { ffi::rocksdb_snapshot_get_sequence_number(self.snapshot) }
    }

    pub(crate) const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(super) const fn as_ptr(&self) -> *const ffi::rocksdb_snapshot_t {
        self.snapshot
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // SAFETY: it came from this database, which is still open, and is released once.
        unsafe { ffi::rocksdb_release_snapshot(self.engine.db().as_raw_ptr(), self.snapshot) };
    }
}
