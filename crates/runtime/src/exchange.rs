//! The edges between stages: to which subtasks each record goes.
//!
//! Whoever receives may have two inputs of different types, over which it holds barriers and takes
//! turns as over one. So all its channels are of one type, that of the *wire*, and the edge wraps the
//! records of its stream into it.
//!
//! Invariants: records that go from one subtask to another one keep their order; every signal goes to
//! all receivers of an edge, in its place among the records.
//!
//! Source: Flink `StreamPartitioner`.

use std::fmt;
use std::task::{Context, Poll};

use alluvium_core::{KeyGroup, KeyGroupAssigner, Parallelism};
use alluvium_format::codec::{Codec, DefaultCodec, HasCodec};
use tokio::sync::mpsc;

use crate::TaskError;
use crate::element::{Element, Signal};
use crate::operator::KeyedRecord;
use crate::outlet::{Gone, Outlet};

/// To which subtasks of the next stage records go.
///
/// Source: Flink `ForwardPartitioner`, `RebalancePartitioner`, `BroadcastPartitioner`,
/// `KeyGroupStreamPartitioner`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Partitioner {
    /// To the one of the same number; both stages have the same parallelism.
    Forward,
    /// To all in turn, record by record.
    Rebalance,
    /// Each record to all of them.
    Broadcast,
    /// To the one that owns the key group of the record.
    Keyed,
}

impl fmt::Display for Partitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "forward",
            Self::Rebalance => "rebalance",
            Self::Broadcast => "broadcast",
            Self::Keyed => "keyed",
        })
    }
}

/// A record and the key group that it was routed by.
///
/// The record is at the front, so that a copy of the whole and what reads the record of it move the same
/// pairs of words: a processor does not forward a store to a load that spans two of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Routed<R> {
    pub(crate) record: R,
    pub(crate) key_group: KeyGroup,
}

/// What a subtask with two inputs receives.
#[derive(Debug)]
pub(crate) enum Either<A, B> {
    First(A),
    Second(B),
}

/// The sending end of an edge at one subtask.
pub(crate) trait OutEdge<T>: Send {
    /// Puts records on their way, which they go on while the edge is flushed.
    fn push(&mut self, records: Vec<T>) -> Result<(), TaskError>;

    /// Puts a signal on its way to all receivers.
    fn push_to_all(&mut self, signal: &Signal);

    /// Ready when all receivers have room for what is on its way to them; a slow one does not hold up
    /// the others.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Gone>>;
}

/// Hands records out to receivers, a batch for each.
pub(crate) trait Route<T, W>: Send {
    fn route(&mut self, records: Vec<T>, batches: &mut [Vec<W>]) -> Result<(), TaskError>;
}

/// An edge whose receivers are the given ones.
#[derive(Debug)]
pub(crate) struct Exchange<W, R> {
    outlets: Vec<Outlet<Element<W>>>,
    route: R,
}

impl<W: Send + 'static, R> Exchange<W, R> {
    pub(crate) fn new(outputs: Vec<mpsc::Sender<Element<W>>>, route: R) -> Self {
        Self { outlets: outputs.into_iter().map(Outlet::new).collect(), route }
    }
}

impl<T, W: Send + 'static, R: Route<T, W>> OutEdge<T> for Exchange<W, R> {
    fn push(&mut self, records: Vec<T>) -> Result<(), TaskError> {
        let mut batches: Vec<Vec<W>> = self.outlets.iter().map(|_| Vec::new()).collect();
        self.route.route(records, &mut batches)?;
        for (outlet, batch) in self.outlets.iter_mut().zip(batches) {
            if !batch.is_empty() {
                outlet.push(Element::Batch(batch));
            }
        }
        Ok(())
    }

    fn push_to_all(&mut self, signal: &Signal) {
        self.outlets.iter_mut().for_each(|outlet| outlet.push(signal.clone().into()));
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        let mut all = Poll::Ready(Ok(()));
        for outlet in &mut self.outlets {
            match outlet.poll_flush(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(gone)) => return Poll::Ready(Err(gone)),
                Poll::Pending => all = Poll::Pending,
            }
        }
        all
    }
}

