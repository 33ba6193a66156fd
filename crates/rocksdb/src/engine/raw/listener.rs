//! Callbacks that RocksDB makes from its background threads.
//!
//! Invariants:
//! - RocksDB owns one count of the [`EngineState`] and gives it up when the last database and the
//!   last options with the listener are gone;
//! - no callback unwinds: a panic poisons the engine.

use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;

use librocksdb_sys as ffi;
use rocksdb::{AsRawPtr, Options};

use super::call::{bytes, taken};
use crate::engine::EngineError;
use crate::engine::listener::EngineState;

const IN_BACKGROUND: &str = "work in the background";

/// Makes databases opened with these options tell `state` what they do.
pub(in crate::engine) fn add_listener(options: &mut Options, state: &Arc<EngineState>) {
    let state = Arc::into_raw(Arc::clone(state)).cast_mut().cast();
    // SAFETY: `state` is a count of an `Arc<EngineState>` that `destroy` gives back; every callback
    // is there and expects just that. The options take the listener over.
    unsafe {
        let listener = ffi::rocksdb_eventlistener_create(
            state,
            Some(destroy),
            Some(on_flush_begin),
            Some(on_flush_completed),
            Some(on_compaction_begin),
            Some(on_compaction_completed),
            Some(on_subcompaction),
            Some(on_subcompaction),
            Some(on_file_ingested),
            Some(on_background_error),
            Some(on_stall_conditions_changed),
            Some(on_memtable_sealed),
        );
        ffi::rocksdb_options_add_eventlistener(options.as_raw_ptr(), listener);
    }
}

/// Runs a callback.
///
/// # Safety
/// `state` is what `add_listener` gave to RocksDB, and `destroy` was not called yet.
unsafe fn with(state: *mut c_void, callback: impl FnOnce(&EngineState)) {
    // SAFETY: the precondition.
    let state: &EngineState = unsafe { &*state.cast_const().cast() };
    if catch_unwind(AssertUnwindSafe(|| callback(state))).is_err() {
        // A second panic cannot happen here but for want of memory, which aborts.
        state.poison(EngineError::new(IN_BACKGROUND, "a callback panicked"));
    }
}

/// # Safety
/// `state` is what `add_listener` gave to RocksDB; nobody uses it afterwards.
unsafe extern "C" fn destroy(state: *mut c_void) {
    // SAFETY: the precondition: the count that `add_listener` gave away, given back once.
    drop(unsafe { Arc::from_raw(state.cast_const().cast::<EngineState>()) });
}

/// # Safety
/// As of `with`; `info` is alive during the call.
unsafe extern "C" fn on_flush_completed(
    state: *mut c_void,
    _: *mut ffi::rocksdb_t,
    info: *const ffi::rocksdb_flushjobinfo_t,
) {
    let mut len = 0;
    // SAFETY: the info is alive during the callback.
    let (name, largest_seqno) = unsafe {
        let name = ffi::rocksdb_flushjobinfo_cf_name(info, &raw mut len);
        (bytes(name, len), ffi::rocksdb_flushjobinfo_largest_seqno(info))
    };
    if name == b"default" {
        // SAFETY: what RocksDB gives is what it was given.
        unsafe { with(state, |state| state.flush_completed(largest_seqno)) };
    }
}

/// # Safety
/// As of `with`.
unsafe extern "C" fn on_compaction_begin(
    state: *mut c_void,
    _: *mut ffi::rocksdb_t,
    _: *const ffi::rocksdb_compactionjobinfo_t,
) {
    // SAFETY: as above. RocksDB does not hold its mutex here, so waiting is allowed.
    unsafe { with(state, EngineState::pass_gate) };
}

/// # Safety
/// As of `with`; `status` is alive during the call.
unsafe extern "C" fn on_background_error(
    state: *mut c_void,
    reason: u32,
    status: *mut ffi::rocksdb_status_ptr_t,
) {
    let mut error: *mut c_char = ptr::null_mut();
    // SAFETY: the status is alive during the callback; the message is ours.
    let told = unsafe {
        ffi::rocksdb_status_ptr_get_error(status, &raw mut error);
        taken(IN_BACKGROUND, error)
    };
    let error = match told {
        Err(EngineError::RocksDb { operation, message }) => {
            EngineError::new(operation, format!("{message} (reason {reason})"))
        }
        Err(error) => error,
        Ok(()) => EngineError::new(IN_BACKGROUND, format!("no cause given (reason {reason})")),
    };
    // SAFETY: as above.
    unsafe { with(state, |state| drop(state.poison(error))) };
}

extern "C" fn on_flush_begin(
    _: *mut c_void,
    _: *mut ffi::rocksdb_t,
    _: *const ffi::rocksdb_flushjobinfo_t,
) {
}

extern "C" fn on_compaction_completed(
    _: *mut c_void,
    _: *mut ffi::rocksdb_t,
    _: *const ffi::rocksdb_compactionjobinfo_t,
) {
}

extern "C" fn on_subcompaction(_: *mut c_void, _: *const ffi::rocksdb_subcompactionjobinfo_t) {}

extern "C" fn on_file_ingested(
    _: *mut c_void,
    _: *mut ffi::rocksdb_t,
    _: *const ffi::rocksdb_externalfileingestioninfo_t,
) {
}

extern "C" fn on_stall_conditions_changed(_: *mut c_void, _: *const ffi::rocksdb_writestallinfo_t) {
}

extern "C" fn on_memtable_sealed(_: *mut c_void, _: *const ffi::rocksdb_memtableinfo_t) {}
