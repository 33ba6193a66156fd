//! When the next checkpoint is due, and of which kind.
//!
//! Invariants: a trigger of any kind restarts the interval; savepoints wait for nothing.
//!
//! Source: Flink `CheckpointRequestDecider`.

use crate::request::RequestQueue;
use crate::{CheckpointKind, CoordinatorConfig};

#[derive(Debug, Clone, Default)]
pub(crate) struct Schedule {
    /// Start of the run or the last trigger, whichever is later; `None` before the start.
    anchor_ms: Option<u64>,
    last_end_ms: Option<u64>,
    pub(crate) requests: RequestQueue,
}

/// What is under way, as far as triggering depends on it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct UnderWay {
    /// Checkpoints that are no savepoints.
    pub(crate) checkpoints: usize,
    pub(crate) savepoints: usize,
    /// Whether one of them ends the job.
    pub(crate) ends_job: bool,
}

impl Schedule {
    pub(crate) fn started(&mut self, now_ms: u64) {
        self.anchor_ms = Some(now_ms);
    }

    /// Notes a trigger.
    pub(crate) fn triggered(&mut self, now_ms: u64) {
        self.anchor_ms = Some(now_ms);
    }

    /// Notes that a checkpoint completed or was aborted.
    pub(crate) fn ended(&mut self, now_ms: u64) {
        self.last_end_ms = Some(now_ms);
    }

    /// When to trigger what: a time in the past means at once. `None` while only an event can bring
    /// it about.
    pub(crate) fn due(
        &self,
        config: &CoordinatorConfig,
        under_way: UnderWay,
    ) -> Option<(u64, CheckpointKind)> {
        let anchor_ms = self.anchor_ms?;
        if under_way.ends_job {
            return None;
        }
        let next = self.requests.next();
        let is_forced = !config.unaligned && next.is_some_and(CheckpointKind::is_savepoint);
        if let Some(kind) = next.filter(|_| is_forced) {
            return Some((0, kind));
        }
        if under_way.checkpoints >= config.effective_max_concurrent()
            || config.unaligned && under_way.savepoints > 0
        {
            return None;
        }
        let pause_over_ms =
            self.last_end_ms.map_or(0, |end| end.saturating_add(config.min_pause_ms));
        match next {
            Some(CheckpointKind::Final) if under_way.checkpoints + under_way.savepoints > 0 => None,
            Some(CheckpointKind::Final) => Some((0, CheckpointKind::Final)),
            Some(kind) => Some((pause_over_ms, kind)),
            None => {
                let at_ms = anchor_ms.saturating_add(config.interval_ms?).max(pause_over_ms);
                Some((at_ms, CheckpointKind::Checkpoint))
            }
        }
    }
}
