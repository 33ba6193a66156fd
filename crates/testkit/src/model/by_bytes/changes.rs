//! The changes of programs, by bytes.

use alluvium_state::dynamic::{DynAt, DynKeyedState, DynState};

use super::{DynStates, decoded, encoded, ordered};
use crate::model::change::Change;

impl DynStates {
    /// Makes a change.
    pub fn apply(&self, state: &mut dyn DynKeyedState, key: &str, namespace: u32, change: &Change) {
        let (key, namespace) = (encoded(&key.to_owned()), encoded(&namespace));
        let at = DynAt { key: &key, namespace: &namespace };
        let own = self.of(change.kind());
        let change = if let Change::OfLongList(change) = change { change } else { change };
        match change {
            Change::ValueSet(value) => state.value_set(own, at, &encoded(value)),
            Change::ValueAdd(by) => {
                let before = state.value_get(own, at).unwrap();
                let before: u64 = before.map_or(0, |bytes| decoded(&bytes));
                state.value_set(own, at, &encoded(&before.wrapping_add(*by)))
            }
            Change::ListAdd(element) => state.list_add(own, at, &encoded(element)),
            Change::ListAddAll(elements) => {
                elements.iter().try_for_each(|element| state.list_add(own, at, &encoded(element)))
            }
            Change::ListSet(elements) => {
                let elements: Vec<_> = elements.iter().map(encoded).collect();
                let elements: Vec<_> = elements.iter().map(Vec::as_slice).collect();
                state.list_set(own, at, &elements)
            }
            Change::ListPopFront => state.list_pop_front(own, at).map(drop),
            Change::ListRemoveFront(count) => state.list_remove_front(own, at, *count),
            Change::ListTruncate(len) => state.list_truncate(own, at, *len),
            Change::MapPut(user_key, value) => {
                state.map_put(own, at, &encoded(user_key), &encoded(value))
            }
            Change::MapAppend(user_key, more) => {
                append(state, own, at, (&encoded(user_key), more));
                Ok(())
            }
            Change::MapRemove(user_key) => state.map_remove(own, at, &encoded(user_key)),
            Change::SortedMapPut(user_key, value) => {
                state.map_put(own, at, &ordered(*user_key), &encoded(value))
            }
            Change::SortedMapAppend(user_key, more) => {
                append(state, own, at, (&ordered(*user_key), more));
                Ok(())
            }
            Change::SortedMapRemove(user_key) => state.map_remove(own, at, &ordered(*user_key)),
            Change::SortedMapPopFirst => state.sorted_map_pop_first(own, at).map(drop),
            Change::ReducingAdd(value) => state.reducing_add(own, at, &encoded(value)),
            Change::AggregatingAdd(input) => state.aggregating_add(own, at, &encoded(input)),
            Change::TimerRegister(domain, time_ms) => {
                state.timer_register(own, at, *domain, *time_ms).map(drop)
            }
            Change::TimerDelete(domain, time_ms) => {
                state.timer_delete(own, at, *domain, *time_ms).map(drop)
            }
            Change::Clear(_) => state.clear(own, at),
            Change::OfLongList(_) => panic!("a change of a long list within another"),
        }
        .unwrap();
    }
}

/// Appends to the text of a user key, beginning with an empty one.
fn append(
    state: &mut dyn DynKeyedState,
    own: DynState,
    at: DynAt<'_>,
    (user_key, more): (&[u8], &str),
) {
    let before = state.map_get(own, at, user_key).unwrap();
    let before: String = before.map_or_else(String::new, |bytes| decoded(&bytes));
    state.map_put(own, at, user_key, &encoded(&(before + more))).unwrap();
}
