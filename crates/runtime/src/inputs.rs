//! The receiving ends of a task, and what an unaligned checkpoint records of them.
//!
//! A task has one input or two (*ports*), each with a channel from every subtask before it that sends to
//! it. Channels are numbered over all ports, and alignment, event time and turns know no others; only the
//! logs are those of ports. Barriers of different ports are alike.
//!
//! While a checkpoint is recorded, elements are taken out of the channels as soon as they come, so that
//! the barriers behind them come soon too, however slowly the task works; they wait here for their turn.
//!
//! Invariants:
//! - elements of one channel come out in the order in which they went in, restored ones before all;
//! - each record that went into a channel before its barrier, and that the frozen state has not seen, is
//!   recorded once;
//! - without a log nothing is ever recorded.

use std::collections::{BTreeSet, VecDeque};
use std::task::{Context, Poll};

use alluvium_core::CheckpointId;
use alluvium_core::museum::{self, Mistake};
use alluvium_state::FrozenOperatorState;
use tokio::sync::mpsc::Receiver;

use crate::TaskError;
use crate::barrier::Barrier;
use crate::element::Element;
use crate::in_flight::EdgeLog;

pub(crate) struct Inputs<T> {
    channels: Vec<Channel<T>>,
    /// Of which port, and the records.
    restored: VecDeque<(usize, Vec<T>)>,
    /// One for each port.
    logs: Vec<Log<T>>,
    recording: Option<Recording>,
    /// The channel whose turn it is.
    turn: usize,
}

/// One input of a task.
pub(crate) struct Port<T> {
    pub(crate) receivers: Vec<Receiver<Element<T>>>,
    pub(crate) log: Log<T>,
    pub(crate) restored: VecDeque<Vec<T>>,
}

/// Which channel, and what came from it; `None` when its sender has ended.
pub(crate) type Received<T> = (usize, Option<Element<T>>);

struct Channel<T> {
    port: usize,
    /// `None` once the sender is gone.
    receiver: Option<Receiver<Element<T>>>,
    /// Taken out of the channel early.
    waiting: VecDeque<Element<T>>,
}

struct Recording {
    checkpoint: CheckpointId,
    /// Channels whose barrier has not come.
    missing: BTreeSet<usize>,
}

impl<T> Inputs<T> {
    /// The ports of a task. What was restored of the first comes before what was restored of the second.
    pub(crate) fn new(ports: Vec<Port<T>>) -> Self {
        let (mut channels, mut restored, mut logs) = (Vec::new(), VecDeque::new(), Vec::new());
        for (port, Port { receivers, log, restored: batches }) in ports.into_iter().enumerate() {
            channels.extend(receivers.into_iter().map(|receiver| {
                let waiting = VecDeque::new();
                Channel { port, receiver: Some(receiver), waiting }
            }));
            restored.extend(batches.into_iter().map(|batch| (port, batch)));
            logs.push(log);
        }
        Self { channels, restored, logs, recording: None, turn: 0 }
    }

    /// How many channels there are.
    pub(crate) fn len(&self) -> usize {
        self.channels.len()
    }

    /// The next element of the channels that are not held, which take turns; `None` when the sender of a
    /// channel has ended, once.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        is_held: impl Fn(usize) -> bool,
    ) -> Poll<Result<Received<T>, TaskError>> {
        if let Some((_, batch)) = self.restored.pop_front() {
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
        let Self { channels, restored, logs, .. } = self;
        if !museum::makes(Mistake::ForgetsRestoredInFlight) {
            for (port, batch) in &*restored {
                log_of(logs, *port)?.record(batch)?;
            }
        }
        let missing = (0..channels.len()).filter(|input| !arrived.contains(input));
        let mut missing: BTreeSet<usize> = missing.collect();
        for (input, channel) in channels.iter().enumerate() {
            if !missing.contains(&input) {
                continue;
            }
            let log = log_of(logs, channel.port)?;
            let mut has_come = channel.receiver.is_none();
            for element in &channel.waiting {
                match element {
                    Element::Batch(batch) => log.record(batch)?,
                    Element::Barrier(barrier) if is_reached(checkpoint, barrier) => {
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
        let (mut all, mut len_bytes) = (None::<FrozenOperatorState>, 0);
        for log in self.logs.iter_mut().flatten() {
            len_bytes += log.len_bytes();
            if let Some(state) = log.take()? {
                all = Some(match all {
                    Some(others) => others.and(state),
                    None => state,
                });
            }
        }
        Ok((all, len_bytes))
    }

    /// Gives a recording up, if there is one.
    pub(crate) fn cancel(&mut self) {
        if self.recording.take().is_some() {
            for log in self.logs.iter_mut().flatten() {
                // What it has is of no use to anybody.
                drop(log.take());
            }
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
        let port = self.channels.get(input).map_or(0, |channel| channel.port);
        let (Some(recording), Some(Some(log))) = (&mut self.recording, self.logs.get_mut(port))
        else {
            return Ok(());
        };
        match element {
            Some(Element::Batch(batch)) => log.record(batch)?,
            Some(Element::Barrier(barrier)) if is_reached(recording.checkpoint, barrier) => {
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

/// Whether what comes behind a barrier does not belong to a checkpoint any more. A barrier of an older one,
/// which was given up, says nothing.
fn is_reached(checkpoint: CheckpointId, barrier: &Barrier) -> bool {
    barrier.checkpoint >= checkpoint || museum::makes(Mistake::TakesOlderBarrierForItsOwn)
}

type Log<T> = Option<Box<dyn EdgeLog<T>>>;

fn log_of<T>(logs: &mut [Log<T>], port: usize) -> Result<&mut Box<dyn EdgeLog<T>>, TaskError> {
    let log = logs.get_mut(port).and_then(Option::as_mut);
    log.ok_or_else(|| "a barrier has overtaken records that have no codec".into())
}
