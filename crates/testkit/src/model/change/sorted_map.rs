//! Changes of the sorted map.

use std::collections::BTreeMap;

use alluvium_state::{KeyedStateBackend, SortedMapState, SortedMapStateDescriptor};

use super::{Change, text};
use crate::model::Content;
use crate::random::Random;

/// The sorted map state `sorted`.
pub fn sorted_map_state(backend: &mut impl KeyedStateBackend) -> SortedMapState<i32, String, u32> {
    let descriptor = SortedMapStateDescriptor::<i32, String>::new("sorted").namespaced();
    backend.sorted_map_state(descriptor).unwrap()
}

impl Change {
    pub(super) fn draw_of_sorted_map(random: &mut Random) -> Self {
        let user_key = i32::try_from(random.below(9)).unwrap() - 4;
        match random.below(6) {
            0..3 => Self::SortedMapPut(user_key, text(random)),
            3 => Self::SortedMapAppend(user_key, text(random)),
            4 => Self::SortedMapRemove(user_key),
            _ => Self::SortedMapPopFirst,
        }
    }

    pub(super) fn resulting_sorted_map(&self, before: Option<Content>) -> Option<Content> {
        let mut map = match before {
            None => BTreeMap::new(),
            Some(Content::SortedMap(map)) => map,
            Some(other) => panic!("a sorted map held {other:?}"),
        };
        match self {
            Self::SortedMapPut(user_key, value) => {
                map.insert(*user_key, value.clone());
            }
            Self::SortedMapAppend(user_key, more) => {
                map.entry(*user_key).or_default().push_str(more);
            }
            Self::SortedMapRemove(user_key) => {
                map.remove(user_key);
            }
            Self::SortedMapPopFirst => {
                map.pop_first();
            }
            _ => map.clear(),
        }
        (!map.is_empty()).then_some(Content::SortedMap(map))
    }

    pub(super) fn apply_to_sorted_map<S: KeyedStateBackend<Key = String>>(
        &self,
        backend: &mut S,
        key: &String,
        namespace: u32,
    ) {
        let state = sorted_map_state(backend);
        let mut at = backend.at_namespace(key, &namespace).unwrap();
        match self {
            Self::SortedMapPut(user_key, value) => {
                state.put(&mut at, *user_key, value.clone()).unwrap();
            }
            Self::SortedMapAppend(user_key, more) => {
                state.update(&mut at, *user_key, |text| text.push_str(more)).unwrap();
            }
            Self::SortedMapRemove(user_key) => state.remove(&mut at, user_key).unwrap(),
            Self::SortedMapPopFirst => {
                state.pop_first(&mut at).unwrap();
            }
            _ => state.clear(&mut at).unwrap(),
        }
    }
}
