//! The states of a checkpoint, from the indexes of its streams.
//!
//! Invariants: of keyed streams, header, footer and index are read; operator state is read whole.

use std::collections::BTreeMap;

use alluvium_core::{
    KeyedStateHandle, OperatorState, OperatorStateHandle, OperatorUid, SubtaskIndex,
};
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

/// The states that could be read, and why the others could not.
#[derive(Debug, Default)]
pub struct ReadableStates {
    /// The states: of one that is in several streams, what is in those that could be read.
    pub states: Vec<StateSummary>,
    /// What is wrong with the other streams.
    pub damage: Vec<InspectError>,
}

/// The states of a checkpoint: operators in the order of the metadata, keyed states first, by name.
///
/// Errors: [`InspectError`].
pub fn states(checkpoint: &Checkpoint) -> Result<Vec<StateSummary>, InspectError> {
    let ReadableStates { states, damage } = readable_states(checkpoint, None)?;
    damage.into_iter().next().map_or(Ok(states), Err)
}

/// The states of one operator, or of all, as far as they can be read: damage in one stream hides nothing of
/// the others.
///
/// Errors: [`InspectError`] that is no damage, such as that of a storage that does not answer.
pub fn readable_states(
    checkpoint: &Checkpoint,
    uid: Option<&OperatorUid>,
) -> Result<ReadableStates, InspectError> {
    let mut all = ReadableStates::default();
    let operators = checkpoint.metadata().operators.iter();
    for operator in operators.filter(|operator| uid.is_none_or(|uid| *uid == operator.uid)) {
        let mut found = Found { uid: &operator.uid, states: BTreeMap::new() };
        for subtask in &operator.subtasks {
            if let Some(handle) = &subtask.keyed {
                let read = found.add_keyed(checkpoint, operator, subtask.index, handle);
                all.note(read)?;
            }
            if let Some(handle) = &subtask.operator {
                let read = found.add_operator(checkpoint, operator, subtask.index, handle);
                all.note(read)?;
            }
        }
        all.states.extend(found.states.into_values());
    }
    Ok(all)
}

impl ReadableStates {
    /// Damage is kept; anything else ends the work.
    fn note(&mut self, read: Result<(), InspectError>) -> Result<(), InspectError> {
        match read {
            Err(error) if error.is_damage() => self.damage.push(error),
            read => return read,
        }
        Ok(())
    }
}

/// The states of an operator.
struct Found<'o> {
    uid: &'o OperatorUid,
    /// Keyed ones first, by name.
    states: BTreeMap<(bool, String), StateSummary>,
}

impl Found<'_> {
    fn add(&mut self, name: &str, of: StateType, count: u64) {
        let place = (matches!(of, StateType::Operator { .. }), name.to_owned());
        let (uid, name) = (self.uid.clone(), name.to_owned());
        let state = self.states.entry(place);
        let state = state.or_insert_with(|| StateSummary { uid, name, of, count: 0 });
        state.count = state.count.saturating_add(count);
    }

    fn add_keyed(
        &mut self,
        checkpoint: &Checkpoint,
        operator: &OperatorState,
        subtask: SubtaskIndex,
        handle: &KeyedStateHandle,
    ) -> Result<(), InspectError> {
        let reader = checkpoint.reader();
        let stream = KeyedStream::open(checkpoint, operator, subtask, handle, &reader)?;
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
            self.add(&meta.name, of, count);
        }
        Ok(())
    }

    fn add_operator(
        &mut self,
        checkpoint: &Checkpoint,
        operator: &OperatorState,
        subtask: SubtaskIndex,
        handle: &OperatorStateHandle,
    ) -> Result<(), InspectError> {
        for state in read_states(checkpoint, operator, subtask, handle)? {
            let of = StateType::Operator { mode: state.mode, item: state.item };
            self.add(&state.name, of, state.items.len() as u64);
        }
        Ok(())
    }
}
