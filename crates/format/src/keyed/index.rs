//! The index of a keyed stream: what the stream is of, its states, its blocks.
//!
//! Fields in order: operator uid, max parallelism, assigner, first and last key group, key codec;
//! states (name, kind, namespace codec, value codec); other files; blocks.

use std::collections::BTreeSet;
use std::fmt;

use alluvium_core::{AssignerName, KeyGroup, KeyGroupRange, MaxParallelism, OperatorUid};

use crate::codec::{CodecSnapshot, Input};
use crate::envelope::Block;
use crate::wire::put_text;
use crate::{CodecError, FormatError};

/// Stored length of one block entry in bytes.
pub const BLOCK_ENTRY_LEN: u16 = 40;
/// A block with every entry of its segment.
const KIND_FULL: u8 = 1;
/// A block as it is, not compressed.
const COMPRESSION_NONE: u8 = 0;

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
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Value,
            2 => Self::List,
            3 => Self::Map,
            4 => Self::Reducing,
            5 => Self::Aggregating,
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
    /// The states.
    pub states: Vec<StateMeta>,
}

/// One block of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockEntry {
    /// Position of the state in the table.
    pub state: u16,
    /// The key group of all its keys.
    pub key_group: KeyGroup,
    /// Which segment of the state's map it was, from 0.
    pub segment: u32,
    /// How many entries it holds.
    pub entry_count: u32,
    /// Where it lies.
    pub block: Block,
}

fn put_count(count: usize, what: &'static str, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let (found, limit) = (count as u64, u64::from(u16::MAX));
    let count = u16::try_from(count).map_err(|_| CodecError::TooLarge { what, found, limit })?;
    out.extend_from_slice(&count.to_le_bytes());
    Ok(())
}

impl KeyedHeader {
    /// Appends everything before the block entries.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        put_text(self.uid.as_str(), out)?;
        out.extend_from_slice(&self.max_parallelism.get().to_le_bytes());
        out.push(self.assigner.code());
        out.extend_from_slice(&self.key_groups.first().get().to_le_bytes());
        out.extend_from_slice(&self.key_groups.last().get().to_le_bytes());
        self.key.encode(out)?;
        put_count(self.states.len(), "number of states", out)?;
        for state in &self.states {
            put_text(&state.name, out)?;
            out.push(state.kind.code());
            state.namespace.encode(out)?;
            state.value.encode(out)?;
        }
        put_count(0, "number of other files", out)
    }

    fn decode(input: &mut Input<'_>) -> Result<Self, IndexError> {
        let uid = OperatorUid::new(input.text("operator uid")?)?;
        let max_parallelism = MaxParallelism::new(u32::from(input.u16("max parallelism")?))?;
        let assigner = input.u8("assigner")?;
        let assigner = AssignerName::from_code(assigner)
            .ok_or_else(|| IndexError::Rule(format!("key-group assigner {assigner} is unknown")))?;
        let (first, last) = (input.u16("first key group")?, input.u16("last key group")?);
        let key_groups = KeyGroupRange::new(first, last, max_parallelism)?;
        let key = CodecSnapshot::decode(input)?;
        let count = input.u16("number of states")?;
        let states =
            (0..count).map(|_| decode_state(input)).collect::<Result<Vec<_>, IndexError>>()?;
        let mut names = BTreeSet::new();
        for state in &states {
            if !names.insert(state.name.as_str()) {
                return Err(IndexError::Rule(format!("state {:?} comes twice", state.name)));
            }
        }
        if input.u16("number of other files")? != 0 {
            return Err(IndexError::Rule("blocks of other files are not known".to_owned()));
        }
        Ok(Self { uid, max_parallelism, assigner, key_groups, key, states })
    }
}

fn decode_state(input: &mut Input<'_>) -> Result<StateMeta, IndexError> {
    let name = input.text("state name")?.to_owned();
    let kind = input.u8("state kind")?;
    let kind = StateKind::from_code(kind)
        .ok_or_else(|| IndexError::Rule(format!("kind {kind} of state {name:?} is unknown")))?;
    let namespace = CodecSnapshot::decode(input)?;
    let value = CodecSnapshot::decode(input)?;
    Ok(StateMeta { name, kind, namespace, value })
}

