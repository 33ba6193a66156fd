//! The work of a sink subtask: writes batches, pre-commits when it is frozen, commits on completion.

use std::convert::Infallible;

use alluvium_core::CheckpointId;
use alluvium_core::museum::{self, Mistake};
use alluvium_state::OperatorStateBackend;

use super::processor::Processor;
use crate::TaskError;
use crate::operator::Sink;

pub(crate) struct SinkProcessor<S>(pub(crate) S);

impl<S: Sink> Processor for SinkProcessor<S> {
    type Input = S::Input;
    type Output = Infallible;
    type Result = ();

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.0.open(state)
    }

    fn process(
        &mut self,
        batch: Vec<S::Input>,
        _: &mut OperatorStateBackend,
        _: &mut Vec<Infallible>,
    ) -> Result<(), TaskError> {
        self.0.write(batch)
    }

    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
        state: &mut OperatorStateBackend,
    ) -> Result<(), TaskError> {
        self.0.pre_commit(checkpoint, state)?;
        if museum::makes(Mistake::CommitsAtBarrier) {
            self.0.commit(checkpoint)?;
        }
        Ok(())
    }

    fn complete(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        let committed = self.0.commit(checkpoint);
        if museum::makes(Mistake::SwallowsFailedCommit) { Ok(()) } else { committed }
    }

    fn forget_older(&mut self) -> Result<(), TaskError> {
        self.0.forget_older()
    }

    fn result(&mut self) -> Result<(), TaskError> {
        Ok(())
    }
}
