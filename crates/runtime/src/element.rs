//! What travels between tasks.

use crate::barrier::Barrier;

/// An element of a stream. Records come in batches; everything else keeps its place among them.
#[derive(Debug)]
pub(crate) enum Element<T> {
    /// Records, in order.
    Batch(Vec<T>),
    /// The state of a checkpoint lies before this, what comes later does not belong to it.
    Barrier(Barrier),
    /// No record of this time or an earlier one comes any more, in milliseconds.
    Watermark(i64),
    /// No record comes any more; barriers still do.
    EndOfInput,
}

/// What goes to all subtasks behind a task, over every edge.
#[derive(Debug, Clone)]
pub(crate) enum Signal {
    Barrier(Barrier),
    Watermark(i64),
    EndOfInput,
}

impl<T> From<Signal> for Element<T> {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Barrier(barrier) => Self::Barrier(barrier),
            Signal::Watermark(watermark_ms) => Self::Watermark(watermark_ms),
            Signal::EndOfInput => Self::EndOfInput,
        }
    }
}
