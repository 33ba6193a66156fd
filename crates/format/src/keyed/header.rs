//! The head of a keyed index: what the stream is of, how its writer hashed, its states.
//!
//! Fields in order: operator uid, max parallelism, assigner, first and last key group, key codec;
//! seed runs (last key group, seed); states (name, kind, namespace codec, value codec).

use std::collections::BTreeSet;
use std::fmt;

use alluvium_core::{AssignerName, KeyGroup, KeyGroupRange, MaxParallelism, OperatorUid};

use crate::CodecError;
use crate::codec::{CodecSnapshot, Input};
use crate::refusal::Refusal;
use crate::wire::{put_count, put_text};

/// Which of the keyed state types a state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StateKind {
    /// One value.
    Value,
    /// A list of elements.
    List,
    /// A map from user keys to values.
    Map,
    /// One value that new ones are reduced into.
    Reducing,
    /// An accumulator that inputs are added to.
    Aggregating,
    /// Timers; each is an entry of its own.
    Timers,
    /// A map whose entries are in the order of their user keys.
    SortedMap,
    /// A list that is kept in a row for each element where there are rows.
    LongList,
}

impl StateKind {
    /// The stored number (SPEC 6.3).
    pub const fn code(self) -> u8 {
        match self {
            Self::Value => 1,
            Self::List => 2,
            Self::Map => 3,
            Self::Reducing => 4,
            Self::Aggregating => 5,
            Self::Timers => 6,
            Self::SortedMap => 7,
            Self::LongList => 8,
        }
    }

    /// Whether a state of this kind may be registered as one of another: the same kind, or a list of
    /// the other layout (SPEC 6.3).
    pub fn can_become(self, other: Self) -> bool {
        let is_list = |kind| matches!(kind, Self::List | Self::LongList);
        self == other || (is_list(self) && is_list(other))
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Value,
            2 => Self::List,
            3 => Self::Map,
            4 => Self::Reducing,
            5 => Self::Aggregating,
            6 => Self::Timers,
            7 => Self::SortedMap,
            8 => Self::LongList,
            _ => return None,
        })
    }
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "value state",
            Self::List => "list state",
            Self::Map => "map state",
            Self::Reducing => "reducing state",
            Self::Aggregating => "aggregating state",
            Self::Timers => "timers",
            Self::SortedMap => "sorted map state",
            Self::LongList => "long list state",
        })
    }
}

/// One state of the stream; its id is its position in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateMeta {
    /// Name that the job registered it under.
    pub name: String,
    /// Its type.
    pub kind: StateKind,
    /// Codec of its namespaces.
    pub namespace: CodecSnapshot,
    /// Codec of its values: of the whole list or map for list and map state.
    pub value: CodecSnapshot,
}

/// The seed that the writer's maps hashed with, for a run of key groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashSeedRun {
    /// Last key group of the run; the first is the one after the run before, or that of the range.
    pub last: KeyGroup,
    /// The seed.
    pub seed: u64,
}

/// What a keyed stream is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedHeader {
    /// The operator.
    pub uid: OperatorUid,
    /// Number of key groups of the job.
    pub max_parallelism: MaxParallelism,
    /// How keys were assigned to key groups.
    pub assigner: AssignerName,
    /// The key groups that the stream covers.
    pub key_groups: KeyGroupRange,
    /// Codec of the keys.
    pub key: CodecSnapshot,
    /// The seeds that split the segmented maps, for runs of key groups that cover the range.
    pub hash_seeds: Vec<HashSeedRun>,
    /// The states.
    pub states: Vec<StateMeta>,
}

impl KeyedHeader {
    /// The seed of a key group; `None` outside the range.
    pub fn hash_seed_of(&self, key_group: KeyGroup) -> Option<u64> {
        let run = self.hash_seeds.partition_point(|run| run.last < key_group);
        let run = self.hash_seeds.get(run).filter(|_| self.key_groups.contains(key_group));
        run.map(|run| run.seed)
    }

    /// Whether the seed runs are in order and cover the range exactly.
    pub(super) fn seeds_cover_the_range(&self) -> bool {
        let ascending =
            self.hash_seeds.windows(2).all(|pair| matches!(pair, [a, b] if a.last < b.last));
        let first = self.hash_seeds.first().map(|run| run.last);
        let last = self.hash_seeds.last().map(|run| run.last);
        ascending && first >= Some(self.key_groups.first()) && last == Some(self.key_groups.last())
    }

