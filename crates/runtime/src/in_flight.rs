//! Records in flight: what an unaligned checkpoint holds besides the state of the tasks.
//!
//! A barrier that overtakes records leaves them on their edge. Whoever receives them writes them into the
//! checkpoint, and a restore processes them before anything else. They are operator state of the
//! receiver under a reserved name (SPEC 7.4): by key group on a keyed edge, so that they follow the keys to
//! any parallelism; whole on a forward edge, where one subtask gets what one old subtask had.
//!
//! Invariants: the records of one key that came over one channel keep their order.
//!
//! Source: Flink `ChannelStateWriter`; K. M. Chandy, L. Lamport, "Distributed Snapshots", 1985.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use alluvium_core::{KeyGroup, KeyGroupRange};
use alluvium_format::CodecError;
use alluvium_format::codec::{Codec, Input};
use alluvium_format::operator::OperatorStateItems;
use alluvium_state::{FrozenOperatorState, OperatorListState, OperatorStateBackend, RawKeyedState};
use bytes::Bytes;

use crate::TaskError;
use crate::exchange::Routed;

/// Name of the state that holds records in flight.
pub(crate) const IN_FLIGHT: &str = "alluvium.in-flight";
/// Stands before each record, so that one without bytes is one too.
const RECORD: u8 = 1;
/// Most records of a batch that is made of restored ones.
const BATCH_LEN: usize = 1_024;

type Encode<T> = dyn Fn(&T, &mut Vec<u8>) -> Result<(), CodecError> + Send + Sync;
type Decode<T> = dyn Fn(&mut Input<'_>) -> Result<T, CodecError> + Send + Sync;

/// Encodes the records of an edge, so that unaligned checkpoints can hold them.
pub struct InFlightCodec<T> {
    encode: Arc<Encode<T>>,
    decode: Arc<Decode<T>>,
}

impl<T: 'static> InFlightCodec<T> {
    /// Encodes records by a codec. It must read what it wrote in an earlier run of the job.
    pub fn new<C: Codec<T> + 'static>(codec: C) -> Self {
        let codec = Arc::new(codec);
        let encoder = Arc::clone(&codec);
        Self {
            encode: Arc::new(move |record, out| encoder.encode(record, out)),
            decode: Arc::new(move |input| codec.decode(input)),
        }
    }

    /// Encodes what a record is made of, and makes the record of it again.
    ///
    /// ```
    /// # use alluvium_format::codec::DefaultCodec;
    /// # use alluvium_runtime::InFlightCodec;
    /// struct Click { user: u64, page: String }
    /// let codec = InFlightCodec::through(
    ///     DefaultCodec,
    ///     |click: &Click| (click.user, click.page.clone()),
    ///     |(user, page)| Click { user, page },
    /// );
    /// # drop(codec);
    /// ```
    pub fn through<U: 'static, C: Codec<U> + 'static>(
        codec: C,
        parts: impl Fn(&T) -> U + Send + Sync + 'static,
        record: impl Fn(U) -> T + Send + Sync + 'static,
    ) -> Self {
        let codec = Arc::new(codec);
        let encoder = Arc::clone(&codec);
        Self {
            encode: Arc::new(move |value, out| encoder.encode(&parts(value), out)),
            decode: Arc::new(move |input| codec.decode(input).map(&record)),
        }
    }

    fn append(&self, record: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.push(RECORD);
        (self.encode)(record, out)
    }
}

impl<T> Clone for InFlightCodec<T> {
    fn clone(&self) -> Self {
        Self { encode: Arc::clone(&self.encode), decode: Arc::clone(&self.decode) }
    }
}

impl<T> fmt::Debug for InFlightCodec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InFlightCodec")
    }
}

/// Takes the records in flight out of what was restored.
pub(crate) fn take_in_flight(
    states: &mut [Vec<OperatorStateItems>],
) -> Vec<Vec<OperatorStateItems>> {
    let is_in_flight = |state: &mut OperatorStateItems| state.name == IN_FLIGHT;
    states.iter_mut().map(|states| states.extract_if(.., is_in_flight).collect()).collect()
}

/// Whether any subtask has records in flight.
pub(crate) fn has_records(states: &[Vec<OperatorStateItems>]) -> bool {
    states.iter().flatten().any(|state| !state.items.is_empty())
}

