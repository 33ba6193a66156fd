//! Reading many keys at once finds what single reads find.
#![expect(clippy::unwrap_used, reason = "functions that the tests share are not tests to clippy")]

use std::fmt::Debug;
use std::time::Duration;

use alluvium_core::{KeyGroup, MaxParallelism};
use alluvium_format::codec::{DefaultCodec, HasCodec};
use alluvium_heap::{HeapKeyedStateBackend, HeapStateBackend, StateMapKind};
use alluvium_state::{
    KeyedStateBackend, StateError, StateTtl, StateValue, ValueState, ValueStateDescriptor,
};
use alluvium_storage::StreamPolicy;
use alluvium_testkit::clock::ManualClock;
use alluvium_testkit::job::TestJob;
use alluvium_testkit::random::Random;

type Keyed = HeapKeyedStateBackend<u64, DefaultCodec>;

const COPY_ON_WRITE: HeapStateBackend = HeapStateBackend::new(StateMapKind::CopyOnWrite);
const BACKENDS: [HeapStateBackend; 4] = [
    COPY_ON_WRITE,
    COPY_ON_WRITE.max_segment_entries(3),
    COPY_ON_WRITE.max_segment_entries(3).lazy(),
    HeapStateBackend::new(StateMapKind::Nested),
];
const KEYS: u64 = 700;

/// Compares reads of random keys, some of which come twice or have nothing, in batches of all lengths.
fn assert_as_single_reads<T: StateValue + Debug + PartialEq>(
    keyed: &mut Keyed,
    state: ValueState<T, u8>,
) {
    let mut random = Random::new(5);
    for len in (0..70).chain([500]) {
        let keys: Vec<u64> = (0..len).map(|_| random.below(KEYS + 50)).collect();
        let namespace = u8::try_from(random.below(3)).unwrap();
        let groups: Vec<KeyGroup> =
            keys.iter().map(|key| keyed.key_group_of(key).unwrap()).collect();
        let mut found = Vec::new();
        let records = groups.iter().copied().zip(&keys);
        let visit = |position, value: Option<&T>| found.push((position, value.cloned()));
        keyed.multi_get(state, records, &namespace, visit).unwrap();
        let mut expected = Vec::new();
        for (position, key) in keys.iter().enumerate() {
            let at = keyed.at_namespace(key, &namespace).unwrap();
            expected.push((position, state.get(&at).unwrap().map(|value| value.clone())));
        }
        assert_eq!(found, expected);
    }
}

fn descriptor<T: StateValue + HasCodec>(name: &str) -> ValueStateDescriptor<T, DefaultCodec, u8> {
    ValueStateDescriptor::<T>::new(name).namespaced()
}

#[test]
fn values_in_place_and_behind_pointers_before_and_after_a_restore() {
    for backend in &BACKENDS {
        let mut job = TestJob::<_, u64>::new(backend);
        job.policy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };
        let mut keyed = job.open_one(&[]);
        let numbers = keyed.value_state(descriptor::<u32>("numbers")).unwrap();
        let texts = keyed.value_state(descriptor::<String>("texts")).unwrap();
        assert_as_single_reads(&mut keyed, numbers);
        for key in 0..KEYS {
            let namespace = u8::try_from(key % 3).unwrap();
            let mut at = keyed.at_namespace(&key, &namespace).unwrap();
            numbers.set(&mut at, u32::try_from(key).unwrap()).unwrap();
            texts.set(&mut at, format!("text {key}")).unwrap();
        }
        assert_as_single_reads(&mut keyed, numbers);
        assert_as_single_reads(&mut keyed, texts);
        let handles = job.snapshot_one(&mut keyed);
        let mut keyed = job.open_one(&handles);
        let numbers = keyed.value_state(descriptor::<u32>("numbers")).unwrap();
        let texts = keyed.value_state(descriptor::<String>("texts")).unwrap();
        assert_as_single_reads(&mut keyed, texts);
        assert_as_single_reads(&mut keyed, numbers);
    }
}

#[test]
fn what_has_expired_is_not_found() {
    let clock = ManualClock::new(0);
    let job = TestJob::<_, u64>::new(&COPY_ON_WRITE);
    let mut keyed = job.open_one(&[]);
    let mut with_ttl = descriptor::<u32>("numbers");
    with_ttl.ttl = Some(StateTtl::new(Duration::from_millis(100), clock.state_clock()));
    let numbers = keyed.value_state(with_ttl).unwrap();
    let other = keyed.value_state(descriptor::<u32>("other")).unwrap();
    for key in 0..KEYS {
        clock.set(key);
        let mut at = keyed.at_namespace(&key, &0).unwrap();
        numbers.set(&mut at, 1).unwrap();
        other.set(&mut at, 2).unwrap();
    }
    assert_as_single_reads(&mut keyed, numbers);
    assert_as_single_reads(&mut keyed, other);
    let all: Vec<u64> = (0..KEYS).collect();
    let groups: Vec<KeyGroup> = all.iter().map(|key| keyed.key_group_of(key).unwrap()).collect();
    let (mut there, records) = (0, groups.into_iter().zip(&all));
    keyed.multi_get(numbers, records, &0, |_, value| there += u32::from(value.is_some())).unwrap();
    assert!((99..=101).contains(&there), "{there}");
}

#[test]
fn foreign_key_groups_and_handles_are_refused() {
    let job = TestJob::<_, u64>::new(&COPY_ON_WRITE);
    let (mut keyed, mut another) = (job.open_one(&[]), job.open_one(&[]));
    let numbers = keyed.value_state(descriptor::<u32>("numbers")).unwrap();
    let foreign = another.value_state(descriptor::<u32>("numbers")).unwrap();
    let group = KeyGroup::new(u16::MAX - 40_000, MaxParallelism::new(32_768).unwrap()).unwrap();
    let found = keyed.multi_get(numbers, [(group, &1)], &0, |_, _| {});
    assert!(matches!(found, Err(StateError::ForeignKeyGroup { .. })), "{found:?}");
    let own = keyed.key_group_of(&1).unwrap();
    let found = keyed.multi_get(foreign, [(own, &1)], &0, |_, _| {});
    assert!(matches!(found, Err(StateError::ForeignHandle)), "{found:?}");
}
