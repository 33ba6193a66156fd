//! The changes of a program: made up at random, applied to a backend and to the model.
//!
//! Invariants: every change concerns one state, one key and one namespace; registering a state is
//! part of each change, so a state that is not used is not registered.

mod lists;
mod sorted_map;

pub use lists::{list_state, long_list_state};
pub use sorted_map::sorted_map_state;

use std::collections::{BTreeMap, BTreeSet};

use alluvium_state::{
    AggregateFunction, AggregatingState, AggregatingStateDescriptor, KeyedStateBackend, MapState,
    MapStateDescriptor, ReducingState, ReducingStateDescriptor, TimeDomain, TimerDescriptor,
    Timers, ValueState, ValueStateDescriptor,
};

use super::{Content, Kind};
use crate::random::Random;

/// One change of the state of a key and a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets the value.
    ValueSet(u64),
    /// Adds to the value, beginning with 0.
    ValueAdd(u64),
    /// Appends one element.
    ListAdd(String),
    /// Appends elements, or none.
    ListAddAll(Vec<String>),
    /// Replaces the list, also by an empty one.
    ListSet(Vec<String>),
    /// Removes the first element.
    ListPopFront,
    /// Removes elements from the front.
    ListRemoveFront(u64),
    /// Removes all but the first elements.
    ListTruncate(u64),
    /// Makes the change of a list in the long list.
    OfLongList(Box<Change>),
    /// Sets a user key.
    MapPut(u32, String),
    /// Appends to the text of a user key, beginning with an empty one.
    MapAppend(u32, String),
    /// Removes a user key.
    MapRemove(u32),
    /// Reduces a value into the state.
    ReducingAdd(u64),
    /// Adds an input.
    AggregatingAdd(u64),
    /// Registers a timer.
    TimerRegister(TimeDomain, i64),
    /// Deletes a timer.
    TimerDelete(TimeDomain, i64),
    /// Sets a user key of the sorted map.
    SortedMapPut(i32, String),
    /// Appends to the text of a user key of the sorted map, beginning with an empty one.
    SortedMapAppend(i32, String),
    /// Removes a user key of the sorted map.
    SortedMapRemove(i32),
    /// Removes the first entry of the sorted map.
    SortedMapPopFirst,
    /// Removes everything.
    Clear(Kind),
}

/// The times of all timers of programs, in order.
pub const TIMES_MS: [i64; 6] = [i64::MIN, -300, -1, 0, 1_000, i64::MAX];

/// What the reducing state does; the order of the values matters.
pub const fn reduce(value: u64, other: u64) -> u64 {
    value.wrapping_mul(31).wrapping_add(other)
}

/// Counts inputs and adds them up.
#[derive(Debug, Clone, Copy)]
pub struct CountAndSum;

impl AggregateFunction for CountAndSum {
    type Input = u64;
    type Accumulator = (u64, u64);
    type Output = (u64, u64);

    fn create(&self) -> (u64, u64) {
        (0, 0)
    }

    fn add(&self, (count, sum): &mut (u64, u64), input: u64) {
        *count += 1;
        *sum = sum.wrapping_add(input);
    }

    fn result(&self, accumulator: &(u64, u64)) -> (u64, u64) {
        *accumulator
    }

    fn merge(&self, (count, sum): &mut (u64, u64), other: &(u64, u64)) {
        *count += other.0;
        *sum = sum.wrapping_add(other.1);
    }
}

/// Registers the value state `value`, or finds it again; so do the others.
pub fn value_state(backend: &mut impl KeyedStateBackend) -> ValueState<u64, u32> {
    backend.value_state(ValueStateDescriptor::<u64>::new("value").namespaced()).unwrap()
}

/// The map state `map`.
pub fn map_state(backend: &mut impl KeyedStateBackend) -> MapState<u32, String, u32> {
    backend.map_state(MapStateDescriptor::<u32, String>::new("map").namespaced()).unwrap()
}

/// The reducing state `reducing`.
pub fn reducing_state(backend: &mut impl KeyedStateBackend) -> ReducingState<u64, u32> {
    let function = |value: &mut u64, other| *value = reduce(*value, other);
    let descriptor = ReducingStateDescriptor::<u64>::new("reducing", function);
    backend.reducing_state(descriptor.namespaced()).unwrap()
}

/// The aggregating state `aggregating`.
pub fn aggregating_state(
    backend: &mut impl KeyedStateBackend,
) -> AggregatingState<CountAndSum, u32> {
    let descriptor = AggregatingStateDescriptor::new("aggregating", CountAndSum);
    backend.aggregating_state(descriptor.namespaced()).unwrap()
}

/// The timer service `timers`.
pub fn timers(backend: &mut impl KeyedStateBackend) -> Timers<u32> {
    backend.timers(TimerDescriptor::new("timers").namespaced()).unwrap()
}

