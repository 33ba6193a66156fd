//! Operator state of one subtask: named lists of items, each with its way of redistribution.
//!
//! Items are framed, so a restore can hand them out to another number of subtasks without
//! knowing their type. Broadcast state is a list with one `tuple<key, value>` item per entry, raw
//! keyed state one with a section per key group.
//!
//! Invariants: state names are unique; each state is one block; the counts agree with the blocks;
//! sections are in the order of their key groups, each of which has one at most.
//!
//! Source: SPEC 7; Flink `OperatorStateHandle.Mode`.

mod reader;
mod section;
mod writer;

pub use reader::read_operator_state;
pub use section::section_key_group;
pub use writer::write_operator_state;

use std::fmt;

use bytes::Bytes;

use crate::codec::CodecSnapshot;

/// How a state is handed out when it is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DistributionMode {
    /// The items of all subtasks are cut into runs, one for each subtask.
    Split,
    /// Each subtask gets the items of all subtasks.
    Union,
    /// Each subtask gets the items of one subtask; they are all equal.
    Broadcast,
    /// Each subtask gets the sections of its key groups.
    Keyed,
}

impl DistributionMode {
    /// The stored number (SPEC 7.2).
    pub const fn code(self) -> u8 {
        match self {
            Self::Split => 0,
            Self::Union => 1,
            Self::Broadcast => 2,
            Self::Keyed => 3,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Split,
            1 => Self::Union,
            2 => Self::Broadcast,
            3 => Self::Keyed,
            _ => return None,
        })
    }
}

impl fmt::Display for DistributionMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Split => "list state (split)",
            Self::Union => "union list state",
            Self::Broadcast => "broadcast state",
            Self::Keyed => "raw keyed state",
        })
    }
}

/// One state, its items still encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorStateItems {
    /// Name that the operator registered it under.
    pub name: String,
    /// How it is handed out.
    pub mode: DistributionMode,
    /// Codec of an item.
    pub item: CodecSnapshot,
    /// The items.
    pub items: Vec<Bytes>,
}

#[cfg(test)]
mod tests;
