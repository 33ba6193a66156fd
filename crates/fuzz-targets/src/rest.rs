//! Target `rest`: requests to a running job, and addresses of one.
//!
//! Invariants checked: those of [`alluvium_rest::fuzzing`]; and memory: a value of JSON is two bytes at least
//! in a list, and an enum in memory, while the list grows; a path is parted at each byte.

use alluvium_rest::fuzzing::check_request;

use crate::bound::{bounded, listed};

/// A value of JSON in memory, in bytes; what `serde_json` keeps of a map comes on top.
const VALUE: usize = 96;

/// Runs the target.
///
/// Panics: where a check fails.
pub fn run(input: &[u8]) {
    bounded(input, listed(VALUE, 2) + listed(size_of::<&str>(), 1), || check_request(input));
}
