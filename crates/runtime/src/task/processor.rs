//! What a task does with records and snapshots, apart from where these come from and go to.
//!
//! [`OperatorTask`](super::OperatorTask) is the same for all: it receives, aligns, waits and sends, and
//! calls its processor in between.

use alluvium_core::CheckpointId;
use alluvium_state::{
    BackgroundLoad, FrozenState, OperatorStateBackend, SnapshotError, TimeDomain,
};

use crate::TaskError;

/// The work of one subtask of a stage. An error of any method fails the task.
pub(crate) trait Processor: Send + 'static {
    /// The wire of its channels.
    type Input: Send + 'static;
    type Output: Send + 'static;
    /// What it hands over when the job has ended.
    type Result: Send + 'static;

    /// Registers its states.
    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError>;

    /// What is to be loaded beside the task, once it is open.
    fn background_load(&mut self) -> Option<BackgroundLoad> {
        None
    }

    fn process(
        &mut self,
        batch: Vec<Self::Input>,
        state: &mut OperatorStateBackend,
        output: &mut Vec<Self::Output>,
    ) -> Result<(), TaskError>;

    /// Event time has come to a watermark, in milliseconds.
    fn on_watermark(&mut self, _watermark_ms: i64) {}

    /// Fires the timers of a domain up to a time, until there is enough output for a batch. Says whether
    /// there may be more.
    fn fire(
        &mut self,
        _domain: TimeDomain,
        _up_to_ms: i64,
        _state: &OperatorStateBackend,
        _output: &mut Vec<Self::Output>,
    ) -> Result<bool, TaskError> {
        Ok(false)
    }

    /// The time of its next timer in processing time.
    fn next_alarm_ms(&mut self) -> Result<Option<i64>, TaskError> {
        Ok(None)
    }

    /// All inputs have ended; they end again after a restore.
    fn end_of_input(
        &mut self,
        _state: &mut OperatorStateBackend,
        _output: &mut Vec<Self::Output>,
    ) -> Result<(), TaskError> {
        Ok(())
    }

    /// Puts what it wants to keep into its operator state, which is frozen next.
    fn snapshot(
        &mut self,
        _checkpoint: CheckpointId,
        _state: &mut OperatorStateBackend,
    ) -> Result<(), TaskError> {
        Ok(())
    }

    /// Freezes what it keeps besides operator state.
    fn freeze(
        &mut self,
        _checkpoint: CheckpointId,
    ) -> Result<Option<Box<dyn FrozenState>>, SnapshotError> {
        Ok(None)
    }

    /// A checkpoint will be frozen soon.
    fn announce(&mut self, _checkpoint: CheckpointId) {}

    /// A checkpoint is complete.
    fn complete(&mut self, _checkpoint: CheckpointId) -> Result<(), TaskError> {
        Ok(())
    }

    /// What was complete is the latest checkpoint now: no restore begins by itself from an older one.
    fn forget_older(&mut self) -> Result<(), TaskError> {
        Ok(())
    }

    /// A checkpoint will not complete.
    fn abort(&mut self, _checkpoint: CheckpointId) {}

    /// The last checkpoint is complete.
    fn result(&mut self) -> Result<Self::Result, TaskError>;
}
