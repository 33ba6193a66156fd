//! The receiving ends of a task, and what an unaligned checkpoint records of them.
//!
//! While a checkpoint is recorded, elements are taken out of the channels as soon as they come, so that
//! the barriers behind them come soon too, however slowly the task works; they wait here for their turn.
//!
//! Invariants:
//! - elements of one input come out in the order in which they went in, restored ones before all;
//! - each record that went into an input before its barrier, and that the frozen state has not seen, is
//!   recorded once;
//! - without a log nothing is ever recorded.

use std::collections::{BTreeSet, VecDeque};
use std::task::{Context, Poll};

use alluvium_core::CheckpointId;
use alluvium_state::FrozenOperatorState;
use tokio::sync::mpsc::Receiver;

use crate::TaskError;
use crate::element::Element;
use crate::in_flight::EdgeLog;

pub(crate) struct Inputs<T> {
    channels: Vec<Channel<T>>,
    restored: VecDeque<Vec<T>>,
    log: Option<Box<dyn EdgeLog<T>>>,
    recording: Option<Recording>,
    /// The input whose turn it is.
    turn: usize,
}

/// Which input, and what came from it; `None` when its sender has ended.
pub(crate) type Received<T> = (usize, Option<Element<T>>);

struct Channel<T> {
    /// `None` once the sender is gone.
    receiver: Option<Receiver<Element<T>>>,
    /// Taken out of the channel early.
    waiting: VecDeque<Element<T>>,
}

struct Recording {
    checkpoint: CheckpointId,
    /// Inputs whose barrier has not come.
    missing: BTreeSet<usize>,
}

impl<T> Inputs<T> {
    pub(crate) fn new(
        receivers: Vec<Receiver<Element<T>>>,
        log: Option<Box<dyn EdgeLog<T>>>,
        restored: VecDeque<Vec<T>>,
    ) -> Self {
        let channel = |receiver| Channel { receiver: Some(receiver), waiting: VecDeque::new() };
        let channels = receivers.into_iter().map(channel).collect();
        Self { channels, restored, log, recording: None, turn: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.channels.len()
    }

    /// The next element of the inputs that are not held, which take turns; `None` when the sender of an
    /// input has ended, once.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        is_held: impl Fn(usize) -> bool,
    ) -> Poll<Result<Received<T>, TaskError>> {
        if let Some(batch) = self.restored.pop_front() {
            return Poll::Ready(Ok((0, Some(Element::Batch(batch)))));
        }
        let count = self.channels.len();
        for input in (0..count).map(|step| (self.turn + step) % count) {
            let Some(channel) = self.channels.get_mut(input).filter(|_| !is_held(input)) else {
                continue;
            };
            if let Some(element) = channel.waiting.pop_front() {
                self.turn = input + 1;
                return Poll::Ready(Ok((input, Some(element))));
            }
            let Some(receiver) = &mut channel.receiver else { continue };
            if let Poll::Ready(element) = receiver.poll_recv(context) {
                self.turn = input + 1;
                if element.is_none() {
                    channel.receiver = None;
                }
                let noted = self.note(input, element.as_ref());
                return Poll::Ready(noted.map(|()| (input, element)));
            }
        }
        Poll::Pending
    }

    /// The state of a task is frozen for a checkpoint: what is here, and what comes before the barriers
    /// of the inputs that have not come, belongs to it.
    pub(crate) fn record(
        &mut self,
        checkpoint: CheckpointId,
        arrived: &BTreeSet<usize>,
    ) -> Result<(), TaskError> {
        self.cancel();
        let Some(log) = &mut self.log else {
            return Err("a barrier has overtaken records that have no codec".into());
        };
        self.restored.iter().try_for_each(|batch| log.record(batch))?;
        let missing = (0..self.channels.len()).filter(|input| !arrived.contains(input));
        let mut missing: BTreeSet<usize> = missing.collect();
        for (input, channel) in self.channels.iter().enumerate() {
            if !missing.contains(&input) {
                continue;
            }
            let mut has_come = channel.receiver.is_none();
            for element in &channel.waiting {
                match element {
                    Element::Batch(batch) => log.record(batch)?,
                    Element::Barrier(barrier) if barrier.checkpoint >= checkpoint => {
                        has_come = true;
                        break;
                    }
                    _ => {}
                }
            }
            if has_come {
                missing.remove(&input);
            }
        }
        self.recording = Some(Recording { checkpoint, missing });
        Ok(())
    }

    /// Takes elements out of the channels whose barrier is missing. Ready when all have come.
    pub(crate) fn poll_recorded(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<CheckpointId, TaskError>> {
        for input in 0..self.channels.len() {
            while self.is_missing(input) {
                let Some(channel) = self.channels.get_mut(input) else { break };
                let Some(receiver) = &mut channel.receiver else { break };
                let Poll::Ready(element) = receiver.poll_recv(context) else { break };
                if element.is_none() {
                    channel.receiver = None;
                }
                self.note(input, element.as_ref())?;
                if let (Some(element), Some(channel)) = (element, self.channels.get_mut(input)) {
                    channel.waiting.push_back(element);
                }
            }
        }
        match &self.recording {
            Some(Recording { checkpoint, missing }) if missing.is_empty() => {
                Poll::Ready(Ok(*checkpoint))
            }
            _ => Poll::Pending,
        }
    }

    /// What was recorded, and how many bytes that is; the end of the recording.
    pub(crate) fn recorded(&mut self) -> Result<(Option<FrozenOperatorState>, u64), TaskError> {
        self.recording = None;
        match &mut self.log {
            Some(log) => {
                let len_bytes = log.len_bytes();
                Ok((log.take()?, len_bytes))
            }
            None => Ok((None, 0)),
        }
    }

    /// Gives a recording up, if there is one.
    pub(crate) fn cancel(&mut self) {
        if self.recording.take().is_some()
            && let Some(log) = &mut self.log
        {
            // What it has is of no use to anybody.
            drop(log.take());
        }
    }

    fn is_missing(&self, input: usize) -> bool {
        self.recording.as_ref().is_some_and(|recording| recording.missing.contains(&input))
    }

    /// An element has come out of a channel.
    fn note(&mut self, input: usize, element: Option<&Element<T>>) -> Result<(), TaskError> {
        if !self.is_missing(input) {
            return Ok(());
        }
        let (Some(recording), Some(log)) = (&mut self.recording, &mut self.log) else {
            return Ok(());
        };
        match element {
            Some(Element::Batch(batch)) => log.record(batch)?,
            Some(Element::Barrier(barrier)) if barrier.checkpoint >= recording.checkpoint => {
                recording.missing.remove(&input);
            }
            None => {
                recording.missing.remove(&input);
            }
            Some(_) => {}
        }
        Ok(())
    }
}
