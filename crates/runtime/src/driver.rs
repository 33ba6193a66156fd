//! One attempt: builds all tasks, then carries events to the coordinator and its actions out.
//!
//! Invariants:
//! - when an attempt is over, no task of it runs and no storage work of it is in flight;
//! - a checkpoint has effects outside only after the store's `commit` returned.

mod actions;
mod asked;
mod clean_up;
mod graph;
mod in_flight;
mod near;
mod telemetry;

pub(crate) use graph::{Builder, task_error};

use std::sync::Arc;
use std::time::Duration;

use alluvium_coordinator::{
    Action, CheckpointKind, Coordinator, Event, JobPlan, StartPoint, TaskId,
};
use alluvium_core::museum::{self, Mistake};
use alluvium_core::{CheckpointId, StoragePath};
use alluvium_state::StateBackend;
use alluvium_storage::{LocalCopies, SavepointFolder};
use tokio::sync::mpsc;

use self::actions::{Actions, Owned, Stored, Wanted};
use self::near::Near;
use self::telemetry::Telemetry;
use crate::barrier::Barrier;
use crate::control::{Ask, Savepoint, Stop};
use crate::error::panic_text;
use crate::job_graph::JobGraph;
use crate::restore::RestorePoint;
use crate::running::{End, Running, blocking};
use crate::task::{Command, Report};
use crate::{
    CheckpointStore, ControlError, HostTask, JobConfig, JobError, JobEvent, StoreError, TaskError,
};

/// What one attempt is made of.
pub(crate) struct Attempt<B, R> {
    pub(crate) graph: Arc<JobGraph<B, R>>,
    pub(crate) backend: B,
    pub(crate) store: Arc<CheckpointStore>,
    pub(crate) config: JobConfig,
    pub(crate) point: Option<RestorePoint>,
    /// Second copies of checkpoint files on this machine.
    pub(crate) copies: Option<LocalCopies>,
    /// What the run began from, if it owns that and it lies elsewhere.
    pub(crate) claimed: Option<RestorePoint>,
    /// What older runs have left, to be removed once a checkpoint of this one is complete.
    pub(crate) leftovers: Vec<StoragePath>,
    pub(crate) plan: JobPlan,
    pub(crate) start: StartPoint,
}

/// What came of an attempt.
pub(crate) struct AttemptEnd<R> {
    pub(crate) outcome: Result<Vec<R>, JobError>,
    /// How many checkpoints and savepoints completed.
    pub(crate) completed: u64,
    /// The savepoint that the job was stopped with, if that is complete.
    pub(crate) stopped_with: Option<Savepoint>,
    /// Keeps account of what the attempt leaves behind; `None` when it did not begin.
    pub(crate) coordinator: Option<Coordinator>,
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
    /// Lets a barrier overtake the records on their way to the tasks behind the sources.
    fn overtake(&self, barrier: &Barrier) {
        for task in &self.others {
            let _ = task.send(Command::Overtake(barrier.clone()));
        }
    }