/// Registers all states.
pub fn register_all(backend: &mut impl KeyedStateBackend) {
    for kind in Kind::ALL {
        register(backend, kind);
    }
}

/// Registers one state.
pub fn register(backend: &mut impl KeyedStateBackend, kind: Kind) {
    match kind {
        Kind::Value => drop(value_state(backend)),
        Kind::List => drop(list_state(backend)),
        Kind::Map => drop(map_state(backend)),
        Kind::Reducing => drop(reducing_state(backend)),
        Kind::Aggregating => drop(aggregating_state(backend)),
        Kind::Timers => drop(timers(backend)),
        Kind::SortedMap => drop(sorted_map_state(backend)),
        Kind::LongList => drop(long_list_state(backend)),
    }
}

fn text(random: &mut Random) -> String {
    let len = if random.one_in(50) { random.index(2_000) } else { random.index(12) };
    let letter = *random.pick(&["a", "b", "\u{e9}", "\u{6c34}", "\0"]);
    letter.repeat(len)
}

fn texts(random: &mut Random) -> Vec<String> {
    (0..random.below(4)).map(|_| text(random)).collect()
}

impl Change {
    /// A change drawn at random.
    pub fn draw(random: &mut Random) -> Self {
        let user_key = u32::try_from(random.below(6)).unwrap();
        let (domain, time_ms) = (*random.pick(&TimeDomain::ALL), *random.pick(&TIMES_MS));
        match random.below(40) {
            0..2 => Self::ValueSet(random.next_u64()),
            2..4 => Self::ValueAdd(random.below(100)),
            4..6 => Self::ListAdd(text(random)),
            6 => Self::ListAddAll(texts(random)),
            7 => Self::ListSet(texts(random)),
            8..10 => Self::MapPut(user_key, text(random)),
            10 => Self::MapAppend(user_key, text(random)),
            11..13 => Self::MapRemove(user_key),
            13..15 => Self::ReducingAdd(random.next_u64()),
            15..17 => Self::AggregatingAdd(random.below(1_000)),
            17..20 => Self::TimerRegister(domain, time_ms),
            20..22 => Self::TimerDelete(domain, time_ms),
            22..28 => Self::draw_of_sorted_map(random),
            28..31 => Self::draw_of_list_ends(random),
            31..37 => Self::OfLongList(Box::new(Self::draw_of_list(random))),
            _ => Self::Clear(*random.pick(&Kind::ALL)),
        }
    }

    /// A change of a state of one of some kinds, drawn at random.
    pub fn draw_of(random: &mut Random, kinds: &[Kind]) -> Self {
        loop {
            let change = Self::draw(random);
            if kinds.contains(&change.kind()) {
                return change;
            }
        }
    }

    /// The state that it changes.
    pub fn kind(&self) -> Kind {
        match self {
            Self::ValueSet(_) | Self::ValueAdd(_) => Kind::Value,
            Self::ListAdd(_)
            | Self::ListAddAll(_)
            | Self::ListSet(_)
            | Self::ListPopFront
            | Self::ListRemoveFront(_)
            | Self::ListTruncate(_) => Kind::List,
            Self::OfLongList(_) => Kind::LongList,
            Self::MapPut(..) | Self::MapAppend(..) | Self::MapRemove(_) => Kind::Map,
            Self::ReducingAdd(_) => Kind::Reducing,
            Self::AggregatingAdd(_) => Kind::Aggregating,
            Self::TimerRegister(..) | Self::TimerDelete(..) => Kind::Timers,
            Self::SortedMapPut(..)
            | Self::SortedMapAppend(..)
            | Self::SortedMapRemove(_)
            | Self::SortedMapPopFirst => Kind::SortedMap,
            Self::Clear(kind) => *kind,
        }
    }

    /// What is there after the change.
    ///
    /// Panics: when the content before is of another kind.
    pub fn result(&self, before: Option<Content>) -> Option<Content> {
        match self.kind() {
            Kind::List => self.resulting_list(before),
            Kind::LongList => self.resulting_long_list(before),
            Kind::Map => self.resulting_map(before),
            Kind::Timers => self.resulting_timers(before),
            Kind::SortedMap => self.resulting_sorted_map(before),
            kind => self.resulting_number(kind, before),
        }
    }

