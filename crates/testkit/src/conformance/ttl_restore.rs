//! Cases: state with a time to live in snapshots, and states that get one or lose it over a restore.

use std::collections::BTreeMap;

use alluvium_core::KeyedStateHandle;
use alluvium_state::{
    KeyedStateBackend, ListStateDescriptor, MapStateDescriptor, SnapshotMode,
    SortedMapStateDescriptor, StateBackend, StateTtl, UpdateType, ValueStateDescriptor,
};

use super::ttl::{KINDS, Seen, key, register, try_register, ttl_by};
use super::{list_of, map_of, owned};
use crate::clock::ManualClock;
use crate::job::TestJob;

const MODES: [SnapshotMode; 2] = [SnapshotMode::Full, SnapshotMode::Incremental];

fn job_in<B: StateBackend>(backend: &B, mode: SnapshotMode) -> TestJob<'_, B, String> {
    let mut job = TestJob::new(backend);
    job.mode = mode;
    job
}

/// A snapshot of one key that has 1 since 1,000 ms and 2 since 1,050 ms.
fn snapshot_of_two<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    clock: &ManualClock,
    ttl: Option<&StateTtl>,
) -> Vec<KeyedStateHandle> {
    let mut state = job.open_one(&[]);
    let states = try_register(&mut state, ttl).unwrap();
    for (now_ms, number) in [(1_000, 1), (1_050, 2)] {
        clock.set(now_ms);
        states.add(&mut state.at(&key()).unwrap(), number);
    }
    job.snapshot_one(&mut state)
}

fn both() -> Seen {
    Seen {
        value: Some(3),
        list: vec![1, 2],
        long: vec![1, 2],
        map: [(1, 1), (2, 2)].into(),
        sorted: [(1, 1), (2, 2)].into(),
        reducing: Some(12),
        aggregating: Some((2, 3)),
    }
}

/// What is left when the first number has expired.
fn second() -> Seen {
    let (map, sorted) = ([(2, 2)].into(), [(2, 2)].into());
    Seen { list: vec![2], long: vec![2], map, sorted, ..both() }
}

/// What was written comes back with its stamps, and expires by them.
pub fn stamps_come_back<B: StateBackend>(backend: &B) {
    for mode in MODES {
        let (job, clock) = (job_in(backend, mode), ManualClock::default());
        let ttl = ttl_by(&clock);
        let mut handles = snapshot_of_two(&job, &clock, Some(&ttl));
        for (now_ms, expected) in [(1_099, both()), (1_100, second()), (1_150, Seen::default())] {
            clock.set(now_ms);
            let mut state = job.open_one(&handles);
            let states = register(&mut state, &ttl);
            assert_eq!(states.see(&state.at(&key()).unwrap()), expected, "{now_ms} {mode:?}");
            handles = job.snapshot_one(&mut state);
        }
    }
}

/// Stamps go with their keys to whichever subtask these go, also when nobody registers the state.
pub fn stamps_are_rescaled<B: StateBackend>(backend: &B) {
    for mode in MODES {
        let (job, clock) = (job_in(backend, mode), ManualClock::default());
        let ttl = ttl_by(&clock);
        let keys: Vec<String> = (0..60).map(|number| format!("key-{number}")).collect();
        let mut subtasks = job.open(3, &[]);
        for (number, key) in (0_u64..).zip(&keys) {
            clock.set(1_000 + number);
            let owner = subtasks.get_mut(job.owner_of(key, 3)).unwrap();
            let states = register(owner, &ttl);
            states.add(&mut owner.at(key).unwrap(), 5);
        }
        let handles = job.snapshot(&mut subtasks);
        let handles = job.snapshot(&mut job.open(2, &handles));
        clock.set(1_130);
        for parallelism in [1, 4] {
            let mut subtasks = job.open(parallelism, &handles);
            for (number, key) in keys.iter().enumerate() {
                let owner = subtasks.get_mut(job.owner_of(key, parallelism)).unwrap();
                let states = register(owner, &ttl);
                let expected = if number > 30 { Seen::once(5) } else { Seen::default() };
                assert_eq!(states.see(&owner.at(key).unwrap()), expected, "{key}");
            }
            let count: usize = subtasks.iter().map(|state| state.entry_count().unwrap()).sum();
            assert_eq!(count, 29 * KINDS);
        }
    }
}

