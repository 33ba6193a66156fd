//! Options of RocksDB, side by side, in databases of RocksDB itself.
//!
//! Each variant changes one thing in the options that the backend uses. Rounds go through all
//! variants in turn; a value is the time on the CPU over that of the unchanged options, since the
//! workloads neither wait nor read from a disk.

use std::path::Path;

use alluvium_benches::engine::{Raw, options_of};
use alluvium_benches::measure::{Samples, in_turns};
use alluvium_benches::targets::ACCESS_SEED;
use alluvium_rocksdb::PredefinedOptions;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DataBlockIndexType, MemtableFactory, Options, SliceTransform,
};

use super::access::cpu_seconds;
use crate::own::{self, MIB};
use crate::records::{self, ROW_LEN_BYTES, Record};
use crate::report::{Goal, Report};

const KEYS: u64 = 500_000;
const MAP_KEYS: u64 = 50_000;
const ENTRIES: u64 = 10;
const MEMORY_LEN_BYTES: usize = 768 * MIB;
const WRITE_BUFFER_LEN_BYTES: usize = 120 * MIB;
const BUCKETS: usize = 500_000;

/// What a variant changes. Not among them: pipelined writes, which RocksDB refuses with atomic
/// flush.
type Change = fn(&mut Options, &mut BlockBasedOptions);

const VARIANTS: [(&str, Change); 18] = [
    ("unchanged", |_, _| {}),
    ("concurrent-memtable-write", |options, _| options.set_allow_concurrent_memtable_write(true)),
    ("unordered-write", |options, _| {
        options.set_allow_concurrent_memtable_write(true);
        options.set_unordered_write(true);
    }),
    ("hash-linklist-memtable", |options, _| {
        options.set_prefix_extractor(SliceTransform::create_fixed_prefix(ROW_LEN_BYTES));
        options.set_memtable_factory(MemtableFactory::HashLinkList { bucket_count: BUCKETS });
    }),
    ("hash-skiplist-memtable", |options, _| {
        options.set_prefix_extractor(SliceTransform::create_fixed_prefix(ROW_LEN_BYTES));
        options.set_memtable_factory(MemtableFactory::HashSkipList {
            bucket_count: BUCKETS,
            height: 4,
            branching_factor: 4,
        });
    }),
    ("memtable-bloom", |options, _| {
        options.set_memtable_prefix_bloom_ratio(0.02);
        options.set_memtable_whole_key_filtering(true);
    }),
    ("prefix-bloom", |options, _| {
        options.set_prefix_extractor(SliceTransform::create_fixed_prefix(ROW_LEN_BYTES));
        options.set_memtable_prefix_bloom_ratio(0.02);
    }),
    ("binary-search-in-blocks", |_, table| {
        table.set_data_block_index_type(DataBlockIndexType::BinarySearch);
    }),
    ("block-2k", |_, table| table.set_block_size(2 * 1024)),
    ("block-8k", |_, table| table.set_block_size(8 * 1024)),
    ("block-16k", |_, table| table.set_block_size(16 * 1024)),
    ("block-32k", |_, table| table.set_block_size(32 * 1024)),
    ("ribbon-filter", |_, table| table.set_ribbon_filter(10.0)),
    ("lru-cache", |_, table| table.set_block_cache(&Cache::new_lru_cache(512 * MIB))),
    ("no-compression", |options, _| {
        options.set_compression_type(rocksdb::DBCompressionType::None);
    }),
    ("zstd", |options, _| options.set_compression_type(rocksdb::DBCompressionType::Zstd)),
    ("restart-interval-4", |_, table| table.set_block_restart_interval(4)),
    ("no-write-buffer-manager", |options, _| {
        options.set_write_buffer_manager(&rocksdb::WriteBufferManager::new_write_buffer_manager(
            0, false,
        ));
    }),
];

const WORKLOADS: [&str; 9] = [
    "get-memtable",
    "get-absent-memtable",
    "put",
    "update",
    "map-iterate-memtable",
    "get-files",
    "get-absent-files",
    "map-iterate-files",
    "scan-files",
];