    fn resulting_number(&self, kind: Kind, before: Option<Content>) -> Option<Content> {
        Some(match (self, before) {
            (Self::Clear(_), _) => return None,
            (Self::ValueSet(value), _) => Content::Value(*value),
            (Self::ValueAdd(by), None) => Content::Value(*by),
            (Self::ValueAdd(by), Some(Content::Value(value))) => {
                Content::Value(value.wrapping_add(*by))
            }
            (Self::ReducingAdd(first), None) => Content::Reducing(*first),
            (Self::ReducingAdd(other), Some(Content::Reducing(value))) => {
                Content::Reducing(reduce(value, *other))
            }
            (Self::AggregatingAdd(input), None) => Content::Aggregating((1, *input)),
            (Self::AggregatingAdd(input), Some(Content::Aggregating((count, sum)))) => {
                Content::Aggregating((count + 1, sum.wrapping_add(*input)))
            }
            (_, before) => panic!("{kind:?} held {before:?}"),
        })
    }

    fn resulting_map(&self, before: Option<Content>) -> Option<Content> {
        let mut map = match before {
            None => BTreeMap::new(),
            Some(Content::Map(map)) => map,
            Some(other) => panic!("a map held {other:?}"),
        };
        match self {
            Self::MapPut(user_key, value) => {
                map.insert(*user_key, value.clone());
            }
            Self::MapAppend(user_key, more) => map.entry(*user_key).or_default().push_str(more),
            Self::MapRemove(user_key) => {
                map.remove(user_key);
            }
            _ => map.clear(),
        }
        (!map.is_empty()).then_some(Content::Map(map))
    }

    fn resulting_timers(&self, before: Option<Content>) -> Option<Content> {
        let mut timers = match before {
            None => BTreeSet::new(),
            Some(Content::Timers(timers)) => timers,
            Some(other) => panic!("timers held {other:?}"),
        };
        match self {
            Self::TimerRegister(domain, time_ms) => {
                timers.insert((*domain, *time_ms));
            }
            Self::TimerDelete(domain, time_ms) => {
                timers.remove(&(*domain, *time_ms));
            }
            _ => timers.clear(),
        }
        (!timers.is_empty()).then_some(Content::Timers(timers))
    }

    /// Makes the change in a backend, which must own the key.
    pub fn apply<S: KeyedStateBackend<Key = String>>(
        &self,
        backend: &mut S,
        key: &String,
        namespace: u32,
    ) {
        match self.kind() {
            Kind::Value => self.apply_to_value(backend, key, namespace),
            Kind::List | Kind::LongList => self.apply_to_list(backend, key, namespace),
            Kind::Map => self.apply_to_map(backend, key, namespace),
            Kind::SortedMap => self.apply_to_sorted_map(backend, key, namespace),
            Kind::Reducing => {
                let state = reducing_state(backend);
                let mut at = backend.at_namespace(key, &namespace).unwrap();
                match self {
                    Self::ReducingAdd(value) => state.add(&mut at, *value).unwrap(),
                    _ => state.clear(&mut at).unwrap(),
                }
            }
            Kind::Aggregating => {
                let state = aggregating_state(backend);
                let mut at = backend.at_namespace(key, &namespace).unwrap();
                match self {
                    Self::AggregatingAdd(input) => state.add(&mut at, *input).unwrap(),
                    _ => state.clear(&mut at).unwrap(),
                }
            }
            Kind::Timers => {
                let state = timers(backend);
                let mut at = backend.at_namespace(key, &namespace).unwrap();
                match self {
                    Self::TimerRegister(domain, time_ms) => {
                        state.register(&mut at, *domain, *time_ms).unwrap();
                    }
                    Self::TimerDelete(domain, time_ms) => {
                        state.delete(&mut at, *domain, *time_ms).unwrap();
                    }
                    _ => state.clear(&mut at).unwrap(),
                }
            }
        }
    }

    fn apply_to_value<S: KeyedStateBackend<Key = String>>(
        &self,
        backend: &mut S,
        key: &String,
        namespace: u32,
    ) {
        let state = value_state(backend);
        let mut at = backend.at_namespace(key, &namespace).unwrap();
        match self {
            Self::ValueSet(value) => state.set(&mut at, *value).unwrap(),
            Self::ValueAdd(by) => {
                state.update(&mut at, |value| *value = value.wrapping_add(*by)).unwrap();
            }
            _ => state.clear(&mut at).unwrap(),
        }
    }

    fn apply_to_map<S: KeyedStateBackend<Key = String>>(
        &self,
        backend: &mut S,
        key: &String,
        namespace: u32,
    ) {
        let state = map_state(backend);
        let mut at = backend.at_namespace(key, &namespace).unwrap();
        match self {
            Self::MapPut(user_key, value) => state.put(&mut at, *user_key, value.clone()).unwrap(),
            Self::MapAppend(user_key, more) => {
                state.update(&mut at, *user_key, |text| text.push_str(more)).unwrap();
            }
            Self::MapRemove(user_key) => state.remove(&mut at, user_key).unwrap(),
            _ => state.clear(&mut at).unwrap(),
        }
    }
}
