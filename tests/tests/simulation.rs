//! Whole jobs in simulation: every seed draws a job, a schedule and what goes wrong, and the job must
//! end as its input says.
//!
//! `ALLUVIUM_SEEDS` sets how many seeds are played (default 200), `ALLUVIUM_FIRST_SEED` the first
//! (default 0). One seed alone prints its trace when it fails: `make simulate SEEDS=1
//! FIRST_SEED=<seed>`.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use alluvium_sim::{Fault, Summary, Threads};
use alluvium_tests::{number, play};

/// Seeds one after the other, on as many simulated machines as there are processors.
fn play_all(first: u64, seeds: u64) -> Summary {
    let (next, summary) = (AtomicU64::new(first), Mutex::new(Summary::default()));
    let work = || {
        let threads = Threads::new();
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= first + seeds {
                return;
            }
            let outcome = play(seed, &threads);
            if seeds == 1 && !outcome.violations.is_empty() {
                println!("{}", outcome.trace);
            }
            summary.lock().unwrap().add(outcome);
        }
    };
    let machines = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..machines {
            scope.spawn(work);
        }
    });
    summary.into_inner().unwrap()
}

#[test]
fn every_seed_ends_as_its_input_says() {
    let (seeds, first) = (number("ALLUVIUM_SEEDS", 200), number("ALLUVIUM_FIRST_SEED", 0));
    let start = Instant::now();
    let summary = play_all(first, seeds);
    println!("{summary}, {:.1} s", start.elapsed().as_secs_f64());
    let failed: Vec<_> = summary.failures.keys().collect();
    assert!(
        failed.is_empty(),
        "seeds {failed:?}: make simulate SEEDS=1 FIRST_SEED=<seed> prints the trace"
    );
    if seeds >= 200 {
        for fault in Fault::ALL {
            assert!(summary.count_of(fault) > 0, "{fault} never happened");
        }
    }
}

/// Seeds of long runs that once failed, and what was wrong then.
const ONCE_FAILED: [(u64, &str); 5] = [
    (255, "parts of several lines of savepoints had the same names"),
    (8534, "a third savepoint within two milliseconds took the folder of a complete one"),
    (9060, "parts of several lines of savepoints had the same names"),
    (13_313, "a stop with a savepoint removed what the latest checkpoint had pre-committed"),
    (16_762, "parts of several lines of savepoints had the same names"),
];

#[test]
fn seeds_that_once_failed_pass() {
    let threads = Threads::new();
    for (seed, what) in ONCE_FAILED {
        let outcome = play(seed, &threads);
        assert!(outcome.violations.is_empty(), "seed {seed} ({what}): {:?}", outcome.violations);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_one_does_not() {
    let (one, other) = (Threads::new(), Threads::new());
    for seed in 0..24 {
        let (first, second) = (play(seed, &one), play(seed, &other));
        let lines = first.trace.lines().zip(second.trace.lines());
        for (number, (first, second)) in lines.enumerate() {
            assert_eq!(first, second, "seed {seed}, line {number}");
        }
        assert!(first.trace == second.trace, "seed {seed}");
        assert!(first.trace != play(seed + 4, &one).trace, "seeds {seed} and {}", seed + 4);
    }
}
