//! Single accesses over those of RocksDB itself, to memtables and to files.
//!
//! Both databases are filled in the same order, flushed at the same moments, and have the same
//! options, each with memory of its own. The rows in files have been compacted, and the cache holds
//! them all.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium_benches::engine::{Raw, options_of};
use alluvium_benches::measure::{Samples, in_turns, timed};
use alluvium_benches::null_storage::NullStorage;
use alluvium_benches::targets::ACCESS_SEED;
use alluvium_state::{
    KeyedStateBackend, ListState, ListStateDescriptor, MapState, MapStateDescriptor, ValueState,
};

use crate::own::{self, Checkpoints, Keyed, MIB, RIGHT_USE};
use crate::records::{self, Record};
use crate::report::{Goal, Report};

const VALUES: Goal = Goal::of(1.15, 1.03);
const COLLECTIONS: Goal = Goal::of(1.2, 1.05);

const VALUE_KEYS: u64 = 500_000;
const MAP_KEYS: u64 = 50_000;
const ENTRIES: u64 = 10;
const LIST_KEYS: u64 = 5_000;
const ELEMENTS: u64 = 100;
const APPEND_KEYS: u64 = 50_000;
/// So many flushes while filling: as many files as begin a compaction.
const FLUSHES: u64 = 4;
/// Nothing is flushed that the bench does not flush.
const MEMORY_LEN_BYTES: usize = 3_072 * MIB;
const WRITE_BUFFER_LEN_BYTES: usize = 480 * MIB;

/// What is measured; the first ones change nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    ValueGet,
    MapIterate,
    ListGet,
    ValueUpdate,
    ValuePut,
    ListAppend,
}

use Operation::{ListAppend, ListGet, MapIterate, ValueGet, ValuePut, ValueUpdate};

const OPERATIONS: [Operation; 6] =
    [ValueGet, MapIterate, ListGet, ValueUpdate, ValuePut, ListAppend];

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            ValueGet => "value-get",
            ValuePut => "value-put",
            ValueUpdate => "value-update",
            MapIterate => "map-iterate",
            ListAppend => "list-append",
            ListGet => "list-get",
        }
    }

    const fn goal(self) -> Goal {
        match self {
            ValueGet | ValuePut => VALUES,
            ValueUpdate => Goal::NONE,
            MapIterate | ListAppend | ListGet => COLLECTIONS,
        }
    }

    /// Keys, and one access for so many of the plan.
    const fn size(self) -> (u64, usize) {
        match self {
            ValueGet | ValuePut | ValueUpdate => (VALUE_KEYS, 1),
            MapIterate => (MAP_KEYS, 5),
            ListGet => (LIST_KEYS, 10),
            ListAppend => (APPEND_KEYS, 1),
        }
    }
}

pub(super) fn figures(report: &Report) {
    for place in ["memtable", "files"] {
        let name = |operation: Operation| format!("{}-over-raw/{place}", operation.name());
        if !OPERATIONS.iter().any(|operation| report.wants(&name(*operation))) {
            continue;
        }
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut pair = Pair::new(dir.path());
        pair.fill(if place == "files" { FLUSHES } else { 0 }, dir.path());
        for operation in OPERATIONS {
            if report.wants(&name(operation)) {
                pair.compare(report, &name(operation), operation);
            }
        }
    }
}

/// The backend with its states.
struct Own {
    keyed: Keyed,
    values: ValueState<u64>,
    maps: MapState<u64, u64>,
    lists: ListState<u64>,
    appended: ListState<u64>,
}

struct Pair {
    own: Own,
    raw: Raw,
}

impl Pair {
    fn new(dir: &Path) -> Self {
        let backend = |name| {
            own::backend(&dir.join(name), MEMORY_LEN_BYTES)
                .write_buffer_len_bytes(WRITE_BUFFER_LEN_BYTES)
        };
        let mut keyed = own::open_empty(&backend("own"));
        let values = own::values(&mut keyed, "value");
        let map = MapStateDescriptor::<u64, u64>::new("map");
        let maps = keyed.map_state(map).expect("a new state");
        let mut list =
            |name| keyed.list_state(ListStateDescriptor::<u64>::new(name)).expect("a new state");
        let (lists, appended) = (list("list"), list("append"));
        let own = Own { keyed, values, maps, lists, appended };
        let options = options_of(backend("options"));
        Self { own, raw: Raw::create(&dir.join("raw"), &options) }
    }

