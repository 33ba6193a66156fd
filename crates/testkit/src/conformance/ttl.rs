//! Cases: state with a time to live, while a job runs.

mod states;

pub(crate) use states::{KINDS, Seen, States, reduce_digits, try_register};
pub(super) use states::{key, register, ttl_by};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use alluvium_state::{
    AggregatingStateDescriptor, Clock, Entries, KeyedStateBackend, ListStateDescriptor,
    MapStateDescriptor, ReducingStateDescriptor, SortedMapStateDescriptor, StateBackend,
    StateError, StateTtl, UpdateType, ValueStateDescriptor, Visibility,
};

use super::{list_of, map_of, owned, refused, sorted};
use crate::clock::ManualClock;
use crate::job::TestJob;
use crate::model::change::CountAndSum;

/// Each kind is there until its time is over, and then it is not: not read, not listed, no entry of
/// a map.
pub fn everything_expires_when_its_time_is_over<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let clock = ManualClock::new(1_000);
    let mut state = job.open_one(&[]);
    let states = register(&mut state, &ttl_by(&clock));
    states.add(&mut state.at(&key()).unwrap(), 7);
    for now_ms in [1_000, 1_001, 1_099] {
        clock.set(now_ms);
        assert_eq!(states.see(&state.at(&key()).unwrap()), Seen::once(7), "{now_ms}");
        assert_eq!(states.keys(&mut state).map(|keys| keys.concat()), [(); KINDS].map(|()| key()));
    }
    clock.set(1_100);
    assert_eq!(states.keys(&mut state), [const { Vec::<String>::new() }; KINDS]);
    assert_eq!(states.see(&state.at(&key()).unwrap()), Seen::default());
    // Reading has removed it.
    assert_eq!(states.keys(&mut state), [const { Vec::<String>::new() }; KINDS]);
    assert_eq!(state.entry_count().unwrap(), 0);
}

/// What a write adds lives from then on; values, reduced values and accumulators live on as a whole.
pub fn elements_and_entries_expire_one_by_one<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let clock = ManualClock::new(1_000);
    let mut state = job.open_one(&[]);
    let states = register(&mut state, &ttl_by(&clock));
    let key = key();
    for (now_ms, number) in [(1_000, 1), (1_050, 2), (1_080, 3)] {
        clock.set(now_ms);
        states.add(&mut state.at(&key).unwrap(), number);
    }
    let whole = Seen {
        value: Some(6),
        list: vec![1, 2, 3],
        long: vec![1, 2, 3],
        map: [(1, 1), (2, 2), (3, 3)].into(),
        sorted: [(1, 1), (2, 2), (3, 3)].into(),
        reducing: Some(123),
        aggregating: Some((3, 6)),
    };
    clock.set(1_099);
    assert_eq!(states.see(&state.at(&key).unwrap()), whole);
    clock.set(1_100);
    let left: BTreeMap<_, _> = [(2, 2), (3, 3)].into();
    let (list, long) = (vec![2, 3], vec![2, 3]);
    let later = Seen { list, long, map: left.clone(), sorted: left, ..whole.clone() };
    assert_eq!(states.see(&state.at(&key).unwrap()), later);
    clock.set(1_150);
    let left: BTreeMap<_, _> = [(3, 3)].into();
    let (list, long) = (vec![3], vec![3]);
    let end = Seen { list, long, map: left.clone(), sorted: left, ..whole };
    assert_eq!(states.see(&state.at(&key).unwrap()), end);
    assert_eq!(state.entry_count().unwrap(), KINDS);
    clock.set(1_180);
    assert_eq!(states.see(&state.at(&key).unwrap()), Seen::default());
}

