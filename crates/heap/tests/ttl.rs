//! Clean-up of state with a time to live while a job works: bounded, of idle keys too, under frozen
//! states and beside what is not loaded.
#![expect(clippy::unwrap_used, reason = "functions that the tests share are not tests to clippy")]

use std::time::Duration;

use alluvium_core::StoragePath;
use alluvium_format::codec::DefaultCodec;
use alluvium_heap::{HeapKeyedStateBackend, HeapStateBackend, IncrementalOptions, StateMapKind};
use alluvium_state::{
    KeyedStateBackend, ListState, ListStateDescriptor, MapState, MapStateDescriptor, StateTtl,
    ValueState, ValueStateDescriptor,
};
use alluvium_storage::StreamPolicy;
use alluvium_testkit::clock::ManualClock;
use alluvium_testkit::job::{TestJob, complete_all};
use alluvium_testkit::model::run_ttl_program;

type Keyed = HeapKeyedStateBackend<u64, DefaultCodec>;
type Job<'b> = TestJob<'b, HeapStateBackend, u64>;

const COPY_ON_WRITE: HeapStateBackend = HeapStateBackend::new(StateMapKind::CopyOnWrite);
const SMALL_SEGMENTS: HeapStateBackend = COPY_ON_WRITE.max_segment_entries(3);
const NESTED: HeapStateBackend = HeapStateBackend::new(StateMapKind::Nested);
const KEYS: u64 = 500;
/// Seeds of the random programs.
const PROGRAMS: u64 = 100;
/// Steps of each program.
const STEPS: usize = 400;

fn ttl_by(clock: &ManualClock) -> StateTtl {
    StateTtl::new(Duration::from_millis(100), clock.state_clock())
}

fn job(backend: &HeapStateBackend) -> Job<'_> {
    let mut job = Job::new(backend);
    job.policy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };
    job
}

#[derive(Clone, Copy)]
struct States {
    value: ValueState<u64>,
    list: ListState<String>,
    map: MapState<u16, u64>,
}

fn register(keyed: &mut Keyed, ttl: Option<&StateTtl>) -> States {
    let mut value = ValueStateDescriptor::<u64>::new("value");
    let mut list = ListStateDescriptor::<String>::new("list");
    let mut map = MapStateDescriptor::<u16, u64>::new("map");
    (value.ttl, list.ttl, map.ttl) = (ttl.cloned(), ttl.cloned(), ttl.cloned());
    States {
        value: keyed.value_state(value).unwrap(),
        list: keyed.list_state(list).unwrap(),
        map: keyed.map_state(map).unwrap(),
    }
}

fn add(keyed: &mut Keyed, states: States, key: u64, number: u16) {
    let mut at = keyed.at(&key).unwrap();
    states.value.set(&mut at, u64::from(number)).unwrap();
    states.list.add(&mut at, number.to_string()).unwrap();
    states.map.put(&mut at, number, 1).unwrap();
}

fn filled(job: &Job<'_>, ttl: &StateTtl) -> (Keyed, States) {
    let mut keyed = job.open_one(&[]);
    let states = register(&mut keyed, Some(ttl));
    for key in 0..KEYS {
        add(&mut keyed, states, key, 1);
    }
    (keyed, states)
}

/// Opens a key that has nothing, and touches no state.
fn open_another_key(keyed: &mut Keyed, times: usize) {
    for _ in 0..times {
        keyed.at(&u64::MAX).unwrap();
    }
}

fn entries(keyed: &Keyed) -> usize {
    keyed.entry_count().unwrap()
}

/// In Flink a heap state that nobody accesses is never cleaned up (FLINK-10473).
#[test]
fn idle_keys_are_cleaned_up_without_being_read() {
    for backend in [COPY_ON_WRITE, SMALL_SEGMENTS, NESTED] {
        let (job, clock) = (job(&backend), ManualClock::new(1_000));
        let (mut keyed, _) = filled(&job, &ttl_by(&clock));
        let all = usize::try_from(3 * KEYS).unwrap();
        open_another_key(&mut keyed, 5_000);
        assert_eq!(entries(&keyed), all, "nothing has expired");
        clock.set(1_100);
        let mut before = all;
        for _ in 0..5_000 {
            open_another_key(&mut keyed, 1);
            let now = entries(&keyed);
            assert!(before - now <= 5, "{} entries in one step", before - now);
            before = now;
        }
        assert_eq!(before, 0, "{backend:?}");
    }
}

#[test]
fn nothing_is_cleaned_up_where_it_is_turned_off() {
    for backend in [COPY_ON_WRITE, NESTED] {
        let (job, clock) = (job(&backend), ManualClock::new(1_000));
        let (mut keyed, _) = filled(&job, &ttl_by(&clock).cleanup_incrementally(0));
        clock.set(1_100);
        let before = entries(&keyed);
        open_another_key(&mut keyed, 2_000);
        assert_eq!(entries(&keyed), before);
    }
}

