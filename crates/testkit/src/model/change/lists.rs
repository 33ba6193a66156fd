//! Changes of the list and of the long list, which can do the same.

use alluvium_state::{KeyedStateBackend, ListState, ListStateDescriptor};

use super::{Change, text, texts};
use crate::model::Content;
use crate::random::Random;

/// The list state `list`.
pub fn list_state(backend: &mut impl KeyedStateBackend) -> ListState<String, u32> {
    backend.list_state(ListStateDescriptor::<String>::new("list").namespaced()).unwrap()
}

/// The list state `long`, with the layout for long lists.
pub fn long_list_state(backend: &mut impl KeyedStateBackend) -> ListState<String, u32> {
    backend.list_state(ListStateDescriptor::<String>::new("long").long().namespaced()).unwrap()
}

impl Change {
    pub(super) fn draw_of_list_ends(random: &mut Random) -> Self {
        match random.below(4) {
            0..2 => Self::ListPopFront,
            2 => Self::ListRemoveFront(random.below(5)),
            _ => Self::ListTruncate(random.below(5)),
        }
    }

    pub(super) fn draw_of_list(random: &mut Random) -> Self {
        match random.below(8) {
            0..3 => Self::ListAdd(text(random)),
            3 => Self::ListAddAll(texts(random)),
            4 => Self::ListSet(texts(random)),
            5 if random.one_in(3) => Self::Clear(crate::model::Kind::List),
            _ => Self::draw_of_list_ends(random),
        }
    }

    pub(super) fn resulting_long_list(&self, before: Option<Content>) -> Option<Content> {
        let before = before.map(|before| match before {
            Content::LongList(list) => Content::List(list),
            other => panic!("a long list held {other:?}"),
        });
        let after = match self {
            Self::OfLongList(change) => change.resulting_list(before),
            _ => None,
        };
        after.map(|after| match after {
            Content::List(list) => Content::LongList(list),
            other => panic!("a list became {other:?}"),
        })
    }

    pub(super) fn resulting_list(&self, before: Option<Content>) -> Option<Content> {
        let mut list = match before {
            None => Vec::new(),
            Some(Content::List(list)) => list,
            Some(other) => panic!("a list held {other:?}"),
        };
        let short = |number: &u64| usize::try_from(*number).unwrap();
        match self {
            Self::ListAdd(element) => list.push(element.clone()),
            Self::ListAddAll(elements) => list.extend_from_slice(elements),
            Self::ListSet(elements) => list.clone_from(elements),
            Self::ListPopFront => drop(list.drain(..list.len().min(1))),
            Self::ListRemoveFront(count) => drop(list.drain(..list.len().min(short(count)))),
            Self::ListTruncate(len) => list.truncate(short(len)),
            _ => list.clear(),
        }
        (!list.is_empty()).then_some(Content::List(list))
    }

    pub(super) fn apply_to_list<S: KeyedStateBackend<Key = String>>(
        &self,
        backend: &mut S,
        key: &String,
        namespace: u32,
    ) {
        let is_long = self.kind() == crate::model::Kind::LongList;
        let state = if is_long { long_list_state(backend) } else { list_state(backend) };
        let change = if let Self::OfLongList(change) = self { change } else { self };
        let mut at = backend.at_namespace(key, &namespace).unwrap();
        match change {
            Self::ListAdd(element) => state.add(&mut at, element.clone()).unwrap(),
            Self::ListAddAll(elements) => state.add_all(&mut at, elements.clone()).unwrap(),
            Self::ListSet(elements) => state.set(&mut at, elements.clone()).unwrap(),
            Self::ListPopFront => drop(state.pop_front(&mut at).unwrap()),
            Self::ListRemoveFront(count) => state.remove_front(&mut at, *count).unwrap(),
            Self::ListTruncate(len) => state.truncate(&mut at, *len).unwrap(),
            _ => state.clear(&mut at).unwrap(),
        }
    }
}
