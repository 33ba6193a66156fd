//! Everything that a task sends: over each of its edges the same.

use std::task::{Context, Poll};

use crate::TaskError;
use crate::element::Signal;
use crate::exchange::OutEdge;
use crate::outlet::Gone;

/// Copies a batch, where several stages read one stream.
pub(crate) type CopyBatch<T> = fn(&[T]) -> Vec<T>;

/// The edges of a task; without any, what it sends goes nowhere.
pub(crate) struct Outputs<T> {
    edges: Vec<Box<dyn OutEdge<T>>>,
    /// There when there are several edges.
    copy: Option<CopyBatch<T>>,
}

impl<T> Outputs<T> {
    pub(crate) fn new(edges: Vec<Box<dyn OutEdge<T>>>, copy: Option<CopyBatch<T>>) -> Self {
        Self { edges, copy }
    }

    /// Puts records on their way, which they go on while the outputs are flushed.
    pub(crate) fn push(&mut self, records: Vec<T>) -> Result<(), TaskError> {
        let Some((last, others)) = self.edges.split_last_mut() else { return Ok(()) };
        for edge in others {
            let copy = self.copy.ok_or("a stream is read twice and its records are not copied")?;
            edge.push(copy(&records))?;
        }
        last.push(records)
    }

    /// Puts a signal on its way to all receivers.
    pub(crate) fn push_to_all(&mut self, signal: &Signal) {
        self.edges.iter_mut().for_each(|edge| edge.push_to_all(signal));
    }

    /// Ready when all receivers have room for what is on its way to them.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        let mut all = Poll::Ready(Ok(()));
        for edge in &mut self.edges {
            match edge.poll_flush(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(gone)) => return Poll::Ready(Err(gone)),
                Poll::Pending => all = Poll::Pending,
            }
        }
        all
    }
}
