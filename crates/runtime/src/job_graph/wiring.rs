//! How an attempt makes the channels of an edge: the stage before asks for its sending ends, and the
//! stage behind finds the receiving ends in the link between them.
//!
//! Invariants: an attempt that is built fills each link once and empties it once; what a build that failed
//! left in a link is replaced by the next one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alluvium_core::{KeyGroupRange, Parallelism};
use alluvium_format::codec::HasCodec;
use alluvium_format::operator::OperatorStateItems;
use tokio::sync::mpsc::{self, Receiver};

use super::StageIndex;
use super::edges::{BroadcastEdge, Edge, KeyedEdge, Stream};
use crate::element::Element;
use crate::exchange::{ByKey, Exchange, InTurn, OutEdge, Partitioner, Route, Routed, ToAll};
use crate::in_flight::{KeyedLog, Restored, WholeLog, Wire};
use crate::operator::KeyedRecord;
use crate::outputs::{CopyBatch, Outputs};
use crate::{TaskError, inputs};

/// Elements that wait in a channel before its sender has to.
const CHANNEL_LEN: usize = 8;

/// How many subtasks each stage has.
pub(crate) type Parallelisms = [Parallelism];

/// Makes the channels of an edge: the sending ends, by subtask.
type Connect<T> = dyn Fn(&Parallelisms) -> Vec<Box<dyn OutEdge<T>>> + Send + Sync;

/// Who reads a stream.
pub(crate) struct Taps<T>(Mutex<TapList<T>>);

struct TapList<T> {
    connect: Vec<Box<Connect<T>>>,
    copy: Option<CopyBatch<T>>,
}

impl<T> Default for Taps<T> {
    fn default() -> Self {
        Self(Mutex::new(TapList { connect: Vec::new(), copy: None }))
    }
}

impl<T> Taps<T> {
    fn list(&self) -> MutexGuard<'_, TapList<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn copy_by(&self, copy: CopyBatch<T>) {
        self.list().copy = Some(copy);
    }

    /// Makes all channels of an attempt: the outputs, by subtask of the stage that sends.
    pub(crate) fn connect(
        &self,
        from: StageIndex,
        parallelisms: &Parallelisms,
    ) -> VecDeque<Outputs<T>> {
        let list = self.list();
        let mut edges: Vec<Vec<_>> = (0..count(parallelisms, from)).map(|_| Vec::new()).collect();
        for connect in &list.connect {
            edges.iter_mut().zip(connect(parallelisms)).for_each(|(all, edge)| all.push(edge));
        }
        edges.into_iter().map(|edges| Outputs::new(edges, list.copy)).collect()
    }
}

fn count(parallelisms: &Parallelisms, stage: StageIndex) -> usize {
    parallelisms.get(stage).map_or(0, |parallelism| usize::from(parallelism.get()))
}

/// The receiving ends of an edge, by subtask.
type Ends<W> = VecDeque<Vec<Receiver<Element<W>>>>;

/// Makes the log of a subtask, which has these key groups, from what was restored for it.
type MakeLog<W> = dyn Fn(&str, Vec<OperatorStateItems>, KeyGroupRange) -> Restored<W> + Send + Sync;

/// An input of a stage.
pub(crate) struct Port<W> {
    pub(crate) from: StageIndex,
    pub(crate) partitioner: Partitioner,
    /// Whether records in flight must not be handed out to another number of subtasks.
    pub(crate) is_bound: bool,
    /// Name of the state that holds records in flight.
    pub(crate) state: &'static str,
    ends: Arc<Mutex<Ends<W>>>,
    /// `None` without a codec.
    log: Option<Box<MakeLog<W>>>,
}

