//! A whole run, from an empty backend to the report.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alluvium::core::{KeyedStateHandle, Parallelism, SubtaskIndex};
use alluvium::fs::FsStateBackend;
use alluvium::heap::{HeapStateBackend, StateMapKind};
use alluvium::state::{KeyedStateBackend, StateBackend};
use alluvium::storage::{HandleReader, ReadAccess};

use crate::checkpoints::{Checkpoints, Sizes};
use crate::error::BenchError;
use crate::limits::Measured;
use crate::load::{Load, Loaded, Timing, row, timed};
use crate::machine::{self, resident_bytes};
use crate::null_storage::NullStorage;
use crate::options::BackendKind;
use crate::place::Place;
use crate::plan::{KEY_GROUPS, Parts, Plan};
use crate::report::{
    Checked, Checkpoint, Fill, Memory, Report, Restored, Settings, Shares, Updates,
};
use crate::restore::restore;
use crate::subtask::{Content, Subtask};
use crate::workload::Keys;
use crate::writer;

/// What a run is doing, for whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Inserting all keys.
    Fill,
    /// The first checkpoint, of everything.
    FirstCheckpoint,
    /// What the machine can do.
    Limits,
    /// Updates, and checkpoints beside them.
    Load,
    /// The last checkpoint, and a look at all values.
    Check,
    /// Restores, and a look at all values after each.
    Restore,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fill => "inserting all keys",
            Self::FirstCheckpoint => "the first checkpoint, of everything",
            Self::Limits => "measuring what the machine can do",
            Self::Load => "updates, with checkpoints beside them",
            Self::Check => "the last checkpoint, and a look at all values",
            Self::Restore => "restores and rescales, and a look at all values after each",
        })
    }
}

/// Carries out a plan; `say` hears what is being done.
///
/// Errors: [`BenchError`]. There is no report of a run in which anything went wrong.
pub fn checkpoint(plan: &Plan, say: &mut dyn FnMut(Phase)) -> Result<Report, BenchError> {
    match plan.options().backend {
        BackendKind::Heap => run(&HeapStateBackend::default(), plan, say),
        BackendKind::HeapNested => run(&HeapStateBackend::new(StateMapKind::Nested), plan, say),
        BackendKind::Fs => run(&FsStateBackend::default(), plan, say),
        BackendKind::FsNested => run(&FsStateBackend::new(StateMapKind::Nested), plan, say),
        #[cfg(feature = "rocksdb")]
        BackendKind::Rocksdb => {
            // The folder goes after all databases in it.
            let (backend, _folder) = crate::rocksdb::backend(plan.options())?;
            run(&backend, plan, say)
        }
    }
}

fn run<B: StateBackend>(
    backend: &B,
    plan: &Plan,
    say: &mut dyn FnMut(Phase),
) -> Result<Report, BenchError> {
    let mut machine = machine::machine();
    let options = plan.options();
    let place = Place::open(&options.target, "bench-checkpoint")?;
    let mut checkpoints = Checkpoints::new(place.job(), options.snapshots);
    let mut measured = Measured::new(options.is_quick, options.value_len_bytes, place.local_dir());
    let mut workload = plan.workload()?;
    workload.prepare();

    say(Phase::Fill);
    let mut subtask = open_empty(backend, plan)?;
    let before = resident_bytes();
    let (fill, done) = timed(|| insert_all(&mut subtask, plan));
    done?;
    let memory = grown(before, resident_bytes(), options.keys);

    say(Phase::FirstCheckpoint);
    let (first, _) = take(&mut subtask, &mut checkpoints, options.keys)?;
    say(Phase::Limits);
    measured.round(first.new_bytes, None)?;

    say(Phase::Load);
    let load = Load::new(&mut subtask, &mut workload, &mut checkpoints, options.load);
    let loaded = load.run(plan, place.job())?;
    let changed_keys = workload.move_on();

    say(Phase::Limits);
    let median = median_new_bytes(&loaded.checkpoints);
    measured.round(first.new_bytes, median)?;

    say(Phase::Check);
    let (last, handle) = take(&mut subtask, &mut checkpoints, changed_keys)?;
    let content = subtask.content(plan.keys())?;
    let expected = Content { keys: options.keys, updates: loaded.updates, ..content };
    content.check("what the state holds after the load", expected)?;
    drop(subtask);

    let restores = match place.reader() {
        Some(reader) => {
            say(Phase::Restore);
            let restores = restore_all(backend, plan, &mut checkpoints, &handle, &reader, content)?;
            restores.map(Some)
        }
        None => [None, None, None],
    };
    say(Phase::Limits);
    measured.round(first.new_bytes, median)?;
    machine.load_after = machine::load();

    let [restore, rescale_out, rescale_in] = restores;
    let Loaded { before, during, after, freeze, confirm, asynchronous, checkpoints, .. } = loaded;
    let limits = measured.limits();
    let shares = Shares::of(&limits, compression_of(plan), &first, &checkpoints, restore.as_ref());
    let slowest = [&before, &during, &after].into_iter().filter_map(|window| window.update);
    let worst_us = slowest.map(|update| update.max_us).reduce(f64::max);
    Ok(Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        machine,
        settings: settings(plan, place.name()),
        fill: Fill {
            seconds: fill.as_secs_f64(),
            keys_per_s: options.keys as f64 / fill.as_secs_f64().max(1e-9),
        },
        memory,
        first,
        last,
        freeze: freeze.spread(),
        asynchronous: asynchronous.spread(),
        confirm: confirm.spread(),
        updates: Updates { before, during, after, worst_us },
        checkpoints,
        restore,
        rescale_out,
        rescale_in,
        shares,
        limits,
        checked: Checked {
            updates_done: loaded.updates,
            updates_counted: content.updates,
            keys: content.keys,
            digest: format!("{:016x}", content.digest),
        },
        timeline: loaded.timeline,
    })
}