/// User keys that are put at once have the time of that moment.
pub fn user_keys_put_at_once_expire_together<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let clock = ManualClock::new(1_000);
    let mut state = job.open_one(&[]);
    let map = MapStateDescriptor::<u32, u32>::new("map").ttl(ttl_by(&clock));
    let (map, key) = (state.map_state(map).unwrap(), key());
    map.put_all(&mut state.at(&key).unwrap(), [(1, 1), (2, 1)]).unwrap();
    clock.set(1_050);
    map.put_all(&mut state.at(&key).unwrap(), [(2, 2), (3, 2)]).unwrap();
    clock.set(1_100);
    assert_eq!(map_of(map.entries(&state.at(&key).unwrap())), [(2, 2), (3, 2)].into());
    clock.set(1_150);
    assert!(map.is_empty(&state.at(&key).unwrap()).unwrap());
}

/// A write to what has expired finds nothing, also when nobody has read it before.
pub fn a_write_after_the_end_begins_anew<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let clock = ManualClock::new(1_000);
    let mut state = job.open_one(&[]);
    let ttl = ttl_by(&clock).cleanup_incrementally(0);
    let states = register(&mut state, &ttl);
    let key = key();
    states.add(&mut state.at(&key).unwrap(), 1);
    clock.set(1_100);
    let mut at = state.at(&key).unwrap();
    states.map.update(&mut at, 1, |value| *value += 5).unwrap();
    assert_eq!(map_of(states.map.entries(&at)), [(1, 5)].into());
    states.map.remove(&mut at, &1).unwrap();
    states.sorted.update(&mut at, 1, |value| *value += 5).unwrap();
    assert_eq!(states.sorted.pop_first(&mut at).unwrap(), Some((1, 5)));
    states.add(&mut at, 2);
    assert_eq!(states.see(&at), Seen::once(2));
    clock.set(1_150);
    states.map.update(&mut at, 2, |value| *value += 40).unwrap();
    states.sorted.update(&mut at, 2, |value| *value += 40).unwrap();
    states.list.set(&mut at, vec![8, 9]).unwrap();
    states.long.set(&mut at, vec![8, 9]).unwrap();
    states.value.set(&mut at, 3).unwrap();
    clock.set(1_210);
    let seen = states.see(&at);
    assert_eq!((seen.value, seen.list, seen.map), (Some(3), vec![8, 9], [(2, 42)].into()));
    assert_eq!((seen.sorted, seen.long), ([(2, 42)].into(), vec![8, 9]));
    assert_eq!((seen.reducing, seen.aggregating), (None, None));
    states.value.clear(&mut at).unwrap();
    states.list.clear(&mut at).unwrap();
    states.long.clear(&mut at).unwrap();
    states.map.clear(&mut at).unwrap();
    states.sorted.clear(&mut at).unwrap();
    states.reducing.clear(&mut at).unwrap();
    states.aggregating.clear(&mut at).unwrap();
    assert_eq!(states.see(&at), Seen::default());
    drop(at);
    assert_eq!(state.entry_count().unwrap(), 0);
}

/// By default reading does not make anything live longer; where it counts, it does, and what was
/// read does not expire before the new stamp is there.
pub fn reading_refreshes_where_it_counts<B: StateBackend>(backend: &B) {
    for update in [UpdateType::OnCreateAndWrite, UpdateType::OnReadAndWrite] {
        let refreshes = update == UpdateType::OnReadAndWrite;
        let job = TestJob::<B, String>::new(backend);
        let clock = ManualClock::new(1_000);
        let mut state = job.open_one(&[]);
        let states = register(&mut state, &ttl_by(&clock).update(update));
        let (read, unread) = ("read".to_owned(), "unread".to_owned());
        for key in [&read, &unread] {
            states.add(&mut state.at(key).unwrap(), 7);
        }
        clock.set(1_090);
        let at = state.at(&read).unwrap();
        assert_eq!(states.see(&at), Seen::once(7));
        clock.set(1_100);
        let expected = if refreshes { Seen::once(7) } else { Seen::default() };
        assert_eq!(states.see(&at), expected, "in the same context");
        drop(at);
        let keys = states.keys(&mut state).map(|keys| keys.len());
        assert_eq!(keys, [usize::from(refreshes); KINDS]);
        assert_eq!(states.see(&state.at(&unread).unwrap()), Seen::default());
        clock.set(1_189);
        assert_eq!(states.see(&state.at(&read).unwrap()), expected, "by its new stamp");
        clock.set(1_400);
        assert_eq!(states.see(&state.at(&read).unwrap()), Seen::default());
    }
}

