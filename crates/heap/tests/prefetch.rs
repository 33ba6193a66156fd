//! Saying which keys come next changes nothing.
#![expect(clippy::unwrap_used, reason = "functions that the tests share are not tests to clippy")]

use alluvium_core::KeyGroup;
use alluvium_format::codec::DefaultCodec;
use alluvium_heap::{HeapKeyedStateBackend, HeapStateBackend, StateMapKind};
use alluvium_state::{
    KeyedStateBackend, ListState, ListStateDescriptor, MapState, MapStateDescriptor, ValueState,
    ValueStateDescriptor,
};
use alluvium_storage::StreamPolicy;
use alluvium_testkit::job::TestJob;

type Keyed = HeapKeyedStateBackend<u64, DefaultCodec>;

/// Enough for more than a MiB of values.
const KEYS: u64 = 80_000;
const COPY_ON_WRITE: HeapStateBackend = HeapStateBackend::new(StateMapKind::CopyOnWrite);

struct States {
    value: ValueState<u64>,
    text: ValueState<String>,
    list: ListState<u64>,
    map: MapState<u64, u64>,
    namespaced: ValueState<u64, u8>,
}

impl States {
    fn register(keyed: &mut Keyed) -> Self {
        Self {
            value: keyed.value_state(ValueStateDescriptor::new("value")).unwrap(),
            text: keyed.value_state(ValueStateDescriptor::new("text")).unwrap(),
            list: keyed.list_state(ListStateDescriptor::new("list")).unwrap(),
            map: keyed.map_state(MapStateDescriptor::new("map")).unwrap(),
            namespaced: keyed
                .value_state(ValueStateDescriptor::<u64>::new("namespaced").namespaced::<u8>())
                .unwrap(),
        }
    }

    fn fill(&self, keyed: &mut Keyed) {
        for key in 0..KEYS {
            let mut at = keyed.at(&key).unwrap();
            self.value.set(&mut at, key + 1).unwrap();
            self.text.set(&mut at, key.to_string()).unwrap();
            self.list.add_all(&mut at, [key, key]).unwrap();
            self.map.put(&mut at, key, key).unwrap();
            self.namespaced.set(&mut keyed.at_namespace(&key, &1).unwrap(), key).unwrap();
        }
    }

    fn check(&self, keyed: &mut Keyed, key: u64) {
        let is_there = key < KEYS;
        let at = keyed.at(&key).unwrap();
        assert_eq!(self.value.get(&at).unwrap().map(|it| *it), is_there.then_some(key + 1));
        let text = self.text.get(&at).unwrap().map(|it| it.clone());
        assert_eq!(text, is_there.then(|| key.to_string()));
        assert_eq!(self.list.elements(&at).unwrap().count(), if is_there { 2 } else { 0 });
        assert_eq!(self.map.get(&at, &key).unwrap().map(|it| *it), is_there.then_some(key));
        let at = keyed.at_namespace(&key, &1).unwrap();
        assert_eq!(self.namespaced.get(&at).unwrap().map(|it| *it), is_there.then_some(key));
    }
}

#[test]
fn keys_that_are_there_or_not_are_the_same_before_and_after() {
    let nested = HeapStateBackend::new(StateMapKind::Nested);
    for backend in [COPY_ON_WRITE, COPY_ON_WRITE.lazy(), nested] {
        let mut job = TestJob::<_, u64>::new(&backend);
        job.policy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };
        let mut keyed = job.open_one(&[]);
        let states = States::register(&mut keyed);
        states.fill(&mut keyed);
        let handles = job.snapshot_one(&mut keyed);
        let mut restored = job.open_one(&handles);
        let again = States::register(&mut restored);
        for (keyed, states) in [(&mut keyed, &states), (&mut restored, &again)] {
            let count = keyed.entry_count().unwrap();
            for batch in [0..0, 0..1, 5..68, 60..124, KEYS - 100..KEYS + 100, 0..KEYS] {
                let keys: Vec<u64> = batch.collect();
                let groups: Vec<KeyGroup> =
                    keys.iter().map(|key| keyed.key_group_of(key).unwrap()).collect();
                keyed.prefetch(groups.into_iter().zip(&keys));
                keys.iter().step_by(17).for_each(|key| states.check(keyed, *key));
            }
            assert_eq!(keyed.entry_count().unwrap(), count);
        }
    }
}

#[test]
fn key_groups_of_others_are_passed_over() {
    let job = TestJob::<_, u64>::new(&COPY_ON_WRITE);
    let mut first = job.open(2, &[]).swap_remove(0);
    let state = first.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
    let keys: Vec<u64> = (0..KEYS).collect();
    let groups: Vec<KeyGroup> = keys.iter().map(|key| first.key_group_of(key).unwrap()).collect();
    let is_own = |key: &&u64| job.owner_of(key, 2) == 0;
    for key in keys.iter().filter(is_own) {
        state.set(&mut first.at(key).unwrap(), *key).unwrap();
    }
    first.prefetch(groups.iter().copied().zip(&keys));
    for key in keys.iter().filter(is_own) {
        let at = first.at(key).unwrap();
        assert_eq!(state.get(&at).unwrap().map(|it| *it), Some(*key));
    }
}
