//! A museum of bugs: mistakes that this field has made are made again, one at a time, and the
//! simulation must catch each. `make museum`.
//!
//! `ALLUVIUM_SEEDS` sets how many seeds a mistake may take (default 10,000).

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use alluvium::core::museum::{self, Mistake};
use alluvium_sim::Threads;
use alluvium_tests::{number, play};

/// A mistake: what it does, and where it is from.
const MUSEUM: [(Mistake, &str, &str); 25] = [
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
        "a run that was replaced meanwhile has effects",
    ),
    (
        Mistake::LosesUnsyncedOutput,
        "FLINK-36421",
        "a file whose folder was not synced counts as there",
    ),
    (
        Mistake::CommitsOnUnsyncedMetadata,
        "FLINK-35217",
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
        "what a checkpoint had pre-committed is not committed after a crash",
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
        "slatedb 604",
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
];

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
    for (mistake, source, story) in MUSEUM {
        let start = Instant::now();
        museum::make(Some(mistake));
        let caught = seeds_until_caught(limit);
        museum::make(None);
        let seconds = start.elapsed().as_secs_f64();
        println!("{mistake:?} ({source}): {story}");
        match caught {
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