/// Elements and entries go one by one. What an incremental snapshot holds afterwards is seen by
/// whoever restores it without a time to live.
#[test]
fn elements_and_entries_are_cleaned_up_one_by_one_and_deltas_say_so() {
    for backend in [COPY_ON_WRITE, SMALL_SEGMENTS, SMALL_SEGMENTS.lazy()] {
        let (job, clock) = (job(&backend), ManualClock::new(1_000));
        let (mut keyed, states) = filled(&job, &ttl_by(&clock));
        clock.set(1_080);
        for key in 0..KEYS / 2 {
            add(&mut keyed, states, key, 2);
        }
        let base = job.snapshot_one(&mut keyed);
        let frozen = job.freeze_one(&mut keyed);
        let checkpoint = frozen.checkpoint();
        clock.set(1_100);
        open_another_key(&mut keyed, 5_000);
        assert_eq!(entries(&keyed), usize::try_from(3 * KEYS / 2).unwrap());
        let after = job.freeze_one(&mut keyed);
        let frozen = frozen.write();
        complete_all(std::slice::from_mut(&mut keyed), checkpoint);
        let after = after.write();

        for handles in [&base, &frozen] {
            let mut restored = job.open_one(handles);
            let states = register(&mut restored, None);
            assert_eq!(entries(&restored), usize::try_from(3 * KEYS).unwrap());
            let at = restored.at(&0).unwrap();
            assert_eq!(states.list.elements(&at).unwrap().count(), 2);
        }
        let mut restored = job.open_one(&after);
        let states = register(&mut restored, None);
        assert_eq!(entries(&restored), usize::try_from(3 * KEYS / 2).unwrap());
        for key in 0..KEYS / 2 {
            let at = restored.at(&key).unwrap();
            let list: Vec<String> =
                states.list.elements(&at).unwrap().map(|it| it.unwrap().into_owned()).collect();
            assert_eq!(list, ["2"]);
            let map: Vec<u16> = states.map.keys(&at).unwrap().map(|it| *it.unwrap()).collect();
            assert_eq!(map, [2]);
        }
    }
}

/// The files are gone: loading anything would fail the step.
#[test]
fn what_is_not_loaded_is_passed_over() {
    let backend = SMALL_SEGMENTS.lazy();
    let (job, clock) = (job(&backend), ManualClock::new(1_000));
    let (mut keyed, _) = filled(&job, &ttl_by(&clock));
    let handles = job.snapshot_one(&mut keyed);
    clock.set(2_000);
    let mut keyed = job.open_one(&handles);
    register(&mut keyed, Some(&ttl_by(&clock)));
    for entry in job.storage().list(None).unwrap() {
        job.storage().delete_dir(&StoragePath::new(&entry.name).unwrap()).unwrap();
    }
    let before = entries(&keyed);
    open_another_key(&mut keyed, 5_000);
    assert_eq!(entries(&keyed), before);
}

/// A very large list or map is looked at in part, until half of it has expired.
#[test]
fn large_lists_and_maps_are_cleaned_up_when_it_pays() {
    const LEN: u16 = 5_000;
    let (job, clock) = (job(&COPY_ON_WRITE), ManualClock::new(1_000));
    let mut keyed = job.open_one(&[]);
    let states = register(&mut keyed, Some(&ttl_by(&clock)));
    for (now_ms, numbers) in [(1_000, 0..LEN), (1_500, LEN..LEN + 10), (1_550, 0..0)] {
        clock.set(now_ms);
        let mut at = keyed.at(&7).unwrap();
        for number in numbers {
            states.list.add(&mut at, number.to_string()).unwrap();
            states.map.put(&mut at, number, 1).unwrap();
        }
    }
    open_another_key(&mut keyed, 3_000);
    let handles = job.snapshot_one(&mut keyed);
    let mut restored = job.open_one(&handles);
    let states = register(&mut restored, None);
    let at = restored.at(&7).unwrap();
    assert_eq!(states.list.elements(&at).unwrap().count(), 10);
    assert_eq!(states.map.keys(&at).unwrap().count(), 10);
}

#[test]
fn random_programs_of_states_that_expire_agree_with_the_model() {
    let short_chains = IncrementalOptions::DEFAULT.max_chain(3).free_waste_bytes(0);
    let backends =
        [COPY_ON_WRITE, SMALL_SEGMENTS.lazy(), SMALL_SEGMENTS.incremental(short_chains), NESTED];
    for backend in backends {
        for seed in 0..PROGRAMS {
            run_ttl_program(&backend, seed, STEPS);
        }
    }
}
