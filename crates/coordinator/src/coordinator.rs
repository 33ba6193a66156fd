//! The coordinator of one run of a job.
//!
//! Each call first lets time pass (a pending checkpoint may expire), then takes the event, then
//! triggers what is due. An acknowledgement that arrives with the timeout is therefore late.
//!
//! Invariants:
//! - the file registry counts exactly the files of `pending` and of `retained`, and those that are
//!   to be spared;
//! - `retained` is sorted by id, and every id in it is below `next`;
//! - a checkpoint is pending only while running, or while committing in a stopped run.
//!
//! Source: Flink `CheckpointCoordinator`.

use std::collections::{BTreeMap, VecDeque};

use alluvium_core::{CheckpointId, CheckpointMetadata, OperatorUid, Parallelism};

use crate::pending::PendingCheckpoint;
use crate::registry::FileRegistry;
use crate::schedule::Schedule;
use crate::{
    AbortReason, Action, CoordinatorConfig, Event, JobPlan, PlanError, StartPoint, Statistics,
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
    pending: Option<PendingCheckpoint>,
    retained: VecDeque<CheckpointMetadata>,
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
    /// Errors: [`PlanError`] when the interval, the timeout or the number of retained checkpoints
    /// is 0, or when the plan or the start point contradict themselves.
    pub fn new(
        config: CoordinatorConfig,
        plan: JobPlan,
        start: StartPoint,
    ) -> Result<Self, PlanError> {
        let at_least_one = [
            ("interval_ms", config.interval_ms == Some(0)),
            ("timeout_ms", config.timeout_ms == 0),
            ("retained", config.retained == 0),
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
            pending: None,
            retained: start.retained.into(),
            files,
            failed_in_a_row: 0,
            announced_ms: None,
            statistics: Statistics::default(),
        })
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
            Event::TriggerRequested { is_final } => self.request(is_final),
            Event::Acknowledged { checkpoint, attempt, task, state } => {
                self.acknowledge(checkpoint, attempt, &task, state, &mut actions);
            }
            Event::Declined { checkpoint, attempt, task, reason } => {
                self.decline(checkpoint, attempt, task, reason, &mut actions);
            }
            Event::Committed { checkpoint } => self.complete(checkpoint, &mut actions),
            Event::CommitFailed { checkpoint, reason } => {
                self.fail_commit(checkpoint, reason, &mut actions);
            }
            Event::Stopped => self.stop(&mut actions),
        }
        self.trigger_if_due(&mut actions);
        self.announce_deadline(&mut actions);
        actions
    }

    /// When something is due without any event; `None` while only an event can bring it about.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        match &self.pending {
            Some(pending) if pending.is_committing() => None,
            Some(pending) => Some(pending.triggered_at_ms.saturating_add(self.config.timeout_ms)),
            None if self.run == Run::Running => self.schedule.due_ms(&self.config),
            None => None,
        }
    }

    /// The completed checkpoints that are kept, oldest first.
    pub fn retained(&self) -> impl Iterator<Item = &CheckpointMetadata> {
        self.retained.iter()
    }

    /// The newest completed checkpoint: what a restart restores.
    pub fn latest(&self) -> Option<&CheckpointMetadata> {
        self.retained.back()
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

    fn request(&mut self, is_final: bool) {
        match self.run {
            Run::Waiting | Run::Running => self.schedule.requested(is_final),
            Run::Over | Run::Stopped => self.statistics.refused_requests += 1,
        }
    }

    fn trigger_if_due(&mut self, actions: &mut Vec<Action>) {
        if self.run != Run::Running || self.pending.is_some() {
            return;
        }
        if self.schedule.due_ms(&self.config).is_none_or(|due_ms| due_ms > self.now_ms) {
            return;
        }
        let (checkpoint, triggered_at_ms) = (self.next, self.now_ms);
        let is_final = self.schedule.triggered(triggered_at_ms);
        let tasks = self.plan.task_count();
        self.next = checkpoint.next();
        self.pending = Some(PendingCheckpoint::new(checkpoint, triggered_at_ms, is_final));
        self.statistics.triggered(checkpoint, triggered_at_ms, is_final, tasks);
        let attempt = self.plan.attempt;
        actions.push(Action::Trigger { checkpoint, attempt, triggered_at_ms, is_final });
    }

    fn expire_if_due(&mut self, actions: &mut Vec<Action>) {
        if self.pending.is_some()
            && self.next_deadline_ms().is_some_and(|due_ms| due_ms <= self.now_ms)
        {
            self.abort(AbortReason::Expired, actions);
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
