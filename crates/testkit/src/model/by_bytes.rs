//! The changes of programs, and reading everything, through the traits of `alluvium_state::dynamic`.
//!
//! Invariants: names, types and functions of the states are those of [`change`](super::change), so jobs
//! with types read what is written here, and the other way round.

mod changes;
mod contents;

use std::sync::Arc;

use alluvium_core::{CheckpointId, KeyGroupAssigner, KeyedStateHandle, SubtaskIndex};
use alluvium_format::codec::{
    Codec, CodecSnapshot, DefaultCodec, DefaultOrderedCodec, HasCodec, Input,
};
use alluvium_state::dynamic::{
    DynAggregate, DynKeyedState, DynKind, DynState, DynStateBackend, DynStateDescriptor,
    EncodedCodec,
};
use alluvium_state::{KeyedBackendSpec, StateBackend};

use super::Kind;
use super::change::reduce;
use crate::job::TestJob;

/// The codec of a type.
pub fn codec_of<T: HasCodec>() -> CodecSnapshot {
    Codec::<T>::snapshot(&DefaultCodec)
}

/// A value as its codec writes it.
pub fn encoded<T: HasCodec>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    DefaultCodec.encode(value, &mut bytes).unwrap();
    bytes
}

/// What [`encoded`] has written.
///
/// Panics: for other bytes.
pub fn decoded<T: HasCodec>(bytes: &[u8]) -> T {
    let mut input = Input::new(bytes);
    let value = DefaultCodec.decode(&mut input).unwrap();
    input.finish().unwrap();
    value
}

/// A user key of the sorted map.
pub fn ordered(user_key: i32) -> Vec<u8> {
    let mut bytes = Vec::new();
    DefaultOrderedCodec.encode(&user_key, &mut bytes).unwrap();
    bytes
}

/// [`reduce`] over bytes.
fn reduce_bytes(value: &mut Vec<u8>, other: &[u8]) {
    *value = encoded(&reduce(decoded(value), decoded(other)));
}

/// Counts inputs and adds them up, over bytes.
struct CountAndSumBytes;

impl CountAndSumBytes {
    fn join(accumulator: &mut Vec<u8>, count: u64, sum: u64) {
        let before: (u64, u64) = decoded(accumulator);
        *accumulator = encoded(&(before.0 + count, before.1.wrapping_add(sum)));
    }
}

impl DynAggregate for CountAndSumBytes {
    fn create(&self) -> Vec<u8> {
        encoded(&(0_u64, 0_u64))
    }

    fn add(&self, accumulator: &mut Vec<u8>, input: &[u8]) {
        Self::join(accumulator, 1, decoded(input));
    }

    fn result(&self, accumulator: &[u8]) -> Vec<u8> {
        accumulator.to_vec()
    }

    fn merge(&self, accumulator: &mut Vec<u8>, other: &[u8]) {
        let (count, sum) = decoded(other);
        Self::join(accumulator, count, sum);
    }
}

/// Opens the only subtask of a job, with keys that are encoded texts, whichever backend keeps it.
pub fn open<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    backend: &dyn DynStateBackend,
    handles: &[KeyedStateHandle],
) -> Box<dyn DynKeyedState> {
    let spec = KeyedBackendSpec {
        uid: job.uid.clone(),
        subtask: SubtaskIndex::new(0),
        parallelism: job.parallelism(1),
        key: EncodedCodec::new(codec_of::<String>()).unwrap(),
        assigner: KeyGroupAssigner::Stable,
        hash_seed: 77,
    };
    backend.open_dynamic(spec, handles, &job.reader()).unwrap()
}

/// A whole checkpoint.
pub fn snapshot<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    state: &mut dyn DynKeyedState,
    number: u64,
) -> Vec<KeyedStateHandle> {
    let checkpoint = CheckpointId::new(number).unwrap();
    let written = state.freeze(checkpoint).unwrap().write(&job.target(checkpoint)).unwrap();
    state.complete(checkpoint);
    Vec::from_iter(written)
}

/// The states of random programs.
#[derive(Debug, Clone, Copy)]
pub struct DynStates {
    states: [DynState; Kind::ALL.len()],
}

impl DynStates {
    /// Registers all of them, or finds them again.
    pub fn register(state: &mut dyn DynKeyedState) -> Self {
        let mut register = |kind| {
            let (name, kind) = described(kind);
            let (name, namespace) = (name.to_owned(), codec_of::<u32>());
            state.register(DynStateDescriptor { name, namespace, kind }).unwrap()
        };
        Self { states: Kind::ALL.map(&mut register) }
    }

    /// The state of a kind.
    pub fn of(&self, kind: Kind) -> DynState {
        let position = Kind::ALL.iter().position(|other| *other == kind).unwrap();
        *self.states.get(position).unwrap()
    }
}

/// Name, codecs and function of a state.
fn described(kind: Kind) -> (&'static str, DynKind) {
    let (number, text) = (codec_of::<u64>(), codec_of::<String>());
    match kind {
        Kind::Value => ("value", DynKind::Value { value: number }),
        Kind::List => ("list", DynKind::List { element: text }),
        Kind::LongList => ("long", DynKind::LongList { element: text }),
        Kind::Map => ("map", DynKind::Map { user_key: codec_of::<u32>(), user_value: text }),
        Kind::SortedMap => {
            let user_key = Codec::<i32>::snapshot(&DefaultOrderedCodec);
            ("sorted", DynKind::SortedMap { user_key, user_value: text })
        }
        Kind::Reducing => {
            ("reducing", DynKind::Reducing { value: number, reduce: Arc::new(reduce_bytes) })
        }
        Kind::Aggregating => {
            let (accumulator, aggregate) = (codec_of::<(u64, u64)>(), Arc::new(CountAndSumBytes));
            ("aggregating", DynKind::Aggregating { accumulator, aggregate })
        }
        Kind::Timers => ("timers", DynKind::Timers),
    }
}
