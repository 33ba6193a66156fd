//! What the driver tells the coordinator.

use alluvium_core::{AttemptId, CheckpointId, SubtaskState};

use crate::TaskId;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// All tasks run: triggering begins. Requests that came earlier have waited for this.
    Started,
    /// Time passed: the answer to [`Action::WakeAt`](crate::Action::WakeAt).
    Tick,
    /// Somebody wants a checkpoint besides the periodic ones.
    TriggerRequested {
        /// All sources have ended: take the last checkpoint of the job now. It waits for a
        /// pending one but for neither the minimum pause nor the interval. When it fails it is
        /// not repeated: request it again.
        is_final: bool,
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
    },
    /// A task cannot take part in a checkpoint.
    Declined {
        /// The checkpoint it cannot take part in.
        checkpoint: CheckpointId,
        /// The run of the job the task belongs to.
        attempt: AttemptId,
        /// The task.
        task: TaskId,
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
