//! What has happened to the job so far, as far as it decides which savepoints may be restored.
//!
//! Ladder of names: attempt > point (a checkpoint or savepoint of it). A point *comes from* another
//! one if the attempts between them led from the one to the other.
//!
//! A sink that moves files can begin anew from a savepoint as long as nobody has gone on without it:
//! 1. attempt 1 completes checkpoint 5, takes savepoint 6 and is killed;
//! 2. attempt 2 restores checkpoint 5 and completes one of its own: what savepoint 6 had pre-committed
//!    goes, and the number 6 may be given away once more;
//! 3. nothing may begin from savepoint 6 any more and write to the same output.
//!
//! The same holds with Flink for a savepoint that is not the last one of its job, where sinks commit.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::{AttemptId, CheckpointId};
use alluvium_runtime::Stop;

/// A checkpoint or savepoint, by the attempt that wrote it.
pub(super) type Point = (AttemptId, CheckpointId);

/// A savepoint of which somebody was told.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    /// Its folder below the target.
    pub(super) dir: String,
    pub(super) point: Point,
    /// How the job ended with it, if it did.
    pub(super) stop: Option<Stop>,
    /// Whether a run has begun from it that may delete it.
    pub(super) is_claimed: bool,
}

/// Attempts, what each began from, and the savepoints.
#[derive(Debug, Default)]
pub(super) struct History {
    began: BTreeMap<AttemptId, Option<Point>>,
    /// Attempts that have a checkpoint which is complete, or was.
    went_on: BTreeSet<AttemptId>,
    pub(super) savepoints: Vec<Taken>,
    /// The newest checkpoint of which anybody was told.
    pub(super) newest: Option<Point>,
    /// Savepoints that somebody asked for and did not get.
    pub(super) refused: u64,
    /// Processes that began from one.
    pub(super) restores: u64,
}

impl History {
    pub(super) fn begins(&mut self, attempt: AttemptId, point: Option<Point>) {
        self.went_on.extend(point.map(|(wrote, _)| wrote));
        self.began.insert(attempt, point);
    }

    pub(super) fn completes(&mut self, attempt: AttemptId) {
        self.went_on.insert(attempt);
    }

    /// Whether what an attempt does goes on from a point.
    fn comes_from(&self, mut attempt: AttemptId, point: Point) -> bool {
        while let Some(Some((wrote, checkpoint))) = self.began.get(&attempt).copied() {
            if wrote <= point.0 || wrote >= attempt {
                return wrote == point.0 && checkpoint >= point.1;
            }
            attempt = wrote;
        }
        false
    }

    /// Savepoints from which the job may begin.
    pub(super) fn restorable(&self) -> Vec<usize> {
        let may = |taken: &Taken| {
            let mut later =
                self.went_on.range(taken.point.0..).skip_while(|it| **it == taken.point.0);
            // Event time has come to its end in one that was drained.
            !taken.is_claimed
                && taken.stop != Some(Stop::Drain)
                && later.all(|attempt| self.comes_from(*attempt, taken.point))
        };
        let all = self.savepoints.iter().enumerate();
        all.filter(|(_, taken)| may(taken)).map(|(at, _)| at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(attempt: u32, checkpoint: u64) -> Point {
        (AttemptId::new(attempt), CheckpointId::new(checkpoint).unwrap())
    }

    fn history() -> History {
        let mut history = History::default();
        history.begins(AttemptId::new(1), None);
        history.completes(AttemptId::new(1));
        let taken =
            Taken { dir: "a".to_owned(), point: point(1, 6), stop: None, is_claimed: false };
        history.savepoints.push(taken);
        history
    }

    #[test]
    fn a_savepoint_may_be_restored_until_somebody_goes_on_without_it() {
        let mut history = history();
        assert_eq!(history.restorable(), [0]);
        history.begins(AttemptId::new(2), Some(point(1, 5)));
        assert_eq!(history.restorable(), [0], "nothing has come of attempt 2");
        history.completes(AttemptId::new(2));
        assert!(history.restorable().is_empty());
    }

    #[test]
    fn a_savepoint_may_be_restored_when_all_that_came_later_comes_from_it() {
        let mut history = history();
        history.begins(AttemptId::new(2), Some(point(1, 6)));
        history.completes(AttemptId::new(2));
        history.begins(AttemptId::new(3), Some(point(2, 8)));
        history.completes(AttemptId::new(3));
        history.begins(AttemptId::new(4), Some(point(1, 7)));
        history.completes(AttemptId::new(4));
        assert_eq!(history.restorable(), [0]);
    }

    #[test]
    fn a_savepoint_that_was_drained_or_claimed_may_not() {
        for (stop, is_claimed) in [(Some(Stop::Drain), false), (None, true)] {
            let mut history = history();
            let taken = &mut history.savepoints[0];
            (taken.stop, taken.is_claimed) = (stop, is_claimed);
            assert!(history.restorable().is_empty());
        }
    }
}
