//! A job as a graph of stages, with edges between them.
//!
//! A *stage* is an operator with its uid and parallelism; its subtasks are tasks. It sends one [`Stream`],
//! which other stages read over *edges*: an edge says by a [`Partitioner`] which subtask a record goes to.
//! A stage takes streams of earlier stages only, so a graph has no cycles.
//!
//! | stage | edges | |
//! |---|---|---|
//! | [`source`](JobGraph::source) | none | |
//! | [`flat_map`](JobGraph::flat_map) | forward or rebalance | a function without state |
//! | [`keyed`](JobGraph::keyed) | keyed | [`KeyedOperator`] |
//! | [`two_input`](JobGraph::two_input) | two keyed ones | [`TwoInputOperator`](crate::TwoInputOperator) |
//! | [`with_broadcast`](JobGraph::with_broadcast) | keyed and broadcast | [`BroadcastOperator`](crate::BroadcastOperator) |
//! | [`sink`](JobGraph::sink) | forward or rebalance | |
//!
//! The graph is a description: each attempt makes its channels, instances and tasks of it anew. A
//! [`Pipeline`](crate::Pipeline) is a graph of three stages, and its checkpoints are those of that graph.
//!
//! Invariants: a stage is built after the stages whose streams it reads; all barriers of a checkpoint come
//! over every channel of the graph, from sources that have ended as well, until the last one.

mod edges;
mod pipeline;
mod stages;
mod wiring;

pub use edges::{BroadcastEdge, Edge, KeyedEdge, Stream};
pub(crate) use pipeline::of_pipeline;
pub(crate) use wiring::{Port, Taps};

use std::fmt;
use std::sync::Arc;

use alluvium_core::{AssignerName, MaxParallelism, OperatorUid, Parallelism};
use alluvium_state::StateBackend;

#[cfg(doc)]
use crate::KeyedOperator;
use crate::driver::Builder;
use crate::exchange::Partitioner;
use crate::{GraphError, JobError};

/// Name and parallelism of a stage.
#[derive(Debug, Clone)]
pub struct Stage {
    uid: OperatorUid,
    parallelism: Option<u32>,
}

impl Stage {
    /// A stage whose state is found again by this name, at the parallelism of the job.
    pub const fn new(uid: OperatorUid) -> Self {
        Self { uid, parallelism: None }
    }

    /// How many subtasks it has, 1 to max parallelism. Default:
    /// [`JobConfig::parallelism`](crate::JobConfig::parallelism).
    #[must_use]
    pub const fn parallelism(mut self, parallelism: u32) -> Self {
        self.parallelism = Some(parallelism);
        self
    }
}

impl From<OperatorUid> for Stage {
    fn from(uid: OperatorUid) -> Self {
        Self::new(uid)
    }
}

/// Number of a stage in its graph.
pub(crate) type StageIndex = usize;

