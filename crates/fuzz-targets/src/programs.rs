//! Target `programs`: one random program on several backends.
//!
//! The input is the seed of a program (`u64`, little endian) and its number of steps (`u8`).
//!
//! Invariants checked: a heap backend with copy-on-write maps, one with small segments, one with nested
//! maps and the model backend do what the model says after every step, and end with the same contents.
//! With the feature `rocksdb` that one does too.
//! Memory: a program holds state, its model and its snapshots; so much for each step, and something to begin with.

use alluvium_heap::{HeapStateBackend, StateMapKind};
use alluvium_testkit::backend::ModelStateBackend;
use alluvium_testkit::model::Program;

use crate::bound::limited;

/// What a program may take, in bytes: at the beginning, and for each step.
const FIRST_LEN_BYTES: u64 = 8 << 20;
const STEP_LEN_BYTES: u64 = 64 << 10;

/// Runs the target.
///
/// Panics: where a check fails.
pub fn run(input: &[u8]) {
    let Some((&seed, rest)) = input.split_first_chunk() else { return };
    let steps = rest.first().copied().unwrap_or(40);
    let limit = FIRST_LEN_BYTES + STEP_LEN_BYTES * u64::from(steps);
    limited(limit, || run_program(seed, usize::from(steps)));
}

fn run_program(seed: [u8; 8], steps: usize) {
    let program = Program::new(u64::from_le_bytes(seed), steps).restored_one_in(7);
    let contents = program.run(&ModelStateBackend::new());
    let copy_on_write = HeapStateBackend::new(StateMapKind::CopyOnWrite);
    assert_eq!(program.run(&copy_on_write), contents, "copy-on-write maps");
    assert_eq!(program.run(&copy_on_write.max_segment_entries(3)), contents, "small segments");
    let nested = HeapStateBackend::new(StateMapKind::Nested);
    assert_eq!(program.run(&nested), contents, "nested maps");
    #[cfg(feature = "rocksdb")]
    assert_eq!(on_rocksdb(program), contents, "RocksDB");
}

#[cfg(feature = "rocksdb")]
fn on_rocksdb(program: Program) -> alluvium_testkit::model::Contents {
    let dir = match tempfile::tempdir() {
        Ok(dir) => dir,
        Err(error) => panic!("no folder for RocksDB: {error}"),
    };
    // Small memtables, so that a program meets files.
    let backend = alluvium_rocksdb::RocksDbStateBackend::new(dir.path());
    program.run(&backend.write_buffer_len_bytes(64 * 1024))
}
