//! Options of a database that the safe crate cannot set.

use std::ffi::c_int;

use librocksdb_sys as ffi;
use rocksdb::{AsRawPtr, Options};

/// Sets what the engine depends on; returns how many compactions may run at once.
///
/// Of `max_background_jobs`, `flushes` are for flushes and the rest for compactions, at least one.
pub(in crate::engine) fn prepare_options(options: &mut Options, flushes: c_int) -> c_int {
    // SAFETY: the options are alive, and only this function uses them now.
    unsafe {
        let raw = options.as_raw_ptr();
        let jobs = ffi::rocksdb_options_get_max_background_jobs(raw);
        let compactions = jobs.saturating_sub(flushes).max(1);
        ffi::rocksdb_options_set_max_background_flushes(raw, flushes);
        ffi::rocksdb_options_set_max_background_compactions(raw, compactions);
        // What is not in a checkpoint is not needed after the database is closed.
        ffi::rocksdb_options_set_avoid_flush_during_shutdown(raw, 1);
        // An error stays an error: the engine is poisoned by it.
        ffi::rocksdb_options_set_max_bgerror_resume_count(raw, 0);
        compactions
    }
}