/// Reading one entry of a map refreshes that entry alone; asking whether there is one refreshes none.
pub fn entries_are_refreshed_one_by_one<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let clock = ManualClock::new(1_000);
    let mut state = job.open_one(&[]);
    let states = register(&mut state, &ttl_by(&clock).update(UpdateType::OnReadAndWrite));
    let key = key();
    for number in 1..=4 {
        states.add(&mut state.at(&key).unwrap(), number);
    }
    clock.set(1_090);
    let at = state.at(&key).unwrap();
    for _ in 0..3 {
        assert_eq!(owned(states.map.get(&at, &1)), Some(1));
        assert!(states.map.contains(&at, &2).unwrap());
        assert_eq!(owned(states.map.get(&at, &9)), None);
        assert!(!states.map.is_empty(&at).unwrap());
    }
    drop(at);
    clock.set(1_100);
    let mut at = state.at(&key).unwrap();
    assert_eq!(map_of(states.map.entries(&at)), [(1, 1), (2, 2)].into());
    // A write wins over the stamp that the read left.
    clock.set(1_150);
    states.map.put(&mut at, 1, 11).unwrap();
    drop(at);
    clock.set(1_210);
    let at = state.at(&key).unwrap();
    assert_eq!(sorted(list_of(states.map.keys(&at))), [1]);
    assert_eq!(list_of(states.map.values(&at)), [11]);
}

/// A range of a sorted map reads the entries that it comes to: those live longer where reading counts,
/// and no others. What has expired is passed over at both ends.
pub fn ranges_refresh_what_they_come_to<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let clock = ManualClock::new(1_000);
    let mut state = job.open_one(&[]);
    let sorted = register(&mut state, &ttl_by(&clock).update(UpdateType::OnReadAndWrite)).sorted;
    let key = key();
    let mut at = state.at(&key).unwrap();
    for user_key in 1..=9 {
        sorted.put(&mut at, user_key, u64::from(user_key)).unwrap();
    }
    drop(at);
    clock.set(1_090);
    let at = state.at(&key).unwrap();
    let user_keys = |entries: Entries<'_, u8, u64>| -> Vec<u8> {
        entries.map(|entry| *entry.unwrap().0).collect()
    };
    assert_eq!(user_keys(sorted.range(&at, 3..5).unwrap()), [3, 4]);
    let two = sorted.range_rev(&at, ..=8).unwrap().take(2).map(|entry| *entry.unwrap().0);
    assert_eq!(two.collect::<Vec<_>>(), [8, 7]);
    assert_eq!(owned(sorted.get(&at, &5)), Some(5));
    assert!(!sorted.is_empty(&at).unwrap());
    drop(at);
    clock.set(1_100);
    let mut at = state.at(&key).unwrap();
    assert_eq!(*sorted.first(&at).unwrap().unwrap().0, 3);
    assert_eq!(*sorted.last(&at).unwrap().unwrap().0, 8);
    assert_eq!(user_keys(sorted.entries(&at).unwrap()), [3, 4, 5, 7, 8]);
    assert_eq!(sorted.pop_first(&mut at).unwrap(), Some((3, 3)));
    assert_eq!(sorted.pop_last(&mut at).unwrap(), Some((8, 8)));
    drop(at);
    clock.set(1_200);
    let mut at = state.at(&key).unwrap();
    assert_eq!(sorted.pop_first(&mut at).unwrap(), None);
    assert!(sorted.is_empty(&at).unwrap());
    drop(at);
    assert!(state.keys(sorted, &()).unwrap().is_empty());
}

