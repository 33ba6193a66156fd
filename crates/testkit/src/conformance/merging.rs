//! Cases: merging the content of several namespaces into one.

use alluvium_state::{
    AggregatingStateDescriptor, KeyedStateBackend, ListState, ListStateDescriptor, MergingState,
    ReducingState, ReducingStateDescriptor, StateBackend, StateError,
};

use super::{list_of, owned, refused, sorted};
use crate::job::TestJob;
use crate::model::change::CountAndSum;

fn lists<S: KeyedStateBackend>(state: &mut S, name: &str) -> ListState<u32, String> {
    state.list_state(ListStateDescriptor::<u32>::new(name).namespaced()).unwrap()
}

/// Says in brackets what was reduced into what.
fn nesting<S: KeyedStateBackend>(state: &mut S, name: &str) -> ReducingState<String, String> {
    let reduce = |value: &mut String, other: String| *value = format!("({value}{other})");
    let descriptor = ReducingStateDescriptor::<String>::new(name, reduce);
    state.reducing_state(descriptor.namespaced()).unwrap()
}

fn merge<St, S>(state: &mut St, of: S, key: &str, target: &str, sources: &[&str])
where
    St: KeyedStateBackend<Key = String>,
    S: MergingState<Namespace = String>,
{
    let (target, sources) = (target.to_owned(), sources.iter().map(|name| (*name).to_owned()));
    let sources: Vec<String> = sources.collect();
    state.merge_namespaces(of, &key.to_owned(), &target, &sources).unwrap();
}

/// What a key has in lists, by namespace.
fn lists_at<St>(state: &mut St, list: ListState<u32, String>, key: &str) -> Vec<(String, Vec<u32>)>
where
    St: KeyedStateBackend<Key = String>,
{
    let key = key.to_owned();
    let own = state.keys_and_namespaces(list).unwrap().into_iter().filter(|(k, _)| *k == key);
    let own = sorted(own.map(|(_, namespace)| namespace));
    let read = |namespace: String| {
        let elements = list_of(list.elements(&state.at_namespace(&key, &namespace).unwrap()));
        (namespace, elements)
    };
    own.into_iter().map(read).collect()
}

fn expected(lists: &[(&str, &[u32])]) -> Vec<(String, Vec<u32>)> {
    lists.iter().map(|(namespace, list)| ((*namespace).to_owned(), list.to_vec())).collect()
}

/// The lists of the sources stand behind that of the target, in the order of the sources, which are
/// empty. Other keys and namespaces keep theirs. Nothing is lost over a snapshot.
pub fn merged_lists_stand_in_the_order_of_their_sources<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let list = lists(&mut state, "list");
    for key in ["k", "other"] {
        for (namespace, elements) in
            [("a", vec![1, 2]), ("b", vec![3]), ("c", vec![4, 5]), ("d", vec![6])]
        {
            let (key, namespace) = (key.to_owned(), namespace.to_owned());
            list.set(&mut state.at_namespace(&key, &namespace).unwrap(), elements).unwrap();
        }
    }
    let before = lists_at(&mut state, list, "other");
    merge(&mut state, list, "k", "b", &["c", "none", "a"]);
    let merged = expected(&[("b", &[3, 4, 5, 1, 2]), ("d", &[6])]);
    assert_eq!(lists_at(&mut state, list, "k"), merged);
    // Into a namespace that has nothing.
    let handles = job.snapshot_one(&mut state);
    merge(&mut state, list, "k", "new", &["b", "d"]);
    assert_eq!(lists_at(&mut state, list, "k"), expected(&[("new", &[3, 4, 5, 1, 2, 6])]));
    assert_eq!(lists_at(&mut state, list, "other"), before);
    let later = job.snapshot_one(&mut state);

    let mut state = job.open_one(&handles);
    let list = lists(&mut state, "list");
    assert_eq!(lists_at(&mut state, list, "k"), merged);
    let mut state = job.open_one(&later);
    let list = lists(&mut state, "list");
    assert_eq!(lists_at(&mut state, list, "k"), expected(&[("new", &[3, 4, 5, 1, 2, 6])]));
    assert_eq!(lists_at(&mut state, list, "other"), before);
}

/// Sources that have nothing, no sources at all, and a source that is named twice.
pub fn empty_and_repeated_sources_merge_once<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let (list, reducing) = (lists(&mut state, "list"), nesting(&mut state, "reducing"));
    let (key, [a, b]) = ("k".to_owned(), ["a", "b"].map(str::to_owned));
    for target in ["a", "z"] {
        merge(&mut state, list, "k", target, &[]);
        merge(&mut state, list, "k", target, &["x", "y", "x"]);
        merge(&mut state, reducing, "k", target, &[]);
        merge(&mut state, reducing, "k", target, &["x", "y", "x"]);
    }
    assert_eq!(state.entry_count().unwrap(), 0);
    for namespace in [&a, &b] {
        let mut at = state.at_namespace(&key, namespace).unwrap();
        list.add(&mut at, if namespace == "a" { 1 } else { 2 }).unwrap();
        reducing.add(&mut at, namespace.clone()).unwrap();
    }
    merge(&mut state, list, "k", "a", &[]);
    merge(&mut state, reducing, "k", "a", &["x"]);
    assert_eq!(lists_at(&mut state, list, "k"), expected(&[("a", &[1]), ("b", &[2])]));
    merge(&mut state, list, "k", "a", &["b", "x", "b"]);
    merge(&mut state, reducing, "k", "a", &["b", "x", "b"]);
    assert_eq!(lists_at(&mut state, list, "k"), expected(&[("a", &[1, 2])]));
    let at = state.at_namespace(&key, &a).unwrap();
    assert_eq!(owned(reducing.get(&at)).as_deref(), Some("(ab)"));
    drop(at);
    assert_eq!(state.entry_count().unwrap(), 2);
}

