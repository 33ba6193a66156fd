//! Cases: types in versions, each with a step from the one before.

use alluvium_format::codec::{Codec, HasCodec, NoVersion, Versioned, VersionedCodec};
use alluvium_state::{
    AggregateFunction, AggregatingStateDescriptor, KeyedStateBackend, ListStateDescriptor,
    MapStateDescriptor, ReducingStateDescriptor, StateBackend, StateError, ValueStateDescriptor,
};
use serde::{Deserialize, Serialize};

use super::{list_of, map_of, owned, refused, sorted};
use crate::job::{KeyedOf, TestJob};

/// What all versions have; later ones say which steps a value went through.
trait Visit: Versioned + HasCodec + Clone + Send + Sync + std::fmt::Debug + PartialEq {
    fn new(page: &str) -> Self;
    fn steps(&self) -> (String, Vec<u32>);
}

macro_rules! version {
    ($name:ident, $number:literal, $previous:ty, $migrate:expr) => {
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        struct $name {
            // Each version has its fields in another order, or more of them.
            filler: [u8; $number],
            page: String,
            steps: Vec<u32>,
        }

        impl Versioned for $name {
            const NAME: &str = "visit";
            const VERSION: u32 = $number;
            type Previous = $previous;

            fn migrate(previous: $previous) -> Self {
                let migrate: fn($previous) -> (String, Vec<u32>) = $migrate;
                let (page, mut steps) = migrate(previous);
                steps.push($number);
                Self { filler: [$number; $number], page, steps }
            }
        }

        impl HasCodec for $name {
            type Codec = VersionedCodec<Self>;
        }

        impl Visit for $name {
            fn new(page: &str) -> Self {
                Self { filler: [$number; $number], page: page.to_owned(), steps: vec![$number] }
            }

            fn steps(&self) -> (String, Vec<u32>) {
                assert_eq!(self.filler, [$number; $number]);
                (self.page.clone(), self.steps.clone())
            }
        }
    };
}

version!(V1, 1, NoVersion, |previous| match previous {});
version!(V2, 2, V1, |previous| previous.steps());
version!(V3, 3, V2, |previous| previous.steps());
version!(V4, 4, V3, |previous| previous.steps());

/// Keeps the last input.
struct Last<V>(std::marker::PhantomData<fn() -> V>);

impl<V: Visit> AggregateFunction for Last<V> {
    type Input = V;
    type Accumulator = V;
    type Output = (String, Vec<u32>);

    fn create(&self) -> V {
        V::new("")
    }

    fn add(&self, accumulator: &mut V, input: V) {
        *accumulator = input;
    }

    fn result(&self, accumulator: &V) -> (String, Vec<u32>) {
        accumulator.steps()
    }

    fn merge(&self, accumulator: &mut V, other: &V) {
        accumulator.clone_from(other);
    }
}

fn value<V: Visit>() -> ValueStateDescriptor<V> {
    ValueStateDescriptor::new("value")
}

fn list<V: Visit>() -> ListStateDescriptor<V> {
    ListStateDescriptor::new("list")
}

fn map<V: Visit>() -> MapStateDescriptor<u32, V> {
    MapStateDescriptor::new("map")
}

fn reducing<V: Visit>() -> ReducingStateDescriptor<V> {
    ReducingStateDescriptor::new("reducing", |value, other| *value = other)
}

fn aggregating<V: Visit>() -> AggregatingStateDescriptor<Last<V>> {
    AggregatingStateDescriptor::new("aggregating", Last(std::marker::PhantomData))
}

const KEYS: [&str; 3] = ["a", "b", "c"];

