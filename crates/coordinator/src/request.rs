//! Requests for checkpoints and savepoints, and what becomes of each.
//!
//! Invariants: a request with a number is answered once, whatever happens; at most
//! [`MAX_WAITING`] wait.
//!
//! Source: Flink `CheckpointRequestDecider`.

use alluvium_core::CheckpointId;

use crate::{AbortReason, CheckpointKind};

/// How many requests may wait. One more is refused.
///
/// Source: Flink `CheckpointRequestDecider.DEFAULT_MAX_QUEUED_REQUESTS`.
pub const MAX_WAITING: usize = 1_000;

/// Number of a request, given by the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestFailure {
    /// Too many wait already.
    #[error("{MAX_WAITING} requests wait already")]
    TooManyRequests,
    /// The job ends with a savepoint that was requested before.
    #[error("the job is being stopped with a savepoint")]
    Stopping,
    /// The run is over.
    #[error("the run of the job is over")]
    JobStopped,
    /// It was triggered and did not complete.
    #[error("checkpoint {checkpoint} failed: {reason}")]
    Aborted {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Why.
        reason: AbortReason,
    },
}

impl RequestFailure {
    /// The name of the reason. Source: Flink `CheckpointFailureReason`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TooManyRequests => "TOO_MANY_CHECKPOINT_REQUESTS",
            Self::Stopping => "PERIODIC_SCHEDULER_SHUTDOWN",
            Self::JobStopped => "CHECKPOINT_COORDINATOR_SHUTDOWN",
            Self::Aborted { reason, .. } => reason.name(),
        }
    }
}

/// A request that waits to be triggered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waiting {
    kind: CheckpointKind,
    /// `None` when nobody waits for the answer.
    request: Option<RequestId>,
}

/// The requests that wait, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestQueue {
    waiting: Vec<Waiting>,
}

impl RequestQueue {
    /// Keeps a request. One that nobody waits for is dropped when another serves it.
    ///
    /// Errors: [`RequestFailure::TooManyRequests`].
    pub(crate) fn push(
        &mut self,
        kind: CheckpointKind,
        request: Option<RequestId>,
    ) -> Result<(), RequestFailure> {
        if request.is_none() && self.waiting.iter().any(|other| other.kind.serves(kind)) {
            return Ok(());
        }
        if self.waiting.len() >= MAX_WAITING {
            return Err(RequestFailure::TooManyRequests);
        }
        self.waiting.push(Waiting { kind, request });
        Ok(())
    }

    /// The most urgent kind that waits.
    pub(crate) fn next(&self) -> Option<CheckpointKind> {
        self.waiting.iter().map(|waiting| waiting.kind).max_by_key(|kind| kind.urgency())
    }

    /// Takes the requests that a trigger of this kind serves: the oldest of a savepoint, all of a
    /// checkpoint.
    pub(crate) fn take(&mut self, kind: CheckpointKind) -> Vec<RequestId> {
        if kind.is_savepoint() {
            let at = self.waiting.iter().position(|waiting| waiting.kind == kind);
            return at.and_then(|at| self.waiting.remove(at).request).into_iter().collect();
        }
        let served = self.waiting.extract_if(.., |waiting| kind.serves(waiting.kind));
        served.filter_map(|waiting| waiting.request).collect()
    }

    /// Takes all that wait.
    pub(crate) fn take_all(&mut self) -> Vec<RequestId> {
        self.waiting.drain(..).filter_map(|waiting| waiting.request).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SavepointFormat::{Canonical, Native};

    const SAVEPOINT: CheckpointKind = CheckpointKind::Savepoint(Canonical);

    fn ids(numbers: &[u64]) -> Vec<RequestId> {
        numbers.iter().copied().map(RequestId).collect()
    }

    fn queue(kinds: &[CheckpointKind]) -> RequestQueue {
        let mut queue = RequestQueue::default();
        for (number, kind) in (0..).zip(kinds) {
            queue.push(*kind, Some(RequestId(number))).unwrap();
        }
        queue
    }

    #[test]
    fn the_most_urgent_comes_first_and_of_these_the_oldest() {
        use CheckpointKind::{Checkpoint, Final, FullCheckpoint};
        let stop = CheckpointKind::StopWithSavepoint { format: Native, drain: true };
        let mut queue = queue(&[Checkpoint, SAVEPOINT, stop, SAVEPOINT, FullCheckpoint, Final]);
        for (kind, served) in
            [(stop, vec![2]), (SAVEPOINT, vec![1]), (SAVEPOINT, vec![3]), (Final, vec![0, 5])]
        {
            assert_eq!(queue.next(), Some(kind));
            assert_eq!(queue.take(kind), ids(&served));
        }
        assert_eq!(queue.next(), Some(FullCheckpoint), "a final checkpoint may be incremental");
        assert_eq!(queue.take_all(), ids(&[4]));
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn a_checkpoint_serves_all_that_ask_for_no_more() {
        use CheckpointKind::{Checkpoint, FullCheckpoint};
        let mut waiting = queue(&[Checkpoint, FullCheckpoint, Checkpoint]);
        assert_eq!(waiting.take(Checkpoint), ids(&[0, 2]));
        assert_eq!(waiting.next(), Some(FullCheckpoint));
        let mut waiting = queue(&[Checkpoint, FullCheckpoint, Checkpoint]);
        assert_eq!(waiting.take(FullCheckpoint), ids(&[0, 1, 2]));
    }

    #[test]
    fn the_queue_has_an_end_but_unnumbered_requests_become_one() {
        let mut queue = RequestQueue::default();
        for _ in 0..2 * MAX_WAITING {
            queue.push(CheckpointKind::Checkpoint, None).unwrap();
        }
        for number in 1..MAX_WAITING {
            queue.push(SAVEPOINT, Some(RequestId(number as u64))).unwrap();
        }
        let refused = queue.push(SAVEPOINT, Some(RequestId(0)));
        assert_eq!(refused, Err(RequestFailure::TooManyRequests));
        assert_eq!(queue.take(SAVEPOINT), ids(&[1]));
        queue.push(SAVEPOINT, Some(RequestId(0))).unwrap();
    }
}
