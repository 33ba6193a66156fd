//! The work of a keyed subtask: an operator with its keyed backend.

use alluvium_core::CheckpointId;
use alluvium_core::museum::{self, Mistake};
use alluvium_state::{
    BackgroundLoad, BroadcastState, BroadcastStateDescriptor, FrozenState, KeyedStateBackend,
    OperatorStateBackend, SnapshotError, TimeDomain,
};

use super::processor::Processor;
use crate::TaskError;
use crate::operator::KeyedLogic;

/// Most outputs of timers that are sent together.
const BATCH_LEN: usize = 1024;
/// How many records the backend hears of before they are processed.
const PREFETCHED: usize = 64;
/// State in which an operator remembers that it has heard of the end of all input.
const END_OF_INPUT: &str = "alluvium.end-of-input";

pub(crate) struct KeyedProcessor<B, O> {
    operator: O,
    keyed: B,
    /// `None` before it is open.
    ended: Option<BroadcastState<u8, bool>>,
}

impl<B, O> KeyedProcessor<B, O> {
    pub(crate) const fn new(operator: O, keyed: B) -> Self {
        Self { operator, keyed, ended: None }
    }
}

impl<B, O> Processor for KeyedProcessor<B, O>
where
    B: KeyedStateBackend + Send + 'static,
    O: KeyedLogic<B>,
{
    type Input = O::Wire;
    type Output = O::Output;
    type Result = O::Result;

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.ended = Some(state.broadcast_state(BroadcastStateDescriptor::new(END_OF_INPUT))?);
        self.operator.open(&mut self.keyed, state)
    }

    fn background_load(&mut self) -> Option<BackgroundLoad> {
        self.keyed.background_load()
    }

    fn process(
        &mut self,
        batch: Vec<O::Wire>,
        state: &mut OperatorStateBackend,
        output: &mut Vec<O::Output>,
    ) -> Result<(), TaskError> {
        let mut records = batch.into_iter();
        while !records.as_slice().is_empty() {
            let left = records.as_slice();
            O::prefetch(left.get(..PREFETCHED).unwrap_or(left), &mut self.keyed);
            // A loop would ask whether there is a record by looking into it, and hand it on in pieces that
            // are not those in which it is read, for which a processor waits until all before is done.
            let mut next = records.by_ref().take(PREFETCHED);
            next.try_for_each(|it| self.operator.process(it, &mut self.keyed, state, output))?;
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark_ms: i64) {
        self.operator.on_watermark(watermark_ms);
    }

    fn fire(
        &mut self,
        domain: TimeDomain,
        up_to_ms: i64,
        state: &OperatorStateBackend,
        output: &mut Vec<O::Output>,
    ) -> Result<bool, TaskError> {
        let Some(timers) = self.operator.timers() else { return Ok(false) };
        while output.len() < BATCH_LEN {
            let Some(timer) = self.keyed.pop_timer(timers, domain, up_to_ms)? else {
                return Ok(false);
            };
            self.operator.on_timer(domain, timer, &mut self.keyed, state, output)?;
        }
        Ok(true)
    }

    fn next_alarm_ms(&mut self) -> Result<Option<i64>, TaskError> {
        match self.operator.timers() {
            Some(timers) => Ok(self.keyed.next_timer_ms(timers, TimeDomain::ProcessingTime)?),
            None => Ok(None),
        }
    }

    /// The operator hears of it once.
    fn end_of_input(
        &mut self,
        state: &mut OperatorStateBackend,
        output: &mut Vec<O::Output>,
    ) -> Result<(), TaskError> {
        let ended = self.ended.ok_or("the operator was not opened")?;
        if state.broadcast_get(ended, &0)?.is_none() {
            self.operator.end_of_input(&mut self.keyed, output)?;
            state.broadcast_put(ended, 0, true)?;
        }
        Ok(())
    }

    fn snapshot(
        &mut self,
        _: CheckpointId,
        state: &mut OperatorStateBackend,
    ) -> Result<(), TaskError> {
        self.operator.snapshot(state)
    }

    fn freeze(
        &mut self,
        checkpoint: CheckpointId,
    ) -> Result<Option<Box<dyn FrozenState>>, SnapshotError> {
        self.keyed.freeze(checkpoint).map(Some)
    }

    fn announce(&mut self, checkpoint: CheckpointId) {
        self.keyed.announce(checkpoint);
    }

    fn complete(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        self.keyed.complete(checkpoint);
        Ok(())
    }

    fn abort(&mut self, checkpoint: CheckpointId) {
        if museum::makes(Mistake::BuildsOnUnconfirmedState) {
            self.keyed.complete(checkpoint);
        } else {
            self.keyed.abort(checkpoint);
        }
    }

    fn result(&mut self) -> Result<O::Result, TaskError> {
        self.operator.result(&mut self.keyed)
    }
}
