//! Compaction filters that change values: the safe crate takes new values of static lifetime only.
//!
//! Invariants:
//! - RocksDB owns factory and filters, and destroys each once;
//! - a filter is used by one thread at a time, a factory by several;
//! - a changed value lies in the buffer of its filter, which RocksDB copies before it calls again;
//! - no callback unwinds: after a panic a row is kept, and a compaction runs without a filter.

use std::ffi::{c_char, c_int, c_uchar, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use librocksdb_sys as ffi;
use rocksdb::{AsRawPtr, Options};

use super::call::bytes;
use crate::engine::{RowDecision, RowFilter, RowFilters};

const NAME: &std::ffi::CStr = c"alluvium.rows";

/// A filter and the last value that it changed.
struct State<F> {
    filter: F,
    changed: Vec<u8>,
}

/// Makes compactions of column families with these options ask filters.
pub(crate) fn set_row_filters<F: RowFilters>(options: &mut Options, filters: F) {
    let filters: *mut F = Box::into_raw(Box::new(filters));
    // SAFETY: `filters` is a box that `destroy` frees; every callback expects just that. The options
    // take the factory over.
    unsafe {
        let factory = ffi::rocksdb_compactionfilterfactory_create(
            filters.cast(),
            Some(destroy::<F>),
            Some(create::<F>),
            Some(name),
        );
        ffi::rocksdb_options_set_compaction_filter_factory(options.as_raw_ptr(), factory);
    }
}

/// # Safety
/// `boxed` is a `Box<T>` given away, and is not used afterwards.
unsafe extern "C" fn destroy<T>(boxed: *mut c_void) {
    // SAFETY: the precondition.
    drop(unsafe { Box::from_raw(boxed.cast::<T>()) });
}

/// # Safety
/// `filters` is what `set_row_filters` gave away, not destroyed yet.
unsafe extern "C" fn create<F: RowFilters>(
    filters: *mut c_void,
    _: *mut ffi::rocksdb_compactionfiltercontext_t,
) -> *mut ffi::rocksdb_compactionfilter_t {
    // SAFETY: the precondition; a factory is only read.
    let filters: &F = unsafe { &*filters.cast_const().cast() };
    let Ok(filter) = catch_unwind(AssertUnwindSafe(|| filters.begin())) else {
        return ptr::null_mut();
    };
    let state: *mut State<F::Filter> =
        Box::into_raw(Box::new(State { filter, changed: Vec::new() }));
    // SAFETY: `state` is a box that `destroy` frees; the callbacks expect just that. RocksDB takes
    // the filter over.
    unsafe {
        ffi::rocksdb_compactionfilter_create(
            state.cast(),
            Some(destroy::<State<F::Filter>>),
            Some(decide::<F::Filter>),
            Some(name),
        )
    }
}

/// # Safety
/// `state` is what `create` gave away, not destroyed yet, and in no other call; `row` and `value`
/// have these lengths; the last three can be written to.
unsafe extern "C" fn decide<F: RowFilter>(
    state: *mut c_void,
    _level: c_int,
    row: *const c_char,
    row_len: usize,
    value: *const c_char,
    value_len: usize,
    new_value: *mut *mut c_char,
    new_value_len: *mut usize,
    is_changed: *mut c_uchar,
) -> c_uchar {
    // SAFETY: the precondition; one thread uses a filter.
    let state: &mut State<F> = unsafe { &mut *state.cast() };
    // SAFETY: the precondition; both live during the call.
    let (row, value) = unsafe { (bytes(row, row_len), bytes(value, value_len)) };
    state.changed.clear();
    let State { filter, changed } = state;
    let decided = catch_unwind(AssertUnwindSafe(|| filter.decide(row, value, changed)));
    match decided {
        Ok(RowDecision::Keep) | Err(_) => 0,
        Ok(RowDecision::Remove) => 1,
        Ok(RowDecision::Change) => {
            // SAFETY: the precondition. The buffer lives as long as the filter, and is not touched
            // before the next call; until then RocksDB has copied it.
            unsafe {
                *new_value = state.changed.as_mut_ptr().cast();
                *new_value_len = state.changed.len();
                *is_changed = 1;
            }
            0
        }
    }
}

extern "C" fn name(_: *mut c_void) -> *const c_char {
    NAME.as_ptr()
}