/// A page for each key, in a state of each kind.
fn fill<V: Visit, B: StateBackend>(state: &mut KeyedOf<B, String>) {
    let value = state.value_state(value::<V>()).unwrap();
    let list = state.list_state(list::<V>()).unwrap();
    let map = state.map_state(map::<V>()).unwrap();
    let reducing = state.reducing_state(reducing::<V>()).unwrap();
    let aggregating = state.aggregating_state(aggregating::<V>()).unwrap();
    for key in KEYS.map(str::to_owned) {
        let mut at = state.at(&key).unwrap();
        value.set(&mut at, V::new(&key)).unwrap();
        list.add_all(&mut at, [V::new(&key), V::new("second")]).unwrap();
        map.put(&mut at, 1, V::new(&key)).unwrap();
        map.put(&mut at, 2, V::new("second")).unwrap();
        reducing.add(&mut at, V::new(&key)).unwrap();
        aggregating.add(&mut at, V::new(&key)).unwrap();
    }
}

/// All values are there, and went through these versions.
#[track_caller]
fn check<V: Visit, B: StateBackend>(state: &mut KeyedOf<B, String>, steps: &[u32]) {
    let value = state.value_state(value::<V>()).unwrap();
    let list = state.list_state(list::<V>()).unwrap();
    let map = state.map_state(map::<V>()).unwrap();
    let reducing = state.reducing_state(reducing::<V>()).unwrap();
    let aggregating = state.aggregating_state(aggregating::<V>()).unwrap();
    for key in KEYS.map(str::to_owned) {
        let at = state.at(&key).unwrap();
        let (page, second) = ((key.clone(), steps.to_vec()), ("second".to_owned(), steps.to_vec()));
        assert_eq!(owned(value.get(&at)).unwrap().steps(), page);
        let elements = list_of(list.elements(&at));
        assert_eq!(
            elements.iter().map(V::steps).collect::<Vec<_>>(),
            [page.clone(), second.clone()]
        );
        let entries = map_of(map.entries(&at)).into_iter();
        let entries: Vec<_> = entries.map(|(key, visit)| (key, visit.steps())).collect();
        assert_eq!(entries, [(1, page.clone()), (2, second)]);
        assert_eq!(owned(reducing.get(&at)).unwrap().steps(), page);
        assert_eq!(aggregating.get(&at).unwrap(), Some(page));
    }
    for keys in [state.keys(value, &()), state.keys(list, &()), state.keys(map, &())] {
        assert_eq!(sorted(keys.unwrap()), KEYS);
    }
}

/// As [`check`], of the value state alone.
#[track_caller]
fn check_values<V: Visit, B: StateBackend>(state: &mut KeyedOf<B, String>, steps: &[u32]) {
    let value = state.value_state(value::<V>()).unwrap();
    for key in KEYS.map(str::to_owned) {
        let found = owned(value.get(&state.at(&key).unwrap())).unwrap();
        assert_eq!(found.steps(), (key.clone(), steps.to_vec()));
    }
}

/// A value of version 1 is read by version 4, in one restore (values, list elements, user values,
/// reduced values and accumulators alike) and in three. What is migrated is stored as version 4.
pub fn values_go_through_every_version<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    fill::<V1, B>(&mut state);
    check::<V1, B>(&mut state, &[1]);
    let first = job.snapshot_one(&mut state);

    let mut state = job.open_one(&first);
    check::<V4, B>(&mut state, &[1, 2, 3, 4]);
    let at_once = job.snapshot_one(&mut state);

    let mut state = job.open_one(&first);
    check_values::<V2, B>(&mut state, &[1, 2]);
    let mut state = job.open_one(&job.snapshot_one(&mut state));
    check_values::<V3, B>(&mut state, &[1, 2, 3]);
    let mut state = job.open_one(&job.snapshot_one(&mut state));
    check_values::<V4, B>(&mut state, &[1, 2, 3, 4]);
    let one_by_one = job.snapshot_one(&mut state);

    for handles in [at_once, one_by_one] {
        let state = job.open_one(&handles);
        let stored = VersionedCodec::<V4>::default().snapshot();
        let states = state.unregistered_states().into_iter();
        let found = states.filter(|meta| meta.name == "value").map(|meta| meta.value);
        assert_eq!(found.collect::<Vec<_>>(), [stored]);
        for parallelism in [1, 3] {
            let mut subtasks = job.open(parallelism, &handles);
            let mut count = 0;
            for state in &mut subtasks {
                let value = state.value_state(value::<V4>()).unwrap();
                for key in state.keys(value, &()).unwrap() {
                    let found = owned(value.get(&state.at(&key).unwrap())).unwrap();
                    assert_eq!(found.steps(), (key.clone(), vec![1, 2, 3, 4]));
                    count += 1;
                }
            }
            assert_eq!(count, KEYS.len());
        }
    }
}

