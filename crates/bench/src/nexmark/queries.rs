//! The queries: each as a job, and plainly.
//!
//! All jobs are made alike: sources of the kinds of events that the query reads, its operators, and sinks.
//! Every stage has the parallelism of the job. Results of a job do not depend on it, nor on how its inputs
//! interleave; where two events have the same time, the query says which counts.
//!
//! Windows are those of Flink: `[start, start + size)`, starts are multiples of the slide since 1970. One
//! fires when event time has come to its last millisecond, or to its end with the end of the input. No event
//! can be late, as sources emit in the order of time and watermarks follow them; an operator that is given a
//! late one fails the job.

mod q0;
mod q18;
mod q3;
mod q5;
mod q8;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use alluvium::core::{IdError, OperatorUid};
use alluvium::runtime::{JobGraph, Stage, TaskError};
use alluvium::state::StateBackend;

use super::Query;
use super::events::Feed;
use super::sink::Output;
use super::stopwatch::Stopwatch;
use super::totals::Totals;

/// What all tasks of a job share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared {
    pub(crate) stopwatch: Arc<Stopwatch>,
    pub(crate) output: Arc<Output>,
    #[cfg(test)]
    pub(crate) halt: Option<Arc<super::job::Halt>>,
}

impl Shared {
    /// Whether a source at a position stands still.
    #[cfg(test)]
    pub(crate) fn halts(&self, next: u64, end: u64) -> Result<bool, TaskError> {
        self.halt.as_ref().map_or(Ok(false), |halt| halt.meet(next, end))
    }

    /// Whether the job is one of a test that fails and goes on.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "only tests let jobs fail"))]
    pub(crate) fn may_fail(&self) -> bool {
        #[cfg(test)]
        return self.halt.is_some();
        #[cfg(not(test))]
        false
    }

    /// A checkpoint is complete.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "only tests wait for checkpoints"))]
    pub(crate) fn note_checkpoint(&self) {
        #[cfg(test)]
        if let Some(halt) = &self.halt {
            halt.note_checkpoint();
        }
    }
}

/// A query as a job. What it hands over are totals of its state, if those are what is checked.
///
/// Errors: [`IdError`], if a name of this module is none.
pub(crate) fn graph<B: StateBackend>(
    query: Query,
    feed: &Feed,
    shared: &Shared,
) -> Result<JobGraph<B, Totals>, IdError> {
    match query {
        Query::Q0 => q0::graph(feed, shared),
        Query::Q3 => q3::graph(feed, shared),
        Query::Q5 => q5::graph(feed, shared),
        Query::Q8 => q8::graph(feed, shared),
        Query::Q18 => q18::graph(feed, shared),
    }
}

/// A query computed in one thread, from the events as they lie in memory.
pub(crate) fn plain(query: Query, feed: &Feed) -> Totals {
    match query {
        Query::Q0 => q0::plain(&feed.all),
        Query::Q3 => q3::plain(&feed.persons, &feed.auctions),
        Query::Q5 => q5::plain(&feed.bids),
        Query::Q8 => q8::plain(&feed.persons, &feed.auctions),
        Query::Q18 => q18::plain(&feed.bids),
    }
}

/// Whether the results of a query are those of its state in the end, and not those that came to the sinks.
pub(crate) fn results_are_state(query: Query) -> bool {
    query == Query::Q18
}

/// What is compared, for whoever reads that it differs.
pub(crate) const fn results_of(query: Query) -> &'static str {
    match query {
        Query::Q0 => "results of q0",
        Query::Q3 => "results of q3",
        Query::Q5 => "results of q5",
        Query::Q8 => "results of q8",
        Query::Q18 => "results of q18",
    }
}

/// A stage of this name at the parallelism of the job.
pub(crate) fn stage(name: &str) -> Result<Stage, IdError> {
    OperatorUid::new(name).map(Stage::new)
}

/// Start of the window, or pane, of a length that a time lies in.
fn start_of(time_ms: i64, length_ms: i64) -> i64 {
    time_ms.div_euclid(length_ms) * length_ms
}

/// A time of the generator. It counts milliseconds since 1970, so it fits.
fn signed(time_ms: u64) -> i64 {
    i64::try_from(time_ms).unwrap_or(i64::MAX)
}

/// How far event time has come at an operator.
#[derive(Debug, Default)]
struct Now(Option<i64>);

impl Now {
    /// Errors: any, if the window that ends at this time has fired.
    fn check(&self, window_end_ms: i64) -> Result<(), TaskError> {
        match self.0 {
            Some(now_ms) if window_end_ms - 1 <= now_ms => {
                let text =
                    format!("an event of a window that ended at {window_end_ms} came at {now_ms}");
                Err(text.into())
            }
            _ => Ok(()),
        }
    }
}
