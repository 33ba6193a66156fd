//! From a checkpoint back to state: at the same parallelism, from one subtask to two, and back.
//!
//! The subtasks of a parallelism are opened one after the other and the slowest counts, as on machines
//! of their own. Files were just written, so the system has them in memory.
//!
//! Invariants: what was restored is compared with what was frozen, entry by entry, after the last
//! round.

use std::time::{Duration, Instant};

use alluvium::core::{KeyGroupRange, KeyedStateHandle, Parallelism, SubtaskIndex};
use alluvium::state::{KeyedStateBackend, StateBackend};
use alluvium::storage::HandleReader;

use crate::error::BenchError;
use crate::plan::Plan;
use crate::report::{Restored, Times};
use crate::subtask::{Content, Subtask};
use crate::workload::Access;

/// Restores in rounds, and compares the last one. Gives its subtasks.
///
/// Errors: [`BenchError::Restore`], [`BenchError::State`]; [`BenchError::Wrong`] if something else comes
/// back than `expected`.
pub(crate) fn restore<B: StateBackend>(
    backend: &B,
    plan: &Plan,
    (from, to): (u32, u32),
    handles: &[KeyedStateHandle],
    reader: &HandleReader,
    expected: Content,
) -> Result<(Vec<Subtask<B>>, Restored), BenchError> {
    let parallelism = Parallelism::new(to, plan.max_parallelism())?;
    let firsts: Vec<(SubtaskIndex, Access)> = parallelism
        .subtasks()
        .map(|index| Ok((index, first_of(plan, index, parallelism)?)))
        .collect::<Result<_, BenchError>>()?;
    let rounds = if plan.options().is_quick { 1 } else { 3 };
    let (mut first_read, mut loaded) = (Vec::new(), Vec::new());
    let mut subtasks = Vec::new();
    for _ in 0..rounds {
        // The state of the round before goes first: there may not be memory for both.
        subtasks.clear();
        let (mut slowest_read, mut slowest_load) = (Duration::ZERO, Duration::ZERO);
        for (index, first) in &firsts {
            let start = Instant::now();
            let mut subtask = Subtask::open(backend, plan, (*index, parallelism), handles, reader)?;
            if subtask.read(first)?.is_none() {
                return Err(BenchError::Wrong {
                    what: "a key of the restored state",
                    expected: "a value".to_owned(),
                    found: "none".to_owned(),
                });
            }
            slowest_read = slowest_read.max(start.elapsed());
            if let Some(load) = subtask.keyed.background_load() {
                load.run()?;
            }
            slowest_load = slowest_load.max(start.elapsed());
            subtasks.push(subtask);
        }
        first_read.push(slowest_read);
        loaded.push(slowest_load);
    }
    let mut content = Content::default();
    for subtask in &mut subtasks {
        content = content.and(subtask.content(plan.keys())?);
    }
    content.check("what was restored", expected)?;
    let restored = Restored {
        from_parallelism: from,
        to_parallelism: to,
        first_read: times(&mut first_read),
        loaded: times(&mut loaded),
        keys: content.keys,
        updates: content.updates,
        digest: format!("{:016x}", content.digest),
    };
    Ok((subtasks, restored))
}

/// A key of a subtask.
fn first_of(
    plan: &Plan,
    index: SubtaskIndex,
    parallelism: Parallelism,
) -> Result<Access, BenchError> {
    let range = KeyGroupRange::of_subtask(index, parallelism)?;
    let first = plan.keys().iter().find(|access| range.contains(access.group));
    first.ok_or_else(|| BenchError::Wrong {
        what: "keys of a subtask",
        expected: "some".to_owned(),
        found: "none".to_owned(),
    })
}

/// Median, least and greatest of some times, of which there is at least one.
fn times(all: &mut [Duration]) -> Times {
    all.sort_unstable();
    let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
    Times {
        median_ms: ms(all.get(all.len() / 2)),
        least_ms: ms(all.first()),
        most_ms: ms(all.last()),
        rounds: all.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_sorted_before_they_are_looked_at() {
        let mut all = [30, 10, 20].map(Duration::from_millis);
        let times = times(&mut all);
        assert!((times.median_ms - 20.0).abs() < 1e-9);
        assert!((times.least_ms - 10.0).abs() < 1e-9);
        assert!((times.most_ms - 30.0).abs() < 1e-9);
        assert_eq!(times.rounds, 3);
    }
}
