//! Sources that hold rows of each other's key groups.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alluvium_core::{KeyGroupAssigner, KeyedStateHandle, MaxParallelism, SubtaskIndex};
use alluvium_format::codec::{Codec, DefaultCodec};
use alluvium_state::{
    KeyedBackendSpec, KeyedStateBackend, KeyedStreams, ListStateDescriptor, RestoreError,
    StreamContent, ValueStateDescriptor,
};
use alluvium_testkit::job::{KeyedOf, TestJob};
use tempfile::TempDir;

use super::fetch::Fetch;
use super::import::import_files;
use super::{RestoreStatistics, SstSource, clip};
use crate::RocksDbStateBackend;
use crate::engine::Engine;
use crate::options::EngineOptions;
use crate::row_key::RowKeyLayout;

type Job<'b> = TestJob<'b, RocksDbStateBackend, u64>;
type Subtask = KeyedOf<RocksDbStateBackend, u64>;
/// What each key has: its value, if any, and its list.
type Expected = BTreeMap<u64, (Option<u64>, Vec<u64>)>;

const KEYS: u64 = 400;

thread_local! {
    static CLIPS_NOTHING: Cell<bool> = const { Cell::new(false) };
}

/// Whether clipping leaves all files of this thread's restores as they are.
pub(super) fn clips_nothing() -> bool {
    CLIPS_NOTHING.get()
}

/// A backend whose databases compact at once, or never.
fn backend(base: &Path, compacts: &Arc<AtomicBool>) -> RocksDbStateBackend {
    let compacts = Arc::clone(compacts);
    RocksDbStateBackend::new(base).customize_column(move |options| {
        if compacts.load(Ordering::Relaxed) {
            options.set_level_zero_file_num_compaction_trigger(1);
        } else {
            options.set_disable_auto_compactions(true);
        }
    })
}

fn job(backend: &RocksDbStateBackend) -> Job<'_> {
    let mut job = Job::new(backend);
    job.max_parallelism = MaxParallelism::new(16).unwrap();
    job
}

/// Sets and appends a number, or deletes, depending on the key.
fn change(job: &Job<'_>, subtasks: &mut [Subtask], expected: &mut Expected, number: u64) {
    let parallelism = u32::try_from(subtasks.len()).unwrap();
    for key in 0..KEYS {
        let state = &mut subtasks[job.owner_of(&key, parallelism)];
        let value = state.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
        let list = state.list_state(ListStateDescriptor::<u64>::new("list")).unwrap();
        let mut at = state.at(&key).unwrap();
        let (has, elements) = expected.entry(key).or_default();
        if number > 1 && key % 4 == 0 {
            value.clear(&mut at).unwrap();
            *has = None;
        } else {
            value.set(&mut at, number).unwrap();
            *has = Some(number);
        }
        if number > 1 && key % 4 == 1 {
            list.clear(&mut at).unwrap();
            elements.clear();
        }
        if key % 4 != 2 {
            list.add(&mut at, number).unwrap();
            elements.push(number);
        }
    }
}

fn check(job: &Job<'_>, subtasks: &mut [Subtask], expected: &Expected) {
    let parallelism = u32::try_from(subtasks.len()).unwrap();
    for (key, (value, list)) in expected {
        let state = &mut subtasks[job.owner_of(key, parallelism)];
        let values = state.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
        let lists = state.list_state(ListStateDescriptor::<u64>::new("list")).unwrap();
        let at = state.at(key).unwrap();
        assert_eq!(values.get(&at).unwrap().map(|value| *value), *value, "value of {key}");
        let found = lists.elements(&at).unwrap().map(|element| *element.unwrap());
        assert_eq!(found.collect::<Vec<_>>(), *list, "list of {key}");
    }
    let entries: usize = subtasks.iter().map(|state| state.entry_count().unwrap()).sum();
    let has = expected.values().map(|(v, l)| usize::from(v.is_some()) + usize::from(!l.is_empty()));
    assert_eq!(entries, has.sum::<usize>());
}

fn statistics(subtasks: &[Subtask]) -> RestoreStatistics {
    let mut sum = RestoreStatistics::default();
    for state in subtasks {
        sum.add(*state.restore_statistics());
    }
    sum
}

/// One subtask becomes two and three. The first and the last of three have files with rows of all;
/// the one between was clipped, and is clean.
fn thirds(job: &Job<'_>) -> (Vec<KeyedStateHandle>, Expected) {
    let (mut handles, mut expected) = (Vec::new(), Expected::new());
    for parallelism in 1..=3 {
        let mut subtasks = job.open(parallelism, &handles);
        check(job, &mut subtasks, &expected);
        change(job, &mut subtasks, &mut expected, parallelism.into());
        handles = job.snapshot(&mut subtasks);
    }
    (handles, expected)
}

