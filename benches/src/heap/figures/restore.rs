//! From a checkpoint back to state: whole, and up to the first record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium_core::KeyedStateHandle;
use alluvium_fs::FsStateBackend;
use alluvium_heap::HeapStateBackend;
use alluvium_storage::{HandleReader, LocalStorage, ReadAccess, Storage, StreamPolicy};

use crate::contender::{Backend, Bare, Contender};
use crate::measure::{Samples, in_turns, timed};
use crate::null_storage::NullStorage;
use crate::options::{LARGEST, Size};
use crate::report::{Goal, Report};
use crate::setup::{self, KEY_GROUPS};
use crate::shapes::{Access, Act, Numbers, Shape, access_to};

const OVER_INSERTING: Goal = Goal::of(1.5, 1.0);
const FIRST_GET_MS: Goal = Goal::of(50.0, 10.0);

pub(super) fn figures(report: &Report) {
    for size in report.plan.sizes {
        whole(report, *size);
    }
    for size in report.plan.sizes {
        first_get(report, *size);
    }
}

/// A snapshot of the keys from 0 on.
fn snapshot(count: u64, storage: Arc<dyn Storage>, policy: StreamPolicy) -> KeyedStateHandle {
    let mut backend = Backend::<Numbers>::with_entries(count);
    let (frozen, checkpoint) = backend.freeze();
    setup::write(frozen, &setup::full_target(storage, policy, checkpoint))
}

/// One access in each key group, so that whatever is loaded by key group is loaded.
fn one_per_key_group(count: u64) -> Vec<Access<Numbers>> {
    let mut accesses: Vec<Access<Numbers>> = Vec::new();
    for number in 0..count {
        let access = access_to::<Numbers>(number, Act::Get);
        if accesses.iter().all(|other| other.group != access.group) {
            accesses.push(access);
        }
        if accesses.len() as u64 == u64::from(KEY_GROUPS) {
            break;
        }
    }
    accesses
}

/// A whole restore from memory, over inserting the same entries into a table of that size.
fn whole(report: &Report, size: Size) {
    let figure = format!("restore-over-inserting/{}/u64-u64", size.name);
    if !report.wants(&figure) {
        return;
    }
    let storage: Arc<dyn Storage> = Arc::new(NullStorage::default());
    let handle = [snapshot(size.count, Arc::clone(&storage), setup::IN_MEMORY)];
    let reader = HandleReader::new(storage, ReadAccess::Copy);
    let entries: Vec<_> =
        (0..size.count).map(|number| (Numbers::key(number), Numbers::value(number))).collect();
    let accesses = one_per_key_group(size.count);
    let insert_all = || {
        let start = Instant::now();
        let mut bare = Bare::<Numbers>::with_capacity(size.count);
        for (key, value) in &entries {
            bare.insert_absent(*key, *value);
        }
        let took = start.elapsed();
        assert_eq!(bare.len() as u64, size.count);
        took
    };
    let restore = || {
        let start = Instant::now();
        let mut backend = Backend::<Numbers>::open(&HeapStateBackend::default(), &handle, &reader);
        std::hint::black_box(backend.get(&accesses));
        let took = start.elapsed();
        assert_eq!(backend.entry_count() as u64, size.count);
        took
    };
    let seconds = in_turns(report.plan.long_rounds, 2, |contender, _| match contender {
        0 => insert_all().as_secs_f64(),
        _ => restore().as_secs_f64(),
    });
    if let [inserting, restoring] = &seconds[..] {
        let goal = OVER_INSERTING.when(size.count == report.plan.main_size.count);
        report.figure(&figure, &restoring.over(inserting), goal, "ratio");
        let [inserting, restoring] = [inserting, restoring].map(|it| it.median() * 1e3);
        report.note(&format!("  inserting {inserting:.1} ms, restoring {restoring:.1} ms"));
    }
}

/// From `open` to the first value, out of files that the system has in memory.
fn first_get(report: &Report, size: Size) {
    let figure = format!("first-get-after-restore/{}/u64-u64", size.name);
    if !report.wants(&figure) {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let storage = LocalStorage::open(dir.path()).expect("the folder can be written to");
    let storage: Arc<dyn Storage> = Arc::new(storage);
    let handle = [snapshot(size.count, Arc::clone(&storage), StreamPolicy::files())];
    let reader = HandleReader::new(storage, ReadAccess::Map);
    let first = [access_to::<Numbers>(size.count / 2, Act::Get)];
    let restore = || -> Duration {
        let backend = FsStateBackend::default();
        let (took, (_restored, value)) = timed(|| {
            let mut restored = Backend::<Numbers>::open(&backend, &handle, &reader);
            let value = restored.get(&first);
            (restored, value)
        });
        assert!(value > 0, "the entry is there");
        took
    };
    let seconds = in_turns(report.plan.long_rounds, 1, |_, _| restore().as_secs_f64());
    let millis: Samples = seconds.iter().map(|it| it.map(|it| it * 1e3)).next().unwrap_or_default();
    let is_large = size.count == report.plan.main_size.count || size.count == LARGEST.count;
    report.figure(&figure, &millis, FIRST_GET_MS.when(is_large), "ms");
}
