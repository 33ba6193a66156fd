//! When a task freezes its state: behind the last barrier, or at once when it is overtaken.
//!
//! Invariants: state is frozen at most once for a checkpoint; a checkpoint that is overtaken is
//! acknowledged when all records in flight before it are recorded.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use alluvium_coordinator::DeclineCause;
use alluvium_core::CheckpointId;
use alluvium_core::museum::{self, Mistake};
use alluvium_state::{FrozenOperatorState, FrozenState};

use super::OperatorTask;
use crate::TaskError;
use crate::alignment::Arrival;
use crate::barrier::Barrier;
use crate::element::Signal;
use crate::task::processor::Processor;
use crate::task::{Command, Measured};

/// State that was frozen while records were in flight before it.
pub(crate) struct Overtaken {
    barrier: Barrier,
    keyed: Option<Box<dyn FrozenState>>,
    state: FrozenOperatorState,
    measured: Measured,
}

type Frozen = (Option<Box<dyn FrozenState>>, FrozenOperatorState, Measured);

impl fmt::Debug for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Overtaken({})", self.barrier.checkpoint)
    }
}

impl<P: Processor> OperatorTask<P> {
    pub(super) fn hear(&mut self, command: &Command) -> Result<(), TaskError> {
        self.hear_at(command, None)
    }

    /// Hears a command with a barrier at hand that came from an input.
    pub(super) fn hear_at(
        &mut self,
        command: &Command,
        at_hand: Option<(usize, CheckpointId)>,
    ) -> Result<(), TaskError> {
        match command {
            Command::Complete { checkpoint, is_final, is_savepoint } => {
                self.processor.complete(*checkpoint)?;
                if !is_savepoint {
                    self.processor.forget_older()?;
                }
                self.progress.is_over |= *is_final;
            }
            Command::Abort(checkpoint) => {
                self.aligner.abort(*checkpoint);
                self.processor.abort(*checkpoint);
                if let Some(overtaken) = &self.progress.overtaken
                    && overtaken.barrier.checkpoint == *checkpoint
                {
                    self.give_up_recording();
                }
            }
            Command::Overtake(barrier) => {
                let mut arrived = self.aligner.arrived(barrier.checkpoint);
                // 1. The task takes the last barrier that it misses out of a channel;
                // 2. it hears that the barrier may overtake records, and records what comes before it;
                // 3. nobody else sees the barrier at hand: the recording would never be over.
                arrived.extend(
                    at_hand.filter(|(_, at)| *at >= barrier.checkpoint).map(|(input, _)| input),
                );
                self.overtake(barrier, &arrived)?;
            }
            Command::Trigger(_) => {}
        }
        Ok(())
    }

    /// A barrier has come from an input.
    pub(super) fn barrier(&mut self, input: usize, barrier: &Barrier) -> Result<(), TaskError> {
        let checkpoint = barrier.checkpoint;
        if self.progress.first_barrier.is_none_or(|(first, ..)| first < checkpoint) {
            let delay_ms = self.participant.delay_ms(barrier);
            let first = (checkpoint, self.participant.host.now(), delay_ms);
            self.progress.first_barrier = Some(first);
        }
        if barrier.snapshot.is_unaligned {
            return self.overtake(barrier, &BTreeSet::from([input]));
        }
        match self.aligner.barrier(input, checkpoint) {
            Arrival::Complete => {
                if let Some((keyed, state, measured)) = self.freeze(barrier)? {
                    self.participant.persist(barrier, keyed, state, measured);
                }
            }
            Arrival::Waiting => self.processor.announce(checkpoint),
            Arrival::Ignored => {}
        }
        Ok(())
    }

    /// Freezes the state although barriers are missing, and records what comes before them.
    fn overtake(&mut self, barrier: &Barrier, arrived: &BTreeSet<usize>) -> Result<(), TaskError> {
        let checkpoint = barrier.checkpoint;
        if Some(checkpoint) <= self.progress.frozen || self.aligner.has_ended(checkpoint) {
            return Ok(());
        }
        self.give_up_recording();
        // Its barriers mean nothing to records any more.
        self.aligner.abort(checkpoint);
        let Some((keyed, state, measured)) = self.freeze(barrier)? else { return Ok(()) };
        self.inputs.record(checkpoint, arrived)?;
        let (barrier, measured) = (barrier.clone(), Measured { is_unaligned: true, ..measured });
        self.progress.overtaken = Some(Overtaken { barrier, keyed, state, measured });
        Ok(())
    }

    /// All records in flight before a barrier are recorded.
    pub(super) fn recorded(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        let (in_flight, persisted_bytes) = self.inputs.recorded()?;
        let overtaken = self.progress.overtaken.take();
        let Some(Overtaken { barrier, keyed, state, measured }) =
            overtaken.filter(|overtaken| overtaken.barrier.checkpoint == checkpoint)
        else {
            return Ok(());
        };
        let state = match in_flight {
            Some(in_flight) => state.and(in_flight),
            None => state,
        };
        let measured = Measured { persisted_bytes, ..measured };
        self.participant.persist(&barrier, keyed, state, measured);
        Ok(())
    }

    fn give_up_recording(&mut self) {
        self.progress.overtaken = None;
        self.inputs.cancel();
    }

    /// Freezes the state and sends the barrier on. `None` when it cannot be frozen: the checkpoint is
    /// declined.
    fn freeze(&mut self, barrier: &Barrier) -> Result<Option<Frozen>, TaskError> {
        let (checkpoint, begun) = (barrier.checkpoint, self.participant.host.now());
        self.progress.frozen = self.progress.frozen.max(Some(checkpoint));
        self.processor.snapshot(checkpoint, &mut self.state)?;
        let keyed = self.processor.freeze(checkpoint);
        if museum::makes(Mistake::ForgetsBaseAtSavepoint) && barrier.snapshot.kind.is_savepoint() {
            // Nothing of it is written yet: there is nothing to build on from here on.
            self.processor.complete(checkpoint)?;
        }
        let frozen = keyed.and_then(|keyed| Ok((keyed, self.state.freeze()?)));
        self.outputs.push_to_all(&Signal::Barrier(barrier.clone()));
        match frozen {
            Ok((keyed, state)) => {
                let first = self.progress.first_barrier;
                let first = first.filter(|(first, ..)| *first == checkpoint);
                let measured = Measured {
                    alignment: first.map_or(Duration::ZERO, |(_, at, _)| begun.saturating_sub(at)),
                    start_delay_ms: first
                        .map_or_else(|| self.participant.delay_ms(barrier), |(.., ms)| ms),
                    sync: self.participant.host.now().saturating_sub(begun),
                    ..Measured::default()
                };
                Ok(Some((keyed, state, measured)))
            }
            Err(error) => {
                self.participant.decline(checkpoint, DeclineCause::Snapshot, error.to_string());
                Ok(None)
            }
        }
    }
}