    fn send_all(&self, command: &Command) {
        for task in self.sources.iter().chain(&self.others) {
            // A task that has ended needs no command.
            let _ = task.send(command.clone());
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
pub(crate) async fn run_attempt<B: StateBackend, R: Send + 'static>(
    attempt: Attempt<B, R>,
) -> AttemptEnd<R> {
    let failed = |error| {
        let (outcome, stopped_with, coordinator) = (Err(error), None, None);
        AttemptEnd { outcome, completed: 0, stopped_with, coordinator }
    };
    let (claimed, copies) = (attempt.claimed.clone(), attempt.copies.clone());
    let restored = attempt.point.as_ref().map(|point| point.metadata.properties.checkpoint);
    let (config, store) = (attempt.config.clone(), Arc::clone(&attempt.store));
    let (id, plan) = (attempt.plan.attempt, attempt.plan.clone());
    let options = config.checkpoints.clone();
    let coordinator = match Coordinator::new(options, plan, attempt.start.clone()) {
        Ok(coordinator) => coordinator.with_statistics(config.control.last_statistics()),
        Err(error) => return failed(error.into()),
    };
    let completed_before = coordinator.statistics().completed;
    let telemetry = Telemetry::new(store.job(), id, restored);
    (config.listener)(&JobEvent::Started { attempt: id, restored });
    let host = Arc::clone(&config.host);
    let restoring = telemetry.restore();
    let span = restoring.clone();
    let leftovers = attempt.leftovers.clone();
    let near = Near::new(copies.clone());
    let prepared = near.clone();
    let work = move || {
        prepared.prepare(attempt.point.as_ref());
        span.in_scope(|| graph::build(&attempt))
    };
    let built = blocking(&*host, "restore", work).await;
    drop(restoring);
    let tasks = match built.finished("the restore") {
        Ok(Ok(ready)) => ready.spawn(host),
        Ok(Err(error)) | Err(error) => return failed(error),
    };
    near.tell_restored(restored, &config);
    let count = tasks.sources.len();
    let actions = Actions::new(store, id, config.clone(), Owned { claimed, leftovers }, near);
    let _running = telemetry.run(config.control.restored().1.as_ref());
    let mut driver = Driver {
        began_ms: config.clock.now_ms(),
        began: config.host.now(),
        coordinator,
        tasks,
        actions,
        config,
        sources_left: count,
        draining: None,
        final_again: None,
        telemetry,
    };
    let outcome = driver.run().await;
    driver.shut_down().await;
    let statistics = driver.coordinator.statistics().clone();
    let completed = statistics.completed.saturating_sub(completed_before);
    driver.config.control.keep_statistics(statistics);
    let stopped_with = driver.actions.stopped_with.take();
    AttemptEnd { outcome, completed, stopped_with, coordinator: Some(driver.coordinator) }
}

/// Time until the job's last checkpoint is asked for again after one was aborted: long enough for a
/// snapshot of the aborted one to be written.
///
/// 1. all sources have ended, and subtask 0 writes its snapshot for checkpoint 4 when that is aborted;
/// 2. checkpoint 5 is triggered at once, and declined by subtask 0, which is still writing for 4;
///    subtask 1 has begun to write for 5 meanwhile;
/// 3. checkpoint 6 is declined by subtask 1, which is still writing for 5, and so on: thousands of
///    checkpoints in a second, none of which completes.
const FINAL_AGAIN: Duration = Duration::from_millis(100);

struct Driver<R> {
    coordinator: Coordinator,
    tasks: Tasks<R>,
    actions: Actions,
    config: JobConfig,
    /// When the attempt began, by the clock and by the host.
    began_ms: u64,
    began: Duration,
    /// Sources that have not ended.
    sources_left: usize,
    /// The savepoint before which all sources were ended for good.
    draining: Option<CheckpointId>,
    /// Until the last checkpoint is asked for again.
    final_again: Option<HostTask>,
    telemetry: Telemetry,
}

impl<R: Send + 'static> Driver<R> {
    async fn run(&mut self) -> Result<Vec<R>, JobError> {
        let mut results = Vec::new();
        self.tell(Event::Started)?;
        loop {
            let deadline = self.coordinator.next_deadline_ms();
            let wait = deadline.map(|at| at.saturating_sub(self.now_ms()));
            let overtaking = self.until_overtaking();
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
                ask = self.config.control.next() => self.asked(ask)?,
                () = self.config.host.sleep(overtaking), if self.actions.aligning.is_some() => {
                    if let Some(barrier) = self.actions.aligning.take() {
                        self.tasks.overtake(&barrier);
                    }
                }
                () = self.config.host.sleep(Duration::from_millis(wait.unwrap_or(0))),
                    if wait.is_some() => self.tell(Event::Tick)?,
                () = async { if let Some(wait) = &mut self.final_again { wait.await } },
                    if self.final_again.is_some() =>
                {
                    self.final_again = None;
                    self.request_final()?;
                }
            }
        }
    }

    /// Time until the barriers of the checkpoint that is being aligned overtake records.
    fn until_overtaking(&self) -> Duration {
        let at_ms = self.actions.aligning.as_ref().map_or(0, |barrier| {
            barrier.snapshot.triggered_at_ms.saturating_add(self.config.aligned_timeout_ms)
        });
        Duration::from_millis(at_ms.saturating_sub(self.now_ms()))
    }

