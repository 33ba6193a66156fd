//! Thousands of random programs, which agree with the model and with the heap backend.
//!
//! The short run is part of all tests; `make programs BACKEND=rocksdb` runs as many as it is told.
//! Opening a database costs a hundred times more than anything else in a program, so every eighth
//! snapshot is restored aside, besides those that the program goes on from.

use std::path::Path;

use alluvium_heap::HeapStateBackend;
use alluvium_rocksdb::RocksDbStateBackend;
use alluvium_testkit::model::Programs;

/// Programs of the short run.
const PROGRAMS: u64 = 2_000;
/// Operations of each.
const OPERATIONS: usize = 500;

/// Works in memory where the system has a folder for that, and takes little of it.
fn backend() -> RocksDbStateBackend {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    RocksDbStateBackend::new(base.join("alluvium-rocksdb-programs"))
        .customize_database(|options| options.set_manifest_preallocation_size(4096))
}

#[test]
fn programs_on_rocksdb() {
    let backends = [backend(), backend().write_buffer_len_bytes(64 * 1024)];
    let heap = HeapStateBackend::default();
    let programs = Programs::from_environment(PROGRAMS, OPERATIONS);
    let programs = Programs { restored_one_in: 8, ..programs };
    let digests = programs.digests(|program| {
        // Every second one with small memtables, so that it meets files.
        let [large, small] = &backends;
        let contents = program.run(if program.seed() % 2 == 0 { large } else { small });
        assert_eq!(contents, program.run(&heap), "{program:?}");
        contents
    });
    assert_eq!(digests.len() as u64, programs.seeds.end - programs.seeds.start);
    println!(
        "rocksdb: {} programs of {OPERATIONS} operations agree with the model and with heap, \
         seeds {:?}",
        digests.len(),
        programs.seeds
    );
}
