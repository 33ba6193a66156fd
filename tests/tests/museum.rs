//! A museum of bugs: mistakes that this field has made, and one that was found here, are made again, one
//! at a time, and the simulation must catch each, or a test of its own where it cannot. `make museum`.
//!
//! `ALLUVIUM_SEEDS` sets how many seeds a mistake may take (default 10,000), `ALLUVIUM_MISTAKE` which are
//! made: those with this in their names (default all).

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alluvium::coordinator::{CoordinatorConfig, RestartStrategy, SavepointFormat};
use alluvium::core::museum::{self, Mistake};
use alluvium::core::{JobId, OperatorUid, StoragePath};
use alluvium::heap::HeapStateBackend;
use alluvium::runtime::{
    CheckpointStore, JobConfig, JobControl, OperatorUids, SystemClock, TokioHost,
};
use alluvium::state::SnapshotMode;
use alluvium::storage::{Storage, StreamPolicy};
use alluvium_cli::jobs::Job;
use alluvium_cli::jobs::wordcount::Wordcount;
use alluvium_sim::Threads;
use alluvium_testkit::faulty::{Fault, FaultyStorage, StorageOperation};
use alluvium_tests::{number, play};

/// A mistake: what it does, and where it is from.
const MUSEUM: [(Mistake, &str, &str); 34] = [
    (
        Mistake::DiscardsStateInUse,
        "FLINK-29095, FLINK-26101",
        "state that came twice is discarded although a checkpoint uses it",
    ),
    (
        Mistake::DiscardsSharedStateOnAbort,
        "FLINK-24611",
        "an aborted checkpoint takes shared state of complete ones with it",
    ),
    (
        Mistake::BuildsOnUnconfirmedState,
        "FLINK-25395",
        "a task builds on state of a checkpoint that was aborted",
    ),
    (
        Mistake::ForgetsRestoredState,
        "FLINK-26985",
        "state of the restored checkpoint is not counted",
    ),
    (Mistake::LeaksSharedState, "FLINK-30461", "shared state is never removed"),
    (
        Mistake::DeletesLatestCheckpoint,
        "FLINK-21351",
        "the newest checkpoint goes instead of the oldest",
    ),
    (
        Mistake::DiscardsAfterAmbiguousCommit,
        "FLINK-22494",
        "a commit whose answer was lost counts as failed",
    ),
    (
        Mistake::TakesOwnRetryForAnother,
        "FLINK-24543, FLINK-28265",
        "a retry meets its own metadata, and takes it for that of another run",
    ),
    (
        Mistake::SkipsSecondFenceCheck,
        "slatedb 352",
        "a run that was replaced meanwhile has effects: neither the commit nor a sink looks again",
    ),
    (
        Mistake::LosesUnsyncedOutput,
        "FLINK-36421",
        "a file whose folder was not synced counts as there",
    ),
    (
        Mistake::CommitsOnUnsyncedMetadata,
        "FLINK-35217, facebook/rocksdb 10573",
        "effects follow from metadata that a power cut may take",
    ),
    (
        Mistake::CommitsAtBarrier,
        "apache/iceberg 9694",
        "output is committed with the snapshot, not with the checkpoint",
    ),
    (
        Mistake::DoesNotCommitAgain,
        "laminardb 250",
        "after a crash between metadata and commit, sources go on behind what sinks never committed",
    ),
    (
        Mistake::RollsBackPreCommitted,
        "laminardb 447, in review",
        "after a crash the output of a complete checkpoint that was not yet committed is rolled back",
    ),
    (
        Mistake::ReadsAheadOfPosition,
        "laminardb 188",
        "records behind the position of a source are before its barrier",
    ),
    (Mistake::FollowsFastestWatermark, "FLINK-7721", "event time is that of the wrong inputs"),
    (Mistake::EndsWithoutCheckpoint, "FLINK-2491", "no checkpoint follows the end of the input"),
    (Mistake::SharesFileNames, "FLINK-12296", "state of two subtasks has the same file name"),
    (
        Mistake::DoesNotHoldInputs,
        "FLINK-17568",
        "records behind a barrier are processed before the snapshot",
    ),
    (
        Mistake::DuplicatesOperatorState,
        "apache/seatunnel 12195",
        "each subtask is restored with the operator state of the first",
    ),
    (
        Mistake::LosesStateOnRescale,
        "apache/beam 25975",
        "each subtask is restored from the old one of the same number alone",
    ),
    (Mistake::KeepsFiredTimers, "FLINK-26062", "a timer that has fired stays in the snapshot"),
    (
        Mistake::IgnoresBarrierPosition,
        "laminardb 188",
        "the position of a source at its barrier does not come into the checkpoint",
    ),
    (
        Mistake::RemovesWhatIsReferredTo,
        "slatedb 311",
        "clean-up removes files to which a checkpoint refers",
    ),
    (
        Mistake::SwallowsFailedCommit,
        "apache/seatunnel 11569",
        "a sink whose commit has failed goes on",
    ),
    (
        Mistake::SkipsUnreadableCheckpoints,
        "FLINK-22502",
        "a checkpoint that cannot be read for a moment counts as none",
    ),
    (
        Mistake::ForgetsBaseAtSavepoint,
        "FLINK-23949",
        "a savepoint takes the base away, so the next incremental checkpoint is a full one",
    ),
    (
        Mistake::ForgetsRestoredInFlight,
        "FLINK-20654",
        "records in flight that were restored and not yet processed are not in the next checkpoint",
    ),
    (
        Mistake::TakesOlderBarrierForItsOwn,
        "FLINK-20645, FLINK-21104",
        "records in flight between a barrier that was given up and the own one are not recorded",
    ),
    (
        Mistake::LosesInFlightOnRescale,
        "FLINK-31963",
        "records in flight are not handed out when the parallelism is another one",
    ),
    (
        Mistake::RefusesSeveralPreCommitted,
        "FLINK-29627",
        "a sink of which a subtask has pre-committed more than once cannot be restored",
    ),
    (
        Mistake::RemovesPendingBeforeCheckpoint,
        "arroyo 802",
        "a file that the checkpoint to restore needs was cleaned up, so no restart ever succeeds",
    ),
    (
        Mistake::DeletesWithoutCounting,
        "slatedb 604",
        "files go with what replaced them, although somebody still reads them",
    ),
    (
        Mistake::GivesNumbersTwice,
        "found here",
        "a number of a checkpoint that may still appear is given to a savepoint",
    ),
];

