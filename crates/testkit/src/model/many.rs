//! Many programs, on all cores, counted.
//!
//! How many is said by the environment, so that one test is the short run and the long one:
//! `ALLUVIUM_PROGRAMS` (a number of programs) and `ALLUVIUM_FIRST_SEED`.
//!
//! Invariants: what is found depends on the seeds alone, not on the number of threads.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{env, thread};

use super::{Contents, Program};

/// Programs of one length with consecutive seeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// One program each.
    pub seeds: Range<u64>,
    /// Operations of each program.
    pub operations: usize,
    /// See [`Program::restored_one_in`].
    pub restored_one_in: u64,
}

impl Programs {
    /// As many programs as `ALLUVIUM_PROGRAMS` says, or else `count`, from `ALLUVIUM_FIRST_SEED` on,
    /// or else from 0 on.
    ///
    /// Panics: when one of them is no number.
    pub fn from_environment(count: u64, operations: usize) -> Self {
        let number = |name: &str, default: u64| {
            let text = env::var(name).unwrap_or_else(|_| default.to_string());
            text.parse::<u64>().unwrap_or_else(|error| panic!("{name} is {text:?}: {error}"))
        };
        let first = number("ALLUVIUM_FIRST_SEED", 0);
        let seeds = first..first.saturating_add(number("ALLUVIUM_PROGRAMS", count));
        Self { seeds, operations, restored_one_in: 1 }
    }

    /// Runs all programs on as many threads as the machine has cores, and gives a digest of what
    /// each one ended with, in the order of the seeds.
    ///
    /// Panics: when a program does.
    pub fn digests(&self, run: impl Fn(Program) -> Contents + Sync) -> Vec<u64> {
        let next = AtomicU64::new(self.seeds.start);
        let digests = Mutex::new(Vec::new());
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if !self.seeds.contains(&seed) {
                    return;
                }
                let program =
                    Program::new(seed, self.operations).restored_one_in(self.restored_one_in);
                let digest = (seed, digest_of(&run(program)));
                digests.lock().unwrap_or_else(PoisonError::into_inner).push(digest);
            }
        };
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let mut digests = digests.into_inner().unwrap_or_else(PoisonError::into_inner);
        digests.sort_unstable();
        digests.into_iter().map(|(_, digest)| digest).collect()
    }
}

/// One number for all contents.
fn digest_of(contents: &Contents) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{contents:?}").hash(&mut hasher);
    hasher.finish()
}
