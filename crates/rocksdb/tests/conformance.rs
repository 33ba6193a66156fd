//! The conformance suite and random programs, with full snapshots and where incremental ones are
//! asked for.

use std::path::Path;

use alluvium_rocksdb::RocksDbStateBackend;
use alluvium_testkit::model::run_program;

/// Seeds of the random programs.
const PROGRAMS: u64 = 40;
/// Steps of each program.
const STEPS: usize = 300;

/// Works in memory where the system has a folder for that: each new database syncs its files.
fn backend() -> RocksDbStateBackend {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    RocksDbStateBackend::new(base.join("alluvium-rocksdb-conformance"))
}

alluvium_testkit::conformance_tests!(backend());

#[test]
fn random_programs_agree_with_the_model() {
    let backend = backend();
    for seed in 0..PROGRAMS {
        run_program(&backend, seed, STEPS);
    }
}

/// Memtables of 64 KiB, so that programs and cases meet files.
#[test]
fn random_programs_with_small_memtables_agree_with_the_model() {
    let backend = backend().write_buffer_len_bytes(64 * 1024);
    for seed in PROGRAMS..2 * PROGRAMS {
        run_program(&backend, seed, STEPS);
    }
}