/// Words that come once.
const WORDS: u64 = 2_000;

/// A checkpoint after a savepoint must build on the one before it. No simulated job looks at that, since
/// a full checkpoint is right as well, so this is a test by itself.
fn checkpoints_around_a_savepoint(name: &str) -> Option<String> {
    let storage = alluvium::storage::open(&format!("memory:museum-{name}")).unwrap();
    let target = below(&storage, "savepoints");
    asked(&storage, async |control, store| {
        let first = control.checkpoint(false).await.unwrap();
        let taken = store.read(first).unwrap();
        control.savepoint(target, SavepointFormat::Canonical).await.unwrap();
        let second = store.read(control.checkpoint(false).await.unwrap()).unwrap();
        let shared = taken.files().filter(|file| file.as_str().starts_with("shared/"));
        let kept = shared.filter(|file| second.files().any(|it| it == *file)).count();
        (kept == 0).then(|| "the checkpoint after a savepoint refers to nothing".to_owned())
    })
}

/// The number of a checkpoint that could not be committed is not given to one of the next attempt. In
/// simulated jobs it takes a request that outlives its attempt, and a savepoint of the same number.
fn numbers_of_two_attempts(name: &str) -> Option<String> {
    let storage = alluvium::storage::open(&format!("memory:museum-numbers-{name}")).unwrap();
    let faulty = FaultyStorage::new(storage);
    // The first creation claims the attempt, the second is the metadata.
    let fault = Fault::once(2, io::ErrorKind::StorageFull).only(StorageOperation::Create);
    faulty.set_fault(Some(fault));
    let storage: Arc<dyn Storage> = Arc::new(faulty);
    asked(&storage, async |control, _| {
        control.checkpoint(false).await.unwrap_err();
        let again = control.checkpoint(false).await.unwrap().get();
        (again == 1).then(|| "number 1 is given to checkpoints of two attempts".to_owned())
    })
}

fn below(storage: &Arc<dyn Storage>, name: &str) -> Arc<dyn Storage> {
    storage.below(&StoragePath::new(name).unwrap()).unwrap()
}

