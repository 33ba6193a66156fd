//! Target `metadata`: `_metadata`, with its handles (SPEC 8).
//!
//! Invariants checked:
//! - nothing panics, whatever the bytes are;
//! - memory: a subtask without state is one byte in the stream and a [`SubtaskState`] in memory, and a
//!   shared file is 15 bytes, and a [`SharedFile`] and its path twice at least; the larger of these, for each
//!   byte of the input, in lists that grow. Max parallelism bounds it as well: 32,768 subtasks for an operator;
//! - what is read can be written, and is then read as the same.

use alluvium_core::{SharedFile, SubtaskState};
use alluvium_format::envelope::StreamKind;
use alluvium_format::metadata::{read_metadata, write_metadata};

use crate::bound::{bounded, listed};
use crate::framed::stream;

/// A short path, and its place in the set of those that came, in bytes.
const PATHS: usize = 24 + 48;

/// Runs the target.
///
/// Panics: where a check fails.
pub fn run(input: &[u8]) {
    let bytes = stream(input, StreamKind::Metadata);
    let of_shared = listed(size_of::<SharedFile>() + PATHS, 15);
    let factor = listed(size_of::<SubtaskState>(), 1).max(of_shared);
    let Ok(metadata) = bounded(&bytes.clone(), factor, || read_metadata(bytes)) else { return };
    let Ok(written) = write_metadata(&metadata) else { panic!("cannot be written: {metadata:?}") };
    match read_metadata(written.into()) {
        Ok(again) => assert_eq!(again, metadata, "what was written"),
        Err(error) => panic!("what was written is refused: {error}"),
    }
}