/// A target that is a source as well: what it held stands at its place among the sources.
pub fn a_target_may_be_a_source<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let (list, reducing) = (lists(&mut state, "list"), nesting(&mut state, "reducing"));
    let key = "k".to_owned();
    for (number, namespace) in (1..).zip(["a", "b", "c"]) {
        let namespace = namespace.to_owned();
        let mut at = state.at_namespace(&key, &namespace).unwrap();
        list.add(&mut at, number).unwrap();
        reducing.add(&mut at, namespace.clone()).unwrap();
    }
    merge(&mut state, list, "k", "b", &["c", "b", "a"]);
    assert_eq!(lists_at(&mut state, list, "k"), expected(&[("b", &[3, 2, 1])]));
    merge(&mut state, list, "k", "b", &["b"]);
    assert_eq!(lists_at(&mut state, list, "k"), expected(&[("b", &[3, 2, 1])]));
    merge(&mut state, reducing, "k", "b", &["c", "b", "a"]);
    let b = "b".to_owned();
    assert_eq!(
        owned(reducing.get(&state.at_namespace(&key, &b).unwrap())).as_deref(),
        Some("((cb)a)")
    );
}

/// The sources are reduced in their order, and then the result into the target; accumulators are
/// merged alike.
pub fn reducing_and_aggregating_states_merge_in_order<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    let reducing = nesting(&mut state, "reducing");
    let descriptor = AggregatingStateDescriptor::new("aggregating", CountAndSum);
    let aggregating = state.aggregating_state(descriptor.namespaced::<String>()).unwrap();
    let key = "k".to_owned();
    for (number, namespace) in (1..).zip(["t", "a", "b", "c"]) {
        let namespace = namespace.to_owned();
        let mut at = state.at_namespace(&key, &namespace).unwrap();
        reducing.add(&mut at, namespace.clone()).unwrap();
        aggregating.add(&mut at, number).unwrap();
        aggregating.add(&mut at, 10 * number).unwrap();
    }
    merge(&mut state, reducing, "k", "t", &["c", "a", "b"]);
    merge(&mut state, aggregating, "k", "t", &["c", "a"]);
    merge(&mut state, aggregating, "k", "new", &["b"]);
    let handles = job.snapshot_one(&mut state);
    let mut restored = job.open_one(&handles);
    for state in [&mut state, &mut restored] {
        let reducing = nesting(state, "reducing");
        let descriptor = AggregatingStateDescriptor::new("aggregating", CountAndSum);
        let aggregating = state.aggregating_state(descriptor.namespaced::<String>()).unwrap();
        let t = "t".to_owned();
        let at = state.at_namespace(&key, &t).unwrap();
        assert_eq!(owned(reducing.get(&at)).as_deref(), Some("(t((ca)b))"));
        assert_eq!(aggregating.get(&at).unwrap(), Some((6, 11 * (1 + 4 + 2))));
        drop(at);
        let new = "new".to_owned();
        let at = state.at_namespace(&key, &new).unwrap();
        assert_eq!(aggregating.get(&at).unwrap(), Some((2, 33)));
        drop(at);
        assert_eq!(state.keys_and_namespaces(reducing).unwrap(), [(key.clone(), t.clone())]);
        let pairs = state.keys_and_namespaces(aggregating).unwrap();
        assert_eq!(sorted(pairs), [(key.clone(), new.clone()), (key.clone(), t.clone())]);
    }
}

/// Foreign handles and foreign keys are refused, and nothing is taken; also where there is nothing
/// to merge.
pub fn merging_refuses_foreign_handles_and_keys<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let (mut state, mut other) = (job.open_one(&[]), job.open_one(&[]));
    let own = lists(&mut state, "list");
    let foreign = lists(&mut other, "list");
    let (key, [a, b]) = ("k".to_owned(), ["a", "b"].map(str::to_owned));
    own.add(&mut state.at_namespace(&key, &a).unwrap(), 1).unwrap();
    for sources in [vec![], vec![a.clone()]] {
        let error = refused(state.merge_namespaces(foreign, &key, &b, &sources));
        assert!(matches!(error, StateError::ForeignHandle), "{error}");
    }
    assert_eq!(lists_at(&mut state, own, "k"), expected(&[("a", &[1])]));

    let mut subtasks = job.open(2, &[]);
    let not_owner = 1 - job.owner_of(&key, 2);
    let state = subtasks.get_mut(not_owner).unwrap();
    let own = lists(state, "list");
    for sources in [vec![], vec![a]] {
        let error = refused(state.merge_namespaces(own, &key, &b, &sources));
        assert!(matches!(error, StateError::ForeignKeyGroup { .. }), "{error}");
    }
}
