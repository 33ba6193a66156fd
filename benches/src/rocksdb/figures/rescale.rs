//! Rescaling until the first read, over copying the rows; and what the next checkpoint uploads.
//!
//! The subtasks of a parallelism are opened one after the other and the slowest counts, as on
//! machines of their own. What is copied is read from an open database, so the time to open
//! that, and to bring its files, is not in the time of the copying contender.

use std::path::Path;
use std::sync::Arc;

use alluvium_benches::engine::{EngineOptions, Raw, options_of};
use alluvium_benches::measure::{Samples, in_turns, timed};
use alluvium_benches::null_storage::NullStorage;
use alluvium_benches::targets::max_parallelism;
use alluvium_core::{KeyGroupRange, KeyedStateHandle, Parallelism, SubtaskIndex};
use alluvium_rocksdb::RocksDbStateBackend;
use alluvium_state::KeyedStateBackend;
use alluvium_storage::{HandleReader, LocalStorage, ReadAccess, Storage};
use rocksdb::WriteBatch;

use crate::own::{self, Checkpoints, MIB, RIGHT_USE};
use crate::records::{self, KEY_GROUPS, Record};
use crate::report::{Goal, Report};

const SPEED: Goal = Goal::of(15.0, 40.0);
const UPLOADED: Goal = Goal::of(0.05, 0.01);
const CASES: [(u32, u32); 3] = [(1, 2), (2, 1), (3, 2)];
const MEMORY_LEN_BYTES: usize = 256 * MIB;
/// Rows that are written at a time when rows are copied.
const BATCH_LEN_BYTES: usize = MIB;

pub(super) fn figures(report: &Report) {
    for (from, to) in CASES {
        let names = [
            format!("rescale-over-copying/{from}-to-{to}"),
            format!("first-checkpoint-after-rescale/{from}-to-{to}"),
        ];
        let [speed, uploaded] = &names;
        if report.wants_any(&[speed, uploaded]) {
            rescale(report, (from, to), speed, uploaded);
        }
    }
}

/// The key groups of a subtask.
fn range_of(subtask: u16, parallelism: u32) -> KeyGroupRange {
    let parallelism = Parallelism::new(parallelism, max_parallelism(KEY_GROUPS));
    let parallelism = parallelism.expect("a valid parallelism");
    KeyGroupRange::of_subtask(SubtaskIndex::new(subtask), parallelism).expect("a subtask of it")
}

fn subtasks(parallelism: u32) -> impl Iterator<Item = u16> {
    0..u16::try_from(parallelism).expect("a small number")
}

/// A checkpoint of a job with so many subtasks.
fn checkpoint(
    base: &Path,
    rows: u64,
    parallelism: u32,
    storage: &Arc<dyn Storage>,
) -> Vec<KeyedStateHandle> {
    let nowhere = HandleReader::new(Arc::clone(storage), ReadAccess::Copy);
    let mut handles = Vec::new();
    for subtask in subtasks(parallelism) {
        let backend = own::backend(base, MEMORY_LEN_BYTES);
        let mut keyed = own::open(&backend, (subtask, parallelism), &[], &nowhere);
        let state = own::wide(&mut keyed, "wide");
        let range = range_of(subtask, parallelism);
        for number in 0..rows {
            let record = Record::of(number);
            if range.contains(record.group) {
                own::set(&mut keyed, state, &record, own::wide_value(number));
            }
        }
        handles.push(Checkpoints::new().take(&mut keyed, Arc::clone(storage)));
    }
    handles
}

