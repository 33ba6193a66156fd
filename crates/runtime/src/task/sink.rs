//! A sink subtask: writes batches, pre-commits at barriers or when it is overtaken, commits on completion.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::task::Poll;

use alluvium_coordinator::DeclineCause;
use alluvium_core::CheckpointId;
use alluvium_core::museum::{self, Mistake};
use alluvium_state::{FrozenOperatorState, OperatorStateBackend};
use tokio::sync::mpsc;

use super::{Command, Measured, Participant, wait_for_the_end};
use crate::TaskError;
use crate::barrier::Barrier;
use crate::element::Element;
use crate::inputs::Inputs;
use crate::operator::Sink;

pub(crate) struct SinkTask<S: Sink> {
    pub(crate) sink: S,
    pub(crate) state: OperatorStateBackend,
    pub(crate) input: Inputs<S::Input>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) participant: Participant,
    pub(crate) progress: SinkProgress,
}

/// How far the checkpoints of a sink are.
#[derive(Debug, Default)]
pub(crate) struct SinkProgress {
    /// The newest checkpoint that was pre-committed or aborted.
    ended: Option<CheckpointId>,
    aborted: BTreeSet<CheckpointId>,
    /// Frozen state that waits for the records in flight before it.
    overtaken: Option<(Barrier, FrozenOperatorState, Measured)>,
    /// Whether the job's last checkpoint is complete.
    is_over: bool,
}

/// How many aborted checkpoints are remembered for barriers that come late.
const ABORTED: usize = 50;

impl<S: Sink> SinkTask<S> {
    pub(crate) async fn run(mut self) -> Result<(), TaskError> {
        enum Event<T> {
            Command(Option<Command>),
            Recorded(CheckpointId),
            Input(Option<Element<T>>),
        }
        self.sink.open(&mut self.state)?;
        while !self.progress.is_over {
            let event = poll_fn(|context| {
                if let Poll::Ready(command) = self.commands.poll_recv(context) {
                    return Poll::Ready(Ok(Event::Command(command)));
                }
                if let Poll::Ready(recorded) = self.input.poll_recorded(context) {
                    return Poll::Ready(recorded.map(Event::Recorded));
                }
                let next = self.input.poll_next(context, |_| false);
                next.map_ok(|(_, element)| Event::Input(element))
            });
            match event.await? {
                Event::Command(Some(command)) => self.hear(&command)?,
                Event::Command(None) => match wait_for_the_end().await {},
                Event::Recorded(checkpoint) => self.recorded(checkpoint)?,
                Event::Input(Some(Element::Batch(records))) => self.sink.write(records)?,
                Event::Input(Some(Element::Barrier(barrier))) => {
                    if let Some((state, measured)) = self.freeze(&barrier)? {
                        self.participant.persist(&barrier, None, state, measured);
                    }
                }
                // `None`: the operator has ended before this task heard that it may.
                Event::Input(Some(Element::Watermark(_) | Element::EndOfInput) | None) => {}
            }
        }
        Ok(())
    }

    fn hear(&mut self, command: &Command) -> Result<(), TaskError> {
        match command {
            Command::Complete { checkpoint, is_final } => {
                let committed = self.sink.commit(*checkpoint);
                if !museum::makes(Mistake::SwallowsFailedCommit) {
                    committed?;
                }
                self.progress.is_over |= *is_final;
            }
            Command::Abort(checkpoint) => {
                let overtaken = self.progress.overtaken.as_ref();
                if overtaken.is_some_and(|(barrier, ..)| barrier.checkpoint == *checkpoint) {
                    self.progress.overtaken = None;
                    self.input.cancel();
                }
                self.progress.aborted.insert(*checkpoint);
                if self.progress.aborted.len() > ABORTED {
                    self.progress.aborted.pop_first();
                }
            }
            Command::Overtake(barrier) => {
                if let Some((state, measured)) = self.freeze(barrier)? {
                    self.input.record(barrier.checkpoint, &BTreeSet::new())?;
                    let measured = Measured { is_unaligned: true, ..measured };
                    self.progress.overtaken = Some((barrier.clone(), state, measured));
                }
            }
            Command::Trigger(_) => {}
        }
        Ok(())
    }

    /// All records in flight before a barrier are recorded.
    fn recorded(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        let (in_flight, persisted_bytes) = self.input.recorded()?;
        let overtaken = self.progress.overtaken.take();
        let Some((barrier, state, measured)) =
            overtaken.filter(|(barrier, ..)| barrier.checkpoint == checkpoint)
        else {
            return Ok(());
        };
        let state = match in_flight {
            Some(in_flight) => state.and(in_flight),
            None => state,
        };
        self.participant.persist(&barrier, None, state, Measured { persisted_bytes, ..measured });
        Ok(())
    }

    /// Pre-commits and freezes the state. `None` when that was done before, when the checkpoint is over,
    /// or when the state cannot be frozen: then it is declined.
    fn freeze(
        &mut self,
        barrier: &Barrier,
    ) -> Result<Option<(FrozenOperatorState, Measured)>, TaskError> {
        let checkpoint = barrier.checkpoint;
        if Some(checkpoint) <= self.progress.ended || self.progress.aborted.contains(&checkpoint) {
            return Ok(None);
        }
        self.progress.ended = Some(checkpoint);
        self.progress.overtaken = None;
        self.input.cancel();
        let (begun, start_delay_ms) =
            (self.participant.host.now(), self.participant.delay_ms(barrier));
        self.sink.pre_commit(checkpoint, &mut self.state)?;
        let state = self.state.freeze();
        if museum::makes(Mistake::CommitsAtBarrier) {
            self.sink.commit(checkpoint)?;
        }
        match state {
            Ok(frozen) => {
                let sync = self.participant.host.now().saturating_sub(begun);
                Ok(Some((frozen, Measured { start_delay_ms, sync, ..Measured::default() })))
            }
            Err(error) => {
                self.participant.decline(checkpoint, DeclineCause::Snapshot, error.to_string());
                Ok(None)
            }
        }
    }
}
