//! Records in flight: what an unaligned checkpoint holds besides the state of the tasks.
//!
//! A barrier that overtakes records leaves them on their edge. Whoever receives them writes them into the
//! checkpoint, and a restore processes them before anything else. They are operator state of the
//! receiver under a reserved name (SPEC 7.4), one for each of its inputs:
//!
//! - *keyed* edge: by key group, so that they follow the keys to any parallelism;
//! - *rebalance* edge: a split list, of which any subtask may have any part;
//! - *forward* edge: the same, but a stage gets them at its old parallelism only: elsewhere they would
//!   fall behind records that come later. A sink takes them anywhere;
//! - *broadcast* edge: broadcast state. A new subtask gets the broadcast state of one old subtask and the
//!   records in flight to that one, which together are all records before the barrier.
//!
//! Invariants: the records of one key that came over one channel keep their order.
//!
//! Source: Flink `ChannelStateWriter`, which leaves out forward and broadcast edges (their barriers stay
//! aligned); K. M. Chandy, L. Lamport, "Distributed Snapshots", 1985.

mod logs;

pub(crate) use logs::{EdgeLog, KeyedLog, Restored, WholeLog, Wire};

use std::fmt;
use std::sync::Arc;

use alluvium_format::CodecError;
use alluvium_format::codec::{Codec, Input};
use alluvium_format::operator::{DistributionMode, OperatorStateItems};

use crate::TaskError;
use crate::exchange::Partitioner;

/// Names of the states that hold records in flight to the first and to the second input.
pub(crate) const IN_FLIGHT: [&str; 2] = ["alluvium.in-flight", "alluvium.in-flight-2"];
/// Stands before each record, so that one without bytes is one too.
const RECORD: u8 = 1;

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

/// How the records in flight on an edge are handed out at a restore.
pub(crate) const fn mode_of(partitioner: Partitioner) -> DistributionMode {
    match partitioner {
        Partitioner::Keyed => DistributionMode::Keyed,
        Partitioner::Broadcast => DistributionMode::Broadcast,
        Partitioner::Forward | Partitioner::Rebalance => DistributionMode::Split,
    }
}

/// Takes the records in flight to one input out of what was restored.
pub(crate) fn take_in_flight(
    states: &mut [Vec<OperatorStateItems>],
    name: &str,
) -> Vec<Vec<OperatorStateItems>> {
    let is_in_flight = |state: &mut OperatorStateItems| state.name == name;
    states.iter_mut().map(|states| states.extract_if(.., is_in_flight).collect()).collect()
}

/// A state of records in flight in which there are any.
pub(crate) fn find_records(states: &[Vec<OperatorStateItems>]) -> Option<&OperatorStateItems> {
    states.iter().flatten().find(|state| !state.items.is_empty())
}

fn decode_all<T>(codec: &InFlightCodec<T>, bytes: &[u8]) -> Result<Vec<T>, TaskError> {
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