fn rescale(report: &Report, (from, to): (u32, u32), speed: &str, uploaded: &str) {
    let rows = report.plan.rescaled_rows;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let storage = LocalStorage::open(dir.path().join("storage")).expect("a folder");
    let storage: Arc<dyn Storage> = Arc::new(storage);
    let base = dir.path().join("work");
    let handles = checkpoint(&base, rows, from, &storage);
    // As a job that goes on with its own checkpoints.
    let reader = HandleReader::new(storage, ReadAccess::Copy).shareable(true);
    // A record of each new subtask.
    let firsts: Vec<Record> = subtasks(to)
        .map(|subtask| {
            let range = range_of(subtask, to);
            let mut all = (0..rows).map(Record::of);
            all.find(|record| range.contains(record.group)).expect("each has some")
        })
        .collect();
    let source = open_source(&dir.path().join("source"), &base, rows);
    let (mut statistics, mut shares) = (String::new(), Samples::default());
    let mut copied = 0;
    let seconds = in_turns(report.plan.long_rounds, 2, |contender, round| {
        let mut slowest = 0.0_f64;
        for (subtask, first) in subtasks(to).zip(&firsts) {
            let work = dir.path().join(format!("round-{round}-{contender}-{subtask}"));
            let took = if contender == 0 {
                let (took, rows) = copy(&source, &work, range_of(subtask, to), first);
                copied = rows;
                took
            } else {
                let backend = own::backend(&work, MEMORY_LEN_BYTES);
                let restored = restore(&backend, (subtask, to), &handles, &reader, first);
                shares.push(restored.uploaded_share);
                statistics = restored.statistics;
                restored.seconds
            };
            slowest = slowest.max(took);
            let _ = std::fs::remove_dir_all(work);
        }
        slowest
    });
    if let [copying, restoring] = &seconds[..] {
        report.figure(speed, &copying.over(restoring), SPEED, "times");
        let [copying, restoring] = [copying, restoring].map(|it| it.median() * 1e3);
        report.note(&format!(
            "  {rows} rows: copying {copying:.0} ms ({copied} rows of the last subtask), \
             rescaling {restoring:.1} ms"
        ));
        report.note(&format!("  {statistics}"));
    }
    report.figure(uploaded, &shares, UPLOADED, "uploaded");
}

/// What opening a subtask gave.
struct Restored {
    seconds: f64,
    uploaded_share: f64,
    statistics: String,
}

fn restore(
    backend: &RocksDbStateBackend,
    subtask: (u16, u32),
    handles: &[KeyedStateHandle],
    reader: &HandleReader,
    first: &Record,
) -> Restored {
    let (took, mut keyed) = timed(|| {
        let mut keyed = own::open(backend, subtask, handles, reader);
        let state = own::wide(&mut keyed, "wide");
        let at = keyed.at_key_group(first.group, &first.key, &()).expect(RIGHT_USE);
        assert!(state.get(&at).expect(RIGHT_USE).is_some(), "the row is there");
        keyed
    });
    let storage = NullStorage::default();
    let handle = Checkpoints::new().take(&mut keyed, Arc::new(storage.clone()));
    let total =
        handle.stream.len_bytes + handle.shared.iter().map(|file| file.len_bytes).sum::<u64>();
    Restored {
        seconds: took.as_secs_f64(),
        uploaded_share: storage.written_bytes() as f64 / total as f64,
        statistics: format!("{:?}", keyed.restore_statistics()),
    }
}

/// All rows in one open database.
fn open_source(dir: &Path, base: &Path, rows: u64) -> Raw {
    let source = open_raw(dir, &options_of(own::backend(base, MEMORY_LEN_BYTES)));
    for (number, record) in records::all(rows).iter().enumerate() {
        source.put(source.column("wide"), &record.row(), &own::wide_value(number as u64));
    }
    source.flush(&["wide"]);
    source
}

fn open_raw(dir: &Path, options: &EngineOptions) -> Raw {
    Raw::with_columns(dir, &options.database, &[("wide", &options.values)])
}

/// Copies the rows of some key groups into a new database, and reads one; the seconds and the rows.
fn copy(source: &Raw, work: &Path, range: KeyGroupRange, first: &Record) -> (f64, u64) {
    let options = options_of(own::backend(work, MEMORY_LEN_BYTES));
    let (took, (_copied, rows)) = timed(|| {
        let new = open_raw(&work.join("copy"), &options);
        let (mut batch, mut rows) = (WriteBatch::default(), 0);
        let bound = |group: u16| group.to_be_bytes().get(1..).unwrap_or_default().to_vec();
        let (start, end) = (bound(range.first().get()), bound(range.last().get() + 1));
        let write = |batch: &mut WriteBatch| {
            let batch = std::mem::take(batch);
            new.db.write_opt(batch, &new.writes).expect("RocksDB does not fail here");
        };
        source.scan(source.column("wide"), &start, end, |row, value| {
            batch.put_cf(new.column("wide"), row, value);
            rows += 1;
            if batch.size_in_bytes() >= BATCH_LEN_BYTES {
                write(&mut batch);
            }
        });
        write(&mut batch);
        let found = new.get(new.column("wide"), &first.row(), <[u8]>::len);
        assert!(found.is_some(), "the row is there");
        (new, rows)
    });
    (took.as_secs_f64(), rows)
}
