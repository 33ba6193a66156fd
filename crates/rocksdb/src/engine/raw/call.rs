//! Strings and errors of the C API.

use std::ffi::{CStr, CString, c_char};

use librocksdb_sys as ffi;

use crate::engine::EngineError;

/// Takes the message out of an error pointer of the C API.
///
/// # Safety
/// `error` is null, or a string that RocksDB allocated and gave up.
pub(super) unsafe fn taken(operation: &'static str, error: *mut c_char) -> Result<(), EngineError> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: not null, so a string with a final zero byte (precondition).
    let message = unsafe { CStr::from_ptr(error) }.to_string_lossy().into_owned();
    // SAFETY: RocksDB allocated it, and nobody uses it any more.
    unsafe { ffi::rocksdb_free(error.cast()) };
    Err(EngineError::new(operation, message))
}

/// Calls a function of the C API whose last parameter is an error pointer.
macro_rules! call {
    ($operation:expr, $function:ident($($argument:expr),* $(,)?)) => {{
        let mut error: *mut std::ffi::c_char = std::ptr::null_mut();
        let result = librocksdb_sys::$function($($argument,)* &raw mut error);
        $crate::engine::raw::call::taken($operation, error).map(|()| result)
    }};
}
pub(super) use call;

/// A string for the C API.
pub(super) fn c_string(text: &[u8]) -> Result<CString, EngineError> {
    CString::new(text).map_err(|error| EngineError::new("use a name with a zero byte", error))
}

/// The bytes of a string of the C API.
///
/// # Safety
/// `text` is null or points to `len` bytes that live for `'a` and are not written to.
pub(super) unsafe fn bytes<'a>(text: *const c_char, len: usize) -> &'a [u8] {
    if text.is_null() {
        return &[];
    }
    // SAFETY: the precondition.
    unsafe { std::slice::from_raw_parts(text.cast(), len) }
}
