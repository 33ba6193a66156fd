//! A backend with state of one kind, and the cases on it.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use alluvium_state::{
    Clock, KeyedStateBackend, ListState, ListStateDescriptor, MapState, MapStateDescriptor,
    StateTtl, UpdateType, ValueState, ValueStateDescriptor,
};

use super::inputs::{Access, Content, Inputs};
use super::{Case, Kind};
use crate::measure::timed;
use crate::random::Random;

/// What fails only when the bench itself is wrong.
const RIGHT_USE: &str = "a key of an own key group and an own handle";
/// Time to live, and how far stamps lie apart at first, in milliseconds.
const TIME_TO_LIVE_MS: u64 = 1_000_000;
const STAMP_SEED: u64 = 7;
/// Runs after which state that expires is filled again.
const RUNS_OF_A_LIFE: u32 = 10;

/// How state expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// Percent of the first keys that expire with each run; 0 when time stands still.
    pub percent_per_run: u64,
    /// What gives a value a new stamp.
    pub update: UpdateType,
}

/// What a run of a case gave.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// How long it took.
    pub took: Duration,
    /// A number that depends on all that was read.
    pub checksum: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Value(ValueState<u64>),
    List(ListState<u64>),
    Map(MapState<u64, f64>),
}

/// A backend in which each key has state.
pub struct Subject<B> {
    keyed: B,
    state: State,
    inputs: Inputs,
    entries: Vec<(u64, f64)>,
    /// Number of the next access.
    next: u64,
    expiry: Option<Expiry>,
    now_ms: Arc<AtomicI64>,
    runs: u32,
}

impl<B: KeyedStateBackend<Key = u64>> Subject<B> {
    /// Fills an empty backend.
    pub fn new(keyed: B, kind: Kind, keys: u64, expiry: Option<Expiry>) -> Self {
        let mut subject = Self::with_state(keyed, kind, keys, expiry);
        subject.fill();
        subject
    }

    /// Takes a backend with what was restored into it from one that was filled.
    pub fn restored(keyed: B, kind: Kind, keys: u64) -> Self {
        Self::with_state(keyed, kind, keys, None)
    }

    /// The backend, for snapshots.
    pub const fn keyed(&mut self) -> &mut B {
        &mut self.keyed
    }

    /// Runs a case so many times, one key after the other.
    pub fn run(&mut self, case: Case, operations: u64) -> Done {
        self.pass_time();
        let accesses = self.inputs.accesses(self.next, operations);
        self.next += operations;
        let (took, checksum) = match self.state {
            State::Value(state) => self.run_value(state, case, &accesses),
            State::List(state) => self.run_list(state, case, &accesses),
            State::Map(state) => self.run_map(state, case, &accesses),
        };
        self.put_back(case, &accesses);
        Done { took, checksum }
    }

    /// A number that depends on all state.
    pub fn digest(&mut self) -> u64 {
        let mut sum = 0_u64;
        for key in 0..2 * self.inputs.keys {
            let at = self.keyed.at(&key).expect(RIGHT_USE);
            let own = match self.state {
                State::Value(state) => state.get(&at).expect(RIGHT_USE).map_or(0, |value| *value),
                State::List(state) => sum_of_list(state, &at),
                State::Map(state) => sum_of_map(state, &at),
            };
            sum = sum.wrapping_add(own.wrapping_mul(key | 1));
        }
        sum
    }

    fn with_state(mut keyed: B, kind: Kind, keys: u64, expiry: Option<Expiry>) -> Self {
        let now_ms = Arc::new(AtomicI64::new(0));
        let state = register(&mut keyed, kind, expiry, &now_ms);
        let inputs = Inputs::new(keys);
        let entries = inputs.entries();
        Self { keyed, state, inputs, entries, next: 0, expiry, now_ms, runs: 0 }
    }

