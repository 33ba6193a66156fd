//! A crash at every operation of the storage in turn: the next run restores the last completed
//! checkpoint and ends in exactly the right result. And a disk that is full at every operation.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use alluvium::coordinator::{CoordinatorConfig, RestartStrategy};
use alluvium::core::{JobId, OperatorUid, StoragePath};
use alluvium::heap::HeapStateBackend;
use alluvium::runtime::{
    CheckpointStore, JobConfig, JobError, OperatorUids, SystemClock, TokioHost,
};
use alluvium::state::{SnapshotMode, StateBackend};
use alluvium::storage::{Storage, StreamPolicy};
use alluvium_cli::jobs::JobOn;
use alluvium_cli::jobs::wordcount::Wordcount;
use alluvium_testkit::faulty::{Fault, FaultyStorage, StorageOperation};

const WORDS: u64 = 4_000;

fn text() -> String {
    (0..WORDS).map(|i| format!("word{}\n", i % 97)).collect()
}

fn expected() -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for i in 0..WORDS {
        *counts.entry(format!("word{}", i % 97)).or_default() += 1;
    }
    counts
}

fn config() -> JobConfig {
    let uid = |name: &str| OperatorUid::new(name).unwrap();
    JobConfig {
        parallelism: 2,
        checkpoints: CoordinatorConfig::new().interval_ms(Some(8)).retained(2),
        restart: RestartStrategy::None,
        // Everything is a file, so that everything is an operation.
        streams: StreamPolicy { inline_below_bytes: 0, ..StreamPolicy::files() },
        snapshot_mode: SnapshotMode::Incremental,
        records_per_s: Some(60_000.0),
        hash_seed: 7,
        ..JobConfig::new(
            OperatorUids { source: uid("source"), operator: uid("operator"), sink: uid("sink") },
            Arc::new(SystemClock),
            Arc::new(TokioHost::new()),
        )
    }
}

/// Runs the job once; the table it comes to.
fn run<B, J>(
    backend: &B,
    storage: &Arc<dyn Storage>,
    input: &[PathBuf],
    config: JobConfig,
) -> Result<BTreeMap<String, u64>, JobError>
where
    B: StateBackend,
    J: JobOn<B>,
{
    let below = |name: &str| storage.below(&StoragePath::new(name).unwrap()).unwrap();
    let job = Arc::new(J::open(input, below("output")).unwrap());
    let id = JobId::new("crash").unwrap();
    let store = Arc::new(CheckpointStore::open_exclusive(&*below("checkpoints"), id)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let run = alluvium::runtime::run::<J::Key, _, _>(job, backend.clone(), store, config);
    let outcome = runtime.block_on(run)?;
    let rows = outcome.results.into_iter().flatten();
    let count = |line: String| line.rsplit_once(',').unwrap().1.parse().unwrap();
    Ok(rows.map(|(word, line)| (word, count(line))).collect())
}

/// How many times each line was committed, and how many lines.
fn committed(storage: &Arc<dyn Storage>) -> usize {
    let updates = StoragePath::new("output/updates").unwrap();
    let mut lines = std::collections::BTreeSet::new();
    let mut count = 0;
    for entry in storage.list(Some(&updates)).unwrap() {
        if entry.name.starts_with("part-") {
            let bytes = storage.read_all(&updates.join(&entry.name).unwrap()).unwrap();
            for line in std::str::from_utf8(&bytes).unwrap().lines() {
                assert!(lines.insert(line.to_owned()), "{line} was committed twice");
                count += 1;
            }
        }
    }
    count
}

/// A fault at every operation, or at every one of `step`.
fn every_fault<B, J>(
    (name, backend, step): (&str, &B, usize),
    count: impl Fn(&FaultyStorage) -> u64,
    fault: impl Fn(u64) -> Fault,
) where
    B: StateBackend,
    J: JobOn<B>,
{
    let dir = tempfile::tempdir().unwrap();
    let input = vec![dir.path().join("text")];
    std::fs::write(&input[0], text()).unwrap();
    let fresh = |n: u64| {
        let inner = alluvium::storage::open(&format!("memory:{name}-{n}")).unwrap();
        FaultyStorage::new(inner)
    };
    let calm = fresh(0);
    let storage: Arc<dyn Storage> = Arc::new(calm.clone());
    assert_eq!(run::<B, J>(backend, &storage, &input, config()).unwrap(), expected());
    let operations = count(&calm);
    let (mut failed, mut ended) = (0, 0);
    for n in (1..=operations).step_by(step) {
        let faulty = fresh(n);
        faulty.set_fault(Some(fault(n)));
        let storage: Arc<dyn Storage> = Arc::new(faulty.clone());
        match run::<B, J>(backend, &storage, &input, config()) {
            Ok(table) => {
                ended += 1;
                assert_eq!(table, expected(), "operation {n}");
            }
            Err(error) => {
                failed += 1;
                assert_eq!(error.to_string().lines().count(), 1, "{error}");
            }
        }
        // The next process sees the storage as the crash left it.
        let after = faulty.inner();
        let again = JobConfig { parallelism: 3, records_per_s: None, ..config() };
        let table = run::<B, J>(backend, after, &input, again)
            .unwrap_or_else(|error| panic!("operation {n}: {error}"));
        assert_eq!(table, expected(), "operation {n}");
        assert_eq!(committed(after) as u64, WORDS, "operation {n}");
    }
    println!("{name}: {operations} operations, {failed} runs failed, {ended} ended all the same");
    assert!(failed > ended, "most faults must be noticed: {failed} of {}", failed + ended);
}

fn heap() -> HeapStateBackend {
    HeapStateBackend::default()
}

#[test]
fn a_crash_at_every_operation() {
    every_fault::<_, Wordcount>(
        ("crash", &heap(), 1),
        FaultyStorage::operation_count,
        Fault::crash,
    );
}

#[test]
fn a_full_disk_from_every_operation_on() {
    let fault = |n| Fault::from(n, io::ErrorKind::StorageFull);
    every_fault::<_, Wordcount>(("full", &heap(), 1), FaultyStorage::operation_count, fault);
}

/// The file is there, and an error comes back all the same: for each claim of an attempt, each
/// commit, each move of output.
#[test]
fn an_answer_that_is_lost_at_every_creation() {
    let created = |storage: &FaultyStorage| storage.count_of(StorageOperation::Create);
    let fault =
        |n| Fault::once(n, io::ErrorKind::TimedOut).only(StorageOperation::Create).after_the_act();
    every_fault::<_, Wordcount>(("lost", &heap(), 1), created, fault);
}

/// Each run opens databases, which takes time: every seventh operation.
#[cfg(feature = "rocksdb")]
mod rocksdb {
    use alluvium::rocksdb::RocksDbStateBackend;

    use super::*;

    fn faults(name: &str, fault: impl Fn(u64) -> Fault) {
        let local = tempfile::tempdir().unwrap();
        let backend = RocksDbStateBackend::new(local.path());
        every_fault::<_, Wordcount>((name, &backend, 7), FaultyStorage::operation_count, fault);
        let left: Vec<_> = std::fs::read_dir(local.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["lock"], "every database is gone");
    }

    #[test]
    fn a_crash_at_operations_of_checkpoints_of_files() {
        faults("rocksdb-crash", Fault::crash);
    }

    #[test]
    fn a_full_disk_from_operations_of_checkpoints_of_files_on() {
        faults("rocksdb-full", |n| Fault::from(n, io::ErrorKind::StorageFull));
    }
}