/// What is recorded of an edge, and what was restored of it.
pub(crate) trait EdgeLog<T>: Send {
    /// Adds records that the barrier has overtaken.
    fn record(&mut self, batch: &[T]) -> Result<(), TaskError>;

    /// Bytes that were recorded.
    fn len_bytes(&self) -> u64;

    /// Hands out what was recorded and begins anew; `None` when that is nothing.
    fn take(&mut self) -> Result<Option<FrozenOperatorState>, TaskError>;
}

/// A log, and the restored batches.
type Restored<L, T> = Result<(L, VecDeque<Vec<T>>), TaskError>;

/// Records of a keyed edge.
pub(crate) struct KeyedLog<R> {
    codec: InFlightCodec<R>,
    state: OperatorStateBackend,
    raw: RawKeyedState,
    sections: BTreeMap<KeyGroup, Vec<u8>>,
}

impl<R: 'static> KeyedLog<R> {
    /// A log, and the restored batches.
    pub(crate) fn restore(
        codec: InFlightCodec<R>,
        restored: Vec<OperatorStateItems>,
        key_groups: KeyGroupRange,
    ) -> Restored<Self, Routed<R>> {
        let mut state = OperatorStateBackend::new(restored);
        let raw = state.raw_keyed_state(IN_FLIGHT, key_groups)?;
        let mut batches = VecDeque::new();
        for (group, bytes) in state.raw_keyed_sections(raw)? {
            let records = decode_all(&codec, bytes)?;
            let mut records = records.into_iter().map(|record| (group, record));
            loop {
                let batch: Vec<_> = records.by_ref().take(BATCH_LEN).collect();
                if batch.is_empty() {
                    break;
                }
                batches.push_back(batch);
            }
        }
        Ok((Self { codec, state, raw, sections: BTreeMap::new() }, batches))
    }
}

impl<R: Send + 'static> EdgeLog<Routed<R>> for KeyedLog<R> {
    fn record(&mut self, batch: &[Routed<R>]) -> Result<(), TaskError> {
        for (group, record) in batch {
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

/// Records of a forward edge.
pub(crate) struct ForwardLog<T> {
    codec: InFlightCodec<T>,
    state: OperatorStateBackend,
    partitions: OperatorListState<Bytes>,
    bytes: Vec<u8>,
}

impl<T: 'static> ForwardLog<T> {
    /// A log, and the restored batches.
    pub(crate) fn restore(
        codec: InFlightCodec<T>,
        restored: Vec<OperatorStateItems>,
    ) -> Restored<Self, T> {
        let mut state = OperatorStateBackend::new(restored);
        let partitions = state.raw_operator_state(IN_FLIGHT)?;
        let mut batches = VecDeque::new();
        for bytes in state.items(partitions)? {
            batches.push_back(decode_all(&codec, bytes)?);
        }
        Ok((Self { codec, state, partitions, bytes: Vec::new() }, batches))
    }
}

impl<T: Send + 'static> EdgeLog<T> for ForwardLog<T> {
    fn record(&mut self, batch: &[T]) -> Result<(), TaskError> {
        batch.iter().try_for_each(|record| Ok(self.codec.append(record, &mut self.bytes)?))
    }

    fn len_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn take(&mut self) -> Result<Option<FrozenOperatorState>, TaskError> {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.is_empty() {
            return Ok(None);
        }
        self.state.update(self.partitions, vec![Bytes::from(bytes)])?;
        Ok(Some(self.state.freeze()?))
    }
}

fn decode_all<T>(codec: &InFlightCodec<T>, bytes: &Bytes) -> Result<Vec<T>, TaskError> {
    let mut input = Input::new(bytes);
    let mut records = Vec::new();
    while !input.is_empty() {
        let record = match input.array("a record in flight") {
            Ok([RECORD]) => (codec.decode)(&mut input),
            Ok(_) => {
                let offset = input.offset() - 1;
                let (what, reason) = ("the byte before a record in flight", "it is not 1");
                Err(CodecError::Invalid { what, offset, reason })
            }
            Err(error) => Err(error),
        };
        records.push(record.map_err(|error| {
            format!("a record in flight that the checkpoint holds cannot be read: {error}")
        })?);
    }
    Ok(records)
}
