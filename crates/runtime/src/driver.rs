//! One attempt: builds all tasks, then carries events to the coordinator and its actions out.
//!
//! Invariants:
//! - when an attempt is over, no task of it runs and no storage work of it is in flight;
//! - a checkpoint has effects outside only after the store's `commit` returned.

mod actions;
mod clean_up;
mod graph;

use std::sync::Arc;
use std::time::Duration;

use alluvium_coordinator::{Coordinator, Event, JobPlan, StartPoint, TaskId};
use alluvium_core::Parallelism;
use alluvium_format::codec::{DefaultCodec, HasCodec};
use alluvium_state::{StateBackend, StateKey};
use tokio::sync::mpsc;

use self::actions::{Actions, Stored};
use crate::error::panic_text;
use crate::operator::{KeyedOperator, Pipeline};
use crate::restore::RestorePoint;
use crate::running::{End, Running, blocking};
use crate::task::{Command, Report};
use crate::{CheckpointStore, JobConfig, JobError, JobEvent, TaskError};

/// What one attempt is made of.
pub(crate) struct Attempt<B, P> {
    pub(crate) pipeline: Arc<P>,
    pub(crate) backend: B,
    pub(crate) store: Arc<CheckpointStore>,
    pub(crate) config: JobConfig,
    pub(crate) parallelism: Parallelism,
    pub(crate) point: Option<RestorePoint>,
    pub(crate) plan: JobPlan,
    pub(crate) start: StartPoint,
}

/// What came of an attempt.
pub(crate) struct AttemptEnd<R> {
    pub(crate) outcome: Result<Vec<R>, JobError>,
    /// How many checkpoints completed.
    pub(crate) completed: u64,
}

/// What a task came to: operators hand over a result.
pub(crate) type TaskEnd<R> = Result<Option<R>, TaskError>;

/// The running tasks of an attempt.
pub(crate) struct Tasks<R> {
    running: Running<TaskId, TaskEnd<R>>,
    sources: Vec<mpsc::UnboundedSender<Command>>,
    others: Vec<mpsc::UnboundedSender<Command>>,
    reports: mpsc::UnboundedReceiver<Report>,
}

impl<R> Tasks<R> {
    fn send_all(&self, command: Command) {
        for task in self.sources.iter().chain(&self.others) {
            // A task that has ended needs no command.
            let _ = task.send(command);
        }
    }
}

/// What a task handed over.
fn result_of<R>(task: TaskId, end: End<TaskEnd<R>>) -> Result<Option<R>, JobError> {
    match end {
        End::Finished(Ok(result)) => Ok(result),
        End::Finished(Err(source)) => Err(JobError::Task { task, source }),
        End::Panicked(panic) => Err(JobError::Panic { task, message: panic_text(&*panic) }),
        End::Dropped => {
            let reason = format!("{task} was dropped before its end");
            Err(JobError::Internal { what: "a task", reason })
        }
    }
}

/// Runs all tasks of an attempt until they end or one fails.
pub(crate) async fn run_attempt<K, B, P>(
    attempt: Attempt<B, P>,
) -> AttemptEnd<<P::Operator as KeyedOperator<B::Keyed<K, DefaultCodec>>>::Result>
where
    K: StateKey + HasCodec,
    B: StateBackend,
    P: Pipeline<B::Keyed<K, DefaultCodec>>,
{
    let failed = |error| AttemptEnd { outcome: Err(error), completed: 0 };
    let restored = attempt.point.as_ref().map(|point| point.metadata.properties.checkpoint);
    let (config, store) = (attempt.config.clone(), Arc::clone(&attempt.store));
    let (id, plan) = (attempt.plan.attempt, attempt.plan.clone());
    let options = config.checkpoints.clone();
    let coordinator = match Coordinator::new(options, plan, attempt.start.clone()) {
        Ok(coordinator) => coordinator,
        Err(error) => return failed(error.into()),
    };
    (config.listener)(&JobEvent::Started { attempt: id, restored });
    let host = Arc::clone(&config.host);
    let built = blocking(&*host, "restore", move || graph::build::<K, B, P>(&attempt)).await;
    let tasks = match built.finished("the restore") {
        Ok(Ok(graph)) => graph.spawn(host),
        Ok(Err(error)) | Err(error) => return failed(error),
    };
    let count = tasks.sources.len();
    let actions = Actions::new(store, id, config.clone());
    let mut driver = Driver { coordinator, tasks, actions, config, sources_left: count };
    let outcome = driver.run().await;
    driver.shut_down().await;
    AttemptEnd { outcome, completed: driver.coordinator.statistics().completed }
}

