//! The task, snapshot jobs and the background load under a scheduler that chooses who goes on.
//!
//! One execution runs all of them on one thread; at each [`point`] a seeded scheduler picks the
//! next one: at random, and by priorities that change a few times (probabilistic concurrency
//! testing). A failing execution prints its schedule; `shuttle::replay` runs it again, and
//! `SHUTTLE_RANDOM_SEED` chooses other ones.
//!
//! Invariants: what is written is the content at the freeze, what the task sees is its own, and
//! nobody panics. That atomics are ordered well enough is not tested here: memory is sequentially
//! consistent under the scheduler.

mod jobs;
mod lazy;

use std::borrow::Borrow;
use std::error::Error;

use alluvium_format::codec::UserCodec;
use alluvium_state::StateValue;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

use super::point;

/// Executions in random order.
const RANDOM: usize = 1000;
/// Executions in order of priorities.
const BY_PRIORITY: usize = 500;
/// Changes of priority in an execution.
const PRIORITY_CHANGES: usize = 4;
const SEED: u64 = 7;
const STACK_LEN_BYTES: usize = 1024 * 1024;

/// Runs an execution many times, each time in another order.
fn run_all(execution: impl Fn() + Clone + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK_LEN_BYTES;
    let random = RandomScheduler::new_from_seed(SEED, RANDOM);
    assert_eq!(Runner::new(random, config.clone()).run(execution.clone()), RANDOM);
    let by_priority = PctScheduler::new_from_seed(SEED, PRIORITY_CHANGES, BY_PRIORITY);
    assert_eq!(Runner::new(by_priority, config).run(execution), BY_PRIORITY);
}

/// A value in whose copying, writing and reading others may go on.
#[derive(Debug, PartialEq)]
struct Slow<T>(T);

impl<T: Clone> Clone for Slow<T> {
    fn clone(&self) -> Self {
        point();
        Self(self.0.clone())
    }
}

/// What a slow value is of: a number in place, or one that owns memory.
trait Number: StateValue + From<u64> + Borrow<u64> {}

impl<T: StateValue + From<u64> + Borrow<u64>> Number for T {}

#[derive(Debug, Clone)]
struct SlowCodec;

impl<T: Number> UserCodec<Slow<T>> for SlowCodec {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn version(&self) -> u32 {
        1
    }

    fn encode(
        &self,
        value: &Slow<T>,
        out: &mut Vec<u8>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        point();
        let number: &u64 = value.0.borrow();
        out.extend_from_slice(&number.to_le_bytes());
        Ok(())
    }

    fn decode(&self, _: u32, bytes: &[u8]) -> Result<Slow<T>, Box<dyn Error + Send + Sync>> {
        point();
        Ok(Slow(T::from(u64::from_le_bytes(bytes.try_into()?))))
    }
}
