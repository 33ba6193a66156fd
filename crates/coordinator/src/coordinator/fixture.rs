//! A small job, and short names for its events and actions.
//!
//! The job has operator `source` with one subtask and `count` with two: tasks 0, 1 and 2 below.
//! A state is named by its files, keyed first; `-` stands for none, `.` for an inlined stream, and
//! `a+b+*c` for a stream in file `a` that refers to the shared files `b` and `c`, of which `c` was
//! written with it.

use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, CheckpointMetadata, CheckpointProperties, JobId,
    KeyGroupRange, KeyedStateHandle, MaxParallelism, OperatorState, OperatorStateHandle,
    OperatorUid, Parallelism, SharedFile, StateHandle, StateLocation, StoragePath, SubtaskIndex,
    SubtaskState,
};

use crate::{
    AbortReason, Action, CheckpointKind, Coordinator, CoordinatorConfig, DeclineCause, Event,
    JobPlan, RequestFailure, RequestId, StartPoint, SubtaskMetrics, TaskId,
};

pub(super) const ATTEMPT: u32 = 3;
pub(super) const TASKS: usize = 3;

pub(super) fn id(checkpoint: u64) -> CheckpointId {
    CheckpointId::new(checkpoint).unwrap()
}

fn max() -> MaxParallelism {
    MaxParallelism::new(128).unwrap()
}

pub(super) fn plan() -> JobPlan {
    let operator = |uid, of| (OperatorUid::new(uid).unwrap(), Parallelism::new(of, max()).unwrap());
    JobPlan {
        job: JobId::new("words").unwrap(),
        attempt: AttemptId::new(ATTEMPT),
        max_parallelism: max(),
        assigner: AssignerName::Stable,
        operators: vec![operator("source", 1), operator("count", 2)],
    }
}

pub(super) fn task(number: usize) -> TaskId {
    let (uid, subtask) = [("source", 0), ("count", 0), ("count", 1), ("ghost", 0)][number];
    TaskId { operator: OperatorUid::new(uid).unwrap(), subtask: SubtaskIndex::new(subtask) }
}

pub(super) fn path(file: &str) -> StoragePath {
    StoragePath::new(file).unwrap()
}

fn paths(files: &str) -> Vec<StoragePath> {
    files.split_whitespace().map(path).collect()
}

fn handle(file: &str) -> Option<StateHandle> {
    let location = match file {
        "-" => return None,
        "." => StateLocation::Inline([0; 100].to_vec().into()),
        file => StateLocation::File(path(file)),
    };
    Some(StateHandle { location, len_bytes: 100, seal: 7 })
}

fn keyed(files: &str) -> Option<KeyedStateHandle> {
    let mut files = files.split('+');
    let stream = handle(files.next().unwrap())?;
    let key_groups = KeyGroupRange::new(0, 127, max()).unwrap();
    let (mut shared, mut written) = (Vec::new(), Vec::new());
    for file in files {
        let new = file.strip_prefix('*');
        let path = path(new.unwrap_or(file));
        written.extend(new.map(|_| path.clone()));
        shared.push(SharedFile { path, len_bytes: 100, seal: 7 });
    }
    Some(KeyedStateHandle { key_groups, stream, shared, written })
}

/// The state of a task: `"a"` is keyed state in file `a`, `"a b"` has operator state in `b` too.
pub(super) fn state(number: usize, files: &str) -> SubtaskState {
    let (keyed_files, operator) = files.split_once(' ').unwrap_or((files, "-"));
    SubtaskState {
        index: task(number).subtask,
        keyed: keyed(keyed_files),
        operator: handle(operator).map(|stream| OperatorStateHandle { stream }),
    }
}

pub(super) fn metadata(checkpoint: u64, times: (u64, u64), files: [&str; 3]) -> CheckpointMetadata {
    let plan = plan();
    let mut states = (0..TASKS).map(|number| state(number, files[number]));
    let operators = plan.operators.into_iter().map(|(uid, parallelism)| OperatorState {
        uid,
        parallelism,
        subtasks: states.by_ref().take(usize::from(parallelism.get())).collect(),
    });
    CheckpointMetadata {
        operators: operators.collect(),
        properties: CheckpointProperties {
            job: plan.job,
            checkpoint: id(checkpoint),
            attempt: plan.attempt,
            triggered_at_ms: times.0,
            completed_at_ms: times.1,
            max_parallelism: plan.max_parallelism,
            assigner: plan.assigner,
        },
    }
}

pub(super) const STARTED: Event = Event::Started;
pub(super) const TICK: Event = Event::Tick;
pub(super) const STOPPED: Event = Event::Stopped;
pub(super) const REQUEST: Event =
    Event::Requested { kind: CheckpointKind::Checkpoint, request: None };
pub(super) const FINAL_REQUEST: Event =
    Event::Requested { kind: CheckpointKind::Final, request: None };

pub(super) fn ack(checkpoint: u64, number: usize, files: &str) -> Event {
    ack_of(ATTEMPT, checkpoint, number, state(number, files))
}

pub(super) fn ack_of(attempt: u32, checkpoint: u64, number: usize, state: SubtaskState) -> Event {
    let (checkpoint, attempt) = (id(checkpoint), AttemptId::new(attempt));
    let metrics = SubtaskMetrics::default();
    Event::Acknowledged { checkpoint, attempt, task: task(number), state, metrics }
}

