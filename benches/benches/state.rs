//! Operations on state, by the names and sizes of flink-benchmarks, for each backend.
//!
//! ```sh
//! cargo bench -p alluvium-benches --bench state                        # heap and nested
//! cargo bench -p alluvium-benches --bench state -- heap/value_get
//! cargo bench -p alluvium-benches --bench state --features rocksdb     # RocksDB as well
//! ```
//!
//! A name is `backend/case`, or `backend/ttl_.../case` where state expires. State is filled before
//! the first case that runs on it.
//!
//! Source: flink-benchmarks, `StateBenchmarkBase`, `TtlStateBenchmarkBase`.

use std::sync::Arc;
use std::time::Duration;

use alluvium_benches::cases::{Case, Expiry, KEY_GROUPS, KEYS, Kind, Subject};
use alluvium_benches::null_storage::NullStorage;
use alluvium_benches::targets;
use alluvium_format::codec::DefaultCodec;
use alluvium_heap::{HeapStateBackend, StateMapKind};
use alluvium_state::{KeyedStateBackend, StateBackend, UpdateType};
use alluvium_storage::{HandleReader, ReadAccess};
use criterion::Criterion;

const SAMPLES: usize = 20;
const WARM_UP: Duration = Duration::from_millis(500);
const MEASUREMENT: Duration = Duration::from_secs(2);

/// How state expires, and what that is called.
const EXPIRIES: [(&str, Option<Expiry>); 4] = [
    ("", None),
    (
        "/ttl_never_expired",
        Some(Expiry { percent_per_run: 0, update: UpdateType::OnCreateAndWrite }),
    ),
    (
        "/ttl_expire_3_percent",
        Some(Expiry { percent_per_run: 3, update: UpdateType::OnCreateAndWrite }),
    ),
    (
        "/ttl_never_expired_on_read_and_write",
        Some(Expiry { percent_per_run: 0, update: UpdateType::OnReadAndWrite }),
    ),
];

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(SAMPLES)
        .warm_up_time(WARM_UP)
        .measurement_time(MEASUREMENT)
        .configure_from_args();
    for (name, map) in [("heap", StateMapKind::CopyOnWrite), ("nested", StateMapKind::Nested)] {
        cases(&mut criterion, name, || open(&HeapStateBackend::new(map)));
    }
    #[cfg(feature = "rocksdb")]
    {
        let dir = tempfile::tempdir().expect("a folder for temporary files");
        let backend = alluvium_rocksdb::RocksDbStateBackend::new(dir.path());
        cases(&mut criterion, "rocksdb", || open(&backend));
    }
    criterion.final_summary();
}

fn open<S: StateBackend>(backend: &S) -> S::Keyed<u64, DefaultCodec> {
    let nowhere = HandleReader::new(Arc::new(NullStorage::default()), ReadAccess::Copy);
    let spec = targets::spec_of::<u64>(0, 1, KEY_GROUPS);
    backend.open(spec, &[], &nowhere).expect("nothing to restore")
}

fn cases<B: KeyedStateBackend<Key = u64>>(
    criterion: &mut Criterion,
    backend: &str,
    open: impl Fn() -> B,
) {
    for (expiry_name, expiry) in EXPIRIES {
        let mut group = criterion.benchmark_group(format!("{backend}{expiry_name}"));
        for kind in Kind::ALL {
            let mut filled = None;
            for case in kind.cases() {
                group.bench_function(case.name(), |bencher| {
                    let subject =
                        filled.get_or_insert_with(|| Subject::new(open(), kind, KEYS, expiry));
                    bencher.iter_custom(|operations| run(subject, case, operations));
                });
            }
        }
        group.finish();
    }
}

/// In runs of all keys at most, so that keys that are added are new ones.
fn run<B: KeyedStateBackend<Key = u64>>(
    subject: &mut Subject<B>,
    case: Case,
    operations: u64,
) -> Duration {
    let mut took = Duration::ZERO;
    let mut left = operations;
    while left > 0 {
        let some = left.min(KEYS);
        took += subject.run(case, some).took;
        left -= some;
    }
    took
}
