//! Streams, and the edges over which stages read them.

use std::fmt;
use std::sync::Arc;

use alluvium_core::KeyGroupAssigner;

use super::StageIndex;
use super::wiring::Taps;
use crate::InFlightCodec;
use crate::exchange::Partitioner;
use crate::operator::KeyedRecord;

/// What a stage sends. One that nobody reads is thrown away.
pub struct Stream<T> {
    /// Whose it is.
    pub(super) graph: Arc<()>,
    pub(super) from: StageIndex,
    pub(super) taps: Arc<Taps<T>>,
    pub(super) codec: Option<InFlightCodec<T>>,
}

impl<T: Send + 'static> Stream<T> {
    pub(super) fn of(graph: &Arc<()>, from: StageIndex) -> Self {
        Self { graph: Arc::clone(graph), from, taps: Arc::default(), codec: None }
    }

    /// Says how its records are encoded when an unaligned checkpoint finds them in flight. Without that the
    /// job can have aligned checkpoints only.
    #[must_use]
    pub fn in_flight(mut self, codec: InFlightCodec<T>) -> Self {
        self.codec = Some(codec);
        self
    }

    /// The same stream once more, for another stage to read.
    #[must_use]
    pub fn fork(&self) -> Self
    where
        T: Clone,
    {
        self.taps.copy_by(<[T]>::to_vec);
        let (graph, taps) = (Arc::clone(&self.graph), Arc::clone(&self.taps));
        Self { graph, from: self.from, taps, codec: self.codec.clone() }
    }

    /// [`Partitioner::Forward`]. Records in flight are restored at the same parallelism only, unless they
    /// go to a sink.
    pub fn forward(self) -> Edge<T> {
        Edge { stream: self, partitioner: Partitioner::Forward }
    }

    /// [`Partitioner::Rebalance`].
    pub fn rebalance(self) -> Edge<T> {
        Edge { stream: self, partitioner: Partitioner::Rebalance }
    }

    /// [`Partitioner::Broadcast`].
    pub fn broadcast(self) -> BroadcastEdge<T>
    where
        T: Clone,
    {
        BroadcastEdge { stream: self, copy: T::clone }
    }

    /// [`Partitioner::Keyed`], with the key of each record and the stable assigner.
    pub fn keyed(self) -> KeyedEdge<T>
    where
        T: KeyedRecord,
    {
        self.keyed_by(KeyGroupAssigner::Stable)
    }

    /// The same with another assigner, which is one for all keyed edges of a job, and fixed for the life of
    /// its state.
    pub fn keyed_by(self, assigner: KeyGroupAssigner<T::Key>) -> KeyedEdge<T>
    where
        T: KeyedRecord,
    {
        KeyedEdge { stream: self, assigner }
    }
}

impl<T> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream(of stage {})", self.from)
    }
}

/// A forward or rebalance edge to a stage that is not there yet.
#[derive(Debug)]
#[must_use = "an edge leads to a stage"]
pub struct Edge<T> {
    pub(super) stream: Stream<T>,
    pub(super) partitioner: Partitioner,
}

/// A broadcast edge to a stage that is not there yet.
#[derive(Debug)]
#[must_use = "an edge leads to a stage"]
pub struct BroadcastEdge<T> {
    pub(super) stream: Stream<T>,
    pub(super) copy: fn(&T) -> T,
}

/// A keyed edge to a stage that is not there yet.
#[must_use = "an edge leads to a stage"]
pub struct KeyedEdge<T: KeyedRecord> {
    pub(super) stream: Stream<T>,
    pub(super) assigner: KeyGroupAssigner<T::Key>,
}

impl<T: KeyedRecord> fmt::Debug for KeyedEdge<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyedEdge({:?})", self.stream)
    }
}