pub(super) fn decline(checkpoint: u64, number: usize) -> Event {
    let (checkpoint, attempt) = (id(checkpoint), AttemptId::new(ATTEMPT));
    let (cause, reason) = (DeclineCause::Asynchronous, "disk full".to_owned());
    Event::Declined { checkpoint, attempt, task: task(number), cause, reason }
}

pub(super) fn committed(checkpoint: u64) -> Event {
    Event::Committed { checkpoint: id(checkpoint) }
}

pub(super) fn commit_failed(checkpoint: u64) -> Event {
    Event::CommitFailed { checkpoint: id(checkpoint), reason: "no space".to_owned() }
}

pub(super) fn trigger_of(kind: CheckpointKind, checkpoint: u64, triggered_at_ms: u64) -> Action {
    let (checkpoint, attempt) = (id(checkpoint), AttemptId::new(ATTEMPT));
    Action::Trigger { checkpoint, attempt, triggered_at_ms, kind, requests: Vec::new() }
}

pub(super) fn trigger(checkpoint: u64, triggered_at_ms: u64) -> Action {
    trigger_of(CheckpointKind::Checkpoint, checkpoint, triggered_at_ms)
}

pub(super) fn final_trigger(checkpoint: u64, triggered_at_ms: u64) -> Action {
    trigger_of(CheckpointKind::Final, checkpoint, triggered_at_ms)
}

pub(super) fn commit(checkpoint: u64, times: (u64, u64), files: [&str; 3]) -> Action {
    let kind = CheckpointKind::Checkpoint;
    Action::Commit { metadata: metadata(checkpoint, times, files), kind }
}

pub(super) fn complete(checkpoint: u64, subsumed: Option<u64>) -> Action {
    let (checkpoint, subsumed) = (id(checkpoint), subsumed.map(id));
    Action::NotifyComplete { checkpoint, subsumed, kind: CheckpointKind::Checkpoint }
}

pub(super) fn aborted(checkpoint: u64, reason: AbortReason) -> Action {
    Action::NotifyAborted { checkpoint: id(checkpoint), reason }
}

pub(super) fn declined(number: usize) -> AbortReason {
    let (cause, reason) = (DeclineCause::Asynchronous, "disk full".to_owned());
    AbortReason::Declined { task: task(number), cause, reason }
}

pub(super) fn not_committed() -> AbortReason {
    AbortReason::CommitFailed { reason: "no space".to_owned() }
}

/// The files, sorted, with spaces between them.
pub(super) fn discard(files: &str) -> Action {
    Action::Discard { files: paths(files) }
}

pub(super) fn delete(checkpoint: u64, files: &str) -> Action {
    Action::DeleteCheckpoint { checkpoint: id(checkpoint), files: paths(files) }
}

pub(super) fn wake(at_ms: u64) -> Action {
    Action::WakeAt { at_ms }
}

/// A coordinator together with the actions it answers.
pub(super) struct Script(pub(super) Coordinator);

impl Script {
    /// A run that has started at time 0.
    pub(super) fn started(config: CoordinatorConfig) -> Self {
        Self::started_from(config, StartPoint::default())
    }

    pub(super) fn started_from(config: CoordinatorConfig, start: StartPoint) -> Self {
        let mut script = Self(Coordinator::new(config, plan(), start).unwrap());
        let _ = script.0.handle(0, Event::Started);
        script
    }

    #[track_caller]
    pub(super) fn step(&mut self, now_ms: u64, event: Event, expected: &[Action]) {
        let shown = format!("{event:?}");
        assert_eq!(self.0.handle(now_ms, event), expected, "at {now_ms} after {shown}");
    }

    /// Requests a checkpoint and completes it with these files, all at one time.
    #[track_caller]
    pub(super) fn complete(
        &mut self,
        now_ms: u64,
        checkpoint: u64,
        files: [&str; 3],
    ) -> Vec<Action> {
        let _ = self.0.handle(now_ms, REQUEST);
        for (number, files) in files.into_iter().enumerate() {
            let _ = self.0.handle(now_ms, ack(checkpoint, number, files));
        }
        self.0.handle(now_ms, committed(checkpoint))
    }

    pub(super) fn retained(&self) -> Vec<u64> {
        self.0.retained().map(|metadata| metadata.properties.checkpoint.get()).collect()
    }
}

/// A request with a number.
pub(super) fn request(kind: CheckpointKind, number: u64) -> Event {
    Event::Requested { kind, request: Some(RequestId(number)) }
}

pub(super) fn answered(number: u64, answer: Result<u64, RequestFailure>) -> Action {
    Action::Answer { requests: vec![RequestId(number)], answer: answer.map(id) }
}

pub(super) fn trigger_for(
    kind: CheckpointKind,
    checkpoint: u64,
    triggered_at_ms: u64,
    number: u64,
) -> Action {
    let (checkpoint, attempt) = (id(checkpoint), AttemptId::new(ATTEMPT));
    let requests = vec![RequestId(number)];
    Action::Trigger { checkpoint, attempt, triggered_at_ms, kind, requests }
}

pub(super) fn discard_savepoint(checkpoint: u64) -> Action {
    Action::DiscardSavepoint { checkpoint: id(checkpoint) }
}