/// State that was stored without a time to live gets one when it is registered with it, from then.
pub fn restored_state_gets_a_time_to_live<B: StateBackend>(backend: &B) {
    for mode in MODES {
        let (job, clock) = (job_in(backend, mode), ManualClock::default());
        let ttl = ttl_by(&clock);
        let handles = snapshot_of_two(&job, &clock, None);
        clock.set(5_000);
        let mut state = job.open_one(&handles);
        let states = register(&mut state, &ttl);
        clock.set(5_050);
        let later = job.snapshot_one(&mut state);
        states.add(&mut state.at(&key()).unwrap(), 3);
        clock.set(5_099);
        let (value, reducing, aggregating) = (Some(6), Some(123), Some((3, 6)));
        let entries: BTreeMap<_, _> = [(1, 1), (2, 2), (3, 3)].into();
        let (list, map, sorted) = (vec![1, 2, 3], entries.clone(), entries);
        let long = list.clone();
        let expected = Seen { value, list, long, map, sorted, reducing, aggregating };
        assert_eq!(states.see(&state.at(&key()).unwrap()), expected, "{mode:?}");
        clock.set(5_100);
        let entries: BTreeMap<_, _> = [(3, 3)].into();
        let (list, map, sorted) = (vec![3], entries.clone(), entries);
        let expected = Seen { long: list.clone(), list, map, sorted, ..expected };
        assert_eq!(states.see(&state.at(&key()).unwrap()), expected, "{mode:?}");

        clock.set(5_099);
        let mut state = job.open_one(&later);
        let states = register(&mut state, &ttl);
        assert_eq!(states.see(&state.at(&key()).unwrap()), both(), "{mode:?}");
        clock.set(5_100);
        assert_eq!(states.see(&state.at(&key()).unwrap()), Seen::default(), "{mode:?}");
    }
}

/// State that was stored with a time to live loses it when it is registered without, and stays.
pub fn restored_state_loses_its_time_to_live<B: StateBackend>(backend: &B) {
    for mode in MODES {
        let (job, clock) = (job_in(backend, mode), ManualClock::default());
        let ttl = ttl_by(&clock);
        let handles = snapshot_of_two(&job, &clock, Some(&ttl));
        clock.set(9_000);
        let mut state = job.open_one(&handles);
        let states = try_register(&mut state, None).unwrap();
        assert_eq!(states.see(&state.at(&key()).unwrap()), both(), "{mode:?}");
        let handles = job.snapshot_one(&mut state);
        // And gets it back.
        let mut state = job.open_one(&handles);
        let states = register(&mut state, &ttl);
        clock.set(9_099);
        assert_eq!(states.see(&state.at(&key()).unwrap()), both(), "{mode:?}");
        clock.set(9_100);
        assert_eq!(states.see(&state.at(&key()).unwrap()), Seen::default(), "{mode:?}");
    }
}

