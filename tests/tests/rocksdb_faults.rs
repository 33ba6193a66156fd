//! Seeded jobs on RocksDB, with faults in the storage: what the simulation is for the other backends, as
//! far as that can be.
//!
//! RocksDB flushes and compacts on threads of its own, and these cannot be put under the schedule of
//! `alluvium-sim`. So these jobs run on real threads, and a seed draws what can be drawn: the job's
//! options, parallelism, which operation of the storage fails, counted from the beginning, how it fails,
//! and at which record somebody asks for a savepoint. Which checkpoint that hits differs from run to run,
//! so a seed that has failed need not fail again; the result has to be exact each time.
//!
//! `ALLUVIUM_SEEDS` sets how many seeds are played (default 100), `ALLUVIUM_FIRST_SEED` the first.
#![cfg(feature = "rocksdb")]

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alluvium::coordinator::{CoordinatorConfig, RestartStrategy, SavepointFormat};
use alluvium::core::{JobId, OperatorUid, StoragePath};
use alluvium::rocksdb::RocksDbStateBackend;
use alluvium::runtime::{
    CheckpointStore, ClaimMode, JobConfig, JobError, OperatorUids, RestoreFrom, SystemClock,
    TokioHost, read_savepoint,
};
use alluvium::state::SnapshotMode;
use alluvium::storage::{Storage, StreamPolicy};
use alluvium_cli::jobs::Job;
use alluvium_cli::jobs::wordcount::Wordcount;
use alluvium_testkit::faulty::{Fault, FaultyStorage, StorageOperation};
use alluvium_tests::{Random, number};

const WORDS: u64 = 2_000;
const KEYS: u64 = 61;

type Table = BTreeMap<String, u64>;

fn expected() -> Table {
    let mut counts = BTreeMap::new();
    for i in 0..WORDS {
        *counts.entry(format!("word{}", i % KEYS)).or_default() += 1;
    }
    counts
}

fn config(random: &mut Random, is_calm: bool) -> JobConfig {
    let uid = |name: &str| OperatorUid::new(name).unwrap();
    let modes = [SnapshotMode::Incremental, SnapshotMode::Incremental, SnapshotMode::Full];
    JobConfig {
        parallelism: 1 + random.below(4) as u32,
        max_parallelism: Some(16),
        checkpoints: CoordinatorConfig::new()
            .interval_ms(Some(4 + random.below(12)))
            .retained(1 + random.below(3) as usize)
            .max_concurrent(1 + random.below(2) as usize),
        restart: if is_calm || random.below(2) == 0 {
            RestartStrategy::None
        } else {
            RestartStrategy::FixedDelay { attempts: 2, delay_ms: 1 }
        },
        restore: RestoreFrom::LatestStrict,
        streams: StreamPolicy { inline_below_bytes: 0, ..StreamPolicy::files() },
        snapshot_mode: modes[random.below(3) as usize],
        records_per_s: Some(40_000.0),
        hash_seed: random.below(u64::MAX),
        ..JobConfig::new(
            OperatorUids { source: uid("source"), operator: uid("operator"), sink: uid("sink") },
            Arc::new(SystemClock),
            Arc::new(TokioHost::new()),
        )
    }
}

/// What goes wrong in a run: its name, and the fault.
fn draw_fault(random: &mut Random) -> (&'static str, Fault) {
    let n = 1 + random.below(160);
    let creation = 1 + n / 8;
    match random.below(5) {
        0 => ("the process is killed", Fault::crash(n)),
        1 => ("the disk is full from then on", Fault::from(n, io::ErrorKind::StorageFull)),
        2 => ("an operation fails", Fault::once(n, io::ErrorKind::TimedOut)),
        3 => ("an answer is lost", Fault::once(n, io::ErrorKind::TimedOut).after_the_act()),
        _ => (
            "the answer to a creation is lost",
            Fault::once(creation, io::ErrorKind::TimedOut)
                .only(StorageOperation::Create)
                .after_the_act(),
        ),
    }
}

fn below(storage: &Arc<dyn Storage>, name: &str) -> Arc<dyn Storage> {
    storage.below(&StoragePath::new(name).unwrap()).unwrap()
}

