//! The head of the index: what the stream is of, and its states.
//!
//! Fields in order: operator uid, max parallelism, assigner, first and last key group, key codec;
//! states (name, kind, namespace codec, value codec).

use alluvium_core::{AssignerName, KeyGroupRange, MaxParallelism, OperatorUid};

use crate::CodecError;
use crate::codec::{CodecSnapshot, Input};
use crate::keyed::{StateMeta, put_scope, put_states, read_scope, read_states};
use crate::refusal::Refusal;

/// What an index of SST files is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SstIndexHeader {
    /// The operator.
    pub uid: OperatorUid,
    /// Number of key groups of the job.
    pub max_parallelism: MaxParallelism,
    /// How keys were assigned to key groups.
    pub assigner: AssignerName,
    /// The key groups whose rows are state; rows of others are not.
    pub key_groups: KeyGroupRange,
    /// Codec of the keys.
    pub key: CodecSnapshot,
    /// The states.
    pub states: Vec<StateMeta>,
}

impl SstIndexHeader {
    /// Appends everything before the shared files.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let Self { uid, max_parallelism, assigner, key_groups, key, states } = self;
        put_scope(uid, *max_parallelism, *assigner, *key_groups, out)?;
        key.encode(out)?;
        put_states(states, out)
    }

    pub(super) fn decode(input: &mut Input<'_>) -> Result<Self, Refusal> {
        let (uid, max_parallelism, assigner, key_groups) = read_scope(input)?;
        let key = CodecSnapshot::decode(input)?;
        let states = read_states(input)?;
        Ok(Self { uid, max_parallelism, assigner, key_groups, key, states })
    }
}