/// Values are migrated while they get stamps, lose them or keep them.
pub fn values_migrate_with_their_stamps<B: StateBackend>(backend: &B) {
    for (had_ttl, gets_ttl) in [(true, true), (true, false), (false, true)] {
        let (job, clock) = (TestJob::<B, String>::new(backend), ManualClock::new(1_000));
        let ttl = |is_on: bool| is_on.then(|| ttl_by(&clock));
        let mut state = job.open_one(&[]);
        let mut value = ValueStateDescriptor::<u16>::new("value");
        let mut list = ListStateDescriptor::<u16>::new("list");
        let mut long = ListStateDescriptor::<u16>::new("long").long();
        let mut map = MapStateDescriptor::<u16, u16>::new("map");
        let mut sorted = SortedMapStateDescriptor::<u16, u16>::new("sorted");
        (value.ttl, list.ttl, long.ttl) = (ttl(had_ttl), ttl(had_ttl), ttl(had_ttl));
        (map.ttl, sorted.ttl) = (ttl(had_ttl), ttl(had_ttl));
        let value = state.value_state(value).unwrap();
        let list = state.list_state(list).unwrap();
        let long = state.list_state(long).unwrap();
        let map = state.map_state(map).unwrap();
        let sorted = state.sorted_map_state(sorted).unwrap();
        let key = key();
        let mut at = state.at(&key).unwrap();
        value.set(&mut at, 7).unwrap();
        list.add_all(&mut at, [1, 2]).unwrap();
        long.add_all(&mut at, [1, 2]).unwrap();
        map.put(&mut at, 3, 4).unwrap();
        sorted.put(&mut at, 300, 4).unwrap();
        drop(at);
        let handles = job.snapshot_one(&mut state);

        clock.set(1_060);
        let mut state = job.open_one(&handles);
        let mut value = ValueStateDescriptor::<u64>::new("value");
        let mut list = ListStateDescriptor::<u64>::new("list");
        let mut long = ListStateDescriptor::<u64>::new("long").long();
        let mut map = MapStateDescriptor::<u64, u64>::new("map");
        let mut sorted = SortedMapStateDescriptor::<u64, u64>::new("sorted");
        (value.ttl, list.ttl, long.ttl) = (ttl(gets_ttl), ttl(gets_ttl), ttl(gets_ttl));
        (map.ttl, sorted.ttl) = (ttl(gets_ttl), ttl(gets_ttl));
        let value = state.value_state(value).unwrap();
        let list = state.list_state(list).unwrap();
        let long = state.list_state(long).unwrap();
        let map = state.map_state(map).unwrap();
        let sorted = state.sorted_map_state(sorted).unwrap();
        let ends_ms = match (had_ttl, gets_ttl) {
            (true, true) => 1_100,
            (false, true) => 1_160,
            _ => u64::MAX,
        };
        for now_ms in [1_099, 1_100, 1_159, 1_160, 9_000] {
            clock.set(now_ms);
            let (at, is_there) = (state.at(&key).unwrap(), now_ms < ends_ms);
            assert_eq!(owned(value.get(&at)), is_there.then_some(7), "{now_ms}");
            let elements = if is_there { vec![1, 2] } else { Vec::new() };
            assert_eq!(list_of(list.elements(&at)), elements, "{now_ms}");
            assert_eq!(list_of(long.elements(&at)), elements, "{now_ms}");
            let entries = is_there.then_some((3, 4)).into_iter().collect();
            assert_eq!(map_of(map.entries(&at)), entries, "{now_ms}");
            let entries = is_there.then_some((300, 4)).into_iter().collect();
            assert_eq!(map_of(sorted.entries(&at)), entries, "{now_ms}");
        }
    }
}

/// A full snapshot does not hold what had expired at the freeze, one by one, unless the job wants
/// it; whoever reads it without a time to live finds what was left.
pub fn full_snapshots_leave_out_what_has_expired<B: StateBackend>(backend: &B) {
    for cleans in [true, false] {
        let (job, clock) = (job_in(backend, SnapshotMode::Full), ManualClock::new(1_000));
        let ttl = ttl_by(&clock).cleanup_incrementally(0).cleanup_in_compactions(None);
        let ttl = ttl.cleanup_in_full_snapshots(cleans);
        let mut state = job.open_one(&[]);
        let states = register(&mut state, &ttl);
        let (old, mixed, new) = ("old".to_owned(), "mixed".to_owned(), "new".to_owned());
        for number in 0..40_u8 {
            let key = format!("old-{number}");
            states.add(&mut state.at(&key).unwrap(), number);
        }
        states.add(&mut state.at(&old).unwrap(), 1);
        states.add(&mut state.at(&mixed).unwrap(), 1);
        clock.set(1_080);
        states.add(&mut state.at(&mixed).unwrap(), 2);
        states.add(&mut state.at(&new).unwrap(), 2);
        clock.set(1_100);
        let frozen = job.freeze_one(&mut state);
        // What expires later is in it.
        clock.set(3_000);
        let handles = frozen.write();
        let mut state = job.open_one(&handles);
        let states = try_register(&mut state, None).unwrap();
        let count = state.entry_count().unwrap();
        assert_eq!(count, if cleans { 2 * KINDS } else { 43 * KINDS });
        let left = if cleans { Seen::default() } else { Seen::once(1) };
        assert_eq!(states.see(&state.at(&old).unwrap()), left);
        let left = if cleans { second() } else { both() };
        assert_eq!(states.see(&state.at(&mixed).unwrap()), left);
        assert_eq!(states.see(&state.at(&new).unwrap()), Seen::once(2));
    }
}

