//! The states of a checkpoint, from the indexes of its streams.
//!
//! Invariants: of keyed streams, header, footer and index are read; operator state is read whole.

use std::collections::BTreeMap;

use alluvium_core::OperatorUid;
use alluvium_format::codec::CodecSnapshot;
use alluvium_format::keyed::{MapEntry, StateKind};
use alluvium_format::operator::DistributionMode;
use alluvium_state::StreamContent;

use crate::operator_items::read_states;
use crate::stream::KeyedStream;
use crate::{Checkpoint, InspectError};

/// A state of an operator, over all its subtasks.
#[derive(Debug, Clone)]
pub struct StateSummary {
    /// The operator.
    pub uid: OperatorUid,
    /// Its name.
    pub name: String,
    /// What it is.
    pub of: StateType,
    /// Entries of keyed state, items of operator state; of state in SST files, rows and what hides
    /// others.
    pub count: u64,
}

/// What a state is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateType {
    /// It belongs to keys.
    Keyed {
        /// Its kind.
        kind: StateKind,
        /// Codec of the keys.
        key: CodecSnapshot,
        /// Codec of the namespaces.
        namespace: CodecSnapshot,
        /// Codec of the values: of whole lists and maps.
        value: CodecSnapshot,
    },
    /// It belongs to subtasks.
    Operator {
        /// How it is handed out.
        mode: DistributionMode,
        /// Codec of an item.
        item: CodecSnapshot,
    },
}

/// The states of a checkpoint: operators in the order of the metadata, keyed states first, by name.
///
/// Errors: [`InspectError`].
pub fn states(checkpoint: &Checkpoint) -> Result<Vec<StateSummary>, InspectError> {
    let mut all = Vec::new();
    for operator in &checkpoint.metadata().operators {
        let mut found: BTreeMap<(bool, String), StateSummary> = BTreeMap::new();
        let mut add = |name: &str, of: StateType, count: u64| {
            let place = (matches!(of, StateType::Operator { .. }), name.to_owned());
            let (uid, name) = (operator.uid.clone(), name.to_owned());
            let state = found.entry(place);
            let state = state.or_insert_with(|| StateSummary { uid, name, of, count: 0 });
            state.count = state.count.saturating_add(count);
        };
        for subtask in &operator.subtasks {
            if let Some(handle) = &subtask.keyed {
                let reader = checkpoint.reader();
                let stream =
                    KeyedStream::open(checkpoint, operator, subtask.index, handle, &reader)?;
                let said = stream.said();
                for (id, meta) in (0_u16..).zip(said.states) {
                    let count = match &stream.content {
                        StreamContent::Blocks(keyed) => {
                            let maps = keyed.maps().iter().filter(|map| map.state == id);
                            maps.map(MapEntry::entry_count).sum()
                        }
                        StreamContent::Ssts(index) => index
                            .ssts_of(usize::from(id))
                            .fold(0_u64, |sum, (_, meta)| sum.saturating_add(meta.entry_count)),
                    };
                    let of = StateType::Keyed {
                        kind: meta.kind,
                        key: said.key.clone(),
                        namespace: meta.namespace.clone(),
                        value: meta.value.clone(),
                    };
                    add(&meta.name, of, count);
                }
            }
            if let Some(handle) = &subtask.operator {
                for state in read_states(checkpoint, operator, subtask.index, handle)? {
                    let of = StateType::Operator { mode: state.mode, item: state.item };
                    add(&state.name, of, state.items.len() as u64);
                }
            }
        }
        all.extend(found.into_values());
    }
    Ok(all)
}