/// Where it is wanted, what has expired is returned once more, and reading it removes it.
pub fn what_has_expired_may_be_returned_until_it_is_cleaned_up<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let clock = ManualClock::new(1_000);
    let ttl = ttl_by(&clock).visibility(Visibility::ReturnExpiredIfNotCleanedUp);
    let ttl = ttl.cleanup_incrementally(0).cleanup_in_compactions(None);
    let mut state = job.open_one(&[]);
    let states = register(&mut state, &ttl);
    let (read, written) = ("read".to_owned(), "written".to_owned());
    for key in [&read, &written] {
        states.add(&mut state.at(key).unwrap(), 3);
    }
    clock.set(5_000);
    assert_eq!(states.keys(&mut state).map(|keys| keys.len()), [2; KINDS]);
    assert_eq!(states.see(&state.at(&read).unwrap()), Seen::once(3));
    assert_eq!(states.see(&state.at(&read).unwrap()), Seen::default());
    assert_eq!(states.keys(&mut state).map(|keys| keys.len()), [1; KINDS]);
    // A write goes on from what a read would have returned.
    states.add(&mut state.at(&written).unwrap(), 4);
    let seen = states.see(&state.at(&written).unwrap());
    assert_eq!((seen.value, seen.reducing, seen.aggregating), (Some(7), Some(34), Some((2, 7))));
}

/// A value whose stamp lies in the future is there. Nothing overflows at either end of time.
pub fn a_clock_may_go_backwards_and_to_the_ends_of_time<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let now_ms = Arc::new(AtomicI64::new(1_000));
    let shown_ms = Arc::clone(&now_ms);
    let clock = Clock::new(move || shown_ms.load(Ordering::SeqCst));
    for update in [UpdateType::OnCreateAndWrite, UpdateType::OnReadAndWrite] {
        let mut state = job.open_one(&[]);
        let ttl = StateTtl::new(Duration::from_millis(100), clock.clone()).update(update);
        let states = register(&mut state, &ttl);
        let key = key();
        now_ms.store(1_000, Ordering::SeqCst);
        states.add(&mut state.at(&key).unwrap(), 1);
        for back_ms in [999, 0, -5_000, i64::MIN] {
            now_ms.store(back_ms, Ordering::SeqCst);
            assert_eq!(states.see(&state.at(&key).unwrap()), Seen::once(1), "{back_ms}");
            assert_eq!(states.keys(&mut state).map(|keys| keys.len()), [1; KINDS]);
        }
        now_ms.store(i64::MAX - 1, Ordering::SeqCst);
        assert_eq!(states.see(&state.at(&key).unwrap()), Seen::default());
        states.add(&mut state.at(&key).unwrap(), 2);
        assert_eq!(states.see(&state.at(&key).unwrap()), Seen::once(2));
        now_ms.store(i64::MAX, Ordering::SeqCst);
        // Its time would end after the end of time, which is when it ends then.
        let last = states.see(&state.at(&key).unwrap());
        assert!(last == Seen::default(), "{last:?}");
    }
    let mut state = job.open_one(&[]);
    let states = register(&mut state, &StateTtl::new(Duration::MAX, clock));
    now_ms.store(0, Ordering::SeqCst);
    states.add(&mut state.at(&key()).unwrap(), 3);
    now_ms.store(i64::MAX - 1, Ordering::SeqCst);
    assert_eq!(states.see(&state.at(&key()).unwrap()), Seen::once(3));
}

