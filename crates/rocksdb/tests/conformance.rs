//! The conformance suite and some random programs, with full snapshots and where incremental ones
//! are asked for. Thousands of programs are in `programs.rs`.

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

/// Every snapshot is restored aside; those of `programs.rs` restore some. Memtables of 64 KiB in every
/// second program, so that programs meet files.
#[test]
fn random_programs_agree_with_the_model() {
    let backends = [backend(), backend().write_buffer_len_bytes(64 * 1024)];
    for (seed, backend) in (0..PROGRAMS).zip(backends.iter().cycle()) {
        run_program(backend, seed, STEPS);
    }
}
