//! One state of each kind that expires, and everything that a key has in them.

use std::collections::BTreeMap;
use std::time::Duration;

use alluvium_state::{
    AggregatingState, AggregatingStateDescriptor, KeyContext, KeyedStateBackend, ListState,
    ListStateDescriptor, MapState, MapStateDescriptor, ReducingState, ReducingStateDescriptor, Ref,
    SortedMapState, SortedMapStateDescriptor, StateError, StateTtl, ValueState,
    ValueStateDescriptor,
};

use crate::clock::ManualClock;
use crate::conformance::{list_of, map_of, owned};
use crate::model::change::CountAndSum;

/// How long everything lives here, in milliseconds.
pub(in crate::conformance) const TIME_TO_LIVE_MS: u64 = 100;

/// How many kinds of state expire.
pub(crate) const KINDS: usize = 7;

/// A time to live of 100 ms by a clock.
pub(in crate::conformance) fn ttl_by(clock: &ManualClock) -> StateTtl {
    StateTtl::new(Duration::from_millis(TIME_TO_LIVE_MS), clock.state_clock())
}

/// Appends a digit; the order of the values matters.
pub(crate) fn reduce_digits(value: &mut u64, other: u64) {
    *value = value.wrapping_mul(10).wrapping_add(other);
}

/// One state of each kind.
#[derive(Clone, Copy)]
pub(crate) struct States {
    pub(crate) value: ValueState<u64>,
    pub(crate) list: ListState<u64>,
    pub(crate) long: ListState<u64>,
    pub(crate) map: MapState<u8, u64>,
    pub(crate) sorted: SortedMapState<u8, u64>,
    pub(crate) reducing: ReducingState<u64>,
    pub(crate) aggregating: AggregatingState<CountAndSum>,
}

/// Registers one state of each kind.
pub(crate) fn try_register(
    backend: &mut impl KeyedStateBackend,
    ttl: Option<&StateTtl>,
) -> Result<States, StateError> {
    let mut value = ValueStateDescriptor::<u64>::new("value");
    let mut list = ListStateDescriptor::<u64>::new("list");
    let mut long = ListStateDescriptor::<u64>::new("long").long();
    let mut map = MapStateDescriptor::<u8, u64>::new("map");
    let mut sorted = SortedMapStateDescriptor::<u8, u64>::new("sorted");
    let mut reducing = ReducingStateDescriptor::<u64>::new("reducing", reduce_digits);
    let mut aggregating = AggregatingStateDescriptor::new("aggregating", CountAndSum);
    value.ttl = ttl.cloned();
    list.ttl = ttl.cloned();
    long.ttl = ttl.cloned();
    map.ttl = ttl.cloned();
    sorted.ttl = ttl.cloned();
    reducing.ttl = ttl.cloned();
    aggregating.ttl = ttl.cloned();
    Ok(States {
        value: backend.value_state(value)?,
        list: backend.list_state(list)?,
        long: backend.list_state(long)?,
        map: backend.map_state(map)?,
        sorted: backend.sorted_map_state(sorted)?,
        reducing: backend.reducing_state(reducing)?,
        aggregating: backend.aggregating_state(aggregating)?,
    })
}

pub(in crate::conformance) fn register(
    backend: &mut impl KeyedStateBackend,
    ttl: &StateTtl,
) -> States {
    try_register(backend, Some(ttl)).unwrap()
}

/// Everything that the states of a key hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) value: Option<u64>,
    pub(crate) list: Vec<u64>,
    pub(crate) long: Vec<u64>,
    pub(crate) map: BTreeMap<u8, u64>,
    pub(crate) sorted: BTreeMap<u8, u64>,
    pub(crate) reducing: Option<u64>,
    pub(crate) aggregating: Option<(u64, u64)>,
}

impl Seen {
    /// After a number was added once.
    pub(crate) fn once(number: u8) -> Self {
        let wide = u64::from(number);
        Self {
            value: Some(wide),
            list: vec![wide],
            long: vec![wide],
            map: [(number, wide)].into(),
            sorted: [(number, wide)].into(),
            reducing: Some(wide),
            aggregating: Some((1, wide)),
        }
    }
}

impl States {
    /// Adds a number to each state: to the value, the end of the list, as user key and value.
    pub(crate) fn add(self, at: &mut impl KeyContext<Namespace = ()>, number: u8) {
        let wide = u64::from(number);
        self.value.update(at, |value| *value += wide).unwrap();
        self.list.add(at, wide).unwrap();
        self.long.add(at, wide).unwrap();
        self.map.put(at, number, wide).unwrap();
        self.sorted.put(at, number, wide).unwrap();
        self.reducing.add(at, wide).unwrap();
        self.aggregating.add(at, wide).unwrap();
    }

    /// Reads all states.
    pub(crate) fn see(self, at: &impl KeyContext<Namespace = ()>) -> Seen {
        let map = map_of(self.map.entries(at));
        assert_eq!(self.map.is_empty(at).unwrap(), map.is_empty());
        for (user_key, value) in &map {
            assert_eq!(owned(self.map.get(at, user_key)), Some(*value));
        }
        Seen {
            value: owned(self.value.get(at)),
            list: see_list(self.list, at),
            long: see_list(self.long, at),
            map,
            sorted: self.see_sorted(at),
            reducing: owned(self.reducing.get(at)),
            aggregating: self.aggregating.get(at).unwrap(),
        }
    }

    /// Reads the sorted map in both directions and at both ends.
    fn see_sorted(self, at: &impl KeyContext<Namespace = ()>) -> BTreeMap<u8, u64> {
        let sorted = map_of(self.sorted.entries(at));
        assert_eq!(self.sorted.is_empty(at).unwrap(), sorted.is_empty());
        assert!(list_of(self.sorted.keys(at)).iter().eq(sorted.keys()));
        let backwards = self.sorted.range_rev(at, ..).unwrap().map(|entry| *entry.unwrap().0);
        assert!(backwards.eq(sorted.keys().rev().copied()));
        let key_of = |(user_key, _): (Ref<'_, u8>, Ref<'_, u64>)| *user_key;
        let (first, last) = (self.sorted.first(at).unwrap(), self.sorted.last(at).unwrap());
        assert_eq!(first.map(key_of), sorted.keys().next().copied());
        assert_eq!(last.map(key_of), sorted.keys().next_back().copied());
        for (user_key, value) in &sorted {
            assert_eq!(owned(self.sorted.get(at, user_key)), Some(*value));
        }
        sorted
    }

    /// The keys that each state lists.
    pub(crate) fn keys(
        self,
        backend: &mut impl KeyedStateBackend<Key = String>,
    ) -> [Vec<String>; KINDS] {
        [
            backend.keys(self.value, &()).unwrap(),
            backend.keys(self.list, &()).unwrap(),
            backend.keys(self.long, &()).unwrap(),
            backend.keys(self.map, &()).unwrap(),
            backend.keys(self.sorted, &()).unwrap(),
            backend.keys(self.reducing, &()).unwrap(),
            backend.keys(self.aggregating, &()).unwrap(),
        ]
    }
}

/// Reads a list whole, in part, and how long it is.
fn see_list(list: ListState<u64>, at: &impl KeyContext<Namespace = ()>) -> Vec<u64> {
    let elements = list_of(list.elements(at));
    assert_eq!(list.len(at).unwrap(), elements.len() as u64);
    assert_eq!(list.is_empty(at).unwrap(), elements.is_empty());
    assert!(list_of(list.elements_from(at, 1)).iter().eq(elements.iter().skip(1)));
    elements
}

pub(in crate::conformance) fn key() -> String {
    "key".to_owned()
}