/// Runs a job of which somebody asks something, and cancels it then.
fn asked(
    storage: &Arc<dyn Storage>,
    ask: impl AsyncFnOnce(&JobControl, &CheckpointStore) -> Option<String>,
) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("text");
    // Many words once, then one word for ever: little of the state changes from then on.
    let words: String = (0..WORDS).map(|number| format!("word{number}\n")).collect();
    std::fs::write(&input, words + &"word0\n".repeat(40_000)).unwrap();
    let uid = |name: &str| OperatorUid::new(name).unwrap();
    let uids = OperatorUids { source: uid("source"), operator: uid("operator"), sink: uid("sink") };
    let config = JobConfig {
        records_per_s: Some(8_000.0),
        checkpoints: CoordinatorConfig::new().tolerable_failed_checkpoints(0),
        restart: RestartStrategy::FixedDelay { attempts: 1, delay_ms: 1 },
        snapshot_mode: SnapshotMode::Incremental,
        streams: StreamPolicy { inline_below_bytes: 0, ..StreamPolicy::files() },
        ..JobConfig::new(uids, Arc::new(SystemClock), Arc::new(TokioHost::new()))
    };
    let (control, read) = (config.control.clone(), Arc::clone(&config.records));
    let job = Arc::new(Wordcount::open(&[input], below(storage, "output")).unwrap());
    let id = JobId::new("museum").unwrap();
    let root = below(storage, "checkpoints");
    let store = Arc::new(CheckpointStore::open_exclusive(&*root, id).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let backend = HeapStateBackend::default();
    let run = alluvium::runtime::run::<String, _, _>(job, backend, Arc::clone(&store), config);
    let ask = async {
        while read.load(Ordering::SeqCst) < WORDS + 500 && !control.status().is_over() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let answer = ask(&control, &store).await;
        control.cancel();
        answer
    };
    runtime.block_on(async { tokio::join!(run, ask).1 })
}

/// Seeds until a violation, and the first one found; none within the limit.
fn seeds_until_caught(limit: u64) -> Option<(u64, u64, String)> {
    let (next, caught) = (AtomicU64::new(0), Mutex::new(None::<(u64, String)>));
    let work = || {
        let threads = Threads::new();
        while caught.lock().unwrap().is_none() {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= limit {
                return;
            }
            if let Some(violation) = play(seed, &threads).violations.into_iter().next() {
                caught.lock().unwrap().get_or_insert((seed, violation));
            }
        }
    };
    let machines = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..machines {
            scope.spawn(work);
        }
    });
    let played = next.load(Ordering::SeqCst);
    caught.into_inner().unwrap().map(|(seed, violation)| (played, seed, violation))
}

#[test]
fn every_mistake_is_caught() {
    let limit = number("ALLUVIUM_SEEDS", 10_000);
    let mut missed = Vec::new();
    assert_eq!(checkpoints_around_a_savepoint("right"), None, "without a mistake");
    assert_eq!(numbers_of_two_attempts("right"), None, "without a mistake");
    let only = std::env::var("ALLUVIUM_MISTAKE").unwrap_or_default();
    let chosen = MUSEUM.into_iter().filter(|(mistake, ..)| format!("{mistake:?}").contains(&only));
    for (mistake, source, story) in chosen {
        let start = Instant::now();
        museum::make(Some(mistake));
        let caught = match mistake {
            Mistake::ForgetsBaseAtSavepoint => {
                checkpoints_around_a_savepoint("mistaken").map(|wrong| (0, 0, wrong))
            }
            Mistake::GivesNumbersTwice => {
                numbers_of_two_attempts("mistaken").map(|wrong| (0, 0, wrong))
            }
            _ => seeds_until_caught(limit),
        };
        museum::make(None);
        let seconds = start.elapsed().as_secs_f64();
        println!("{mistake:?} ({source}): {story}");
        match caught {
            Some((0, _, violation)) => {
                println!("    caught by a test of its own, {seconds:.1} s: {violation}");
            }
            Some((played, seed, violation)) => {
                let violation: String = violation.chars().take(160).collect();
                println!(
                    "    caught after {played} seeds, {seconds:.1} s, by seed {seed}: {violation}"
                );
            }
            None => {
                println!("    not caught by {limit} seeds, {seconds:.1} s");
                missed.push(mistake);
            }
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