/// Imports the values of all sources, two of which are not clean, into one column family without a clip, and reads them.
fn imported_as_they_are(
    job: &Job<'_>,
    handles: &[KeyedStateHandle],
    dir: &Path,
) -> Result<BTreeMap<u64, u64>, RestoreError> {
    let spec = KeyedBackendSpec {
        uid: job.uid.clone(),
        subtask: SubtaskIndex::new(0),
        parallelism: job.parallelism(1),
        key: DefaultCodec,
        assigner: KeyGroupAssigner::<u64>::Stable,
        hash_seed: 1,
    };
    let (reader, max, options) = (job.reader(), job.max_parallelism, EngineOptions::default());
    let streams = KeyedStreams::open(&spec, handles, &reader).unwrap();
    let fetch = Fetch { reader: &reader, dir, parallel: 2 };
    let (mut files, mut unclean, mut meta) = (Vec::new(), 0, None);
    for (number, stream) in streams.streams.iter().enumerate() {
        let StreamContent::Ssts(index) = &stream.content else { panic!("{stream:?}") };
        let (source, mut counted) = (SstSource { index, wanted: stream.wanted }, <_>::default());
        let states = fetch.source(number, &source, max, &mut counted).unwrap();
        unclean += usize::from(clip::is_needed(&states, stream.wanted, streams.key_groups, max));
        let values = states.into_iter().filter(|state| state.meta.name == "value");
        files.extend(values.flat_map(|state| {
            meta = Some(state.meta);
            state.files
        }));
    }
    assert_eq!(unclean, 2, "sources that have to be clipped");
    let engine = Engine::create(&dir.join("db"), &options.database()).unwrap();
    let (column, _) = import_files(&engine, "values", &options.column(meta.unwrap()), &files)?;
    let (mut found, layout) = (BTreeMap::new(), RowKeyLayout::new(max));
    for key in 0..KEYS {
        let mut row = Vec::new();
        layout.put_key_group(job.key_group_of(&key), &mut row);
        DefaultCodec.encode(&key, &mut row).unwrap();
        if let Some(value) = engine.db().get_pinned_cf(&&column, &row).unwrap() {
            found.insert(key, u64::from_le_bytes(value[..].try_into().unwrap()));
        }
    }
    Ok(found)
}

/// All files lie in level 0 or beside each other, so RocksDB takes them. What one source has left
/// of a key group that is another's now has larger sequence numbers, and wins.
#[test]
fn files_with_rows_of_each_other_read_wrongly_as_they_are_and_exactly_after_a_clip() {
    let dir = TempDir::new().unwrap();
    let backend = backend(&dir.path().join("base"), &Arc::default());
    let job = job(&backend);
    let (handles, expected) = thirds(&job);
    let values = expected.iter().filter_map(|(key, (value, _))| Some((*key, (*value)?)));
    let values: BTreeMap<u64, u64> = values.collect();
    let found = imported_as_they_are(&job, &handles, dir.path()).unwrap();
    let stale = values.iter().filter(|(key, value)| found.get(*key) != Some(*value)).count();
    assert!(stale > 20, "{stale} stale values");

    let mut subtasks = job.open(1, &handles);
    assert_eq!(statistics(&subtasks).sources_clipped, 2);
    check(&job, &mut subtasks, &expected);
}

/// Both halves have the same file at the lowest level.
#[test]
fn files_with_rows_of_each_other_are_refused_below_level_0_and_exact_after_a_clip() {
    let dir = TempDir::new().unwrap();
    let compacts = Arc::new(AtomicBool::new(true));
    let backend = backend(&dir.path().join("base"), &compacts);
    let job = job(&backend);
    let (mut whole, mut expected) = (job.open(1, &[]), Expected::new());
    change(&job, &mut whole, &mut expected, 1);
    job.snapshot(&mut whole);
    // The compaction of what the first checkpoint has flushed is over sooner or later.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let handles = job.snapshot(&mut whole);
    compacts.store(false, Ordering::Relaxed);
    let mut halves = job.open(2, &handles);
    change(&job, &mut halves, &mut expected, 2);
    let handles = job.snapshot(&mut halves);

    let error = imported_as_they_are(&job, &handles, dir.path()).unwrap_err();
    assert!(error.to_string().contains("overlap"), "{error}");
    let mut subtasks = job.open(1, &handles);
    assert_eq!(statistics(&subtasks).sources_clipped, 2);
    check(&job, &mut subtasks, &expected);
}

#[test]
fn rows_are_copied_where_files_cannot_be_clipped() {
    let dir = TempDir::new().unwrap();
    let backend = backend(&dir.path().join("base"), &Arc::default());
    let job = job(&backend);
    let (handles, mut expected) = thirds(&job);
    CLIPS_NOTHING.set(true);
    let mut copied = job.open(2, &handles);
    CLIPS_NOTHING.set(false);
    let done = statistics(&copied);
    assert!(done.rows_copied > 0 && done.sources_clipped == 2 && done.bytes_rewritten == 0);
    check(&job, &mut copied, &expected);
    change(&job, &mut copied, &mut expected, 4);
    let handles = job.snapshot(&mut copied);
    assert!(handles.iter().all(|handle| handle.shared.len() >= 2), "rows are files again");
    for parallelism in [1, 3] {
        let mut subtasks = job.open(parallelism, &handles);
        check(&job, &mut subtasks, &expected);
    }
}