    /// The same rows in both, in parts, each of which is flushed if there are any flushes.
    fn fill(&mut self, flushes: u64, dir: &Path) {
        let parts = flushes.max(1);
        let part_of = |all: &[Record], part: u64| -> Vec<Record> {
            let of_part = |(at, _): &(usize, &Record)| *at as u64 % parts == part;
            all.iter().enumerate().filter(of_part).map(|(_, record)| *record).collect()
        };
        let mut checkpoints = Checkpoints::new();
        let keys = [VALUE_KEYS, MAP_KEYS, LIST_KEYS].map(records::all);
        let [value_keys, map_keys, list_keys] = &keys;
        for part in 0..parts {
            let values = part_of(value_keys, part);
            run(ValuePut, &mut self.own, &values);
            run(ValuePut, &mut self.raw, &values);
            let maps = part_of(map_keys, part);
            for entry in 0..ENTRIES {
                self.own.put_entries(&maps, entry);
                put_raw_entries(&self.raw, &maps, entry);
            }
            let lists = part_of(list_keys, part);
            for element in 0..ELEMENTS {
                self.own.append(self.own.lists, &lists, element);
                append_raw(&self.raw, "list", &lists, element);
            }
            if flushes > 0 {
                checkpoints.take(&mut self.own.keyed, Arc::new(NullStorage::default()));
                self.raw.flush(&["value", "map", "list", "append"]);
            }
        }
        if flushes > 0 {
            wait_for_compactions(dir);
        }
    }

    fn compare(&mut self, report: &Report, figure: &str, operation: Operation) {
        let (keys, share) = operation.size();
        let accesses = report.plan.accesses / share;
        let records = records::random(accesses, keys, ACCESS_SEED);
        let mut cpu = [Samples::default(), Samples::default()];
        let seconds = in_turns(report.plan.rounds, 2, |contender, round| {
            let before = cpu_seconds();
            let (took, digest) = match contender {
                0 => timed(|| run(operation, &mut self.raw, &records)),
                _ => timed(|| run(operation, &mut self.own, &records)),
            };
            let on_cpu = cpu_seconds() - before;
            std::hint::black_box(digest);
            if let (1.., Some(cpu)) = (round, cpu.get_mut(contender)) {
                cpu.push(on_cpu / accesses as f64);
            }
            took.as_secs_f64() / accesses as f64
        });
        if let [raw, own] = &seconds[..] {
            report.figure(figure, &own.over(raw), operation.goal(), "ratio");
            let [raw_cpu, own_cpu] = &cpu;
            let ratio = own_cpu.over(raw_cpu);
            let (min, median, max) = (ratio.min(), ratio.median(), ratio.max());
            let [raw, own, raw_cpu, own_cpu] =
                [raw, own, raw_cpu, own_cpu].map(|it| it.median() * 1e9);
            report.note(&format!("  raw {raw:.0} ns, own {own:.0} ns"));
            report.note(&format!(
                "  on the CPU: ratio {median:.3} ({min:.3} to {max:.3}), raw {raw_cpu:.0} ns, own \
                 {own_cpu:.0} ns"
            ));
        }
    }
}

/// What this thread has spent on a CPU: the same whatever else the machine does, nearly.
pub(super) fn cpu_seconds() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Waits until the files stay the same.
fn wait_for_compactions(dir: &Path) {
    let (mut last, mut quiet) = (0, 0);
    while quiet < 20 {
        std::thread::sleep(Duration::from_millis(100));
        let files = count_files(dir);
        quiet = if files == last { quiet + 1 } else { 0 };
        last = files;
    }
}

/// SSTs below a folder.
pub(super) fn count_files(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let count = |entry: std::fs::DirEntry| {
        let path = entry.path();
        if path.is_dir() {
            count_files(&path)
        } else {
            usize::from(path.extension().is_some_and(|extension| extension == "sst"))
        }
    };
    entries.map(count).sum()
}

/// Something that can do all operations.
trait Contender {
    fn value_get(&mut self, records: &[Record]) -> u64;
    fn value_put(&mut self, records: &[Record]);
    fn value_update(&mut self, records: &[Record]);
    fn map_iterate(&mut self, records: &[Record]) -> u64;
    fn list_get(&mut self, records: &[Record]) -> u64;
    fn list_append(&mut self, records: &[Record]);
}

/// Gives something that depends on all that was read.
fn run(operation: Operation, on: &mut impl Contender, records: &[Record]) -> u64 {
    match operation {
        ValueGet => return on.value_get(records),
        MapIterate => return on.map_iterate(records),
        ListGet => return on.list_get(records),
        ValuePut => on.value_put(records),
        ValueUpdate => on.value_update(records),
        ListAppend => on.list_append(records),
    }
    0
}

impl Own {
    fn put_entries(&mut self, records: &[Record], entry: u64) {
        for record in records {
            let mut at = self.keyed.at_key_group(record.group, &record.key, &()).expect(RIGHT_USE);
            self.maps.put(&mut at, entry, entry).expect(RIGHT_USE);
        }
    }

    fn append(&mut self, state: ListState<u64>, records: &[Record], element: u64) {
        for record in records {
            let mut at = self.keyed.at_key_group(record.group, &record.key, &()).expect(RIGHT_USE);
            state.add(&mut at, element).expect(RIGHT_USE);
        }
    }
}