/// A value of a newer version is refused by name, in each kind of state, and stays as it is.
pub fn a_newer_version_is_refused_by_name<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    fill::<V4, B>(&mut state);
    let handles = job.snapshot_one(&mut state);
    let mut state = job.open_one(&handles);
    let errors = [
        ("value", refused(state.value_state(value::<V1>()))),
        ("list", refused(state.list_state(list::<V1>()))),
        ("map", refused(state.map_state(map::<V1>()))),
        ("reducing", refused(state.reducing_state(reducing::<V1>()))),
        ("aggregating", refused(state.aggregating_state(aggregating::<V1>()))),
    ];
    for (name, error) in errors {
        let text = error.to_string();
        let StateError::IncompatibleSchema { state, part, .. } = error else { panic!("{error}") };
        assert_eq!((state.as_str(), part), (name, "value"));
        assert!(text.contains("visit v4") && text.contains("visit v1"), "{text}");
    }
    check::<V4, B>(&mut state, &[4]);
    let mut state = job.open_one(&job.snapshot_one(&mut state));
    check::<V4, B>(&mut state, &[4]);
}

/// Namespaces and keys never migrate: they decide where an entry is found.
pub fn versions_of_keys_and_namespaces_never_change<B: StateBackend>(backend: &B) {
    #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
    struct Window(u64);
    impl Versioned for Window {
        const NAME: &str = "window";
        const VERSION: u32 = 1;
        type Previous = NoVersion;

        fn migrate(previous: NoVersion) -> Self {
            match previous {}
        }
    }
    impl HasCodec for Window {
        type Codec = VersionedCodec<Self>;
    }

    #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
    struct NextWindow(u64);
    impl Versioned for NextWindow {
        const NAME: &str = "window";
        const VERSION: u32 = 2;
        type Previous = Window;

        fn migrate(previous: Window) -> Self {
            Self(previous.0)
        }
    }
    impl HasCodec for NextWindow {
        type Codec = VersionedCodec<Self>;
    }

    let job = TestJob::<B, Window>::new(backend);
    let mut state = job.open_one(&[]);
    let descriptor = ValueStateDescriptor::<u64>::new("value");
    let value = state.value_state(descriptor.namespaced::<Window>()).unwrap();
    value.set(&mut state.at_namespace(&Window(1), &Window(2)).unwrap(), 3).unwrap();
    let handles = job.snapshot_one(&mut state);
    let mut state = job.open_one(&handles);
    let descriptor = || ValueStateDescriptor::<u64>::new("value");
    let error = refused(state.value_state(descriptor().namespaced::<NextWindow>()));
    assert!(matches!(&error, StateError::IncompatibleSchema { part: "namespace", .. }), "{error}");
    let value = state.value_state(descriptor().namespaced::<Window>()).unwrap();
    let at = state.at_namespace(&Window(1), &Window(2)).unwrap();
    assert_eq!(owned(value.get(&at)), Some(3));

    let other =
        TestJob::<B, NextWindow>::with_storage(backend, std::sync::Arc::clone(job.storage()));
    let error = refused(other.try_open_one(&handles));
    assert!(error.to_string().contains("window v2"), "{error}");
}