/// Nothing lives for no time: such a state is refused by name, and can be registered otherwise.
pub fn a_time_to_live_of_zero_is_refused_by_name<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let clock = ManualClock::new(1_000);
    let mut state = job.open_one(&[]);
    for nothing in [Duration::ZERO, Duration::from_micros(999)] {
        let ttl = StateTtl::new(nothing, clock.state_clock());
        let value = ValueStateDescriptor::<u64>::new("value").ttl(ttl.clone());
        let list = ListStateDescriptor::<u64>::new("list").ttl(ttl.clone());
        let long = ListStateDescriptor::<u64>::new("long").long().ttl(ttl.clone());
        let map = MapStateDescriptor::<u8, u64>::new("map").ttl(ttl.clone());
        let sorted = SortedMapStateDescriptor::<u8, u64>::new("sorted").ttl(ttl.clone());
        let reducing = ReducingStateDescriptor::<u64>::new("reducing", |_, _| ()).ttl(ttl.clone());
        let aggregating = AggregatingStateDescriptor::new("aggregating", CountAndSum).ttl(ttl);
        let errors = [
            ("value", refused(state.value_state(value))),
            ("list", refused(state.list_state(list))),
            ("long", refused(state.list_state(long))),
            ("map", refused(state.map_state(map))),
            ("sorted", refused(state.sorted_map_state(sorted))),
            ("reducing", refused(state.reducing_state(reducing))),
            ("aggregating", refused(state.aggregating_state(aggregating))),
        ];
        for (expected, error) in errors {
            let StateError::InvalidTtl { state, time_to_live } = &error else { panic!("{error}") };
            assert_eq!((state.as_str(), *time_to_live), (expected, nothing));
        }
    }
    let least = StateTtl::new(Duration::from_millis(1), clock.state_clock());
    let states = register(&mut state, &least);
    states.add(&mut state.at(&key()).unwrap(), 3);
    assert_eq!(states.see(&state.at(&key()).unwrap()), Seen::once(3));
    clock.set(1_001);
    assert_eq!(states.see(&state.at(&key()).unwrap()), Seen::default());
}

/// A name stands for a state with a time to live or for one without; found again, it keeps the time
/// that it was given first.
pub fn a_time_to_live_is_part_of_what_a_name_stands_for<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let clock = ManualClock::new(1_000);
    let mut state = job.open_one(&[]);
    let states = register(&mut state, &ttl_by(&clock));
    let Err(error) = try_register(&mut state, None) else { panic!("registered as another one") };
    assert!(matches!(&error, StateError::NameReused { name, .. } if name == "value"), "{error}");
    let longer = StateTtl::new(Duration::from_secs(100), clock.state_clock());
    let again = register(&mut state, &longer);
    states.add(&mut state.at(&key()).unwrap(), 3);
    assert_eq!(again.see(&state.at(&key()).unwrap()), Seen::once(3));
    clock.set(1_100);
    assert_eq!(again.see(&state.at(&key()).unwrap()), Seen::default());
}

/// States, keys and namespaces beside one that expires or is refreshed stay as they are.
pub fn what_expires_takes_nothing_along<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let clock = ManualClock::new(1_000);
    let mut state = job.open_one(&[]);
    let ttl = ttl_by(&clock).update(UpdateType::OnReadAndWrite);
    let expiring = ValueStateDescriptor::<String>::new("expiring").ttl(ttl).namespaced::<u32>();
    let expiring = state.value_state(expiring).unwrap();
    let lasting = ValueStateDescriptor::<String>::new("lasting").namespaced::<u32>();
    let lasting = state.value_state(lasting).unwrap();
    let keys = ["a", "b"].map(str::to_owned);
    for (key, namespace) in keys.iter().flat_map(|key| [(key, 1_u32), (key, 2)]) {
        let mut at = state.at_namespace(key, &namespace).unwrap();
        expiring.set(&mut at, format!("{key}{namespace}")).unwrap();
        lasting.set(&mut at, format!("{key}{namespace}")).unwrap();
    }
    clock.set(1_090);
    let at = state.at_namespace(&keys[0], &2).unwrap();
    assert_eq!(owned(expiring.get(&at)).as_deref(), Some("a2"));
    drop(at);
    clock.set(1_100);
    for (key, namespace) in keys.iter().flat_map(|key| [(key, 1_u32), (key, 2)]) {
        let at = state.at_namespace(key, &namespace).unwrap();
        let text = format!("{key}{namespace}");
        let expected = (text == "a2").then(|| text.clone());
        assert_eq!(owned(expiring.get(&at)), expected);
        assert_eq!(owned(lasting.get(&at)), Some(text));
    }
    assert!(state.keys(expiring, &1).unwrap().is_empty());
    assert_eq!(state.keys(expiring, &2).unwrap(), ["a"]);
    assert_eq!(sorted(state.keys(lasting, &1).unwrap()), keys);
}
