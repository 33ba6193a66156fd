//! The checkpoint protocol as a pure state machine: events and time in, actions out.
//!
//! Roles: a *driver* (the runtime, or a simulation) owns the clock, the tasks and the storage. It
//! tells the [`Coordinator`] what happened ([`Event`]) and when, and carries out the [`Action`]s
//! in the order it gets them. A *task* is one subtask of one operator.
//!
//! Ladder of names: [`JobPlan`] (all tasks of one run) > checkpoint (*pending*: collecting, then
//! committing; afterwards *retained* or aborted) > acknowledgement (the state of one task) >
//! file. One level up, [`RestartTracker`] decides whether a failed job runs again.
//!
//! Invariants:
//! - no clock, no I/O, no thread, no randomness: the same events give the same actions;
//! - the ids of triggered checkpoints strictly increase, and of those that are complete the one of
//!   the higher id was committed later;
//! - a checkpoint that was triggered ends once: in `NotifyComplete`, in `NotifyAborted` or, when
//!   it was committing as the job stopped, silently; a savepoint after which the job goes on ends in
//!   an `Answer` instead of `NotifyComplete`;
//! - a request with a number is answered once;
//! - no action deletes a file that a pending or a retained checkpoint references, be it that the
//!   file is its own or that it refers to it in the stream of an earlier one; and no file is
//!   forgotten: each is named when its last reference goes;
//! - once a checkpoint has completed, at least one is retained, and the newest always is;
//! - no event is answered with a panic: an event that does not fit is counted in [`Statistics`].
//!
//! One checkpoint from trigger to completion:
//!
//! ```
//! use alluvium_coordinator::{
//!     Action, CheckpointKind, Coordinator, CoordinatorConfig, Event, JobPlan, StartPoint,
//!     SubtaskMetrics, TaskId,
//! };
//! use alluvium_core::{
//!     AssignerName, AttemptId, JobId, MaxParallelism, OperatorUid, Parallelism, SubtaskIndex,
//!     SubtaskState,
//! };
//!
//! let (max, attempt) = (MaxParallelism::new(128)?, AttemptId::new(1));
//! let uid = OperatorUid::new("count")?;
//! let plan = JobPlan {
//!     job: JobId::new("words")?,
//!     attempt,
//!     max_parallelism: max,
//!     assigner: AssignerName::Stable,
//!     operators: vec![(uid.clone(), Parallelism::new(1, max)?)],
//! };
//! let config = CoordinatorConfig::new().interval_ms(Some(1_000));
//! let mut coordinator = Coordinator::new(config, plan, StartPoint::default())?;
//!
//! // All tasks run: the first checkpoint is due one interval later.
//! assert_eq!(coordinator.handle(0, Event::Started), [Action::WakeAt { at_ms: 1_000 }]);
//! let actions = coordinator.handle(1_000, Event::Tick);
//! let Some(&Action::Trigger { checkpoint, .. }) = actions.first() else { panic!() };
//!
//! // The only task acknowledges: the driver shall write the metadata.
//! let task = TaskId { operator: uid, subtask: SubtaskIndex::new(0) };
//! let state = SubtaskState { index: task.subtask, keyed: None, operator: None };
//! let metrics = SubtaskMetrics::default();
//! let acknowledged = Event::Acknowledged { checkpoint, attempt, task, state, metrics };
//! let actions = coordinator.handle(1_200, acknowledged);
//! assert!(matches!(actions.as_slice(), [Action::Commit { .. }]));
//!
//! // It is written: the tasks may commit what they hold back, and a restart would begin here.
//! let actions = coordinator.handle(1_250, Event::Committed { checkpoint });
//! let kind = CheckpointKind::Checkpoint;
//! let complete = Action::NotifyComplete { checkpoint, subsumed: None, kind };
//! assert_eq!(actions, [complete, Action::WakeAt { at_ms: 2_000 }]);
//! assert_eq!(coordinator.latest().map(|it| it.properties.checkpoint), Some(checkpoint));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod action;
mod config;
mod coordinator;
mod error;
mod event;
mod kind;
mod metrics;
mod pending;
mod plan;
mod registry;
mod request;
mod restart;
mod schedule;
mod statistics;

pub use action::{AbortReason, Action, JobFailure};
pub use config::CoordinatorConfig;
pub use coordinator::Coordinator;
pub use error::{PlanError, RestartStrategyError};
pub use event::{DeclineCause, Event};
pub use kind::{CheckpointKind, SavepointFormat};
pub use metrics::{SubtaskMetrics, Summary};
pub use plan::{JobPlan, StartPoint, TaskId};
pub use request::{MAX_WAITING, RequestFailure, RequestId};
pub use restart::{ExponentialDelay, RestartDecision, RestartStrategy, RestartTracker};
pub use statistics::{
    CheckpointOutcome, CheckpointRecord, FailureCounts, HISTORY_LEN, IgnoredCounts, Statistics,
    SubtaskRecord,
};
