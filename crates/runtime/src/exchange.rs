//! The keyed exchange: each record goes to the subtask that owns its key group.

use alluvium_core::{KeyGroup, KeyGroupAssigner, Parallelism};
use alluvium_format::codec::{Codec, DefaultCodec, HasCodec};
use tokio::sync::mpsc;

use crate::TaskError;
use crate::element::Element;
use crate::operator::KeyedRecord;

/// A record and the key group that it was routed by.
pub(crate) type Routed<R> = (KeyGroup, R);

/// The sending side of one source subtask.
#[derive(Debug)]
pub(crate) struct KeyedExchange<R: KeyedRecord> {
    outputs: Vec<mpsc::Sender<Element<Routed<R>>>>,
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
        Self { outputs, assigner, parallelism, encoded_key: Vec::new() }
    }

    /// Sends records, waiting where a receiver is slower. `false` when the receivers are gone.
    pub(crate) async fn send(&mut self, records: Vec<R>) -> Result<bool, TaskError> {
        let mut batches: Vec<Vec<Routed<R>>> = self.outputs.iter().map(|_| Vec::new()).collect();
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
        for (output, batch) in self.outputs.iter().zip(batches) {
            if !batch.is_empty() && output.send(Element::Batch(batch)).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sends an element to all receivers. `false` when they are gone.
    pub(crate) async fn broadcast(&mut self, element: impl Fn() -> Element<Routed<R>>) -> bool {
        for output in &self.outputs {
            if output.send(element()).await.is_err() {
                return false;
            }
        }
        true
    }
}
