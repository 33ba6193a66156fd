//! Reads and writes of single rows allocate nothing, once buffers have their size.
//!
//! Counted is what this thread asks of Rust's allocator; RocksDB's own memory is not. Values own no
//! memory, as decoding one that does allocates it.

use std::path::Path;

use allocation_counter::measure;
use alluvium_rocksdb::RocksDbStateBackend;
use alluvium_state::{
    KeyedStateBackend, ListStateDescriptor, MapStateDescriptor, ReducingStateDescriptor,
    TimeDomain, TimerDescriptor, ValueStateDescriptor,
};
use alluvium_testkit::job::TestJob;

/// Keys of all operations.
const KEYS: u64 = 500;

fn backend() -> RocksDbStateBackend {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    RocksDbStateBackend::new(base.join("alluvium-rocksdb-allocations"))
}

type Keyed<'a> = &'a mut dyn FnMut(u64);

/// Does an operation for all keys, and once more while it is counted.
#[track_caller]
fn counted(what: &str, operation: Keyed<'_>) -> u64 {
    (0..KEYS).for_each(&mut *operation);
    let counted = measure(|| (0..KEYS).for_each(&mut *operation));
    println!("{what}: {} allocations in {KEYS} operations", counted.count_total);
    counted.count_total
}

#[test]
fn reads_and_writes_of_rows_allocate_nothing() {
    let backend = backend();
    let job: TestJob<'_, _, u64> = TestJob::new(&backend);
    let mut keyed = job.open_one(&[]);
    let value = keyed.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
    let list = keyed.list_state(ListStateDescriptor::<u64>::new("list")).unwrap();
    let map = keyed.map_state(MapStateDescriptor::<u64, u64>::new("map")).unwrap();
    let sum = ReducingStateDescriptor::<u64>::new("sum", |sum, n| *sum += n);
    let sum = keyed.reducing_state(sum).unwrap();
    let expect_none = |what: &str, operation: Keyed<'_>| {
        assert_eq!(counted(what, operation), 0, "{what}");
    };
    expect_none("value set", &mut |key| value.set(&mut keyed.at(&key).unwrap(), key).unwrap());
    expect_none("value get", &mut |key| {
        assert_eq!(value.get(&keyed.at(&key).unwrap()).unwrap().map(|value| *value), Some(key));
    });
    expect_none("value get of none", &mut |key| {
        assert!(value.get(&keyed.at(&(key + KEYS)).unwrap()).unwrap().is_none());
    });
    expect_none("value update", &mut |key| {
        value.update(&mut keyed.at(&key).unwrap(), |value| *value += 1).unwrap();
    });
    expect_none("list add", &mut |key| list.add(&mut keyed.at(&key).unwrap(), key).unwrap());
    expect_none("map put", &mut |key| map.put(&mut keyed.at(&key).unwrap(), 7, key).unwrap());
    expect_none("map get", &mut |key| {
        assert_eq!(map.get(&keyed.at(&key).unwrap(), &7).unwrap().map(|value| *value), Some(key));
    });
    expect_none("map update", &mut |key| {
        map.update(&mut keyed.at(&key).unwrap(), 7, |value| *value += 1).unwrap();
    });
    expect_none("map remove", &mut |key| map.remove(&mut keyed.at(&key).unwrap(), &7).unwrap());
    expect_none("reducing add", &mut |key| sum.add(&mut keyed.at(&key).unwrap(), key).unwrap());
    expect_none("value clear", &mut |key| value.clear(&mut keyed.at(&key).unwrap()).unwrap());
}

/// Iterators are behind pointers, and elements are decoded some at a time.
#[test]
fn iterations_allocate_for_themselves_and_not_for_each_element() {
    let backend = backend();
    let job: TestJob<'_, _, u64> = TestJob::new(&backend);
    let mut keyed = job.open_one(&[]);
    let list = keyed.list_state(ListStateDescriptor::<u64>::new("list")).unwrap();
    let map = keyed.map_state(MapStateDescriptor::<u64, u64>::new("map")).unwrap();
    for key in 0..KEYS {
        let mut at = keyed.at(&key).unwrap();
        list.add_all(&mut at, 0..100).unwrap();
        (0..100).for_each(|user_key| map.put(&mut at, user_key, key).unwrap());
    }
    let elements = counted("list of 100 elements", &mut |key| {
        assert_eq!(list.elements(&keyed.at(&key).unwrap()).unwrap().count(), 100);
    });
    assert!(elements <= 4 * KEYS, "{elements}");
    let entries = counted("map of 100 entries", &mut |key| {
        assert_eq!(map.entries(&keyed.at(&key).unwrap()).unwrap().count(), 100);
    });
    assert!(entries <= 8 * KEYS, "{entries}");
}

/// The earliest timers are held in memory as well.
#[test]
fn timers_allocate_little() {
    let backend = backend();
    let job: TestJob<'_, _, u64> = TestJob::new(&backend);
    let mut keyed = job.open_one(&[]);
    let timers = keyed.timers(TimerDescriptor::new("timers")).unwrap();
    let both = counted("timer register and delete", &mut |key| {
        let time_ms = i64::try_from(key).unwrap();
        let mut at = keyed.at(&key).unwrap();
        assert!(timers.register(&mut at, TimeDomain::EventTime, time_ms).unwrap());
        assert!(timers.delete(&mut at, TimeDomain::EventTime, time_ms).unwrap());
    });
    assert!(both <= 4 * KEYS, "{both}");
}