impl Contender for Own {
    fn value_get(&mut self, records: &[Record]) -> u64 {
        let mut sum = 0_u64;
        for record in records {
            let at = self.keyed.at_key_group(record.group, &record.key, &()).expect(RIGHT_USE);
            let value = self.values.get(&at).expect(RIGHT_USE);
            sum = sum.wrapping_add(*value.expect("all keys are there"));
        }
        sum
    }

    fn value_put(&mut self, records: &[Record]) {
        for record in records {
            own::set(&mut self.keyed, self.values, record, record.key);
        }
    }

    fn value_update(&mut self, records: &[Record]) {
        for record in records {
            let mut at = self.keyed.at_key_group(record.group, &record.key, &()).expect(RIGHT_USE);
            self.values.update(&mut at, |value| *value = value.wrapping_add(1)).expect(RIGHT_USE);
        }
    }

    fn map_iterate(&mut self, records: &[Record]) -> u64 {
        let mut sum = 0_u64;
        for record in records {
            let at = self.keyed.at_key_group(record.group, &record.key, &()).expect(RIGHT_USE);
            for entry in self.maps.entries(&at).expect(RIGHT_USE) {
                let (key, value) = entry.expect(RIGHT_USE);
                sum = sum.wrapping_add(*key ^ *value).wrapping_add(1);
            }
        }
        assert_eq!(sum, records.len() as u64 * ENTRIES, "all entries are there");
        sum
    }

    fn list_get(&mut self, records: &[Record]) -> u64 {
        let (mut sum, mut count) = (0_u64, 0);
        for record in records {
            let at = self.keyed.at_key_group(record.group, &record.key, &()).expect(RIGHT_USE);
            for element in self.lists.elements(&at).expect(RIGHT_USE) {
                sum = sum.wrapping_add(*element.expect(RIGHT_USE));
                count += 1;
            }
        }
        assert_eq!(count, records.len() as u64 * ELEMENTS, "all elements are there");
        sum
    }

    fn list_append(&mut self, records: &[Record]) {
        self.append(self.appended, records, 1);
    }
}

fn put_raw_entries(raw: &Raw, records: &[Record], entry: u64) {
    let column = raw.column("map");
    for record in records {
        let mut row = record.row().to_vec();
        row.extend_from_slice(&entry.to_le_bytes());
        raw.put(column, &row, &entry.to_le_bytes());
    }
}

fn append_raw(raw: &Raw, column: &str, records: &[Record], element: u64) {
    let column = raw.column(column);
    let mut group = [1; 9];
    group[1..].copy_from_slice(&element.to_le_bytes());
    for record in records {
        raw.merge(column, &record.row(), &group);
    }
}

/// A number of eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

impl Contender for Raw {
    fn value_get(&mut self, records: &[Record]) -> u64 {
        let (mut sum, column) = (0_u64, self.column("value"));
        for record in records {
            let value = self.get(column, &record.row(), number);
            sum = sum.wrapping_add(value.expect("all keys are there"));
        }
        sum
    }

    fn value_put(&mut self, records: &[Record]) {
        let column = self.column("value");
        for record in records {
            self.put(column, &record.row(), &record.key.to_le_bytes());
        }
    }

    fn value_update(&mut self, records: &[Record]) {
        let column = self.column("value");
        for record in records {
            let row = record.row();
            let value = self.get(column, &row, number).unwrap_or_default();
            self.put(column, &row, &value.wrapping_add(1).to_le_bytes());
        }
    }

    fn map_iterate(&mut self, records: &[Record]) -> u64 {
        let (mut sum, column) = (0_u64, self.column("map"));
        for record in records {
            let row = record.row();
            let mut end = row.to_vec();
            // The keys of this bench do not end with a byte of 255 at the places that matter.
            end.push(u8::MAX);
            self.scan(column, &row, end, |key, value| {
                let key = key.get(records::ROW_LEN_BYTES..).unwrap_or_default();
                sum = sum.wrapping_add(number(key) ^ number(value)).wrapping_add(1);
            });
        }
        assert_eq!(sum, records.len() as u64 * ENTRIES, "all entries are there");
        sum
    }

    fn list_get(&mut self, records: &[Record]) -> u64 {
        let (mut sum, mut count, column) = (0_u64, 0, self.column("list"));
        for record in records {
            self.get(column, &record.row(), |mut row| {
                // Groups: a count of one byte, as all are short, and the elements.
                while let Some((&elements, rest)) = row.split_first() {
                    let (group, rest) = rest.split_at(usize::from(elements) * 8);
                    for element in group.chunks_exact(8) {
                        sum = sum.wrapping_add(number(element));
                        count += 1;
                    }
                    row = rest;
                }
            });
        }
        assert_eq!(count, records.len() as u64 * ELEMENTS, "all elements are there");
        sum
    }

    fn list_append(&mut self, records: &[Record]) {
        append_raw(self, "append", records, 1);
    }
}
