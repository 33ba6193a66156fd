//! Much state and little memory for a long time: updates, and a checkpoint every ten seconds.
//!
//! Checkpoints go to local files, and those of the one before are deleted as a coordinator does:
//! what no later one refers to. The state is filled in the order of its rows: files that do not
//! overlap are moved between levels, where those of a random order would be rewritten for most of an
//! hour.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use alluvium_benches::background::Background;
use alluvium_benches::measure::{Samples, timed};
use alluvium_benches::random::Random;
use alluvium_benches::targets::{self, ACCESS_SEED};
use alluvium_core::KeyedStateHandle;
use alluvium_rocksdb::{RocksDbMemory, RocksDbStateBackend};
use alluvium_state::{KeyedStateBackend, SnapshotError, ValueState};
use alluvium_storage::{HandleReader, LocalStorage, ReadAccess, Storage};

use crate::child::Watch;
use crate::own::{self, Checkpoints, Keyed, MIB, RIGHT_USE, Wide};
use crate::records::{KEY_GROUPS, Record};
use crate::report::{Goal, Report};

const BUDGET_MIB: usize = 512;
const MEMORY: Goal = Goal::bar(1.25);
const INTERVAL: Duration = Duration::from_secs(10);
const SUBTASKS: u16 = 2;
/// Bytes of a row, more or less.
const ROW_LEN_BYTES: u64 = 100;
/// Updates of a subtask between two looks at the clock.
const PIECE: usize = 500;
/// Passes over all keys while the state is filled; each takes some key groups.
const PASSES: u32 = 16;

/// How long, and with how much state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Soak {
    pub(crate) minutes: u64,
    pub(crate) state_gib: u64,
}

type Outcome = Arc<Mutex<Vec<Result<(Option<KeyedStateHandle>, f64), SnapshotError>>>>;

struct Subtask {
    keyed: Keyed,
    state: ValueState<Wide>,
    checkpoints: Checkpoints,
    background: Background,
    /// What the last written checkpoint refers to.
    last: Option<KeyedStateHandle>,
    written: Outcome,
}

/// What was found.
#[derive(Default)]
struct Found {
    freeze_us: Samples,
    write_s: Samples,
    failed: usize,
    errors: Vec<String>,
}

pub(crate) fn run(report: &Report, soak: Soak) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let storage = LocalStorage::open(dir.path().join("storage")).expect("a folder");
    let storage: Arc<dyn Storage> = Arc::new(storage);
    let reader = HandleReader::new(Arc::clone(&storage), ReadAccess::Copy);
    let keys = (soak.state_gib << 30) / ROW_LEN_BYTES;
    let mut ordered = Ordered::with_room(keys);
    let watch = Watch::begin();
    let memory = RocksDbMemory::new(BUDGET_MIB * MIB).expect("enough memory");
    let backend = RocksDbStateBackend::new(dir.path().join("work")).memory(&memory);
    let mut subtasks: Vec<Subtask> = (0..SUBTASKS)
        .map(|number| {
            let mut keyed = own::open(&backend, (number, u32::from(SUBTASKS)), &[], &reader);
            let state = own::wide(&mut keyed, "wide");
            let (checkpoints, background) = (Checkpoints::new(), Background::start());
            let written = Outcome::default();
            Subtask { keyed, state, checkpoints, background, last: None, written }
        })
        .collect();
    let (filling, ()) = timed(|| {
        ordered.each(|record| {
            if let Some(subtask) = subtasks.get_mut(owner_of(record)) {
                own::set(&mut subtask.keyed, subtask.state, record, own::wide_value(record.key));
            }
        });
    });
    let seconds = filling.as_secs_f64();
    report.note(&format!("{keys} keys filled in {seconds:.0} s, {:.0} MiB", watch.most_mib()));
    let (mut found, mut random) = (Found::default(), Random::new(ACCESS_SEED));
    let (start, limit) = (Instant::now(), Duration::from_secs(soak.minutes * 60));
    let (mut due, mut updates, mut before) = (Duration::ZERO, 0_u64, 0);
    while start.elapsed() < limit {
        for _ in 0..PIECE {
            let record = Record::of(random.below(keys));
            if let Some(subtask) = subtasks.get_mut(owner_of(&record)) {
                subtask.update(&record);
            }
        }
        updates += PIECE as u64;
        if start.elapsed() >= due && subtasks.iter().all(|subtask| subtask.background.is_idle()) {
            for subtask in &mut subtasks {
                subtask.settle(&storage, &mut found);
                subtask.checkpoint(&storage, &mut found);
            }
            due = start.elapsed() + INTERVAL;
            let (now, rate) = (start.elapsed().as_secs(), (updates - before) / INTERVAL.as_secs());
            before = updates;
            report.note(&format!(
                "  {now} s: {rate} updates/s, {:.0} MiB now, {:.0} at most, {:.0} charged, {} \
                 checkpoints, {} failed",
                watch.now_mib(),
                watch.most_mib(),
                memory.used_bytes() as f64 / MIB as f64,
                found.write_s.len(),
                found.failed
            ));
        }
    }
    for subtask in &mut subtasks {
        subtask.background.wait();
        subtask.settle(&storage, &mut found);
    }
    let rate = updates as f64 / start.elapsed().as_secs_f64();
    report.value("soak-memory-over-budget", watch.most_mib() / BUDGET_MIB as f64, MEMORY, "ratio");
    report.value("soak-failed-checkpoints", found.failed as f64, Goal::bar(0.0), "count");
    report.value("soak-checkpoints", found.write_s.len() as f64, Goal::NONE, "count");
    report.value("soak-updates", rate, Goal::NONE, "1/s");
    report.value("soak-freeze-p99", found.freeze_us.quantile(0.99), Goal::NONE, "us");
    report.figure("soak-checkpoint-time", &found.write_s, Goal::NONE, "s");
    report.notes(&found.errors);
}