struct Driver<R> {
    coordinator: Coordinator,
    tasks: Tasks<R>,
    actions: Actions,
    config: JobConfig,
    /// Sources that have not ended.
    sources_left: usize,
}

impl<R: Send + 'static> Driver<R> {
    async fn run(&mut self) -> Result<Vec<R>, JobError> {
        let mut results = Vec::new();
        self.tell(Event::Started)?;
        loop {
            let deadline = self.coordinator.next_deadline_ms();
            let wait = deadline.map(|at| at.saturating_sub(self.config.clock.now_ms()));
            // In this order, so that the same schedule gives the same run. Each event lets time
            // pass as well, so the clock may come last.
            tokio::select! {
                biased;
                Some(report) = self.tasks.reports.recv() => self.report(report)?,
                Some(stored) = self.actions.next_stored() => self.stored(stored)?,
                ended = self.tasks.running.next() => match ended {
                    Some((task, end)) => results.extend(result_of(task, end)?),
                    None => return Ok(results),
                },
                () = self.config.host.sleep(Duration::from_millis(wait.unwrap_or(0))),
                    if wait.is_some() => self.tell(Event::Tick)?,
            }
        }
    }

    fn report(&mut self, report: Report) -> Result<(), JobError> {
        let attempt = self.actions.attempt();
        match report {
            Report::Acknowledged { checkpoint, task, state } => {
                self.tell(Event::Acknowledged { checkpoint, attempt, task, state })
            }
            Report::Declined { checkpoint, task, reason } => {
                self.tell(Event::Declined { checkpoint, attempt, task, reason })
            }
            Report::Ended => {
                self.sources_left = self.sources_left.saturating_sub(1);
                self.request_final()
            }
        }
    }

    /// Once all sources have ended, the last checkpoint commits what the sinks hold back.
    fn request_final(&mut self) -> Result<(), JobError> {
        if self.sources_left > 0 {
            return Ok(());
        }
        self.tell(Event::TriggerRequested { is_final: true })
    }

    fn stored(&mut self, stored: Stored) -> Result<(), JobError> {
        match stored {
            Stored::Committed(checkpoint) => self.tell(Event::Committed { checkpoint }),
            Stored::CommitFailed(checkpoint, reason) => {
                self.tell(Event::CommitFailed { checkpoint, reason })
            }
            Stored::Lost(error) => Err(JobError::Store(error)),
            Stored::Panicked(error) => Err(error),
            Stored::CleanUpFailed(reason) => {
                (self.config.listener)(&JobEvent::CleanUpFailed { reason });
                Ok(())
            }
            Stored::Cleaned => Ok(()),
        }
    }

    /// Tells the coordinator what happened and carries out what it asks for.
    fn tell(&mut self, event: Event) -> Result<(), JobError> {
        let actions = self.coordinator.handle(self.config.clock.now_ms(), event);
        let mut aborted = false;
        for action in actions {
            aborted |= self.actions.carry_out(action, &self.tasks)?;
        }
        if aborted { self.request_final() } else { Ok(()) }
    }

    /// Ends all tasks and waits for everything that is in flight.
    async fn shut_down(&mut self) {
        self.tasks.running.shut_down().await;
        // A failure while ending adds nothing to the one that ended the attempt.
        let _ = self.tell_stopped(Event::Stopped);
        while let Some(report) = self.tasks.reports.recv().await {
            let attempt = self.actions.attempt();
            if let Report::Acknowledged { checkpoint, task, state } = report {
                let event = Event::Acknowledged { checkpoint, attempt, task, state };
                let _ = self.tell_stopped(event);
            }
        }
        while let Some(stored) = self.actions.next_stored().await {
            let _ = match stored {
                Stored::Committed(checkpoint) => self.tell_stopped(Event::Committed { checkpoint }),
                Stored::CommitFailed(checkpoint, reason) => {
                    self.tell_stopped(Event::CommitFailed { checkpoint, reason })
                }
                _ => Ok(()),
            };
        }
    }

    fn tell_stopped(&mut self, event: Event) -> Result<(), JobError> {
        for action in self.coordinator.handle(self.config.clock.now_ms(), event) {
            self.actions.carry_out(action, &self.tasks)?;
        }
        Ok(())
    }
}