impl<W: Send + 'static> Port<W> {
    pub(crate) const fn has_codec(&self) -> bool {
        self.log.is_some()
    }

    /// The receiving ends that the stage before has made, by subtask.
    pub(crate) fn ends(&self) -> Ends<W> {
        std::mem::take(&mut *self.ends.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The input of a subtask.
    pub(crate) fn open(
        &self,
        receivers: Vec<Receiver<Element<W>>>,
        restored: Vec<OperatorStateItems>,
        key_groups: KeyGroupRange,
    ) -> Result<inputs::Port<W>, TaskError> {
        let (log, restored) = match &self.log {
            Some(make) => {
                let (log, restored) = make(self.state, restored, key_groups)?;
                (Some(log), restored)
            }
            None => (None, VecDeque::new()),
        };
        Ok(inputs::Port { receivers, log, restored })
    }

    /// Connects a stream, whose records a route hands out.
    fn connect<T: Send + 'static, R: Route<T, W> + 'static>(
        stream: &Stream<T>,
        (to, partitioner, state): (StageIndex, Partitioner, &'static str),
        log: Option<Box<MakeLog<W>>>,
        route: impl Fn(usize, Parallelism) -> R + Send + Sync + 'static,
    ) -> Self {
        let (ends, from) = (Arc::<Mutex<Ends<W>>>::default(), stream.from);
        let link = Arc::clone(&ends);
        let connect = move |parallelisms: &Parallelisms| {
            let Some(behind) = parallelisms.get(to) else { return Vec::new() };
            let mut receivers: Ends<W> = behind.subtasks().map(|_| Vec::new()).collect();
            let sender = |before: usize| -> Box<dyn OutEdge<T>> {
                let mut senders = Vec::new();
                for (subtask, receivers) in receivers.iter_mut().enumerate() {
                    if partitioner != Partitioner::Forward || subtask == before {
                        let (sender, receiver) = mpsc::channel(CHANNEL_LEN);
                        receivers.push(receiver);
                        senders.push(sender);
                    }
                }
                Box::new(Exchange::new(senders, route(before, *behind)))
            };
            let senders = (0..count(parallelisms, from)).map(sender).collect();
            *link.lock().unwrap_or_else(PoisonError::into_inner) = receivers;
            senders
        };
        stream.taps.list().connect.push(Box::new(connect));
        Self { from, partitioner, is_bound: false, state, ends, log }
    }
}

impl<T: Send + 'static> Edge<T> {
    pub(super) fn lead_to(self, to: StageIndex, state: &'static str, is_sink: bool) -> Port<T> {
        let Self { stream, partitioner } = self;
        let wire = Wire::bare();
        let log = stream.codec.clone().map(|codec| {
            let log: Box<MakeLog<T>> = Box::new(move |name, restored, _| {
                WholeLog::restore(name, codec.clone(), wire, restored, partitioner)
            });
            log
        });
        let route = move |before, _| InTurn::new(before, wire.wrap);
        let port = Port::connect(&stream, (to, partitioner, state), log, route);
        Port { is_bound: partitioner == Partitioner::Forward && !is_sink, ..port }
    }
}

impl<T: Send + 'static> BroadcastEdge<T> {
    pub(super) fn lead_to<W: Send + 'static>(
        self,
        to: StageIndex,
        state: &'static str,
        wire: Wire<T, W>,
    ) -> Port<W> {
        let (Self { stream, copy }, partitioner) = (self, Partitioner::Broadcast);
        let log = stream.codec.clone().map(|codec| {
            let log: Box<MakeLog<W>> = Box::new(move |name, restored, _| {
                WholeLog::restore(name, codec.clone(), wire, restored, partitioner)
            });
            log
        });
        let route = move |_, _| ToAll { copy, wrap: wire.wrap };
        Port::connect(&stream, (to, partitioner, state), log, route)
    }
}

impl<T: KeyedRecord<Key: HasCodec>> KeyedEdge<T> {
    pub(super) fn lead_to<W: Send + 'static>(
        self,
        to: StageIndex,
        state: &'static str,
        wire: Wire<Routed<T>, W>,
    ) -> Port<W> {
        let Self { stream, assigner } = self;
        let log = stream.codec.clone().map(|codec| {
            let log: Box<MakeLog<W>> = Box::new(move |name, restored, key_groups| {
                KeyedLog::restore(name, codec.clone(), wire, restored, key_groups)
            });
            log
        });
        let route = move |_, behind| ByKey::new(assigner, behind, wire.wrap);
        Port::connect(&stream, (to, Partitioner::Keyed, state), log, route)
    }
}
