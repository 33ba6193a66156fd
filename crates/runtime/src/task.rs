//! What all tasks share: commands in, reports out, and the asynchronous part of a snapshot.
//!
//! Invariants: a task acknowledges or declines each checkpoint that it took a snapshot for; what a
//! declined snapshot wrote is removed; a task writes one snapshot at a time.

mod alarm;
mod flat_map;
mod keyed;
mod loading;
mod operator;
mod processor;
mod sink;
mod source;

pub(crate) use alarm::Alarm;
pub(crate) use flat_map::FlatMap;
pub(crate) use keyed::KeyedProcessor;
pub(crate) use loading::Loading;
pub(crate) use operator::{OperatorTask, Progress};
pub(crate) use processor::Processor;
pub(crate) use sink::SinkProcessor;
pub(crate) use source::{Reading, SourceTask};

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alluvium_coordinator::{DeclineCause, SubtaskMetrics, TaskId};
use alluvium_core::{AttemptId, CheckpointId, SubtaskState};
use alluvium_state::{FrozenOperatorState, FrozenState, SnapshotError, SnapshotTarget};
use tokio::sync::mpsc;

use crate::barrier::Barrier;
use crate::{Clock, Host};

/// What the driver tells a task.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// Sources only: emit a barrier.
    Trigger(Barrier),
    /// The checkpoint is complete.
    Complete {
        checkpoint: CheckpointId,
        /// Whether it was the last one: the task ends.
        is_final: bool,
        /// Whether it is a savepoint: the latest checkpoint is still the one before it.
        is_savepoint: bool,
    },
    /// The checkpoint will not complete.
    Abort(CheckpointId),
    /// Not for sources: the barrier overtakes what is still on its way. State is frozen now, and the
    /// records that come before the barrier are recorded.
    Overtake(Barrier),
}

/// What a task tells the driver.
#[derive(Debug, Clone)]
pub(crate) enum Report {
    Acknowledged {
        checkpoint: CheckpointId,
        task: TaskId,
        state: SubtaskState,
        metrics: SubtaskMetrics,
    },
    Declined {
        checkpoint: CheckpointId,
        task: TaskId,
        cause: DeclineCause,
        reason: String,
    },
    /// A source has ended.
    Ended,
}

/// What a task needs to take part in checkpoints.
#[derive(Debug, Clone)]
pub(crate) struct Participant {
    pub(crate) task: TaskId,
    pub(crate) attempt: AttemptId,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) reports: mpsc::UnboundedSender<Report>,
    /// How many snapshots are being written: of checkpoints, and of savepoints.
    pub(crate) writing: Arc<[AtomicUsize; 2]>,
    /// Most snapshots of either kind that are written at a time.
    pub(crate) max_writing: usize,
}

/// What a task has measured of a checkpoint when it hands its frozen state over.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measured {
    /// From the first barrier to the last.
    pub(crate) alignment: Duration,
    /// From the trigger to the first barrier, in milliseconds.
    pub(crate) start_delay_ms: u64,
    /// While no record was processed.
    pub(crate) sync: Duration,
    /// Whether the barrier has overtaken records, and how many bytes of them were recorded.
    pub(crate) is_unaligned: bool,
    pub(crate) persisted_bytes: u64,
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Participant {
    /// Time from the trigger of a checkpoint until now, in milliseconds.
    pub(crate) fn delay_ms(&self, barrier: &Barrier) -> u64 {
        self.clock.now_ms().saturating_sub(barrier.snapshot.triggered_at_ms)
    }

    /// Writes frozen state where it may block, and reports what came of it.
    pub(crate) fn persist(
        &self,
        barrier: &Barrier,
        keyed: Option<Box<dyn FrozenState>>,
        operator: FrozenOperatorState,
        measured: Measured,
    ) {
        let checkpoint = barrier.checkpoint;
        let kind = usize::from(barrier.snapshot.kind.is_savepoint());
        // A checkpoint that expired may still be writing; with one more behind each that does,
        // frozen state would pile up.
        let [checkpoints, savepoints] = &*self.writing;
        let writing = if kind == 0 { checkpoints } else { savepoints };
        if writing.fetch_add(1, Ordering::SeqCst) >= self.max_writing {
            writing.fetch_sub(1, Ordering::SeqCst);
            let reason = "its snapshot for an earlier checkpoint is still being written";
            return self.decline(checkpoint, DeclineCause::NotReady, reason.to_owned());
        }
        let (this, barrier) = (self.clone(), barrier.clone());
        let work = move || {
            let (task, begun) = (this.task.clone(), this.host.now());
            // A codec of the user may panic; without a report the checkpoint would never end.
            let written = panic::catch_unwind(AssertUnwindSafe(|| {
                this.write(&barrier, keyed, operator).map_err(|error| error.to_string())
            }));
            let panicked = Err("writing the state panicked".to_owned());
            let report = match written.unwrap_or(panicked) {
                Ok(state) => {
                    let metrics = SubtaskMetrics {
                        start_delay_ms: measured.start_delay_ms,
                        alignment_ms: ms(measured.alignment),
                        sync_ms: ms(measured.sync),
                        async_ms: ms(this.host.now().saturating_sub(begun)),
                        processed_bytes: 0,
                        persisted_bytes: measured.persisted_bytes,
                        is_unaligned: measured.is_unaligned,
                    };
                    Report::Acknowledged { checkpoint, task, state, metrics }
                }
                Err(reason) => {
                    let cause = DeclineCause::Asynchronous;
                    Report::Declined { checkpoint, task, cause, reason }
                }
            };
            let [checkpoints, savepoints] = &*this.writing;
            let writing = if kind == 0 { checkpoints } else { savepoints };
            writing.fetch_sub(1, Ordering::SeqCst);
            this.report(report);
        };
        let name = format!("snapshot of {}", self.task);
        self.host.spawn_blocking(&name, Box::new(work));
    }

    /// Reports that the task does not take part.
    pub(crate) fn decline(&self, checkpoint: CheckpointId, cause: DeclineCause, reason: String) {
        self.report(Report::Declined { checkpoint, task: self.task.clone(), cause, reason });
    }

    /// Without a driver the attempt is over, and the next one removes what was written.
    fn report(&self, report: Report) {
        let reports = self.reports.clone();
        self.host.relay(Box::new(move || drop(reports.send(report.clone()))));
    }

    fn write(
        &self,
        barrier: &Barrier,
        keyed: Option<Box<dyn FrozenState>>,
        operator: FrozenOperatorState,
    ) -> Result<SubtaskState, SnapshotError> {
        let (streams, mode) = (barrier.snapshot.streams.clone(), barrier.snapshot.mode);
        let (checkpoint, attempt) = (barrier.checkpoint, self.attempt);
        let target = SnapshotTarget { streams, checkpoint, attempt, mode };
        let TaskId { operator: uid, subtask } = &self.task;
        // The keyed stream comes last: what follows it cannot fail, so it is never left behind.
        let operator = operator.write(&target, uid, *subtask)?;
        let keyed = match keyed.map(|keyed| keyed.write(&target)).transpose() {
            Ok(keyed) => keyed.flatten(),
            Err(error) => {
                if let Some(file) = operator.as_ref().and_then(|handle| handle.stream.file()) {
                    // The checkpoint is declined with the first cause, whatever this one says.
                    let _ = target.streams.discard(file);
                }
                return Err(error);
            }
        };
        Ok(SubtaskState { index: *subtask, keyed, operator })
    }
}

/// Waits for ever: the task has nothing to do any more and will be ended from outside.
pub(crate) async fn wait_for_the_end() -> std::convert::Infallible {
    std::future::pending().await
}
