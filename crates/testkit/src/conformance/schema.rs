//! Cases: codecs and kinds that changed between writing and restoring.

use std::marker::PhantomData;

use alluvium_core::KeyedStateHandle;
use alluvium_format::codec::{Codec, CodecSnapshot, DefaultCodec, PostcardCodec};
use alluvium_state::{
    AggregateFunction, AggregatingStateDescriptor, KeyedStateBackend, ListStateDescriptor,
    MapStateDescriptor, ReducingStateDescriptor, RestoreError, StateBackend, StateError,
    ValueStateDescriptor,
};
use serde::{Deserialize, Serialize};

use super::{list_of, map_of, owned, refused};
use crate::job::TestJob;
use crate::model::change::{CountAndSum, value_state};

/// The key of all states here.
fn key() -> String {
    "key".to_owned()
}

/// Which parts of a schema error are named.
#[track_caller]
fn assert_incompatible<T>(
    outcome: Result<T, StateError>,
    name: &str,
    expected_part: &str,
) -> (CodecSnapshot, CodecSnapshot) {
    let error = refused(outcome);
    let StateError::IncompatibleSchema { state, part, stored, current } = error else {
        panic!("{error}")
    };
    assert_eq!((state.as_str(), part), (name, expected_part));
    (*stored, *current)
}

/// A snapshot of the value state `count` of `u64`, holding 7.
fn snapshot_of_count<B: StateBackend>(job: &TestJob<'_, B, String>) -> Vec<KeyedStateHandle> {
    let mut state = job.open_one(&[]);
    let count = state.value_state(ValueStateDescriptor::<u64>::new("count")).unwrap();
    count.set(&mut state.at(&key()).unwrap(), 7).unwrap();
    job.snapshot_one(&mut state)
}

fn codec_of<T>() -> CodecSnapshot
where
    DefaultCodec: Codec<T>,
{
    Codec::<T>::snapshot(&DefaultCodec)
}

/// Values of another type, of a narrower one, and in other lists and maps are refused; the error
/// names the state, the part, and both codecs.
pub fn another_value_codec_is_refused_by_name<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let handles = snapshot_of_count(&job);
    let mut state = job.open_one(&handles);
    let outcome = state.value_state(ValueStateDescriptor::<String>::new("count"));
    let (stored, current) = assert_incompatible(outcome, "count", "value");
    assert_eq!((stored, current), (codec_of::<u64>(), codec_of::<String>()));
    let outcome = state.value_state(ValueStateDescriptor::<u32>::new("count"));
    let (stored, current) = assert_incompatible(outcome, "count", "value");
    assert_eq!((stored, current), (codec_of::<u64>(), codec_of::<u32>()));

    let mut state = job.open_one(&[]);
    state.list_state(ListStateDescriptor::<u64>::new("list")).unwrap();
    state.map_state(MapStateDescriptor::<u32, u64>::new("map")).unwrap();
    let handles = job.snapshot_one(&mut state);
    let mut state = job.open_one(&handles);
    let outcome = state.list_state(ListStateDescriptor::<u32>::new("list"));
    assert_incompatible(outcome, "list", "value");
    let outcome = state.map_state(MapStateDescriptor::<String, u64>::new("map"));
    assert_incompatible(outcome, "map", "value");
    let outcome = state.map_state(MapStateDescriptor::<u32, bool>::new("map"));
    assert_incompatible(outcome, "map", "value");
}

/// Namespaces cannot be read by another codec, not even by a wider one: they decide where an entry
/// is found.
pub fn another_namespace_codec_is_refused_by_name<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&[]);
    value_state(&mut state);
    let handles = job.snapshot_one(&mut state);
    let mut state = job.open_one(&handles);
    let wider = ValueStateDescriptor::<u64>::new("value").namespaced::<u64>();
    assert_incompatible(state.value_state(wider), "value", "namespace");
    let none = ValueStateDescriptor::<u64>::new("value");
    assert_incompatible(state.value_state(none), "value", "namespace");
    value_state(&mut state);
}

