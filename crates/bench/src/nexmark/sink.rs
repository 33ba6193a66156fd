//! Adds up results, exactly once: totals are state, and are published when a checkpoint is complete.
//!
//! Invariants: what is published is what a complete checkpoint holds; after a failure totals begin with
//! those of the checkpoint that was restored.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError};

use alluvium::core::{CheckpointId, IdError};
use alluvium::runtime::{Edge, JobGraph, OperatorContext, Sink, TaskError};
use alluvium::state::{ListStateDescriptor, OperatorListState, OperatorStateBackend, StateBackend};

use super::queries::{Shared, stage};
use super::totals::{Parts, Row, Totals};

/// What the sinks of a job have committed, by subtask.
#[derive(Debug, Default)]
pub(crate) struct Output(Mutex<BTreeMap<u16, Totals>>);

impl Output {
    fn parts(&self) -> MutexGuard<'_, BTreeMap<u16, Totals>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it.
    pub(crate) fn totals(&self) -> Totals {
        self.parts().values().cloned().fold(Totals::default(), Totals::and)
    }
}

/// Whether a sink is the one that knows when everything is processed; else an operator before it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Here,
    Before,
}

/// One subtask.
#[derive(Debug)]
struct Results<R> {
    shared: Shared,
    subtask: u16,
    ending: Ending,
    totals: Totals,
    /// Those of checkpoints that are not complete yet.
    pending: BTreeMap<CheckpointId, Totals>,
    state: Option<OperatorListState<Parts>>,
    buffer: Vec<u8>,
    rows: PhantomData<fn(R)>,
}

impl<R: Row> Sink for Results<R> {
    type Input = R;

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let totals = state.list_state(ListStateDescriptor::<Parts>::new("totals"))?;
        let restored = state.items(totals)?.iter().cloned().map(Totals::from);
        self.totals = restored.fold(Totals::default(), Totals::and);
        self.state = Some(totals);
        self.shared.output.parts().insert(self.subtask, self.totals.clone());
        Ok(())
    }

    fn write(&mut self, rows: Vec<R>) -> Result<(), TaskError> {
        for row in &rows {
            self.totals.add(row, &mut self.buffer);
        }
        Ok(())
    }

    fn pre_commit(
        &mut self,
        checkpoint: CheckpointId,
        state: &mut OperatorStateBackend,
    ) -> Result<(), TaskError> {
        if self.ending == Ending::Here {
            // The last checkpoint comes behind the last record.
            self.shared.stopwatch.stop();
        }
        self.pending.insert(checkpoint, self.totals.clone());
        Ok(state.update(self.state.ok_or("not open")?, vec![self.totals.clone().into_parts()])?)
    }

    fn commit(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        let newer = self.pending.split_off(&checkpoint.next());
        let committed = std::mem::replace(&mut self.pending, newer);
        if let Some((_, totals)) = committed.into_iter().next_back() {
            self.shared.output.parts().insert(self.subtask, totals);
        }
        Ok(())
    }
}

/// Adds sinks.
///
/// Errors: [`IdError`], if its name is none.
pub(crate) fn add<B: StateBackend, R: Row>(
    graph: &mut JobGraph<B, Totals>,
    results: Edge<R>,
    ending: Ending,
    shared: &Shared,
) -> Result<(), IdError> {
    let (stage, shared) = (stage("results")?, shared.clone());
    graph.sink(stage, results, move |context: &OperatorContext| {
        Ok(Results::<R> {
            shared: shared.clone(),
            subtask: context.subtask.get(),
            ending,
            totals: Totals::default(),
            pending: BTreeMap::new(),
            state: None,
            buffer: Vec::new(),
            rows: PhantomData,
        })
    });
    Ok(())
}
