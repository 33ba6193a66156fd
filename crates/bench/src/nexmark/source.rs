//! Reads events from memory, and can go on from any position.
//!
//! A source does what an engine chains to it: it leaves out events and fields that the query does not need,
//! and hands over a copy of the rest.
//!
//! Invariants: subtask `i` of `n` begins with the events `i`, `i + n`, `i + 2 n` and so on, its *split*;
//! splits are kept with their next positions, and any subtask can go on with any of them. No event comes
//! whose time is at or before the watermark, since events are in the order of their times.

use std::fmt;

use alluvium::core::IdError;
use alluvium::runtime::{
    JobGraph, OperatorContext, Source, SourceStatus, Stage, Stream, TaskError,
};
use alluvium::state::{ListStateDescriptor, OperatorListState, OperatorStateBackend, StateBackend};

use super::events::{At, Events};
use super::queries::{Shared, stage};
use super::totals::Totals;

/// Next position of a split, and how far apart its events are.
type Split = (u64, u64);

/// What a query sees of the events of a kind.
pub(crate) struct View<E, T> {
    /// The time of an event as it lies in memory, in milliseconds.
    pub(crate) time_ms: fn(&E) -> u64,
    /// The record of an event; `None` leaves it out.
    pub(crate) record: fn(&E, At) -> Option<T>,
    /// The part of a batch that is read in one go, as its denominator: 3 for one of two streams that has a
    /// third as many events as the other one, so that event time goes on in both at about the same pace.
    pub(crate) part: usize,
}

impl<E, T> Clone for View<E, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E, T> Copy for View<E, T> {}

/// One subtask.
struct Reader<E, T> {
    events: Events<E>,
    view: View<E, T>,
    shared: Shared,
    context: OperatorContext,
    splits: Vec<Split>,
    state: Option<OperatorListState<Split>>,
}

impl<E, T> Source for Reader<E, T>
where
    E: Send + Sync + 'static,
    T: Send + 'static,
{
    type Record = T;

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let splits = state.list_state(ListStateDescriptor::<Split>::new("splits"))?;
        self.splits = if self.context.restored.is_some() {
            state.items(splits)?.to_vec()
        } else {
            let (subtask, parallelism) = (self.context.subtask, self.context.parallelism);
            vec![(u64::from(subtask.get()), u64::from(parallelism.get()))]
        };
        self.state = Some(splits);
        Ok(())
    }

    fn poll(&mut self, records: &mut Vec<T>, limit: usize) -> Result<SourceStatus, TaskError> {
        self.shared.stopwatch.start();
        let end = self.events.len();
        // The one that is furthest behind, so that event time goes on in all of them.
        let open = self.splits.iter().enumerate().filter(|(_, (next, _))| *next < end);
        let Some((split, &(mut next, stride))) = open.min_by_key(|(_, (next, _))| *next) else {
            return Ok(SourceStatus::Ended);
        };
        #[cfg(test)]
        if self.shared.halts(next, end)? {
            return Ok(SourceStatus::More);
        }
        for _ in 0..(limit / self.view.part).max(1) {
            let Some((event, at)) = self.events.get(next) else { break };
            records.extend((self.view.record)(event, at));
            next += stride;
        }
        if let Some(split) = self.splits.get_mut(split) {
            split.0 = next;
        }
        Ok(SourceStatus::More)
    }

    fn watermark_ms(&self) -> Option<i64> {
        let end = self.events.len();
        let slowest = self.splits.iter().map(|(next, _)| *next).filter(|next| *next < end).min()?;
        let (event, at) = self.events.get(slowest)?;
        i64::try_from(at.time_ms((self.view.time_ms)(event))).ok()?.checked_sub(1)
    }

    fn snapshot(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(state.update(self.state.ok_or("not open")?, self.splits.clone())?)
    }
}

impl<E, T> fmt::Debug for Reader<E, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({:?} of {})", self.splits, self.events.len())
    }
}

/// Adds sources of the events of a kind.
///
/// Errors: [`IdError`] if that is no name.
pub(crate) fn add<B, E, T>(
    graph: &mut JobGraph<B, Totals>,
    name: &str,
    events: &Events<E>,
    view: View<E, T>,
    shared: &Shared,
) -> Result<Stream<T>, IdError>
where
    B: StateBackend,
    E: Send + Sync + 'static,
    T: Send + 'static,
{
    let stage: Stage = stage(name)?;
    let (events, shared) = (events.clone(), shared.clone());
    Ok(graph.source(stage, move |context: &OperatorContext| {
        Ok(Reader {
            events: events.clone(),
            view,
            shared: shared.clone(),
            context: context.clone(),
            splits: Vec::new(),
            state: None,
        })
    }))
}
