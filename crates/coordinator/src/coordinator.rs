//! The coordinator of one run of a job.
//!
//! Each call first lets time pass (a pending checkpoint may expire), then takes the event, then
//! triggers what is due. An acknowledgement that arrives with the timeout is therefore late.
//!
//! Invariants:
//! - the file registry counts exactly the files of the pending checkpoints, of `retained` and of
//!   `leaving`, and those that are to be spared; savepoints have files of their own, which it does
//!   not know;
//! - `retained` is sorted by id, and every id in it is below `next`;
//! - a checkpoint is pending only while running, or while committing in a stopped run.
//!
//! Source: Flink `CheckpointCoordinator`.

use std::collections::{BTreeMap, VecDeque};

use alluvium_core::{CheckpointId, CheckpointMetadata, OperatorUid, Parallelism};

use crate::pending::{PendingCheckpoint, PendingCheckpoints};
use crate::registry::FileRegistry;
use crate::schedule::Schedule;
use crate::{
    AbortReason, Action, CheckpointKind, CoordinatorConfig, Event, JobPlan, PlanError,
    RequestFailure, RequestId, StartPoint, Statistics,
};

/// Decides when checkpoints begin, complete, fail and go, for one run of a job.
///
/// A restart makes a new one, with a higher attempt and a [`StartPoint`] taken from
/// [`retained`](Self::retained).
#[derive(Debug, Clone)]
pub struct Coordinator {
    config: CoordinatorConfig,
    plan: JobPlan,
    operators: BTreeMap<OperatorUid, (usize, Parallelism)>,
    run: Run,
    now_ms: u64,
    next: CheckpointId,
    schedule: Schedule,
    pending: PendingCheckpoints,
    retained: VecDeque<CheckpointMetadata>,
    /// Replaced by newer ones, and kept until every checkpoint up to the given one has ended, which
    /// was under way when this one was replaced; oldest first.
    leaving: VecDeque<(CheckpointMetadata, CheckpointId)>,
    /// Whether the snapshot of another folder that the run began from is still to be deleted.
    claimed: bool,
    /// The last savepoints that have ended, and whether they failed: their states may come late.
    past_savepoints: VecDeque<(CheckpointId, bool)>,
    files: FileRegistry,
    failed_in_a_row: u32,
    announced_ms: Option<u64>,
    statistics: Statistics,
}

/// How far the run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Waiting,
    Running,
    /// The final checkpoint is complete, or the job has to fail: nothing is triggered any more.
    Over,
    /// The tasks are gone as well.
    Stopped,
}