/// Keys cannot be read by another codec: they decide the key group. The backend is not opened.
pub fn another_key_codec_is_refused<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, u32>::new(backend);
    let mut state = job.open_one(&[]);
    let count = state.value_state(ValueStateDescriptor::<u64>::new("count")).unwrap();
    count.set(&mut state.at(&1).unwrap(), 1).unwrap();
    let handles = job.snapshot_one(&mut state);
    let wider = TestJob::<B, u64>::new(backend);
    let text = TestJob::<B, String>::new(backend);
    let outcomes = [wider.try_open_one(&handles).map(drop), text.try_open_one(&handles).map(drop)];
    for outcome in outcomes {
        let error = refused(outcome);
        let RestoreError::State(error) = error else { panic!("{error}") };
        let (stored, _) = assert_incompatible::<()>(Err(error), job.uid.as_str(), "key");
        assert_eq!(stored, codec_of::<u32>());
    }
}

/// A stored state cannot be registered as another kind, also when its bytes would fit.
pub fn another_kind_is_refused_by_name<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let handles = snapshot_of_count(&job);
    let mut state = job.open_one(&handles);
    let errors = [
        refused(state.list_state(ListStateDescriptor::<u64>::new("count"))),
        refused(state.map_state(MapStateDescriptor::<u64, u64>::new("count"))),
        refused(state.reducing_state(ReducingStateDescriptor::<u64>::new("count", |_, _| ()))),
        refused(state.aggregating_state(AggregatingStateDescriptor::new("count", CountAndSum))),
    ];
    for error in errors {
        let StateError::KindChanged { state, stored, requested } = &error else {
            panic!("{error}")
        };
        assert_eq!(state, "count");
        assert_ne!(stored, requested);
    }
}

/// After a refused registration the right one finds everything, and so does a later restore.
pub fn a_refused_registration_loses_nothing<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let handles = snapshot_of_count(&job);
    let mut state = job.open_one(&handles);
    refused(state.value_state(ValueStateDescriptor::<String>::new("count")));
    refused(state.list_state(ListStateDescriptor::<u64>::new("count")));
    let kept = job.snapshot_one(&mut state);
    for mut state in [state, job.open_one(&kept)] {
        let count = state.value_state(ValueStateDescriptor::<u64>::new("count")).unwrap();
        assert_eq!(owned(count.get(&state.at(&key()).unwrap())), Some(7));
    }
}

/// Keeps the largest input; generic over the width of its accumulator.
struct Largest<T>(PhantomData<fn() -> T>);

impl<T: Ord + Copy + Default + Send + Sync + 'static> AggregateFunction for Largest<T> {
    type Input = T;
    type Accumulator = T;
    type Output = T;

    fn create(&self) -> T {
        T::default()
    }

    fn add(&self, largest: &mut T, input: T) {
        *largest = input.max(*largest);
    }

    fn result(&self, largest: &T) -> T {
        *largest
    }

    fn merge(&self, largest: &mut T, other: &T) {
        *largest = (*largest).max(*other);
    }
}

/// A snapshot of all five kinds over `u32`.
fn snapshot_of_narrow<B: StateBackend>(job: &TestJob<'_, B, String>) -> Vec<KeyedStateHandle> {
    let mut state = job.open_one(&[]);
    let value = state.value_state(ValueStateDescriptor::<u32>::new("value")).unwrap();
    let list = state.list_state(ListStateDescriptor::<u32>::new("list")).unwrap();
    let map = state.map_state(MapStateDescriptor::<u32, u32>::new("map")).unwrap();
    let add = ReducingStateDescriptor::<u32>::new("reducing", |value, other| *value += other);
    let reducing = state.reducing_state(add).unwrap();
    let largest = AggregatingStateDescriptor::new("largest", Largest::<u32>(PhantomData));
    let largest = state.aggregating_state(largest).unwrap();
    let key = key();
    let mut at = state.at(&key).unwrap();
    value.set(&mut at, u32::MAX).unwrap();
    list.add_all(&mut at, [3, u32::MAX, 1]).unwrap();
    map.put(&mut at, 1, u32::MAX).unwrap();
    map.put(&mut at, u32::MAX, 2).unwrap();
    reducing.add(&mut at, 40).unwrap();
    largest.add(&mut at, 50).unwrap();
    drop(at);
    job.snapshot_one(&mut state)
}