/// Keys that are encoded before the first of them is hashed.
const ROUND: usize = 64;

/// [`Partitioner::Keyed`].
pub(crate) struct ByKey<R: KeyedRecord, W> {
    assigner: KeyGroupAssigner<R::Key>,
    /// Of the receivers.
    parallelism: Parallelism,
    wrap: fn(Routed<R>) -> W,
    encoded_keys: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl<R: KeyedRecord, W> ByKey<R, W> {
    pub(crate) const fn new(
        assigner: KeyGroupAssigner<R::Key>,
        parallelism: Parallelism,
        wrap: fn(Routed<R>) -> W,
    ) -> Self {
        Self { assigner, parallelism, wrap, encoded_keys: Vec::new(), ends: Vec::new() }
    }
}

impl<R: KeyedRecord<Key: HasCodec>, W> Route<R, W> for ByKey<R, W> {
    fn route(&mut self, records: Vec<R>, batches: &mut [Vec<W>]) -> Result<(), TaskError> {
        let Self { assigner, parallelism, wrap, encoded_keys, ends } = self;
        let even = records.len() / batches.len().max(1);
        for batch in batches.iter_mut() {
            batch.reserve(even + even / 8 + 1);
        }
        let mut records = records.into_iter();
        while !records.as_slice().is_empty() {
            // A key that is hashed right after it was written is read in other pieces than it was written
            // in, for which a processor waits until all that came before is done.
            encoded_keys.clear();
            ends.clear();
            for record in records.as_slice().iter().take(ROUND) {
                DefaultCodec.encode(record.key(), encoded_keys)?;
                ends.push(encoded_keys.len());
            }
            let mut start = 0;
            for (end, record) in ends.iter().zip(&mut records) {
                let encoded_key = encoded_keys.get(start..*end).unwrap_or_default();
                start = *end;
                let key_group = assigner.assign(record.key(), encoded_key, parallelism.max());
                let owner = parallelism.owner_of(key_group);
                if let Some(batch) = batches.get_mut(usize::from(owner.get())) {
                    batch.push(wrap(Routed { record, key_group }));
                }
            }
        }
        Ok(())
    }
}

/// [`Partitioner::Rebalance`]; with one receiver [`Partitioner::Forward`].
pub(crate) struct InTurn<T, W> {
    /// Whose turn it is.
    next: usize,
    wrap: fn(T) -> W,
}

impl<T, W> InTurn<T, W> {
    /// Begins with a receiver, another one for each sender.
    pub(crate) const fn new(first: usize, wrap: fn(T) -> W) -> Self {
        Self { next: first, wrap }
    }
}

impl<T, W> Route<T, W> for InTurn<T, W> {
    fn route(&mut self, records: Vec<T>, batches: &mut [Vec<W>]) -> Result<(), TaskError> {
        if let [batch] = batches {
            *batch = records.into_iter().map(self.wrap).collect();
            return Ok(());
        }
        for record in records {
            if self.next >= batches.len() {
                self.next %= batches.len().max(1);
            }
            if let Some(batch) = batches.get_mut(self.next) {
                batch.push((self.wrap)(record));
            }
            self.next += 1;
        }
        Ok(())
    }
}

/// [`Partitioner::Broadcast`].
pub(crate) struct ToAll<T, W> {
    pub(crate) copy: fn(&T) -> T,
    pub(crate) wrap: fn(T) -> W,
}

impl<T, W> Route<T, W> for ToAll<T, W> {
    fn route(&mut self, records: Vec<T>, batches: &mut [Vec<W>]) -> Result<(), TaskError> {
        let Some((last, others)) = batches.split_last_mut() else { return Ok(()) };
        for batch in others {
            batch.extend(records.iter().map(|record| (self.wrap)((self.copy)(record))));
        }
        last.extend(records.into_iter().map(self.wrap));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