    fn run_value(
        &mut self,
        state: ValueState<u64>,
        case: Case,
        accesses: &[Access],
    ) -> (Duration, u64) {
        let keyed = &mut self.keyed;
        match case {
            Case::ValueGet => over(accesses, |access| {
                let at = keyed.at(&access.key).expect(RIGHT_USE);
                state.get(&at).expect(RIGHT_USE).map_or(0, |value| *value)
            }),
            Case::ValueUpdate => over(accesses, |access| {
                let mut at = keyed.at(&access.key).expect(RIGHT_USE);
                state.set(&mut at, access.value).expect(RIGHT_USE);
                0
            }),
            _ => over(accesses, |access| {
                let mut at = keyed.at(&access.new_key).expect(RIGHT_USE);
                state.set(&mut at, access.value).expect(RIGHT_USE);
                0
            }),
        }
    }

    fn run_list(
        &mut self,
        state: ListState<u64>,
        case: Case,
        accesses: &[Access],
    ) -> (Duration, u64) {
        let keyed = &mut self.keyed;
        match case {
            Case::ListGet => over(accesses, |access| {
                let at = keyed.at(&access.key).expect(RIGHT_USE);
                black_box(state.elements(&at).expect(RIGHT_USE));
                0
            }),
            Case::ListGetAndIterate => over(accesses, |access| {
                let at = keyed.at(&access.key).expect(RIGHT_USE);
                sum_of_list(state, &at)
            }),
            Case::ListAppend => over(accesses, |access| {
                let mut at = keyed.at(&access.key).expect(RIGHT_USE);
                state.add(&mut at, access.value).expect(RIGHT_USE);
                0
            }),
            Case::ListAdd => over(accesses, |access| {
                let mut at = keyed.at(&access.new_key).expect(RIGHT_USE);
                state.set(&mut at, vec![access.value]).expect(RIGHT_USE);
                0
            }),
            _ => over(accesses, |access| {
                let mut at = keyed.at(&access.key).expect(RIGHT_USE);
                state.set(&mut at, vec![access.value]).expect(RIGHT_USE);
                0
            }),
        }
    }

    fn run_map(
        &mut self,
        state: MapState<u64, f64>,
        case: Case,
        accesses: &[Access],
    ) -> (Duration, u64) {
        let (keyed, entries) = (&mut self.keyed, &self.entries);
        match case {
            Case::MapGet => over(accesses, |access| {
                let at = keyed.at(&access.key).expect(RIGHT_USE);
                let value = state.get(&at, &access.map_key).expect(RIGHT_USE);
                value.map_or(0, |value| value.to_bits())
            }),
            Case::MapContains => over(accesses, |access| {
                let at = keyed.at(&access.key).expect(RIGHT_USE);
                u64::from(state.contains(&at, &(access.map_key << 1)).expect(RIGHT_USE))
            }),
            Case::MapUpdate => over(accesses, |access| {
                let mut at = keyed.at(&access.key).expect(RIGHT_USE);
                state.put(&mut at, access.map_key, access.map_value).expect(RIGHT_USE);
                0
            }),
            Case::MapIterate => over(accesses, |access| {
                let at = keyed.at(&access.key).expect(RIGHT_USE);
                sum_of_map(state, &at)
            }),
            Case::MapAdd => over(accesses, |access| {
                let mut at = keyed.at(&access.new_key).expect(RIGHT_USE);
                state.put(&mut at, access.map_key, access.map_value).expect(RIGHT_USE);
                0
            }),
            Case::MapPutAll => over(accesses, |access| {
                let mut at = keyed.at(&access.key).expect(RIGHT_USE);
                state.put_all(&mut at, entries.iter().copied()).expect(RIGHT_USE);
                0
            }),
            _ => over(accesses, |access| {
                let mut at = keyed.at(&access.key).expect(RIGHT_USE);
                state.remove(&mut at, &access.map_key).expect(RIGHT_USE);
                0
            }),
        }
    }

    /// Removes what a case has added, and puts back what it has removed.
    fn put_back(&mut self, case: Case, accesses: &[Access]) {
        for access in accesses {
            match (case, self.state) {
                (Case::ValueAdd, State::Value(state)) => {
                    state.clear(&mut self.keyed.at(&access.new_key).expect(RIGHT_USE))
                }
                (Case::ListAdd, State::List(state)) => {
                    state.clear(&mut self.keyed.at(&access.new_key).expect(RIGHT_USE))
                }
                (Case::MapAdd, State::Map(state)) => {
                    state.clear(&mut self.keyed.at(&access.new_key).expect(RIGHT_USE))
                }
                (Case::MapRemove, State::Map(state)) => {
                    let mut at = self.keyed.at(&access.key).expect(RIGHT_USE);
                    state.put(&mut at, access.map_key, access.map_value)
                }
                _ => return,
            }
            .expect(RIGHT_USE);
        }
    }

