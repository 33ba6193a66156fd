//! Restoring and rescaling from local files, with as many bytes as flink-benchmarks has in memory.
//!
//! ```sh
//! cargo bench -p alluvium-benches --bench rescaling                    # heap, nested, fs
//! cargo bench -p alluvium-benches --bench rescaling --features rocksdb -- rocksdb/rescale_out
//! ```
//!
//! Source: flink-benchmarks, `HashMapStateBackendRescalingBenchmarkExecutor`,
//! `RocksdbStateBackendRescalingBenchmarkExecutor`.

use std::time::Duration;

#[cfg(feature = "rocksdb")]
use alluvium_benches::cases::RESCALED_KEYS_ON_DISK;
use alluvium_benches::cases::{RESCALED_KEYS, Rescaling, Step};
use alluvium_fs::FsStateBackend;
use alluvium_heap::{HeapStateBackend, StateMapKind};
use alluvium_state::{SnapshotMode, StateBackend};
use criterion::Criterion;

const SAMPLES: usize = 10;
const MEASUREMENT: Duration = Duration::from_secs(5);

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(SAMPLES)
        .measurement_time(MEASUREMENT)
        .configure_from_args();
    let (keys, mode) = (RESCALED_KEYS, SnapshotMode::Full);
    for (name, map) in [("heap", StateMapKind::CopyOnWrite), ("nested", StateMapKind::Nested)] {
        steps(&mut criterion, name, || Rescaling::new(HeapStateBackend::new(map), keys, mode));
    }
    steps(&mut criterion, "fs", || Rescaling::new(FsStateBackend::default(), keys, mode));
    #[cfg(feature = "rocksdb")]
    {
        let dir = tempfile::tempdir().expect("a folder for temporary files");
        let backend = alluvium_rocksdb::RocksDbStateBackend::new(dir.path());
        let (keys, mode) = (RESCALED_KEYS_ON_DISK, SnapshotMode::Incremental);
        steps(&mut criterion, "rocksdb", || Rescaling::new(backend.clone(), keys, mode));
    }
    criterion.final_summary();
}

fn steps<S: StateBackend>(
    criterion: &mut Criterion,
    backend: &str,
    prepare: impl Fn() -> Rescaling<S>,
) {
    let mut group = criterion.benchmark_group(backend);
    let mut prepared = None;
    for step in Step::ALL {
        group.bench_function(step.name(), |bencher| {
            let rescaling = prepared.get_or_insert_with(&prepare);
            bencher.iter_custom(|times| (0..times).map(|_| rescaling.run(step).took).sum());
        });
    }
    group.finish();
}