    /// Appends everything before the shared files.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let Self { uid, max_parallelism, assigner, key_groups, key, .. } = self;
        put_scope(uid, *max_parallelism, *assigner, *key_groups, out)?;
        key.encode(out)?;
        put_count(self.hash_seeds.len(), "number of seed runs", out)?;
        for run in &self.hash_seeds {
            out.extend_from_slice(&run.last.get().to_le_bytes());
            out.extend_from_slice(&run.seed.to_le_bytes());
        }
        put_states(&self.states, out)
    }

    pub(super) fn decode(input: &mut Input<'_>) -> Result<Self, Refusal> {
        let (uid, max_parallelism, assigner, key_groups) = read_scope(input)?;
        let key = CodecSnapshot::decode(input)?;
        let count = input.u16("number of seed runs")?;
        let hash_seeds = (0..count)
            .map(|_| decode_seed_run(input, max_parallelism))
            .collect::<Result<Vec<_>, Refusal>>()?;
        let states = read_states(input)?;
        let header = Self { uid, max_parallelism, assigner, key_groups, key, hash_seeds, states };
        if header.seeds_cover_the_range() {
            Ok(header)
        } else {
            Err(Refusal::Rule(format!("the seed runs do not cover the key groups {key_groups}")))
        }
    }
}

/// Appends what every index of keyed state begins with: operator uid, max parallelism, assigner,
/// first and last key group.
pub(crate) fn put_scope(
    uid: &OperatorUid,
    max_parallelism: MaxParallelism,
    assigner: AssignerName,
    key_groups: KeyGroupRange,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    put_text(uid.as_str(), out)?;
    out.extend_from_slice(&max_parallelism.get().to_le_bytes());
    out.push(assigner.code());
    out.extend_from_slice(&key_groups.first().get().to_le_bytes());
    out.extend_from_slice(&key_groups.last().get().to_le_bytes());
    Ok(())
}

/// Reads what [`put_scope`] writes.
pub(crate) fn read_scope(
    input: &mut Input<'_>,
) -> Result<(OperatorUid, MaxParallelism, AssignerName, KeyGroupRange), Refusal> {
    let uid = OperatorUid::new(input.text("operator uid")?)?;
    let max_parallelism = MaxParallelism::new(u32::from(input.u16("max parallelism")?))?;
    let assigner = input.u8("assigner")?;
    let assigner = AssignerName::from_code(assigner)
        .ok_or_else(|| Refusal::Rule(format!("key-group assigner {assigner} is unknown")))?;
    let (first, last) = (input.u16("first key group")?, input.u16("last key group")?);
    let key_groups = KeyGroupRange::new(first, last, max_parallelism)?;
    Ok((uid, max_parallelism, assigner, key_groups))
}

/// Appends the table of states.
pub(crate) fn put_states(states: &[StateMeta], out: &mut Vec<u8>) -> Result<(), CodecError> {
    put_count(states.len(), "number of states", out)?;
    for state in states {
        put_text(&state.name, out)?;
        out.push(state.kind.code());
        state.namespace.encode(out)?;
        state.value.encode(out)?;
    }
    Ok(())
}

/// Reads the table of states, whose names are different.
pub(crate) fn read_states(input: &mut Input<'_>) -> Result<Vec<StateMeta>, Refusal> {
    let count = input.u16("number of states")?;
    let states = (0..count).map(|_| decode_state(input)).collect::<Result<Vec<_>, Refusal>>()?;
    let mut names = BTreeSet::new();
    for state in &states {
        if !names.insert(state.name.as_str()) {
            return Err(Refusal::Rule(format!("state {:?} comes twice", state.name)));
        }
    }
    Ok(states)
}

fn decode_seed_run(input: &mut Input<'_>, max: MaxParallelism) -> Result<HashSeedRun, Refusal> {
    let last = KeyGroup::new(input.u16("last key group of a seed run")?, max)?;
    Ok(HashSeedRun { last, seed: input.u64("hash seed")? })
}

fn decode_state(input: &mut Input<'_>) -> Result<StateMeta, Refusal> {
    let name = input.text("state name")?.to_owned();
    let kind = input.u8("state kind")?;
    let kind = StateKind::from_code(kind)
        .ok_or_else(|| Refusal::Rule(format!("kind {kind} of state {name:?} is unknown")))?;
    let namespace = CodecSnapshot::decode(input)?;
    let value = CodecSnapshot::decode(input)?;
    Ok(StateMeta { name, kind, namespace, value })
}