/// Reads the state of [`snapshot_of_narrow`] as `u64`.
fn check_wide<B: StateBackend>(job: &TestJob<'_, B, String>, handles: &[KeyedStateHandle]) {
    let mut state = job.open_one(handles);
    let value = state.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
    let list = state.list_state(ListStateDescriptor::<u64>::new("list")).unwrap();
    let map = state.map_state(MapStateDescriptor::<u64, u64>::new("map")).unwrap();
    let add = ReducingStateDescriptor::<u64>::new("reducing", |value, other| *value += other);
    let reducing = state.reducing_state(add).unwrap();
    let largest = AggregatingStateDescriptor::new("largest", Largest::<u64>(PhantomData));
    let largest = state.aggregating_state(largest).unwrap();
    let max = u64::from(u32::MAX);
    let key = key();
    let mut at = state.at(&key).unwrap();
    assert_eq!(owned(value.get(&at)), Some(max));
    value.update(&mut at, |n| *n += 1).unwrap();
    assert_eq!(owned(value.get(&at)), Some(max + 1));
    assert_eq!(list_of(list.elements(&at)), [3, max, 1]);
    assert_eq!(map_of(map.entries(&at)), [(1, max), (max, 2)].into());
    assert_eq!(owned(map.get(&at, &max)), Some(2));
    reducing.add(&mut at, 2).unwrap();
    assert_eq!(owned(reducing.get(&at)), Some(42));
    assert_eq!(largest.get(&at).unwrap(), Some(50));
}

/// State of `u32` is read as `u64`: values, elements, user keys, user values, accumulators.
pub fn numbers_are_widened<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let handles = snapshot_of_narrow(&job);
    check_wide(&job, &handles);
    // State that nobody registered keeps its narrow codec and can be widened later.
    let unread = job.snapshot_one(&mut job.open_one(&handles));
    check_wide(&job, &unread);
}

/// Once widened, state is written with the wide codec and no longer read with the narrow one.
pub fn widened_state_is_written_with_its_wide_codec<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let mut state = job.open_one(&snapshot_of_narrow(&job));
    state.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
    let handles = job.snapshot_one(&mut state);
    let mut state = job.open_one(&handles);
    let narrow = state.value_state(ValueStateDescriptor::<u32>::new("value"));
    let (stored, _) = assert_incompatible(narrow, "value", "value");
    assert_eq!(stored, codec_of::<u64>());
    check_wide(&job, &handles);
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Visit {
    page: String,
    seconds: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct VisitV2 {
    page: String,
    milliseconds: u64,
}

/// Types that only `serde` knows come back, and are migrated from an older schema version.
pub fn serde_types_come_back_and_are_migrated<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let codec = || PostcardCodec::<Visit>::new("visit", 1);
    let value_descriptor = || ValueStateDescriptor::with_codec("last", codec());
    let list_descriptor = || ListStateDescriptor::with_codec("all", codec());
    let key = key();
    let visits = [("a", Some(3)), ("", None)];
    let visits = visits.map(|(page, seconds)| Visit { page: page.to_owned(), seconds });
    let mut state = job.open_one(&[]);
    let last = state.value_state(value_descriptor()).unwrap();
    let all = state.list_state(list_descriptor()).unwrap();
    let mut at = state.at(&key).unwrap();
    last.set(&mut at, visits[0].clone()).unwrap();
    all.add_all(&mut at, visits.clone()).unwrap();
    drop(at);
    let handles = job.snapshot_one(&mut state);

    let mut state = job.open_one(&handles);
    let last = state.value_state(value_descriptor()).unwrap();
    let all = state.list_state(list_descriptor()).unwrap();
    let at = state.at(&key).unwrap();
    assert_eq!(owned(last.get(&at)), Some(visits[0].clone()));
    assert_eq!(list_of(all.elements(&at)), visits);
    drop(at);

    let mut state = job.open_one(&handles);
    let without_a_step = PostcardCodec::<VisitV2>::new("visit", 2);
    let outcome = state.value_state(ValueStateDescriptor::with_codec("last", without_a_step));
    assert_incompatible(outcome, "last", "value");
    let widen = |visit: Visit| VisitV2 {
        page: visit.page,
        milliseconds: u64::from(visit.seconds.unwrap_or(0)) * 1_000,
    };
    let codec = PostcardCodec::<VisitV2>::new("visit", 2).migrate_from(1, widen);
    let descriptor = ValueStateDescriptor::with_codec("last", codec.clone());
    let last = state.value_state(descriptor).unwrap();
    let all = state.list_state(ListStateDescriptor::with_codec("all", codec)).unwrap();
    let at = state.at(&key).unwrap();
    let expected = visits.map(widen);
    assert_eq!(owned(last.get(&at)), Some(expected[0].clone()));
    assert_eq!(list_of(all.elements(&at)), expected);
}
