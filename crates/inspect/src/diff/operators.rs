//! The states of one operator on both sides.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::{KeyGroup, KeyGroupRange, OperatorState, OperatorUid};
use alluvium_format::keyed::{MapEntry, StateMeta};
use bytes::Bytes;

use super::maps::{Side, diff_maps};
use super::{OperatorDiff, StateDiff, Unread, files, sum};
use crate::entries::BlockStream;
use crate::operator_items::read_states;
use crate::{Checkpoint, InspectError, Progress};

/// Compares an operator, which is there on one side at least.
pub(super) fn diff(
    uid: &OperatorUid,
    checkpoints: [&Checkpoint; 2],
    operators: &[Option<OperatorState>; 2],
    progress: &dyn Progress,
    unread: &mut Unread,
) -> Result<OperatorDiff, InspectError> {
    let [left, right] = operators;
    let of = |side: &Option<OperatorState>| files(side.iter());
    let shared_bytes = sum(of(left).intersection(&of(right)));
    let number = |side: &Option<OperatorState>| side.as_ref().map(|it| it.parallelism.get());
    let parallelism = [number(left), number(right)];
    let [before, after] = checkpoints;
    let sides = [open(before, left.as_ref(), unread)?, open(after, right.as_ref(), unread)?];
    check_codecs(&sides)?;
    let mut states = keyed(&sides, progress, unread)?;
    states.extend(items([(before, left.as_ref()), (after, right.as_ref())], unread)?);
    Ok(OperatorDiff { uid: uid.clone(), parallelism, shared_bytes, states })
}

/// The keyed state of an operator.
#[derive(Default)]
struct Opened {
    streams: Vec<BlockStream>,
    /// The key groups of the streams that cannot be read.
    lost: Vec<KeyGroupRange>,
}

fn open(
    checkpoint: &Checkpoint,
    operator: Option<&OperatorState>,
    unread: &mut Unread,
) -> Result<Opened, InspectError> {
    let mut opened = Opened::default();
    let Some(operator) = operator else { return Ok(opened) };
    for subtask in &operator.subtasks {
        let Some(handle) = &subtask.keyed else { continue };
        let stream = BlockStream::open(checkpoint, operator, subtask.index, handle);
        match unread.note(stream)? {
            Some(stream) => opened.streams.extend(stream),
            None => opened.lost.push(handle.key_groups),
        }
    }
    Ok(opened)
}

/// Keys and namespaces of both sides must be encoded in the same way.
fn check_codecs(sides: &[Opened; 2]) -> Result<(), InspectError> {
    let [left, right] = sides;
    let (Some(left), Some(right)) = (left.streams.first(), right.streams.first()) else {
        return Ok(());
    };
    let (left, right) = (left.keyed.header(), right.keyed.header());
    let differ = |what, left: &dyn ToString, right: &dyn ToString| {
        let (left, right) = (left.to_string(), right.to_string());
        Err(InspectError::NotComparable { what, left, right })
    };
    if left.key != right.key {
        return differ("the codec of the keys", &left.key, &right.key);
    }
    for meta in &left.states {
        let other = right.states.iter().find(|other| other.name == meta.name);
        if let Some(other) = other
            && other.namespace != meta.namespace
        {
            return differ("the codec of the namespaces", &meta.namespace, &other.namespace);
        }
    }
    Ok(())
}

/// A map and the stream that it is of.
type Place<'s> = (&'s BlockStream, &'s MapEntry, &'s StateMeta);

fn maps_of(streams: &[BlockStream]) -> BTreeMap<(String, u16), Place<'_>> {
    let mut maps = BTreeMap::new();
    for stream in streams {
        for map in stream.keyed.maps() {
            // The index was checked: a map is one of a state of the stream.
            let Some(meta) = stream.keyed.header().states.get(usize::from(map.state)) else {
                continue;
            };
            maps.insert((meta.name.clone(), map.key_group.get()), (stream, map, meta));
        }
    }
    maps
}

fn keyed(
    sides: &[Opened; 2],
    progress: &dyn Progress,
    unread: &mut Unread,
) -> Result<Vec<StateDiff>, InspectError> {
    let is_lost = |group: KeyGroup| {
        let mut lost = sides.iter().flat_map(|side| &side.lost);
        lost.any(|range| range.contains(group))
    };
    let [left, right] = sides;
    let (left, right) = (maps_of(&left.streams), maps_of(&right.streams));
    let places: BTreeSet<_> = left.keys().chain(right.keys()).cloned().collect();
    let mut states = Vec::new();
    for place in places {
        let (before, after) = (left.get(&place), right.get(&place));
        let group = before.or(after).map(|(_, map, _)| map.key_group);
        if group.is_some_and(is_lost) {
            continue;
        }
        let mut found = StateDiff::new(&place.0, group);
        match (before, after) {
            (Some(before), Some(after)) => {
                let (before, after) = (Side::new(*before), Side::new(*after));
                let compared = diff_maps(&before, &after, &mut found, progress);
                if unread.note(compared)?.is_none() {
                    continue;
                }
            }
            (Some((_, map, _)), None) => found.removed = map.entry_count(),
            (None, Some((_, map, _))) => found.added = map.entry_count(),
            (None, None) => {}
        }
        states.push(found);
    }
    Ok(states)
}

type Items = BTreeMap<String, BTreeMap<Bytes, u64>>;

/// Operator state over all subtasks, since items move between them.
fn items(
    sides: [(&Checkpoint, Option<&OperatorState>); 2],
    unread: &mut Unread,
) -> Result<Vec<StateDiff>, InspectError> {
    let mut is_whole = true;
    let [left, right] = sides.map(|(checkpoint, operator)| {
        let mut all = Items::new();
        let Some(operator) = operator else { return Ok(all) };
        for subtask in &operator.subtasks {
            let Some(handle) = &subtask.operator else { continue };
            let read = unread.note(read_states(checkpoint, operator, subtask.index, handle))?;
            is_whole &= read.is_some();
            for state in read.into_iter().flatten() {
                let items = all.entry(state.name).or_default();
                for item in state.items {
                    *items.entry(item).or_default() += 1;
                }
            }
        }
        Ok::<_, InspectError>(all)
    });
    let (left, right) = (left?, right?);
    if !is_whole {
        return Ok(Vec::new());
    }
    let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let none = BTreeMap::new();
    Ok(names
        .into_iter()
        .map(|name| {
            let (before, after) =
                (left.get(name).unwrap_or(&none), right.get(name).unwrap_or(&none));
            let mut found = StateDiff::new(name, None);
            for (item, count) in before {
                let stayed = after.get(item).copied().unwrap_or(0).min(*count);
                found.unchanged += stayed;
                found.removed += count - stayed;
            }
            let total: u64 = after.values().sum();
            found.added = total - found.unchanged;
            found
        })
        .collect())
}