/// All records in the order of their rows.
struct Ordered {
    keys: u64,
    /// Those of one pass. Its memory is there, and touched, before memory is watched.
    records: Vec<Record>,
}

impl Ordered {
    fn with_room(keys: u64) -> Self {
        let share = usize::try_from(keys / u64::from(PASSES)).expect("they fit into memory");
        // One in 16 more than the average of a pass.
        let mut records = vec![Record::of(0); share + share / 16 + 1_000];
        std::hint::black_box(&mut records);
        records.clear();
        Self { keys, records }
    }

    fn each(&mut self, mut body: impl FnMut(&Record)) {
        for pass in 0..PASSES {
            let of_this_pass =
                |record: &Record| u32::from(record.group.get()) * PASSES / KEY_GROUPS == pass;
            self.records.clear();
            self.records.extend((0..self.keys).map(Record::of).filter(of_this_pass));
            self.records.sort_unstable_by_key(Record::row);
            self.records.iter().for_each(&mut body);
        }
    }
}

fn owner_of(record: &Record) -> usize {
    usize::from(record.group.get()) * usize::from(SUBTASKS) / KEY_GROUPS as usize
}

impl Subtask {
    fn update(&mut self, record: &Record) {
        let mut at = self.keyed.at_key_group(record.group, &record.key, &()).expect(RIGHT_USE);
        let change = |value: &mut Wide| value[0] = value[0].wrapping_add(1);
        self.state.update_or_insert_with(&mut at, || [0; 92], change).expect(RIGHT_USE);
    }

    /// Begins a checkpoint.
    fn checkpoint(&mut self, storage: &Arc<dyn Storage>, found: &mut Found) {
        let checkpoint = self.checkpoints.begin(&mut self.keyed);
        let (took, frozen) = timed(|| self.keyed.freeze(checkpoint).expect("nothing failed"));
        found.freeze_us.push(took.as_secs_f64() * 1e6);
        let target = targets::incremental_target(Arc::clone(storage), checkpoint);
        let written = Arc::clone(&self.written);
        self.background.run(Box::new(move || {
            let (took, outcome) = timed(|| frozen.write(&target));
            let outcome = outcome.map(|handle| (handle, took.as_secs_f64()));
            written.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
        }));
    }

    /// Takes what the last job gave, and deletes what the checkpoint before it had alone.
    fn settle(&mut self, storage: &Arc<dyn Storage>, found: &mut Found) {
        let outcomes =
            std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner));
        for outcome in outcomes {
            match outcome {
                Ok((Some(handle), seconds)) => {
                    found.write_s.push(seconds);
                    let kept: BTreeSet<_> = handle.files().cloned().collect();
                    let old = self.last.replace(handle);
                    for file in old.iter().flat_map(KeyedStateHandle::files) {
                        if !kept.contains(file) {
                            storage.delete(file).expect("a file of a checkpoint");
                        }
                    }
                }
                Ok((None, _)) => found.errors.push("no state".to_owned()),
                Err(error) => {
                    found.failed += 1;
                    found.errors.push(error.to_string());
                }
            }
        }
    }
}