/// All has expired: what is left of a full snapshot is a state without entries.
pub fn a_full_snapshot_may_be_left_with_nothing<B: StateBackend>(backend: &B) {
    let (job, clock) = (job_in(backend, SnapshotMode::Full), ManualClock::default());
    let ttl = ttl_by(&clock);
    let handles = snapshot_of_two(&job, &clock, Some(&ttl));
    let mut state = job.open_one(&handles);
    register(&mut state, &ttl);
    clock.set(2_000);
    let handles = job.snapshot_one(&mut state);
    let mut state = job.open_one(&handles);
    let states = try_register(&mut state, None).unwrap();
    assert_eq!(state.entry_count().unwrap(), 0);
    assert_eq!(states.see(&state.at(&key()).unwrap()), Seen::default());
}

/// A stamp that a read has left behind is in a checkpoint that is frozen right after it, and what is
/// cleaned up or written later is not missing in it.
pub fn a_frozen_state_has_the_stamps_of_its_moment<B: StateBackend>(backend: &B) {
    for mode in MODES {
        let (job, clock) = (job_in(backend, mode), ManualClock::default());
        let ttl = ttl_by(&clock).update(UpdateType::OnReadAndWrite);
        let handles = snapshot_of_two(&job, &clock, Some(&ttl));
        clock.set(1_090);
        let mut state = job.open_one(&handles);
        let states = register(&mut state, &ttl);
        assert_eq!(states.see(&state.at(&key()).unwrap()), both());
        let frozen = job.freeze_one(&mut state);
        clock.set(2_000);
        assert_eq!(states.see(&state.at(&key()).unwrap()), Seen::default());
        states.add(&mut state.at(&key()).unwrap(), 9);
        let handles = frozen.write();
        for (now_ms, expected) in [(1_189, both()), (1_190, Seen::default())] {
            clock.set(now_ms);
            let mut state = job.open_one(&handles);
            let states = register(&mut state, &ttl);
            assert_eq!(states.see(&state.at(&key()).unwrap()), expected, "{now_ms} {mode:?}");
        }
    }
}

/// Removals by expiry are in incremental snapshots like all others, on top of any base.
pub fn what_was_cleaned_up_does_not_come_back<B: StateBackend>(backend: &B) {
    let (job, clock) = (TestJob::<B, String>::new(backend), ManualClock::new(1_000));
    let ttl = ttl_by(&clock).cleanup_incrementally(0).cleanup_in_compactions(None);
    let mut state = job.open_one(&[]);
    let states = register(&mut state, &ttl);
    let keys: Vec<String> = (0..50).map(|number| format!("key-{number}")).collect();
    for key in &keys {
        states.add(&mut state.at(key).unwrap(), 1);
    }
    let mut handles = job.snapshot_one(&mut state);
    for round in 0..3_usize {
        clock.set(2_000);
        let removed = keys.iter().skip(round * 10).take(10);
        for key in removed {
            assert_eq!(states.see(&state.at(key).unwrap()), Seen::default());
        }
        // A clock that goes back brings back what is still there.
        clock.set(1_050);
        handles = job.snapshot_one(&mut state);
        let mut restored = job.open_one(&handles);
        let again = register(&mut restored, &ttl);
        for key in keys.iter().take((round + 1) * 10) {
            assert_eq!(again.see(&restored.at(key).unwrap()), Seen::default(), "{key}");
        }
    }
    let mut restored = job.open_one(&handles);
    let again = try_register(&mut restored, None).unwrap();
    assert_eq!(restored.entry_count().unwrap(), 20 * KINDS);
    assert_eq!(again.see(&restored.at(keys.first().unwrap()).unwrap()), Seen::default());
}
