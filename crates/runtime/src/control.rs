//! What somebody asks of a running job: checkpoints, savepoints, an end.
//!
//! A [`JobControl`] is made before the job, given to it in its configuration, and kept by whoever
//! wants to ask. Clones are the same control.
//!
//! Invariants: each question is answered once; a job that is over answers with [`ControlError::Over`],
//! also those that waited.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alluvium_coordinator::{RequestFailure, SavepointFormat, Statistics};
use alluvium_core::{AttemptId, CheckpointId};
use alluvium_storage::Storage;
use tokio::sync::{Notify, oneshot};

use crate::StoreError;

/// Asks a running job for something.
#[derive(Clone, Default)]
pub struct JobControl {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    asked: Notify,
    over: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Ask>,
    status: JobStatus,
    /// When the last attempt ended.
    statistics: Statistics,
    restores: u64,
    restored: Option<Restored>,
}

/// The checkpoint or savepoint that an attempt began from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// Its number.
    pub checkpoint: CheckpointId,
    /// When the attempt began, in milliseconds of the job's clock.
    pub at_ms: u64,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum JobStatus {
    /// It was not started yet.
    #[default]
    Created,
    /// Its tasks are being made, or run.
    Running {
        /// The attempt.
        attempt: AttemptId,
        /// The checkpoint that the attempt began from; `None` for a fresh start.
        restored: Option<CheckpointId>,
    },
    /// An attempt failed, and the next one has not begun.
    Restarting {
        /// Why it failed.
        error: String,
    },
    /// It has come to the end of its input.
    Finished,
    /// It was stopped with a savepoint.
    Stopped {
        /// Where the savepoint lies.
        savepoint: String,
    },
    /// It was cancelled.
    Cancelled,
    /// It failed.
    Failed {
        /// Why.
        error: String,
    },
}

impl JobStatus {
    /// Whether the job will do nothing more.
    pub const fn is_over(&self) -> bool {
        !matches!(self, Self::Created | Self::Running { .. } | Self::Restarting { .. })
    }

    /// The name of the status. Source: Flink `JobStatus`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Running { .. } => "RUNNING",
            Self::Restarting { .. } => "RESTARTING",
            Self::Finished | Self::Stopped { .. } => "FINISHED",
            Self::Cancelled => "CANCELED",
            Self::Failed { .. } => "FAILED",
        }
    }
}

/// A savepoint that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Savepoint {
    /// Its number.
    pub checkpoint: CheckpointId,
    /// Its folder, as a person would write it.
    pub location: String,
}

/// A question that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The job is over, or was dropped.
    #[error("the job is over")]
    Over,
    /// The coordinator refused it, or it failed.
    #[error("{0}")]
    Request(#[from] RequestFailure),
    /// Nothing can be written where the savepoint should go.
    #[error("no savepoint can be written to {target}: {reason}")]
    Target {
        /// The target.
        target: String,
        /// Why, in one sentence.
        reason: String,
    },
}

impl ControlError {
    pub(crate) fn of_target(target: &dyn Storage, error: &StoreError) -> Self {
        Self::Target { target: target.root().to_owned(), reason: error.to_string() }
    }
}

/// What is asked.
#[derive(Debug)]
pub(crate) enum Ask {
    Checkpoint {
        is_full: bool,
        reply: Reply<CheckpointId>,
    },
    Savepoint {
        target: Arc<dyn Storage>,
        format: SavepointFormat,
        stop: Option<Stop>,
        reply: Reply<Savepoint>,
    },
    Statistics {
        reply: oneshot::Sender<Statistics>,
    },
    Cancel,
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, ControlError>>;

/// How a job ends with a savepoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It will go on from the savepoint: event time stays where it is.
    Suspend,
    /// It will not go on: event time goes to its end first, so that all timers in event time fire
    /// and all windows close.
    Drain,
}

impl JobControl {
    /// A control for one job.
    pub fn new() -> Self {
        Self::default()
    }

    /// How far the job is.
    pub fn status(&self) -> JobStatus {
        self.state().status.clone()
    }

    /// Takes a checkpoint now; a full one builds on no earlier one.
    ///
    /// Errors: [`ControlError`].
    pub async fn checkpoint(&self, is_full: bool) -> Result<CheckpointId, ControlError> {
        self.ask(|reply| Ask::Checkpoint { is_full, reply }).await
    }

