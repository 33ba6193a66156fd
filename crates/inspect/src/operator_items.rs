//! The items of operator state.
//!
//! Invariants: the state of one subtask is held at a time.

use alluvium_core::{OperatorState, OperatorStateHandle, OperatorUid, SubtaskIndex};
use alluvium_format::codec::CodecSnapshot;
use alluvium_format::operator::{DistributionMode, OperatorStateItems, read_operator_state};
use alluvium_state::RestoreError;
use bytes::Bytes;

use crate::stream::{check_identity, stream_name};
use crate::{Checkpoint, InspectError, JsonCodec, Selection};

/// An item of a state.
#[derive(Debug, Clone)]
pub struct OperatorItem {
    /// The operator.
    pub uid: OperatorUid,
    /// The subtask that had it.
    pub subtask: SubtaskIndex,
    /// The state.
    pub state: String,
    /// How the state is handed out.
    pub mode: DistributionMode,
    /// Codec of the item.
    pub codec: CodecSnapshot,
    /// The item, encoded.
    pub item: Bytes,
}

impl OperatorItem {
    /// The item as JSON.
    ///
    /// Errors: [`InspectError::Decode`].
    pub fn item_json(&self) -> Result<String, InspectError> {
        let rendered = JsonCodec::of(&self.codec).and_then(|codec| codec.render(&self.item));
        rendered.map_err(|source| InspectError::Decode { state: self.state.clone(), source })
    }
}

/// Gives the items of all selected operator states to `visit`: operators and subtasks in the order of
/// the metadata, states and items in that of the stream. Key and key group of the selection mean
/// nothing here.
///
/// Errors: [`InspectError`]; those of `visit`.
pub fn operator_items<E: From<InspectError>>(
    checkpoint: &Checkpoint,
    selection: &Selection,
    visit: impl FnMut(OperatorItem) -> Result<(), E>,
) -> Result<(), E> {
    operator_items_beside_damage(checkpoint, selection, visit, |error| Err(error.into()))
}

/// The same, and gives what is wrong with streams that cannot be read to `damaged`. If that is no error, it
/// goes on with the next one.
///
/// Errors: [`InspectError`] that is no damage; those of `visit` and `damaged`.
pub fn operator_items_beside_damage<E: From<InspectError>>(
    checkpoint: &Checkpoint,
    selection: &Selection,
    mut visit: impl FnMut(OperatorItem) -> Result<(), E>,
    mut damaged: impl FnMut(InspectError) -> Result<(), E>,
) -> Result<(), E> {
    let operators = checkpoint.metadata().operators.iter();
    for operator in operators.filter(|operator| selection.takes_operator(&operator.uid)) {
        for subtask in &operator.subtasks {
            let Some(handle) = &subtask.operator else { continue };
            let states = match read_states(checkpoint, operator, subtask.index, handle) {
                Ok(states) => states,
                Err(error) if error.is_damage() => {
                    damaged(error)?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for state in states.into_iter().filter(|state| selection.takes_state(&state.name)) {
                for item in state.items {
                    visit(OperatorItem {
                        uid: operator.uid.clone(),
                        subtask: subtask.index,
                        state: state.name.clone(),
                        mode: state.mode,
                        codec: state.item.clone(),
                        item,
                    })?;
                }
            }
        }
    }
    Ok(())
}

/// The operator state of a subtask.
pub(crate) fn read_states(
    checkpoint: &Checkpoint,
    operator: &OperatorState,
    subtask: SubtaskIndex,
    handle: &OperatorStateHandle,
) -> Result<Vec<OperatorStateItems>, InspectError> {
    let stream = stream_name(checkpoint, operator, subtask, &handle.stream);
    let bytes = checkpoint.reader().open(&handle.stream)?;
    let (uid, identity, states) = read_operator_state(bytes)
        .map_err(|source| RestoreError::Damaged { stream: stream.clone(), source })?;
    if uid != operator.uid {
        let (what, expected, found) = ("operator", operator.uid.to_string(), uid.to_string());
        return Err(RestoreError::Mismatch { stream, what, expected, found }.into());
    }
    check_identity(&stream, subtask, &checkpoint.metadata().properties, &identity)?;
    Ok(states)
}
