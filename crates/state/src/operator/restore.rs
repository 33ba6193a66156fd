//! Hands the operator state of a checkpoint out to another number of subtasks.
//!
//! Invariants: split state: every item goes to exactly one subtask; union state: every item goes
//! to every subtask; broadcast state: subtask `i` gets what subtask `i mod old` had; raw keyed state:
//! every section goes to the subtask that owns its key group, and comes from the one that owned it.
//!
//! Source: SPEC 7.3; Flink `RoundRobinOperatorStateRepartitioner`, `StateAssignmentOperation`.

use std::collections::BTreeMap;

use alluvium_core::{KeyGroup, OperatorState, OperatorStateHandle, Parallelism, SubtaskIndex};
use alluvium_format::operator::{
    DistributionMode, OperatorStateItems, read_operator_state, section_key_group,
};
use alluvium_storage::HandleReader;
use bytes::Bytes;

use crate::RestoreError;

/// Reads the operator state of all old subtasks once and gives each new subtask its part.
///
/// Errors: [`RestoreError`].
pub fn restore_operator_states(
    operator: &OperatorState,
    parallelism: Parallelism,
    reader: &HandleReader,
) -> Result<Vec<Vec<OperatorStateItems>>, RestoreError> {
    let mut old: Vec<Vec<OperatorStateItems>> = Vec::with_capacity(operator.subtasks.len());
    let mut types: BTreeMap<String, String> = BTreeMap::new();
    for subtask in &operator.subtasks {
        let states = match &subtask.operator {
            Some(handle) => read_subtask(operator, subtask.index, handle, reader)?,
            None => Vec::new(),
        };
        for state in &states {
            let found = format!("{} of {}", state.mode, state.item);
            let expected = types.entry(state.name.clone()).or_insert_with(|| found.clone());
            if *expected != found {
                return Err(RestoreError::Mismatch {
                    stream: format!("operator state of {} subtask {}", operator.uid, subtask.index),
                    what: "type of a state",
                    expected: expected.clone(),
                    found,
                });
            }
        }
        old.push(states);
    }
    Ok(redistribute(&old, parallelism))
}

fn read_subtask(
    operator: &OperatorState,
    subtask: SubtaskIndex,
    handle: &OperatorStateHandle,
    reader: &HandleReader,
) -> Result<Vec<OperatorStateItems>, RestoreError> {
    let uid = &operator.uid;
    let stream = match handle.stream.file() {
        Some(path) => format!("{}/{path}", reader.root()),
        None => format!("operator state of {uid} subtask {subtask} inside the metadata"),
    };
    let bytes = reader.open(&handle.stream)?;
    let (found, identity, states) = read_operator_state(bytes)
        .map_err(|source| RestoreError::Damaged { stream: stream.clone(), source })?;
    let mismatch = |what, expected: String, found: String| RestoreError::Mismatch {
        stream: stream.clone(),
        what,
        expected,
        found,
    };
    if found != *uid {
        return Err(mismatch("operator", uid.to_string(), found.to_string()));
    }
    if identity.subtask != Some(subtask) {
        let found = identity.subtask.map_or_else(|| "none".to_owned(), |s| s.to_string());
        return Err(mismatch("subtask", subtask.to_string(), found));
    }
    for state in states.iter().filter(|state| state.mode == DistributionMode::Keyed) {
        let found = state.items.iter().map(|item| owner_of(item, operator.parallelism));
        if let Some(other) = found.into_iter().find(|owner| *owner != Some(subtask)) {
            let found = other.map_or_else(|| "none".to_owned(), |s| s.to_string());
            return Err(mismatch("owner of a section", subtask.to_string(), found));
        }
    }
    Ok(states)
}

/// The subtask that owns the key group of a section of raw keyed state.
fn owner_of(section: &[u8], parallelism: Parallelism) -> Option<SubtaskIndex> {
    let key_group = section_key_group(section).ok()?;
    Some(parallelism.owner_of(KeyGroup::new(key_group, parallelism.max()).ok()?))
}

/// The states of each new subtask, given those of the old ones.
fn redistribute(
    old: &[Vec<OperatorStateItems>],
    parallelism: Parallelism,
) -> Vec<Vec<OperatorStateItems>> {
    let count = usize::from(parallelism.get());
    let mut new = vec![Vec::new(); count];
    let mut start = 0;
    for name in names_of(old) {
        let per_old: Vec<Option<&OperatorStateItems>> =
            old.iter().map(|states| states.iter().find(|state| state.name == name)).collect();
        let Some(meta) = per_old.iter().flatten().next() else { continue };
        let parts = match meta.mode {
            DistributionMode::Union => vec![all_items(&per_old); count],
            DistributionMode::Broadcast => broadcast(&per_old, count),
            DistributionMode::Keyed => by_key_group(&all_items(&per_old), parallelism),
            _ if old.len() == count => per_old.iter().map(|state| items_of(*state)).collect(),
            _ => split(&all_items(&per_old), count, &mut start),
        };
        for (states, items) in new.iter_mut().zip(parts) {
            states.push(OperatorStateItems { items, ..without_items(meta) });
        }
    }
    new
}

fn names_of(old: &[Vec<OperatorStateItems>]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for state in old.iter().flatten() {
        if !names.contains(&state.name.as_str()) {
            names.push(&state.name);
        }
    }
    names
}

fn without_items(state: &OperatorStateItems) -> OperatorStateItems {
    let OperatorStateItems { name, mode, item, .. } = state;
    OperatorStateItems { name: name.clone(), mode: *mode, item: item.clone(), items: Vec::new() }
}

fn items_of(state: Option<&OperatorStateItems>) -> Vec<Bytes> {
    state.map_or_else(Vec::new, |state| state.items.clone())
}

fn all_items(per_old: &[Option<&OperatorStateItems>]) -> Vec<Bytes> {
    per_old.iter().flatten().flat_map(|state| state.items.iter().cloned()).collect()
}

fn broadcast(per_old: &[Option<&OperatorStateItems>], count: usize) -> Vec<Vec<Bytes>> {
    (0..count)
        .map(|new| items_of(per_old.get(new % per_old.len().max(1)).copied().flatten()))
        .collect()
}

/// Each section goes to the owner of its key group; all have one, or were refused when they were read.
fn by_key_group(sections: &[Bytes], parallelism: Parallelism) -> Vec<Vec<Bytes>> {
    let mut parts = vec![Vec::new(); usize::from(parallelism.get())];
    for section in sections {
        let owner = owner_of(section, parallelism).map(|owner| usize::from(owner.get()));
        if let Some(part) = owner.and_then(|owner| parts.get_mut(owner)) {
            part.push(section.clone());
        }
    }
    parts
}

/// Contiguous runs of `n / count` items, one more for the first `n % count`. The subtask that
/// comes first is handed on from state to state, so that remainders do not pile up on subtask 0.
fn split(items: &[Bytes], count: usize, start: &mut usize) -> Vec<Vec<Bytes>> {
    let mut parts = vec![Vec::new(); count];
    let (run, remainder) = (items.len() / count, items.len() % count);
    let mut rest = items.iter().cloned();
    for position in 0..count {
        let len = run + usize::from(position < remainder);
        if let Some(part) = parts.get_mut((position + *start) % count) {
            part.extend(rest.by_ref().take(len));
        }
    }
    *start = (*start + remainder) % count;
    parts
}