    /// What the coordinator is told of the time: that of the clock when the attempt began, and what
    /// has passed since by the host.
    ///
    /// 1. a checkpoint is triggered, and a report of it is lost;
    /// 2. somebody sets the clock back by an hour;
    /// 3. by that clock the checkpoint expires in an hour, and until then none is triggered.
    fn now_ms(&self) -> u64 {
        let passed = self.config.host.now().saturating_sub(self.began);
        self.began_ms.saturating_add(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
    }

    fn report(&mut self, report: Report) -> Result<(), JobError> {
        let attempt = self.actions.attempt();
        match report {
            Report::Acknowledged { checkpoint, task, state, metrics } => {
                self.telemetry.acknowledged(&task, &metrics);
                self.tell(Event::Acknowledged { checkpoint, attempt, task, state, metrics })
            }
            Report::Declined { checkpoint, task, cause, reason } => {
                self.tell(Event::Declined { checkpoint, attempt, task, cause, reason })
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
        if museum::makes(Mistake::EndsWithoutCheckpoint) {
            let checkpoint = CheckpointId::FIRST;
            self.tasks.send_all(&Command::Complete {
                checkpoint,
                is_final: true,
                is_savepoint: false,
            });
        }
        self.tell(Event::Requested { kind: CheckpointKind::Final, request: None })
    }

    /// Somebody asks for something.
    fn asked(&mut self, ask: Ask) -> Result<(), JobError> {
        match ask {
            Ask::Checkpoint { is_full, reply } => {
                let kind = if is_full {
                    CheckpointKind::FullCheckpoint
                } else {
                    CheckpointKind::Checkpoint
                };
                let request = Some(self.actions.asked.checkpoint(reply));
                self.tell(Event::Requested { kind, request })
            }
            Ask::Savepoint { target, format, stop, reply } => {
                let kind = match stop {
                    None => CheckpointKind::Savepoint(format),
                    Some(stop) => {
                        CheckpointKind::StopWithSavepoint { format, drain: stop == Stop::Drain }
                    }
                };
                self.actions.reserve(Wanted { kind, target, reply });
                Ok(())
            }
            Ask::Statistics { reply } => {
                // Whoever asked may be gone.
                let _ = reply.send(self.coordinator.statistics().clone());
                Ok(())
            }
            Ask::Cancel => Err(JobError::Cancelled),
        }
    }

    /// A folder for a savepoint is there, or cannot be.
    fn reserved(
        &mut self,
        Wanted { kind, target, reply }: Wanted,
        folder: Result<SavepointFolder, StoreError>,
    ) -> Result<(), JobError> {
        match folder {
            Ok(folder) => {
                let request = Some(self.actions.asked.savepoint(folder, reply));
                self.tell(Event::Requested { kind, request })
            }
            Err(error) => {
                let _ = reply.send(Err(ControlError::of_target(&*target, &error)));
                Ok(())
            }
        }
    }

    fn stored(&mut self, stored: Stored) -> Result<(), JobError> {
        match stored {
            Stored::Committed(checkpoint) => self.tell(Event::Committed { checkpoint }),
            Stored::CommitFailed(checkpoint, reason) => {
                self.tell(Event::CommitFailed { checkpoint, reason })
            }
            Stored::Lost(error) => Err(JobError::Store(error)),
            Stored::Panicked(error) => Err(error),
            Stored::CleanUpFailed(untold) => {
                self.say_kept(untold);
                Ok(())
            }
            Stored::Cleaned(_) => Ok(()),
            Stored::Reserved(wanted, folder) => self.reserved(wanted, folder),
        }
    }

    fn say_kept(&self, untold: Option<String>) {
        if let Some(reason) = untold {
            (self.config.listener)(&JobEvent::CleanUpFailed { reason });
        }
    }

    /// Tells the coordinator what happened and carries out what it asks for.
    fn tell(&mut self, event: Event) -> Result<(), JobError> {
        let actions = self.coordinator.handle(self.now_ms(), event);
        self.telemetry.follow(&actions, self.coordinator.statistics());
        let (mut aborted, mut drained) = (false, None);
        for action in actions {
            if let Action::NotifyAborted { checkpoint, reason } = &action
                && self.draining == Some(*checkpoint)
            {
                drained = Some(JobError::NotDrained {
                    checkpoint: *checkpoint,
                    reason: reason.to_string(),
                });
            }
            if let Action::Trigger {
                checkpoint,
                kind: CheckpointKind::StopWithSavepoint { drain: true, .. },
                ..
            } = &action
            {
                self.draining = Some(*checkpoint);
            }
            aborted |= self.actions.carry_out(action, &self.tasks)?;
        }
        if aborted && self.sources_left == 0 {
            self.final_again = Some(self.config.host.sleep(FINAL_AGAIN));
        }
        drained.map_or(Ok(()), Err)
    }

    /// Ends all tasks and waits for everything that is in flight.
    async fn shut_down(&mut self) {
        self.tasks.running.shut_down().await;
        // A failure while ending adds nothing to the one that ended the attempt.
        let _ = self.tell_stopped(Event::Stopped);
        while let Some(report) = self.tasks.reports.recv().await {
            let attempt = self.actions.attempt();
            if let Report::Acknowledged { checkpoint, task, state, metrics } = report {
                let event = Event::Acknowledged { checkpoint, attempt, task, state, metrics };
                let _ = self.tell_stopped(event);
            }
        }
        self.actions.clean_up_again();
        while let Some(stored) = self.actions.next_stored().await {
            let _ = match stored {
                Stored::Committed(checkpoint) => self.tell_stopped(Event::Committed { checkpoint }),
                Stored::CommitFailed(checkpoint, reason) => {
                    self.tell_stopped(Event::CommitFailed { checkpoint, reason })
                }
                Stored::CleanUpFailed(untold) => {
                    self.say_kept(untold);
                    Ok(())
                }
                Stored::Reserved(wanted, folder) => {
                    self.actions.refuse(wanted, folder);
                    Ok(())
                }
                _ => Ok(()),
            };
        }
    }

    fn tell_stopped(&mut self, event: Event) -> Result<(), JobError> {
        let actions = self.coordinator.handle(self.now_ms(), event);
        self.telemetry.follow(&actions, self.coordinator.statistics());
        for action in actions {
            self.actions.carry_out(action, &self.tasks)?;
        }
        Ok(())
    }
}
