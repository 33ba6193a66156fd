//! How long encoded keys, namespaces and user keys may be.
//!
//! RocksDB encodes them at every access and refuses long ones there. Backends that keep them as they
//! are refuse a key when its key group is asked for, and everything else when a snapshot is written,
//! which then fails; so no checkpoint has a longer one.
//!
//! Source: SPEC 9.

use alluvium_format::CodecError;

use crate::StateError;

/// Most bytes of an encoded key, namespace or user key.
pub const MAX_KEY_LEN_BYTES: usize = 64 * 1024;

/// Refuses an encoded key, namespace or user key that is too long.
///
/// Errors: [`StateError::TooLarge`].
#[inline]
pub fn check_key_len(what: &'static str, len_bytes: usize) -> Result<(), StateError> {
    if len_bytes <= MAX_KEY_LEN_BYTES {
        return Ok(());
    }
    let (found, limit) = (len_bytes as u64, MAX_KEY_LEN_BYTES as u64);
    Err(StateError::TooLarge { what, found, limit })
}

/// As [`check_key_len`], while a snapshot is written.
///
/// Errors: [`CodecError::TooLarge`].
#[inline]
pub fn check_written_key_len(what: &'static str, len_bytes: usize) -> Result<(), CodecError> {
    if len_bytes <= MAX_KEY_LEN_BYTES {
        return Ok(());
    }
    let (found, limit) = (len_bytes as u64, MAX_KEY_LEN_BYTES as u64);
    Err(CodecError::TooLarge { what, found, limit })
}
