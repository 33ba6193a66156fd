//! One state of each kind, with a time to live and without, and what the cases write into them.

use std::time::Duration;

use alluvium::core::KeyGroupAssigner;
use alluvium::format::codec::{Codec, DefaultCodec};
use alluvium::state::{
    AggregateFunction, AggregatingState, AggregatingStateDescriptor, KeyedStateBackend, ListState,
    ListStateDescriptor, MapState, MapStateDescriptor, ReducingState, ReducingStateDescriptor,
    SortedMapState, SortedMapStateDescriptor, StateTtl, TimeDomain, TimerDescriptor, Timers,
    ValueState, ValueStateDescriptor,
};
use alluvium_testkit::clock::ManualClock;
use alluvium_testkit::random::Random;

use super::{TIMES_MS, parallelism};

/// How long stamps live, so long that nothing expires while a case is written.
const TIME_TO_LIVE: Duration = Duration::from_secs(3_600);
const KEYS: u64 = 20;

/// How many numbers came, and their sum.
#[derive(Debug, Clone, Copy)]
pub(super) struct CountAndSum;

impl AggregateFunction for CountAndSum {
    type Input = u64;
    type Accumulator = (u64, u64);
    type Output = (u64, u64);

    fn create(&self) -> (u64, u64) {
        (0, 0)
    }

    fn add(&self, (count, sum): &mut (u64, u64), input: u64) {
        *count += 1;
        *sum += input;
    }

    fn result(&self, both: &(u64, u64)) -> (u64, u64) {
        *both
    }

    fn merge(&self, (count, sum): &mut (u64, u64), (more, other): &(u64, u64)) {
        *count += more;
        *sum += other;
    }
}

/// Adds numbers up.
pub(super) fn add(sum: &mut u64, other: u64) {
    *sum += other;
}

struct States {
    value: ValueState<u64>,
    window: ValueState<String, u32>,
    list: ListState<String>,
    long: ListState<u64>,
    map: MapState<u32, String>,
    sorted: SortedMapState<i64, u64>,
    reducing: ReducingState<u64>,
    aggregating: AggregatingState<CountAndSum>,
    timers: Timers<()>,
    ttl_value: ValueState<u64>,
    ttl_list: ListState<u64>,
    ttl_long: ListState<u64>,
    ttl_map: MapState<u32, u64>,
}

fn register(keyed: &mut impl KeyedStateBackend, clock: &ManualClock) -> States {
    let ttl = StateTtl::new(TIME_TO_LIVE, clock.state_clock()).cleanup_incrementally(0);
    let window = ValueStateDescriptor::<String>::new("window").namespaced::<u32>();
    let reducing = ReducingStateDescriptor::<u64>::new("reducing", add);
    let ttl_value = ValueStateDescriptor::<u64>::new("value ttl").ttl(ttl.clone());
    let ttl_list = ListStateDescriptor::<u64>::new("list ttl").ttl(ttl.clone());
    let ttl_long = ListStateDescriptor::<u64>::new("long list ttl").long().ttl(ttl.clone());
    let ttl_map = MapStateDescriptor::<u32, u64>::new("map ttl").ttl(ttl);
    let sorted = SortedMapStateDescriptor::<i64, u64>::new("sorted map");
    let aggregating = AggregatingStateDescriptor::new("aggregating", CountAndSum);
    States {
        value: keyed.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap(),
        window: keyed.value_state(window).unwrap(),
        list: keyed.list_state(ListStateDescriptor::<String>::new("list")).unwrap(),
        long: keyed.list_state(ListStateDescriptor::<u64>::new("long list").long()).unwrap(),
        map: keyed.map_state(MapStateDescriptor::<u32, String>::new("map")).unwrap(),
        sorted: keyed.sorted_map_state(sorted).unwrap(),
        reducing: keyed.reducing_state(reducing).unwrap(),
        aggregating: keyed.aggregating_state(aggregating).unwrap(),
        timers: keyed.timers(TimerDescriptor::new("timers")).unwrap(),
        ttl_value: keyed.value_state(ttl_value).unwrap(),
        ttl_list: keyed.list_state(ttl_list).unwrap(),
        ttl_long: keyed.list_state(ttl_long).unwrap(),
        ttl_map: keyed.map_state(ttl_map).unwrap(),
    }
}

/// Writes to some states of all keys at first, and of some keys later, so that blocks of both sorts are
/// written; what, depends on the time alone.
pub(super) fn fill<S: KeyedStateBackend<Key = String>>(
    subtasks: &mut [S],
    assigner: KeyGroupAssigner<String>,
    clock: &ManualClock,
) {
    let mut random = Random::new(clock.now_ms());
    let is_first = clock.now_ms() == TIMES_MS[0];
    for number in (0..KEYS).filter(|number| is_first || number % 5 == 0) {
        let key = format!("key {number}");
        let mut encoded = Vec::new();
        DefaultCodec.encode(&key, &mut encoded).unwrap();
        let group = assigner.assign(&key, &encoded, parallelism().max());
        let owner = usize::from(parallelism().owner_of(group).get());
        let keyed = subtasks.get_mut(owner).unwrap();
        let states = register(keyed, clock);
        for _ in 0..6 {
            write_one(keyed, &states, &key, &mut random);
        }
    }
}

fn write_one<S: KeyedStateBackend<Key = String>>(
    keyed: &mut S,
    states: &States,
    key: &String,
    random: &mut Random,
) {
    let number = random.below(1_000);
    let small = u32::try_from(random.below(3)).unwrap();
    let choice = random.below(16);
    if choice == 0 {
        let mut at = keyed.at_namespace(key, &small).unwrap();
        return states.window.set(&mut at, format!("text {number}")).unwrap();
    }
    let mut at = keyed.at(key).unwrap();
    match choice {
        1 => states.value.set(&mut at, number).unwrap(),
        2 => states.list.add_all(&mut at, [String::new(), format!("text {number}")]).unwrap(),
        3 => states.long.add_all(&mut at, [number, number + 1]).unwrap(),
        4 => states.map.put(&mut at, small, format!("text {number}")).unwrap(),
        5 => states.sorted.put(&mut at, i64::from(small) - 1, number).unwrap(),
        6 => states.reducing.add(&mut at, number).unwrap(),
        7 => states.aggregating.add(&mut at, number).unwrap(),
        8 | 9 => {
            let domains = [TimeDomain::EventTime, TimeDomain::ProcessingTime];
            let time_ms = i64::try_from(number).unwrap() - 100;
            states.timers.register(&mut at, *random.pick(&domains), time_ms).unwrap();
        }
        10 => states.ttl_value.set(&mut at, number).unwrap(),
        11 => states.ttl_list.add(&mut at, number).unwrap(),
        12 => states.ttl_long.add_all(&mut at, [number, number + 1]).unwrap(),
        13 => states.ttl_map.put(&mut at, small, number).unwrap(),
        14 => drop(states.long.pop_front(&mut at).unwrap()),
        _ => states.value.clear(&mut at).unwrap(),
    }
}
