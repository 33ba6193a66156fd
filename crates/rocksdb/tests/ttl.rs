//! Random programs of states with a time to live, with memtables that become files now and then and
//! compactions that drop what has expired.

use std::path::Path;

use alluvium_rocksdb::RocksDbStateBackend;
use alluvium_testkit::model::run_ttl_program;

/// Seeds of the random programs.
const PROGRAMS: u64 = 20;
/// Steps of each program.
const STEPS: usize = 200;

#[test]
fn random_programs_of_states_that_expire_agree_with_the_model() {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    let backend = RocksDbStateBackend::new(base.join("alluvium-rocksdb-ttl"))
        .write_buffer_len_bytes(64 * 1024)
        .customize_column(|options| options.set_level_zero_file_num_compaction_trigger(1));
    for seed in 0..PROGRAMS {
        run_ttl_program(&backend, seed, STEPS);
    }
}