impl Coordinator {
    /// Begins a run.
    ///
    /// Errors: [`PlanError`] when the interval, the timeout, the number of retained or of concurrent
    /// checkpoints is 0, or when the plan or the start point contradict themselves.
    pub fn new(
        config: CoordinatorConfig,
        plan: JobPlan,
        start: StartPoint,
    ) -> Result<Self, PlanError> {
        let at_least_one = [
            ("interval_ms", config.interval_ms == Some(0)),
            ("timeout_ms", config.timeout_ms == 0),
            ("retained", config.retained == 0),
            ("max_concurrent", config.max_concurrent == 0),
        ];
        if let Some((option, _)) = at_least_one.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(PlanError::Option { option, found: 0, min: 1 });
        }
        plan.check()?;
        start.check(&plan.job)?;
        let mut files = FileRegistry::default();
        for metadata in &start.retained {
            files.add(metadata.files());
        }
        files.add(start.spared.iter());
        let operators = plan.operators.iter().enumerate();
        let operators = operators.map(|(at, (uid, of))| (uid.clone(), (at, *of))).collect();
        Ok(Self {
            config,
            plan,
            operators,
            run: Run::Waiting,
            now_ms: 0,
            next: start.next,
            schedule: Schedule::default(),
            pending: PendingCheckpoints::default(),
            retained: start.retained.into(),
            leaving: VecDeque::new(),
            claimed: start.claimed,
            past_savepoints: VecDeque::new(),
            files,
            failed_in_a_row: 0,
            announced_ms: None,
            statistics: Statistics::default(),
        })
    }

    /// Goes on counting where an earlier run of the job has stopped.
    #[must_use]
    pub fn with_statistics(self, statistics: Statistics) -> Self {
        Self { statistics, ..self }
    }

    /// Takes one event and says what to do about it, in this order.
    ///
    /// Units: `now_ms` is in milliseconds since 1970-01-01 UTC, as it is stored in the metadata;
    /// a time before the latest seen counts as that one.
    pub fn handle(&mut self, now_ms: u64, event: Event) -> Vec<Action> {
        self.now_ms = self.now_ms.max(now_ms);
        let mut actions = Vec::new();
        self.expire_if_due(&mut actions);
        match event {
            Event::Started => self.start(),
            Event::Tick => {}
            Event::Requested { kind, request } => self.request(kind, request, &mut actions),
            Event::Acknowledged { checkpoint, attempt, task, state, metrics } => {
                self.acknowledge(checkpoint, attempt, &task, state, metrics, &mut actions);
            }
            Event::Declined { checkpoint, attempt, task, cause, reason } => {
                let declined = AbortReason::Declined { task, cause, reason };
                self.decline(checkpoint, attempt, declined, &mut actions);
            }
            Event::Committed { checkpoint } => self.complete(checkpoint, &mut actions),
            Event::CommitFailed { checkpoint, reason } => {
                self.fail_commit(checkpoint, reason, &mut actions);
            }
            Event::Stopped => self.stop(&mut actions),
        }
        self.trigger_what_is_due(&mut actions);
        self.announce_deadline(&mut actions);
        actions
    }

    /// The number that the next checkpoint or savepoint would get. A run that goes on after this one
    /// begins there, so that no number is given away twice: what was begun under it may yet appear.
    pub const fn next_checkpoint(&self) -> CheckpointId {
        self.next
    }

    /// When something is due without any event; `None` while only an event can bring it about.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        let collecting = self.pending.iter().filter(|pending| pending.is_collecting());
        let expires = collecting.map(|pending| self.expires_at_ms(pending)).min();
        let due = match self.run {
            Run::Running => self.schedule.due(&self.config, self.pending.under_way()),
            _ => None,
        };
        expires.into_iter().chain(due.map(|(at_ms, _)| at_ms)).min()
    }

    /// The completed checkpoints that are kept, oldest first.
    pub fn retained(&self) -> impl Iterator<Item = &CheckpointMetadata> {
        self.retained.iter()
    }

    /// The newest completed checkpoint: what a restart restores.
    pub fn latest(&self) -> Option<&CheckpointMetadata> {
        self.retained.back()
    }

    /// Whether the snapshot of another folder that the run began from is still there.
    pub const fn has_claimed(&self) -> bool {
        self.claimed
    }

    /// Deletes all checkpoints that the run owns, when the job is over and none is wanted any more.
    pub fn delete_retained(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        let leaving = std::mem::take(&mut self.leaving).into_iter().map(|(metadata, _)| metadata);
        for metadata in leaving.chain(std::mem::take(&mut self.retained)) {
            let checkpoint = metadata.properties.checkpoint;
            let files = self.files.release(metadata.files()).into_iter().collect();
            actions.push(Action::DeleteCheckpoint { checkpoint, files });
        }
        actions
    }

    /// What happened so far.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    fn start(&mut self) {
        if self.run == Run::Waiting {
            self.run = Run::Running;
            self.schedule.started(self.now_ms);
        } else {
            self.statistics.impossible_events += 1;
        }
    }

    fn request(
        &mut self,
        kind: CheckpointKind,
        request: Option<RequestId>,
        actions: &mut Vec<Action>,
    ) {
        let refused = match self.run {
            Run::Over | Run::Stopped => Err(RequestFailure::JobStopped),
            _ if self.pending.iter().any(|pending| {
                matches!(pending.kind, CheckpointKind::StopWithSavepoint { .. })
            }) && request.is_some() =>
            {
                Err(RequestFailure::Stopping)
            }
            Run::Waiting | Run::Running => self.schedule.requests.push(kind, request),
        };
        if let Err(failure) = refused {
            self.statistics.refused_requests += 1;
            answer(request.into_iter().collect(), Err(failure), actions);
        }
    }

    fn trigger_what_is_due(&mut self, actions: &mut Vec<Action>) {
        while self.run == Run::Running {
            let due = self.schedule.due(&self.config, self.pending.under_way());
            let Some((_, kind)) = due.filter(|(due_ms, _)| *due_ms <= self.now_ms) else { return };
            let (checkpoint, triggered_at_ms) = (self.next, self.now_ms);
            let requests = self.schedule.requests.take(kind);
            self.schedule.triggered(triggered_at_ms);
            self.next = checkpoint.next();
            let pending =
                PendingCheckpoint::new(checkpoint, triggered_at_ms, kind, requests.clone());
            self.pending.insert(pending);
            self.statistics.triggered(checkpoint, triggered_at_ms, kind, self.plan.task_count());
            let attempt = self.plan.attempt;
            actions.push(Action::Trigger { checkpoint, attempt, triggered_at_ms, kind, requests });
        }
    }

    fn expires_at_ms(&self, pending: &PendingCheckpoint) -> u64 {
        pending.triggered_at_ms.saturating_add(self.config.timeout_ms)
    }

    fn expire_if_due(&mut self, actions: &mut Vec<Action>) {
        let expired = self
            .pending
            .ids(|pending| pending.is_collecting() && self.expires_at_ms(pending) <= self.now_ms);
        for checkpoint in expired {
            self.abort(checkpoint, AbortReason::Expired, actions);
        }
    }

    fn announce_deadline(&mut self, actions: &mut Vec<Action>) {
        let deadline_ms = self.next_deadline_ms();
        if deadline_ms != self.announced_ms {
            self.announced_ms = deadline_ms;
            actions.extend(deadline_ms.map(|at_ms| Action::WakeAt { at_ms }));
        }
    }
}

/// Tells whoever asked, if anybody did.
fn answer(
    requests: Vec<RequestId>,
    answer: Result<CheckpointId, RequestFailure>,
    actions: &mut Vec<Action>,
) {
    if !requests.is_empty() {
        actions.push(Action::Answer { requests, answer });
    }
}

mod acknowledging;
mod ending;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod tests;