    /// Takes a savepoint into a new folder below `target`.
    ///
    /// Errors: [`ControlError`].
    pub async fn savepoint(
        &self,
        target: Arc<dyn Storage>,
        format: SavepointFormat,
    ) -> Result<Savepoint, ControlError> {
        self.ask(|reply| Ask::Savepoint { target, format, stop: None, reply }).await
    }

    /// Takes a savepoint into a new folder below `target` and ends the job with it. The answer comes
    /// when the savepoint is complete; the job ends soon after.
    ///
    /// Errors: [`ControlError`]; then the job goes on, unless it was to drain and its end has been
    /// told to its operators: then it fails.
    pub async fn stop(
        &self,
        target: Arc<dyn Storage>,
        format: SavepointFormat,
        stop: Stop,
    ) -> Result<Savepoint, ControlError> {
        self.ask(|reply| Ask::Savepoint { target, format, stop: Some(stop), reply }).await
    }

    /// What happened to checkpoints since the job began in this process. A job that is between two
    /// attempts, or restores state, answers when its tasks run.
    ///
    /// Errors: [`ControlError::Over`].
    pub async fn statistics(&self) -> Result<Statistics, ControlError> {
        let (reply, answer) = oneshot::channel();
        self.push(Ask::Statistics { reply })?;
        answer.await.map_err(|_| ControlError::Over)
    }

    /// The same when the last attempt ended; nothing before one has. Never waits, and answers when the
    /// job is over, too.
    pub fn last_statistics(&self) -> Statistics {
        self.state().statistics.clone()
    }

    /// How many attempts began from a checkpoint or savepoint, and what the last of them began from.
    pub fn restored(&self) -> (u64, Option<Restored>) {
        let state = self.state();
        (state.restores, state.restored.clone())
    }

    /// Waits until the job is over, and says how it ended.
    pub async fn over(&self) -> JobStatus {
        // Made before the status is read, so that no end is missed.
        let over = self.shared.over.notified();
        let status = self.status();
        if status.is_over() {
            return status;
        }
        over.await;
        self.status()
    }

    /// Ends the job at once, without a savepoint.
    pub fn cancel(&self) {
        // A job that is over has nothing to cancel.
        let _ = self.push(Ask::Cancel);
    }

    async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<T, ControlError> {
        let (reply, answer) = oneshot::channel();
        self.push(ask(reply))?;
        answer.await.unwrap_or(Err(ControlError::Over))
    }

    fn push(&self, ask: Ask) -> Result<(), ControlError> {
        let mut state = self.state();
        if state.status.is_over() {
            return Err(ControlError::Over);
        }
        state.waiting.push_back(ask);
        drop(state);
        self.shared.asked.notify_one();
        Ok(())
    }

    /// The next question, once there is one.
    pub(crate) async fn next(&self) -> Ask {
        loop {
            let asked = self.state().waiting.pop_front();
            match asked {
                Some(ask) => return ask,
                None => self.shared.asked.notified().await,
            }
        }
    }

    /// Waits for a wish to cancel, between two attempts. Other questions wait on.
    pub(crate) async fn cancelled(&self) {
        while !self.take_cancel() {
            self.shared.asked.notified().await;
        }
    }

    fn take_cancel(&self) -> bool {
        let mut state = self.state();
        let before = state.waiting.len();
        state.waiting.retain(|ask| !matches!(ask, Ask::Cancel));
        state.waiting.len() < before
    }

    /// Says how far the job is. One that is over drops what still waits.
    pub(crate) fn set_status(&self, status: JobStatus) {
        let is_over = status.is_over();
        let mut state = self.state();
        if is_over {
            state.waiting.clear();
        }
        state.status = status;
        drop(state);
        if is_over {
            self.shared.over.notify_waiters();
        }
    }

    /// Keeps what an attempt that has ended counted.
    pub(crate) fn keep_statistics(&self, statistics: Statistics) {
        self.state().statistics = statistics;
    }

    /// Notes that an attempt begins from a checkpoint.
    pub(crate) fn note_restore(&self, checkpoint: CheckpointId, at_ms: u64) {
        let mut state = self.state();
        state.restores += 1;
        state.restored = Some(Restored { checkpoint, at_ms });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for JobControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobControl({:?})", self.state().status)
    }
}