/// Runs the job; gives its table, and the folder of a savepoint if somebody asked for one and got it.
fn run(
    backend: &RocksDbStateBackend,
    storage: &Arc<dyn Storage>,
    input: &Path,
    config: JobConfig,
    savepoint_at: Option<u64>,
) -> (Result<Table, JobError>, Option<String>) {
    let job = Arc::new(Wordcount::open(&[input.to_owned()], below(storage, "output")).unwrap());
    let id = JobId::new("faults").unwrap();
    let store = match CheckpointStore::open_exclusive(&*below(storage, "checkpoints"), id) {
        Ok(store) => Arc::new(store),
        Err(error) => return (Err(error.into()), None),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let (control, records) = (config.control.clone(), Arc::clone(&config.records));
    let target = below(storage, "savepoints");
    let run = alluvium::runtime::run::<String, _, _>(job, backend.clone(), store, config);
    let ask = async {
        let at = savepoint_at?;
        while records.load(Ordering::SeqCst) < at && !control.status().is_over() {
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        let taken = control.savepoint(target, SavepointFormat::Native).await.ok()?;
        Some(taken.location.rsplit('/').next()?.to_owned())
    };
    let (outcome, taken) = runtime.block_on(async { tokio::join!(run, ask) });
    let count = |line: String| line.rsplit_once(',').unwrap().1.parse().unwrap();
    let table = outcome.map(|outcome| {
        let rows = outcome.results.into_iter().flatten();
        rows.map(|(word, line)| (word, count(line))).collect()
    });
    (table, taken)
}

fn committed(storage: &Arc<dyn Storage>) -> Result<u64, String> {
    let updates = StoragePath::new("output/updates").unwrap();
    let mut lines = std::collections::BTreeSet::new();
    for entry in storage.list(Some(&updates)).unwrap() {
        if entry.name.starts_with("part-") {
            let bytes = storage.read_all(&updates.join(&entry.name).unwrap()).unwrap();
            for line in std::str::from_utf8(&bytes).unwrap().lines() {
                if !lines.insert(line.to_owned()) {
                    return Err(format!("{line} was committed twice"));
                }
            }
        }
    }
    Ok(lines.len() as u64)
}

/// What has happened over all seeds.
#[derive(Debug, Default)]
struct Counts {
    runs: u64,
    failed: u64,
    from_savepoint: u64,
    /// Runs in which it struck.
    faults: BTreeMap<&'static str, u64>,
}

fn play(seed: u64, input: &Path, counts: &Mutex<Counts>) -> Result<(), String> {
    let mut random = Random::new(seed ^ 0x0dcb);
    let local = tempfile::tempdir().unwrap();
    let backend = RocksDbStateBackend::new(local.path());
    let inner = alluvium::storage::open(&format!("memory:rocksdb-faults-{seed}")).unwrap();
    let mut taken: Option<String> = None;
    let rounds = 1 + random.below(3);
    for round in 0..=rounds {
        let is_calm = round == rounds;
        let faulty = FaultyStorage::new(Arc::clone(&inner));
        let (what, fault) = draw_fault(&mut random);
        faulty.set_fault(Some(fault).filter(|_| !is_calm));
        let storage: Arc<dyn Storage> = Arc::new(faulty.clone());
        let mut config = config(&mut random, is_calm);
        // Straight after it: nobody has gone on without it.
        if let Some(dir) = taken.take() {
            let folder = below(&below(&storage, "savepoints"), &dir);
            let Ok(metadata) = read_savepoint(&*folder) else { continue };
            let claim = [ClaimMode::NoClaim, ClaimMode::Claim][random.below(2) as usize];
            config.restore =
                RestoreFrom::Checkpoint { metadata: Box::new(metadata), storage: folder, claim };
            counts.lock().unwrap().from_savepoint += 1;
        }
        let savepoint_at = (random.below(3) == 0).then(|| random.below(WORDS));
        if savepoint_at.is_some() {
            // An attempt after the one that takes it would go on without it.
            config.restart = RestartStrategy::None;
        }
        let (table, savepoint) = run(&backend, &storage, input, config, savepoint_at);
        taken = savepoint;
        let mut counts = counts.lock().unwrap();
        counts.runs += 1;
        counts.failed += u64::from(table.is_err());
        if faulty.failed_count() > 0 {
            *counts.faults.entry(what).or_default() += 1;
        }
        drop(counts);
        match table {
            Err(error) if is_calm => return Err(format!("nothing went wrong: {error}")),
            Err(error) if error.to_string().lines().count() != 1 => {
                return Err(format!("an error of several lines: {error}"));
            }
            Err(_) => {}
            Ok(table) if table != expected() => return Err("the table differs".to_owned()),
            Ok(_) => match committed(&inner)? {
                WORDS => {}
                lines => return Err(format!("{lines} lines of {WORDS} were committed")),
            },
        }
    }
    Ok(())
}

#[test]
fn whatever_fails_the_result_is_exact() {
    let (seeds, first) = (number("ALLUVIUM_SEEDS", 100), number("ALLUVIUM_FIRST_SEED", 0));
    let start = Instant::now();
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("text");
    let text: String = (0..WORDS).map(|i| format!("word{}\n", i % KEYS)).collect();
    std::fs::write(&input, text).unwrap();
    let (next, counts) = (AtomicU64::new(first), Mutex::new(Counts::default()));
    let failures = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= first + seeds {
                return;
            }
            if let Err(wrong) = play(seed, &input, &counts) {
                failures.lock().unwrap().insert(seed, wrong);
            }
        }
    };
    let machines = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..machines {
            scope.spawn(work);
        }
    });
    let counts = counts.into_inner().unwrap();
    println!("{seeds} seeds: {counts:?}, {:.1} s", start.elapsed().as_secs_f64());
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(seeds < 100 || counts.faults.len() == 5 && counts.from_savepoint > 0, "{counts:?}");
}
