//! What is recorded of an edge, and what was restored of it.
//!
//! Each log has operator state of its own, which joins that of the task when the task is frozen.

use std::collections::{BTreeMap, VecDeque};

use alluvium_core::{KeyGroup, KeyGroupRange};
use alluvium_format::operator::OperatorStateItems;
use alluvium_state::{
    BroadcastState, BroadcastStateDescriptor, FrozenOperatorState, OperatorListState,
    OperatorStateBackend, RawKeyedState,
};
use bytes::Bytes;

use super::{InFlightCodec, decode_all};
use crate::TaskError;
use crate::exchange::{Partitioner, Routed};

/// Most records of a batch that is made of restored ones.
const BATCH_LEN: usize = 1_024;

/// What is recorded of an edge. Its elements are those of the receiver, which may have other edges.
pub(crate) trait EdgeLog<W>: Send {
    /// Adds records that the barrier has overtaken.
    fn record(&mut self, batch: &[W]) -> Result<(), TaskError>;

    /// Bytes that were recorded.
    fn len_bytes(&self) -> u64;

    /// Hands out what was recorded and begins anew; `None` when that is nothing.
    fn take(&mut self) -> Result<Option<FrozenOperatorState>, TaskError>;
}

/// A log, and the restored batches.
pub(crate) type Restored<W> = Result<(Box<dyn EdgeLog<W>>, VecDeque<Vec<W>>), TaskError>;

/// How the records of an edge are wrapped for a receiver with other edges, and found again.
pub(crate) struct Wire<A, W> {
    pub(crate) wrap: fn(A) -> W,
    /// `None` for those of other edges.
    pub(crate) part: fn(&W) -> Option<&A>,
}

impl<T> Wire<T, T> {
    /// For a receiver with one edge.
    pub(crate) fn bare() -> Self {
        Self { wrap: |record| record, part: |record| Some(record) }
    }
}

impl<A, W> Clone for Wire<A, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, W> Copy for Wire<A, W> {}

/// Records of a keyed edge.
pub(crate) struct KeyedLog<R, W> {
    codec: InFlightCodec<R>,
    wire: Wire<Routed<R>, W>,
    state: OperatorStateBackend,
    raw: RawKeyedState,
    sections: BTreeMap<KeyGroup, Vec<u8>>,
}

impl<R: Send + 'static, W: 'static> KeyedLog<R, W> {
    pub(crate) fn restore(
        name: &str,
        codec: InFlightCodec<R>,
        wire: Wire<Routed<R>, W>,
        restored: Vec<OperatorStateItems>,
        key_groups: KeyGroupRange,
    ) -> Restored<W> {
        let mut state = OperatorStateBackend::new(restored);
        let raw = state.raw_keyed_state(name, key_groups)?;
        let mut batches = VecDeque::new();
        for (group, bytes) in state.raw_keyed_sections(raw)? {
            let records = decode_all(&codec, bytes)?;
            batch(
                records.into_iter().map(|record| (wire.wrap)(Routed { record, key_group: group })),
                &mut batches,
            );
        }
        Ok((Box::new(Self { codec, wire, state, raw, sections: BTreeMap::new() }), batches))
    }
}

impl<R: Send + 'static, W> EdgeLog<W> for KeyedLog<R, W> {
    fn record(&mut self, batch: &[W]) -> Result<(), TaskError> {
        for Routed { record, key_group: group } in batch.iter().filter_map(self.wire.part) {
            self.codec.append(record, self.sections.entry(*group).or_default())?;
        }
        Ok(())
    }

    fn len_bytes(&self) -> u64 {
        self.sections.values().map(|section| section.len() as u64).sum()
    }

    fn take(&mut self) -> Result<Option<FrozenOperatorState>, TaskError> {
        let sections = std::mem::take(&mut self.sections);
        if sections.is_empty() {
            return Ok(None);
        }
        let mut writer = self.state.write_raw_keyed(self.raw)?;
        for (group, bytes) in sections {
            *writer.start_key_group(group)? = bytes;
        }
        writer.finish();
        Ok(Some(self.state.freeze()?))
    }
}

/// Records of any other edge: those to one subtask stay together.
pub(crate) struct WholeLog<T, W> {
    codec: InFlightCodec<T>,
    wire: Wire<T, W>,
    state: OperatorStateBackend,
    kept: Kept,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Kept {
    Split(OperatorListState<Bytes>),
    /// Under key 0.
    Broadcast(BroadcastState<u8, Bytes>),
}

impl<T: Send + 'static, W: 'static> WholeLog<T, W> {
    pub(crate) fn restore(
        name: &str,
        codec: InFlightCodec<T>,
        wire: Wire<T, W>,
        restored: Vec<OperatorStateItems>,
        partitioner: Partitioner,
    ) -> Restored<W> {
        let mut state = OperatorStateBackend::new(restored);
        let kept = if partitioner == Partitioner::Broadcast {
            Kept::Broadcast(state.broadcast_state(BroadcastStateDescriptor::new(name))?)
        } else {
            Kept::Split(state.raw_operator_state(name)?)
        };
        let partitions: Vec<&Bytes> = match kept {
            Kept::Split(list) => state.items(list)?.iter().collect(),
            Kept::Broadcast(map) => {
                state.broadcast_entries(map)?.iter().map(|(_, bytes)| bytes).collect()
            }
        };
        let mut batches = VecDeque::new();
        for bytes in partitions {
            let records = decode_all(&codec, bytes)?;
            batch(records.into_iter().map(wire.wrap), &mut batches);
        }
        Ok((Box::new(Self { codec, wire, state, kept, bytes: Vec::new() }), batches))
    }
}

impl<T: Send + 'static, W> EdgeLog<W> for WholeLog<T, W> {
    fn record(&mut self, batch: &[W]) -> Result<(), TaskError> {
        let mut records = batch.iter().filter_map(self.wire.part);
        records.try_for_each(|record| Ok(self.codec.append(record, &mut self.bytes)?))
    }

    fn len_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn take(&mut self) -> Result<Option<FrozenOperatorState>, TaskError> {
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        if bytes.is_empty() {
            return Ok(None);
        }
        match self.kept {
            Kept::Split(list) => self.state.update(list, vec![bytes])?,
            Kept::Broadcast(map) => self.state.broadcast_put(map, 0, bytes)?,
        }
        Ok(Some(self.state.freeze()?))
    }
}

/// Makes batches of records.
fn batch<W>(mut records: impl Iterator<Item = W>, batches: &mut VecDeque<Vec<W>>) {
    loop {
        let batch: Vec<W> = records.by_ref().take(BATCH_LEN).collect();
        if batch.is_empty() {
            return;
        }
        batches.push_back(batch);
    }
}