type Build<B, R> = dyn Fn(&mut Builder<'_, B, R>) -> Result<(), JobError> + Send + Sync;

struct Entry<B, R> {
    stage: Stage,
    /// Whether it has keyed state.
    is_keyed: bool,
    build: Arc<Build<B, R>>,
}

/// An edge, as far as its ends must agree.
struct Connection {
    from: StageIndex,
    to: StageIndex,
    partitioner: Partitioner,
    /// Of a keyed edge.
    assigner: Option<AssignerName>,
}

/// A job that runs on backend `B` and hands over results of type `R`.
///
/// A join of two streams of different types, of which each has its own source:
///
#[doc = include_str!("job_graph/example.md")]
pub struct JobGraph<B, R> {
    /// Tells the streams of this graph from those of others.
    id: Arc<()>,
    entries: Vec<Entry<B, R>>,
    connections: Vec<Connection>,
    /// A stage that was given a stream of another graph.
    misled: Option<StageIndex>,
}

impl<B: StateBackend, R: Send + 'static> JobGraph<B, R> {
    /// A graph without stages.
    pub fn new() -> Self {
        let (entries, connections) = (Vec::new(), Vec::new());
        Self { id: Arc::default(), entries, connections, misled: None }
    }

    /// Adds a stage, which has the next index.
    fn add(
        &mut self,
        stage: Stage,
        is_keyed: bool,
        build: impl Fn(&mut Builder<'_, B, R>) -> Result<(), JobError> + Send + Sync + 'static,
    ) {
        self.entries.push(Entry { stage, is_keyed, build: Arc::new(build) });
    }

    /// Makes the tasks of an attempt, in the order of the stages.
    pub(crate) fn build(&self, builder: &mut Builder<'_, B, R>) -> Result<(), JobError> {
        self.entries.iter().try_for_each(|entry| (entry.build)(builder))
    }
}

impl<B, R> JobGraph<B, R> {
    fn parallelism_of(&self, stage: StageIndex, default: u32) -> u32 {
        let entry = self.entries.get(stage);
        entry.and_then(|entry| entry.stage.parallelism).unwrap_or(default)
    }

    /// The stages and how many subtasks each has, in the order in which they were added; `parallelism` is
    /// that of the job.
    pub fn stages(&self, parallelism: u32) -> impl Iterator<Item = (&OperatorUid, u32)> {
        let stages = self.entries.iter().enumerate();
        stages.map(move |(at, entry)| (&entry.stage.uid, self.parallelism_of(at, parallelism)))
    }

    /// The largest parallelism of a stage.
    pub(crate) fn widest(&self, default: u32) -> u32 {
        self.stages(default).map(|(_, parallelism)| parallelism).max().unwrap_or(default)
    }

    /// The stages and how many subtasks each has, in the order of the metadata.
    pub(crate) fn plan(
        &self,
        default: u32,
        max: MaxParallelism,
    ) -> Result<Vec<(OperatorUid, Parallelism)>, JobError> {
        let stages = self.stages(default);
        stages.map(|(uid, width)| Ok((uid.clone(), Parallelism::new(width, max)?))).collect()
    }

    /// The stages, and whether each has keyed state.
    pub(crate) fn uids(&self) -> Vec<(&OperatorUid, bool)> {
        self.entries.iter().map(|entry| (&entry.stage.uid, entry.is_keyed)).collect()
    }

    fn uid(&self, stage: StageIndex) -> String {
        self.entries.get(stage).map_or_else(String::new, |entry| entry.stage.uid.to_string())
    }

    /// How all keyed edges assign keys to key groups.
    pub(crate) fn assigner(&self) -> AssignerName {
        self.connections.iter().find_map(|it| it.assigner).unwrap_or(AssignerName::Stable)
    }

    /// The ends of each edge must agree.
    pub(crate) fn check(&self, default: u32) -> Result<(), GraphError> {
        if let Some(misled) = self.misled {
            return Err(GraphError::ForeignStream { to: self.uid(misled) });
        }
        let assigner = self.assigner();
        for Connection { from, to, partitioner, assigner: own } in &self.connections {
            let (from, to) = (*from, *to);
            let parallelism = [from, to].map(|stage| self.parallelism_of(stage, default));
            if let (Partitioner::Forward, [before, behind]) = (partitioner, parallelism)
                && before != behind
            {
                let (from, to) = (self.uid(from), self.uid(to));
                return Err(GraphError::ForwardParallelism { from, to, before, behind });
            }
            if let Some(found) = own.filter(|own| *own != assigner) {
                let (from, to) = (self.uid(from), self.uid(to));
                return Err(GraphError::Assigners { from, to, expected: assigner, found });
            }
        }
        Ok(())
    }
}

impl<B: StateBackend, R: Send + 'static> Default for JobGraph<B, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B, R> fmt::Debug for JobGraph<B, R> {
    /// The edges, such as `orders -keyed-> totals`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JobGraph")?;
        f.debug_set()
            .entries(self.connections.iter().map(|it| {
                format!("{} -{}-> {}", self.uid(it.from), it.partitioner, self.uid(it.to))
            }))
            .finish()
    }
}

#[cfg(test)]
mod tests;
