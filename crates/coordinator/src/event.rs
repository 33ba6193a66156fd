//! What the driver tells the coordinator.

use alluvium_core::{AttemptId, CheckpointId, SubtaskState};

use crate::{CheckpointKind, RequestId, SubtaskMetrics, TaskId};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// All tasks run: triggering begins. Requests that came earlier have waited for this.
    Started,
    /// Time passed: the answer to [`Action::WakeAt`](crate::Action::WakeAt).
    Tick,
    /// Somebody wants a checkpoint besides the periodic ones, or a savepoint. One that fails is not
    /// repeated: request it again.
    Requested {
        /// What for. A [final](CheckpointKind::Final) one says that all sources have ended.
        kind: CheckpointKind,
        /// The number under which [`Action::Answer`](crate::Action::Answer) tells what became of it;
        /// `None` when nobody asks.
        request: Option<RequestId>,
    },
    /// A task has stored its state.
    Acknowledged {
        /// The checkpoint it belongs to.
        checkpoint: CheckpointId,
        /// The run of the job the task belongs to.
        attempt: AttemptId,
        /// The task.
        task: TaskId,
        /// Its state; `state.index` equals `task.subtask`.
        state: SubtaskState,
        /// How long it took.
        metrics: SubtaskMetrics,
    },
    /// A task cannot take part in a checkpoint.
    Declined {
        /// The checkpoint it cannot take part in.
        checkpoint: CheckpointId,
        /// The run of the job the task belongs to.
        attempt: AttemptId,
        /// The task.
        task: TaskId,
        /// What kind of reason it has.
        cause: DeclineCause,
        /// One sentence for people.
        reason: String,
    },
    /// The driver has written the metadata: the checkpoint exists.
    Committed {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// The metadata was not written and will not be: a driver that cannot tell whether the write
    /// took effect looks at the storage first, because the files are deleted in answer to this.
    CommitFailed {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// One sentence for people.
        reason: String,
    },
    /// The run is over: the job ends or starts anew.
    Stopped,
}

/// Why a task declines.
///
/// Source: Flink `CheckpointFailureReason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeclineCause {
    /// It could not take the snapshot.
    Snapshot,
    /// It could not write what it had frozen.
    Asynchronous,
    /// It is not ready to take part.
    NotReady,
    /// A barrier of a later checkpoint came while it waited for the others of this one.
    Subsumed,
    /// An input told it that the checkpoint is over.
    CancellationBarrier,
    /// An input ended in a way that the checkpoint cannot have.
    InputEndOfStream,
}
