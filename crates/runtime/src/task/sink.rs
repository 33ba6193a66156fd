//! A sink subtask: writes batches, pre-commits at barriers, commits on completion.

use alluvium_coordinator::DeclineCause;
use alluvium_state::OperatorStateBackend;
use tokio::sync::mpsc;

use super::{Command, Measured, Participant, wait_for_the_end};
use crate::TaskError;
use crate::alignment::{Aligner, Arrival};
use crate::barrier::Barrier;
use crate::element::Element;
use crate::operator::Sink;

pub(crate) struct SinkTask<S: Sink> {
    pub(crate) sink: S,
    pub(crate) state: OperatorStateBackend,
    pub(crate) input: mpsc::Receiver<Element<S::Input>>,
    pub(crate) aligner: Aligner,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) participant: Participant,
}

impl<S: Sink> SinkTask<S> {
    pub(crate) async fn run(mut self) -> Result<(), TaskError> {
        self.sink.open(&mut self.state)?;
        let mut is_open = true;
        loop {
            let element = tokio::select! {
                biased;
                command = self.commands.recv() => {
                    match command {
                        Some(Command::Complete { checkpoint, is_final }) => {
                            self.sink.commit(checkpoint)?;
                            if is_final {
                                return Ok(());
                            }
                        }
                        Some(Command::Abort(checkpoint)) => self.aligner.abort(checkpoint),
                        Some(Command::Trigger(_)) => {}
                        None => match wait_for_the_end().await {},
                    }
                    continue;
                }
                element = self.input.recv(), if is_open => element,
            };
            match element {
                Some(Element::Batch(records)) => self.sink.write(records)?,
                Some(Element::Barrier(barrier)) => {
                    if self.aligner.barrier(0, barrier.checkpoint) == Arrival::Complete {
                        self.snapshot(&barrier)?;
                    }
                }
                Some(Element::Watermark(_) | Element::EndOfInput) => {}
                // The operator has ended before this task heard that it may.
                None => is_open = false,
            }
        }
    }

    fn snapshot(&mut self, barrier: &Barrier) -> Result<(), TaskError> {
        let checkpoint = barrier.checkpoint;
        let (begun, start_delay_ms) =
            (self.participant.host.now(), self.participant.delay_ms(barrier));
        self.sink.pre_commit(checkpoint, &mut self.state)?;
        match self.state.freeze() {
            Ok(frozen) => {
                let sync = self.participant.host.now().saturating_sub(begun);
                let measured = Measured { start_delay_ms, sync, ..Measured::default() };
                self.participant.persist(barrier, None, frozen, measured);
            }
            Err(error) => {
                self.participant.decline(checkpoint, DeclineCause::Snapshot, error.to_string());
            }
        }
        Ok(())
    }
}