pub(super) fn figures(report: &Report) {
    // They say what the defaults should be, not how good the backend is.
    if !report.is_named("option") {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut databases: Vec<Database> = VARIANTS
        .iter()
        .map(|(name, change)| Database::create(&dir.path().join(name), *change))
        .collect();
    for database in &databases {
        database.fill();
    }
    for workload in WORKLOADS {
        if workload == "get-files" {
            databases.iter().for_each(Database::compact);
        }
        let records = records::random(report.plan.accesses, KEYS, ACCESS_SEED);
        let seconds = in_turns(report.plan.rounds, databases.len(), |number, _| {
            databases.get_mut(number).map_or(f64::NAN, |database| {
                let before = cpu_seconds();
                let operations = database.run(workload, &records);
                (cpu_seconds() - before) / operations as f64
            })
        });
        let unchanged = seconds.first().cloned().unwrap_or_default();
        report.note(&format!("{workload}: {:.0} ns", unchanged.median() * 1e9));
        for ((name, _), seconds) in VARIANTS.iter().zip(&seconds).skip(1) {
            let ratio: Samples = seconds.over(&unchanged);
            report.figure(&format!("option/{workload}/{name}"), &ratio, Goal::NONE, "ratio");
        }
    }
    for ((name, _), database) in VARIANTS.iter().zip(&databases) {
        let bytes = database
            .raw
            .db
            .live_files()
            .map_or(0, |files| files.iter().map(|file| file.size).sum::<usize>());
        report.value(&format!("option/file-bytes/{name}"), bytes as f64, Goal::NONE, "bytes");
    }
}

struct Database {
    raw: Raw,
}

impl Database {
    fn create(dir: &Path, change: Change) -> Self {
        let backend = own::backend(&dir.join("options"), MEMORY_LEN_BYTES)
            .predefined(PredefinedOptions::Default)
            .write_buffer_len_bytes(WRITE_BUFFER_LEN_BYTES);
        let mut options = options_of(backend);
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&Cache::new_hyper_clock_cache(512 * MIB, 0));
        // As the backend sets them; the safe crate cannot read them back.
        table.set_cache_index_and_filter_blocks(true);
        table.set_cache_index_and_filter_blocks_with_high_priority(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        table.set_format_version(6);
        table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
        table.set_data_block_hash_ratio(0.75);
        table.set_bloom_filter(10.0, false);
        change(&mut options.values, &mut table);
        change(&mut options.database, &mut table);
        options.values.set_block_based_table_factory(&table);
        let columns = [("value", &options.values), ("map", &options.values)];
        Self { raw: Raw::with_columns(&dir.join("db"), &options.database, &columns) }
    }

    fn fill(&self) {
        let (value, map) = (self.raw.column("value"), self.raw.column("map"));
        for number in 0..KEYS {
            // Every other one is absent.
            if number % 2 == 0 {
                self.raw.put(value, &Record::of(number).row(), &number.to_le_bytes());
            }
        }
        for entry in 0..ENTRIES {
            for number in 0..MAP_KEYS {
                let mut row = Record::of(number).row().to_vec();
                row.extend_from_slice(&entry.to_le_bytes());
                self.raw.put(map, &row, &entry.to_le_bytes());
            }
        }
    }

    /// One file or a few in one level.
    fn compact(&self) {
        for name in ["value", "map"] {
            self.raw.flush(&[name]);
            self.raw.db.compact_range_cf(self.raw.column(name), None::<&[u8]>, None::<&[u8]>);
        }
    }

    /// Does the work, and says how many operations that was.
    fn run(&mut self, workload: &str, records: &[Record]) -> usize {
        let (raw, value) = (&self.raw, self.raw.column("value"));
        let (kind, _) = workload.split_once("-memtable").unwrap_or((workload, ""));
        let (kind, _) = kind.split_once("-files").unwrap_or((kind, ""));
        let mut sum = 0_u64;
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        match kind {
            "get" | "get-absent" => {
                // Numbers below twice that: one half is there.
                let is_absent = kind == "get-absent";
                for record in records {
                    let row = if is_absent { absent(record) } else { record.row() };
                    sum += raw.get(value, &row, number).unwrap_or_default();
                }
                std::hint::black_box(sum);
                records.len()
            }
            "put" => {
                for record in records {
                    raw.put(value, &record.row(), &record.key.to_le_bytes());
                }
                records.len()
            }
            "update" => {
                for record in records {
                    let row = record.row();
                    let old = raw.get(value, &row, number).unwrap_or_default();
                    raw.put(value, &row, &old.wrapping_add(1).to_le_bytes());
                }
                records.len()
            }
            "map-iterate" => {
                let map = raw.column("map");
                let count = records.len() / 5;
                for place in 0..count as u64 {
                    let row = Record::of(place * 7_919 % MAP_KEYS).row();
                    let mut end = row.to_vec();
                    end.push(u8::MAX);
                    raw.scan(map, &row, end, |_, value| sum += number(value));
                }
                std::hint::black_box(sum);
                count
            }
            _ => scan(&raw.db, value),
        }
    }
}

/// A row that is nowhere, among those that are.
fn absent(record: &Record) -> [u8; ROW_LEN_BYTES] {
    let mut row = record.row();
    row[ROW_LEN_BYTES - 1] ^= 0x55;
    row
}

/// All rows, in order; total order, which memtables of hashes must sort for.
fn scan(db: &DB, column: &rocksdb::ColumnFamily) -> usize {
    let mut reads = rocksdb::ReadOptions::default();
    reads.set_total_order_seek(true);
    let mut rows = db.raw_iterator_cf_opt(column, reads);
    rows.seek_to_first();
    let mut count = 0;
    while let Some((row, _)) = rows.item() {
        std::hint::black_box(row);
        count += 1;
        rows.next();
    }
    count
}
