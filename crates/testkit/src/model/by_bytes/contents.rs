//! Reading everything, by bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use alluvium_format::codec::{Codec, DefaultOrderedCodec, Input};
use alluvium_state::dynamic::{DynAt, DynEntry, DynKeyedState, DynState};
use alluvium_state::{ScanOrder, TimeDomain};

use super::{DynStates, decoded, ordered};
use crate::model::change::TIMES_MS;
use crate::model::{Address, Content, Contents, Kind};

impl DynStates {
    /// Everything that the subtask holds.
    ///
    /// Panics: when a key comes twice, is listed and has nothing, or is not counted.
    pub fn contents(&self, state: &mut dyn DynKeyedState) -> Contents {
        let (mut contents, mut count) = (Contents::new(), 0);
        let own = state.key_groups();
        for (kind, key_group) in
            Kind::ALL.iter().flat_map(|kind| own.iter().map(move |group| (*kind, group)))
        {
            let pairs = state.keys_and_namespaces_in_group(self.of(kind), key_group).unwrap();
            for (key, namespace) in pairs {
                let at = DynAt { key: &key, namespace: &namespace };
                assert_eq!(state.key_group_of(&key).unwrap(), key_group);
                let address = Address { kind, key: decoded(&key), namespace: decoded(&namespace) };
                let found = content_at(state, self.of(kind), at, kind);
                let content = found.unwrap_or_else(|| panic!("{address:?} is listed and empty"));
                count += content.entry_count();
                assert_eq!(contents.insert(address, content), None, "a key comes twice");
            }
        }
        assert_eq!(state.entry_count().unwrap(), count);
        contents
    }
}

fn entry_of<K>((key, value): (K, Vec<u8>)) -> (K, String) {
    (key, decoded(&value))
}

/// The user key of [`ordered`] bytes.
fn unordered(bytes: &[u8]) -> i32 {
    DefaultOrderedCodec.decode(&mut Input::new(bytes)).unwrap()
}

/// What a key and namespace have in a state.
fn content_at(
    state: &mut dyn DynKeyedState,
    own: DynState,
    at: DynAt<'_>,
    kind: Kind,
) -> Option<Content> {
    match kind {
        Kind::Value => {
            let value = state.value_get(own, at).unwrap();
            value.map(|bytes| Content::Value(decoded(&bytes)))
        }
        Kind::List | Kind::LongList => {
            let list = list_at(state, own, at);
            let content = if kind == Kind::List { Content::List } else { Content::LongList };
            (!list.is_empty()).then(|| content(list))
        }
        Kind::Map => {
            let entries = state.map_entries(own, at).unwrap();
            let decode = |(key, value): DynEntry| entry_of((decoded(&key), value));
            let map: BTreeMap<u32, String> = entries.iter().cloned().map(decode).collect();
            assert_eq!(map.len(), entries.len(), "a user key comes twice");
            (!map.is_empty()).then_some(Content::Map(map))
        }
        Kind::SortedMap => {
            let map = sorted_map_at(state, own, at);
            (!map.is_empty()).then_some(Content::SortedMap(map))
        }
        Kind::Reducing => {
            let value = state.reducing_get(own, at).unwrap();
            value.map(|bytes| Content::Reducing(decoded(&bytes)))
        }
        Kind::Aggregating => {
            let result = state.aggregating_get(own, at).unwrap();
            result.map(|bytes| Content::Aggregating(decoded(&bytes)))
        }
        Kind::Timers => {
            let all =
                TimeDomain::ALL.into_iter().flat_map(|domain| TIMES_MS.map(|ms| (domain, ms)));
            // There is no other way to look: what is new was not there.
            let found = all.filter(|(domain, time_ms)| {
                let is_new = state.timer_register(own, at, *domain, *time_ms).unwrap();
                if is_new {
                    assert!(state.timer_delete(own, at, *domain, *time_ms).unwrap());
                }
                !is_new
            });
            let found: BTreeSet<_> = found.collect();
            (!found.is_empty()).then_some(Content::Timers(found))
        }
    }
}

/// What a list holds; what is behind a position is a part of that.
fn list_at(state: &mut dyn DynKeyedState, own: DynState, at: DynAt<'_>) -> Vec<String> {
    let all = state.list_get(own, at).unwrap();
    assert_eq!(state.list_len(own, at).unwrap(), all.len() as u64);
    for (position, limit) in [(0, 2), (1, usize::MAX), (2, 1), (1, 0)] {
        let found = state.list_elements_from(own, at, position as u64, limit).unwrap();
        assert!(found.iter().eq(all.iter().skip(position).take(limit)), "{limit} from {position}");
    }
    all.iter().map(|element| decoded(element)).collect()
}

/// What a sorted map holds; its ranges and its ends are parts of that.
fn sorted_map_at(
    state: &mut dyn DynKeyedState,
    own: DynState,
    at: DynAt<'_>,
) -> BTreeMap<i32, String> {
    let entries = state.map_entries(own, at).unwrap();
    assert!(entries.is_sorted_by(|(a, _), (b, _)| a < b), "user keys are not in order");
    assert_eq!(state.sorted_map_first(own, at).unwrap().as_ref(), entries.first());
    assert_eq!(state.sorted_map_last(own, at).unwrap().as_ref(), entries.last());
    for (start, end, limit) in [(-2, 2, usize::MAX), (0, 3, 1), (3, -3, 5)] {
        let (from, to) = (ordered(start), ordered(end));
        let range = (Bound::Included(from.as_slice()), Bound::Excluded(to.as_slice()));
        let inside = |(key, _): &&DynEntry| *key >= from && *key < to;
        let expected = entries.iter().filter(inside);
        let found = state.sorted_map_range(own, at, range, ScanOrder::Ascending, limit).unwrap();
        assert!(found.iter().eq(expected.clone().take(limit)), "{start}..{end}");
        let found = state.sorted_map_range(own, at, range, ScanOrder::Descending, limit).unwrap();
        assert!(found.iter().eq(expected.rev().take(limit)), "{start}..{end} backwards");
    }
    entries.into_iter().map(|(key, value)| entry_of((unordered(&key), value))).collect()
}
