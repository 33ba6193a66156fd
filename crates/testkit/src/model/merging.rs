//! Merging namespaces, in a backend and in the model.
//!
//! Invariants: the model merges as `KeyedStateBackend::merge_namespaces` says, source by source.

use alluvium_state::KeyedStateBackend;

use super::change::{aggregating_state, list_state, long_list_state, reduce, reducing_state};
use super::{Address, Content, Kind, Model};

/// The kinds of state that can be merged.
pub(super) const KINDS: [Kind; 4] = [Kind::List, Kind::LongList, Kind::Reducing, Kind::Aggregating];

/// Merges in a backend, which must own the key.
pub(super) fn merge<S: KeyedStateBackend<Key = String>>(
    backend: &mut S,
    kind: Kind,
    key: &String,
    target: u32,
    sources: &[u32],
) {
    let merged = match kind {
        Kind::List => {
            let state = list_state(backend);
            backend.merge_namespaces(state, key, &target, sources)
        }
        Kind::LongList => {
            let state = long_list_state(backend);
            backend.merge_namespaces(state, key, &target, sources)
        }
        Kind::Reducing => {
            let state = reducing_state(backend);
            backend.merge_namespaces(state, key, &target, sources)
        }
        Kind::Aggregating => {
            let state = aggregating_state(backend);
            backend.merge_namespaces(state, key, &target, sources)
        }
        other => panic!("{other:?} cannot be merged"),
    };
    merged.unwrap();
}

impl Model {
    /// Merges what a key has under the sources into the target.
    pub(super) fn merge(&mut self, kind: Kind, key: &str, target: u32, sources: &[u32]) {
        let address = |namespace| Address { kind, key: key.to_owned(), namespace };
        let mut merged = None;
        for source in sources {
            let taken = self.contents.remove(&address(*source));
            merged = joined(merged, taken);
        }
        let target = address(target);
        let held = self.contents.remove(&target);
        if let Some(content) = joined(held, merged) {
            self.contents.insert(target, content);
        }
    }
}

fn joined(first: Option<Content>, second: Option<Content>) -> Option<Content> {
    Some(match (first, second) {
        (None, only) | (only, None) => return only,
        (Some(Content::List(mut list)), Some(Content::List(more))) => {
            list.extend(more);
            Content::List(list)
        }
        (Some(Content::LongList(mut list)), Some(Content::LongList(more))) => {
            list.extend(more);
            Content::LongList(list)
        }
        (Some(Content::Reducing(value)), Some(Content::Reducing(other))) => {
            Content::Reducing(reduce(value, other))
        }
        (Some(Content::Aggregating(one)), Some(Content::Aggregating(other))) => {
            Content::Aggregating((one.0 + other.0, one.1.wrapping_add(other.1)))
        }
        (first, second) => panic!("{first:?} cannot be merged with {second:?}"),
    })
}
