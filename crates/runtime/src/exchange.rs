//! The keyed exchange: each record goes to the subtask that owns its key group.

use std::task::{Context, Poll};

use alluvium_core::{KeyGroup, KeyGroupAssigner, Parallelism};
use alluvium_format::codec::{Codec, DefaultCodec, HasCodec};
use tokio::sync::mpsc;

use crate::TaskError;
use crate::element::Element;
use crate::operator::KeyedRecord;
use crate::outlet::{Gone, Outlet};

/// A record and the key group that it was routed by.
pub(crate) type Routed<R> = (KeyGroup, R);

/// The sending side of one source subtask.
#[derive(Debug)]
pub(crate) struct KeyedExchange<R: KeyedRecord> {
    outlets: Vec<Outlet<Element<Routed<R>>>>,
    assigner: KeyGroupAssigner<R::Key>,
    parallelism: Parallelism,
    encoded_key: Vec<u8>,
}

impl<R: KeyedRecord<Key: HasCodec>> KeyedExchange<R> {
    pub(crate) fn new(
        outputs: Vec<mpsc::Sender<Element<Routed<R>>>>,
        assigner: KeyGroupAssigner<R::Key>,
        parallelism: Parallelism,
    ) -> Self {
        let outlets = outputs.into_iter().map(Outlet::new).collect();
        Self { outlets, assigner, parallelism, encoded_key: Vec::new() }
    }

    /// Puts records on their way, which they go on while the exchange is [flushed](Self::poll_flush).
    pub(crate) fn push(&mut self, records: Vec<R>) -> Result<(), TaskError> {
        let mut batches: Vec<Vec<Routed<R>>> = self.outlets.iter().map(|_| Vec::new()).collect();
        for record in records {
            self.encoded_key.clear();
            DefaultCodec.encode(record.key(), &mut self.encoded_key)?;
            let max = self.parallelism.max();
            let group = self.assigner.assign(record.key(), &self.encoded_key, max);
            let owner = self.parallelism.owner_of(group);
            if let Some(batch) = batches.get_mut(usize::from(owner.get())) {
                batch.push((group, record));
            }
        }
        for (outlet, batch) in self.outlets.iter_mut().zip(batches) {
            if !batch.is_empty() {
                outlet.push(Element::Batch(batch));
            }
        }
        Ok(())
    }

    /// Puts an element on its way to all receivers.
    pub(crate) fn push_to_all(&mut self, element: impl Fn() -> Element<Routed<R>>) {
        self.outlets.iter_mut().for_each(|outlet| outlet.push(element()));
    }

    /// Ready when all receivers have room for what is on its way to them; a slow one does not hold up
    /// the others.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Gone>> {
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