/// The only subtask, with nothing in it.
fn open_empty<B: StateBackend>(backend: &B, plan: &Plan) -> Result<Subtask<B>, BenchError> {
    let nowhere = HandleReader::new(Arc::new(NullStorage), ReadAccess::Copy);
    let parallelism = Parallelism::new(1, plan.max_parallelism())?;
    Subtask::open(backend, plan, (SubtaskIndex::new(0), parallelism), &[], &nowhere)
}

fn insert_all<B: StateBackend>(subtask: &mut Subtask<B>, plan: &Plan) -> Result<(), BenchError> {
    let (keys, len_bytes): (Keys, usize) = (plan.keys(), plan.options().value_len_bytes);
    for access in keys.iter() {
        subtask.insert(&access, len_bytes)?;
    }
    Ok(())
}

/// Takes a checkpoint with nothing beside it, and confirms it.
fn take<B: StateBackend>(
    subtask: &mut Subtask<B>,
    checkpoints: &mut Checkpoints,
    changed_keys: u64,
) -> Result<(Checkpoint, KeyedStateHandle), BenchError> {
    let target = checkpoints.begin();
    let checkpoint = target.checkpoint.get();
    let (freeze, frozen) = timed(|| subtask.keyed.freeze(target.checkpoint));
    let frozen = frozen.map_err(|source| BenchError::Snapshot { checkpoint, source })?;
    let (asynchronous, handle) = timed(|| writer::write(frozen, &target));
    let handle = handle?;
    let (confirm, ()) = timed(|| subtask.keyed.complete(target.checkpoint));
    let timing = Timing { at: None, freeze, asynchronous, confirm };
    let row = row(&target, timing, changed_keys, Sizes::of(&handle));
    // Files that this one does not need go with the folder, if not with the next one.
    drop(checkpoints.complete(std::slice::from_ref(&handle)));
    Ok((row, handle))
}

/// As it was, as two subtasks, and checkpoints of these as one.
fn restore_all<B: StateBackend>(
    backend: &B,
    plan: &Plan,
    checkpoints: &mut Checkpoints,
    handle: &KeyedStateHandle,
    reader: &HandleReader,
    content: Content,
) -> Result<[Restored; 3], BenchError> {
    let one = std::slice::from_ref(handle);
    let (_, same) = restore(backend, plan, (1, 1), one, reader, content)?;
    let (mut halves, out) = restore(backend, plan, (1, 2), one, reader, content)?;
    // One checkpoint of two subtasks.
    let target = checkpoints.begin();
    let checkpoint = target.checkpoint.get();
    let mut handles = Vec::new();
    for half in &mut halves {
        let frozen = half.keyed.freeze(target.checkpoint);
        let frozen = frozen.map_err(|source| BenchError::Snapshot { checkpoint, source })?;
        handles.push(writer::write(frozen, &target)?);
    }
    drop(halves);
    let (_, back) = restore(backend, plan, (2, 1), &handles, reader, content)?;
    Ok([same, out, back])
}

/// By how much resident memory grew; absent if it is not known, or did not grow.
fn grown(before: Option<u64>, after: Option<u64>, keys: u64) -> Option<Memory> {
    let (before_bytes, after_bytes) = (before?, after?);
    let growth = after_bytes.checked_sub(before_bytes)?;
    Some(Memory { before_bytes, after_bytes, bytes_per_entry: growth as f64 / keys as f64 })
}

fn median_new_bytes(checkpoints: &[Checkpoint]) -> Option<u64> {
    let mut bytes: Vec<u64> = checkpoints.iter().map(|checkpoint| checkpoint.new_bytes).collect();
    bytes.sort_unstable();
    bytes.get(bytes.len().div_ceil(2).saturating_sub(1)).copied()
}

fn compression_of(plan: &Plan) -> crate::options::Compression {
    let options = plan.options();
    options.compression.unwrap_or_else(|| options.backend.own_compression())
}

fn settings(plan: &Plan, storage: &str) -> Settings {
    let options = plan.options();
    let Parts { warm_up, before, all } = plan.parts();
    let seconds = |time: Duration| time.as_secs_f64();
    Settings {
        backend: options.backend.as_str().to_owned(),
        keys: options.keys,
        value_bytes: options.value_len_bytes,
        change_rate: options.change_rate,
        keys_per_interval: plan.keys_per_interval(),
        skew: options.skew,
        interval_ms: seconds(options.interval) * 1e3,
        load_s: seconds(all),
        warm_up_s: seconds(warm_up),
        before_ends_s: seconds(before),
        storage: storage.to_owned(),
        snapshots: options.snapshots.as_str().to_owned(),
        compression: compression_of(plan).as_str().to_owned(),
        seed: options.seed,
        key_groups: KEY_GROUPS,
        is_quick: options.is_quick,
        #[cfg(feature = "rocksdb")]
        rocksdb_memory_bytes: (options.backend == BackendKind::Rocksdb)
            .then_some(options.rocksdb_memory_len_bytes),
        #[cfg(not(feature = "rocksdb"))]
        rocksdb_memory_bytes: None,
    }
}

#[cfg(test)]
mod tests;