    fn fill(&mut self) {
        let (mut content, mut stamps) = (Content::new(), Random::new(STAMP_SEED));
        self.now_ms.store(0, Ordering::Relaxed);
        for key in 0..self.inputs.keys {
            if self.expiry.is_some() {
                let stamp = stamps.below(TIME_TO_LIVE_MS + 1).cast_signed();
                self.now_ms.store(stamp, Ordering::Relaxed);
            }
            let mut at = self.keyed.at(&key).expect(RIGHT_USE);
            match self.state {
                State::Value(state) => state.set(&mut at, content.value()).expect(RIGHT_USE),
                State::List(state) => state.set(&mut at, content.list()).expect(RIGHT_USE),
                State::Map(state) => {
                    for user_key in self.inputs.map_keys() {
                        let value = content.user_value();
                        state.put(&mut at, *user_key, value).expect(RIGHT_USE);
                    }
                }
            }
        }
        self.now_ms.store(TIME_TO_LIVE_MS.cast_signed(), Ordering::Relaxed);
        self.runs = 0;
    }

    fn pass_time(&mut self) {
        let Some(Expiry { percent_per_run: percent @ 1.., .. }) = self.expiry else { return };
        if self.runs == RUNS_OF_A_LIFE {
            self.fill();
        }
        self.runs += 1;
        let passed = TIME_TO_LIVE_MS.cast_signed() / 100 * percent.cast_signed();
        self.now_ms.fetch_add(passed, Ordering::Relaxed);
    }
}

fn register<B: KeyedStateBackend<Key = u64>>(
    keyed: &mut B,
    kind: Kind,
    expiry: Option<Expiry>,
    now_ms: &Arc<AtomicI64>,
) -> State {
    let now_ms = Arc::clone(now_ms);
    let ttl = expiry.map(|expiry| {
        let clock = Clock::new(move || now_ms.load(Ordering::Relaxed));
        StateTtl::new(Duration::from_millis(TIME_TO_LIVE_MS), clock).update(expiry.update)
    });
    match kind {
        Kind::Value => {
            let mut descriptor = ValueStateDescriptor::<u64>::new("value");
            descriptor.ttl = ttl;
            State::Value(keyed.value_state(descriptor).expect("a new state"))
        }
        Kind::List => {
            let mut descriptor = ListStateDescriptor::<u64>::new("list");
            descriptor.ttl = ttl;
            State::List(keyed.list_state(descriptor).expect("a new state"))
        }
        Kind::Map => {
            let mut descriptor = MapStateDescriptor::<u64, f64>::new("map");
            descriptor.ttl = ttl;
            State::Map(keyed.map_state(descriptor).expect("a new state"))
        }
    }
}

/// The measured part: `operation` for each access.
#[inline]
fn over(accesses: &[Access], mut operation: impl FnMut(&Access) -> u64) -> (Duration, u64) {
    timed(|| {
        let mut sum = 0_u64;
        for access in accesses {
            sum = sum.wrapping_add(operation(access));
        }
        black_box(sum)
    })
}

#[inline]
fn sum_of_list<C: alluvium_state::KeyContext<Namespace = ()>>(
    state: ListState<u64>,
    at: &C,
) -> u64 {
    let mut sum = 0_u64;
    for element in state.elements(at).expect(RIGHT_USE) {
        sum = sum.wrapping_add(*element.expect(RIGHT_USE));
    }
    sum
}

#[inline]
fn sum_of_map<C: alluvium_state::KeyContext<Namespace = ()>>(
    state: MapState<u64, f64>,
    at: &C,
) -> u64 {
    let mut sum = 0_u64;
    for entry in state.entries(at).expect(RIGHT_USE) {
        let (user_key, value) = entry.expect(RIGHT_USE);
        sum = sum.wrapping_add(*user_key).wrapping_add(value.to_bits());
    }
    sum
}