impl BlockEntry {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.state.to_le_bytes());
        out.extend_from_slice(&self.key_group.get().to_le_bytes());
        out.extend_from_slice(&0_u16.to_le_bytes());
        out.push(KIND_FULL);
        out.push(COMPRESSION_NONE);
        out.extend_from_slice(&self.segment.to_le_bytes());
        out.extend_from_slice(&self.entry_count.to_le_bytes());
        out.extend_from_slice(&self.block.offset.to_le_bytes());
        out.extend_from_slice(&self.block.len_bytes.to_le_bytes());
        out.extend_from_slice(&self.block.len_bytes.to_le_bytes());
        out.extend_from_slice(&self.block.checksum.to_le_bytes());
        out.extend_from_slice(&0_u32.to_le_bytes());
        assert_eq!(out.len() - start, usize::from(BLOCK_ENTRY_LEN), "length of a block entry");
    }

    fn decode(bytes: &[u8], header: &KeyedHeader) -> Result<Self, IndexError> {
        let mut input = Input::new(bytes);
        let state = input.u16("state id")?;
        let key_group = KeyGroup::new(input.u16("key group")?, header.max_parallelism)?;
        let file = input.u16("file")?;
        let kind = input.u8("block kind")?;
        let compression = input.u8("compression")?;
        let segment = input.u32("segment")?;
        let entry_count = input.u32("number of entries")?;
        let offset = input.u64("block offset")?;
        let len_bytes = input.u32("stored length")?;
        let raw_len_bytes = input.u32("raw length")?;
        let checksum = input.u32("checksum")?;
        let reserved = input.u32("reserved")?;
        if (file, kind, compression, reserved) != (0, KIND_FULL, COMPRESSION_NONE, 0)
            || raw_len_bytes != len_bytes
        {
            return Err(IndexError::Rule(format!(
                "block of file {file}, kind {kind}, compression {compression} is not known"
            )));
        }
        if usize::from(state) >= header.states.len() {
            return Err(IndexError::Rule(format!("state id {state} is not in the table")));
        }
        if !header.key_groups.contains(key_group) {
            let range = header.key_groups;
            return Err(IndexError::Rule(format!("key group {key_group} is outside {range}")));
        }
        let block = Block { offset, len_bytes, checksum };
        Ok(Self { state, key_group, segment, entry_count, block })
    }

    const fn order(&self) -> (u16, u16, u32) {
        (self.key_group.get(), self.state, self.segment)
    }
}

/// Reads a whole index.
pub(super) fn decode_index(
    index: &[u8],
    index_offset: u64,
) -> Result<(KeyedHeader, Vec<BlockEntry>), FormatError> {
    let mut input = Input::new(index);
    decode_parts(&mut input).map_err(|error| {
        let (what, offset) = ("index", index_offset + input.offset() as u64);
        match error {
            IndexError::Codec(source) => FormatError::Codec { what, offset: index_offset, source },
            IndexError::Rule(reason) => FormatError::Malformed { what, offset, reason },
        }
    })
}

fn decode_parts(input: &mut Input<'_>) -> Result<(KeyedHeader, Vec<BlockEntry>), IndexError> {
    let header = KeyedHeader::decode(input)?;
    let count = input.u32("number of blocks")?;
    let entry_len = input.u16("length of a block entry")?;
    if entry_len != BLOCK_ENTRY_LEN {
        return Err(IndexError::Rule(format!("block entries of {entry_len} bytes")));
    }
    let entries = input.take(u64::from(count) * u64::from(entry_len), "block entries")?;
    if !input.is_empty() {
        return Err(IndexError::Rule(format!("{} bytes after the last entry", input.rest().len())));
    }
    let blocks = entries
        .chunks_exact(usize::from(entry_len))
        .map(|entry| BlockEntry::decode(entry, &header))
        .collect::<Result<Vec<_>, IndexError>>()?;
    if blocks.windows(2).any(|pair| matches!(pair, [a, b] if a.order() >= b.order())) {
        let rule = "blocks are not in the order of key group, state, segment";
        return Err(IndexError::Rule(rule.to_owned()));
    }
    Ok((header, blocks))
}

/// Why an index is refused, before its place is known.
enum IndexError {
    Codec(CodecError),
    Rule(String),
}

impl From<CodecError> for IndexError {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}

impl From<alluvium_core::KeyGroupError> for IndexError {
    fn from(error: alluvium_core::KeyGroupError) -> Self {
        Self::Rule(error.to_string())
    }
}

impl From<alluvium_core::IdError> for IndexError {
    fn from(error: alluvium_core::IdError) -> Self {
        Self::Rule(error.to_string())
    }
}
