//! What a person can type to measure.

mod nexmark;

use std::path::PathBuf;
use std::time::Duration;

use alluvium_bench::{BackendKind, Compression, Options, Snapshots, Target};
use clap::{Args, Subcommand, ValueEnum};

pub use self::nexmark::{BenchNexmarkOptions, BenchQuery};

/// What to measure.
#[derive(Debug, Args)]
pub struct BenchCommand {
    /// What to measure.
    #[command(subcommand)]
    pub subject: BenchSubject,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum BenchSubject {
    /// Update keyed state without a pause, take checkpoints of it meanwhile, and restore the last one.
    ///
    /// Prints freeze times, the asynchronous part, new and shared bytes, throughput before, during and
    /// after checkpoints, the worst operation, restore and rescale times and memory per entry; and
    /// beside them what one thread of this machine can do: memory copy, CRC32, zstd, write + fsync. With
    /// the defaults it takes half a minute and 700 MB of memory. What could not be measured is `-`, and
    /// `null` in JSON. What was written is compared with what is restored: exit code 70 if it differs.
    Checkpoint(BenchCheckpointOptions),
    /// Run queries of NEXMark as jobs, with exactly-once checkpoints and without.
    ///
    /// Prints events per second, the same per core, peak memory, and how long checkpoints took and what
    /// they wrote; and beside it how fast one thread generates the events and computes the results without
    /// any of this. With the defaults it takes about a minute and a half. What could not be
    /// measured is `-`, and `null` in JSON. What each job has come to is compared with what that one thread
    /// has: exit code 70 if it differs.
    Nexmark(BenchNexmarkOptions),
}

/// What to measure of checkpoints.
#[derive(Debug, Clone, Args)]
pub struct BenchCheckpointOptions {
    /// Where state lives.
    #[arg(long, value_enum, default_value = "fs")]
    pub backend: BenchBackend,
    /// Keys that have a value, 1000 to 1000000000; default: 1000000.
    #[arg(long, value_name = "N")]
    pub keys: Option<u64>,
    /// Length of each value, 8 to 1048576.
    #[arg(long, default_value_t = 100, value_name = "BYTES")]
    pub value_size: usize,
    /// Share of the keys that may change between two checkpoints, above 0, at most 1. Which ones moves on
    /// with each checkpoint.
    #[arg(long, default_value_t = 0.1, value_name = "SHARE", allow_negative_numbers = true)]
    pub change_rate: f64,
    /// How unevenly those keys are drawn: the exponent of a Zipf distribution, 0 (all are as likely) to
    /// 10.
    #[arg(long, default_value_t = 0.0, value_name = "EXPONENT", allow_negative_numbers = true)]
    pub skew: f64,
    /// Time between the starts of two checkpoints, such as 500ms or 10s; default: 500ms.
    #[arg(long, value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub interval: Option<Duration>,
    /// How long to update, a tenth to warm up and a fifth without checkpoints included; default: 10s.
    #[arg(long, value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub duration: Option<Duration>,
    /// Where checkpoints go: a path, file:, memory: or s3: URI, below which a folder is made and removed
    /// at the end; `null`, which forgets everything, so that nothing is restored; or `tmp`, a folder in
    /// that for temporary files.
    #[arg(long, default_value = "tmp", value_name = "URI|null|tmp")]
    pub storage: String,
    /// What a checkpoint writes.
    #[arg(long, value_enum, default_value = "incremental")]
    pub snapshots: super::Snapshots,
    /// Compression of what is written; default: lz4 for rocksdb, and none for the others, which have no
    /// other.
    #[arg(long, value_enum)]
    pub compression: Option<BenchCompression>,
    /// Seed of keys, values and the order of updates.
    #[arg(long, default_value_t = 42, value_name = "N")]
    pub seed: u64,
    /// Folder for the database of the RocksDB backend; on the file system of --storage, a restore links
    /// files instead of copying them. Default: a temporary one.
    #[cfg(feature = "rocksdb")]
    #[arg(long, value_name = "DIR")]
    pub local_dir: Option<PathBuf>,
    /// Memory that the RocksDB backend has for caches and for what is not written to files yet.
    #[cfg(feature = "rocksdb")]
    #[arg(long, default_value = "256MiB", value_name = "BYTES")]
    pub rocksdb_memory: bytesize::ByteSize,
    /// 20000 keys, 1s of updates and a checkpoint every 100ms, where nothing else is given, and less of
    /// everything else: to see that it works, not to compare figures.
    #[arg(long)]
    pub quick: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Draw the report as well, as an SVG.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Do not show on standard error what is being done.
    #[arg(long)]
    pub quiet: bool,
}

impl BenchCheckpointOptions {
    /// What to measure, not checked yet.
    pub fn options(&self) -> Options {
        let defaults = if self.quick { Options::quick() } else { Options::default() };
        Options {
            backend: self.backend.into(),
            keys: self.keys.unwrap_or(defaults.keys),
            value_len_bytes: self.value_size,
            change_rate: self.change_rate,
            skew: self.skew,
            interval: self.interval.unwrap_or(defaults.interval),
            load: self.duration.unwrap_or(defaults.load),
            target: target_of(&self.storage),
            snapshots: match self.snapshots {
                super::Snapshots::Full => Snapshots::Full,
                super::Snapshots::Incremental => Snapshots::Incremental,
            },
            compression: self.compression.map(Into::into),
            seed: self.seed,
            is_quick: self.quick,
            #[cfg(feature = "rocksdb")]
            local_dir: self.local_dir.clone(),
            #[cfg(feature = "rocksdb")]
            rocksdb_memory_len_bytes: self.rocksdb_memory.as_u64(),
        }
    }
}

fn target_of(storage: &str) -> Target {
    match storage {
        "null" => Target::Null,
        "tmp" => Target::Temporary,
        uri => Target::Uri(uri.to_owned()),
    }
}

/// Where state lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchBackend {
    /// State in memory, restored at once.
    #[value(alias = "memory")]
    Heap,
    /// The same with the simple nested map and synchronous checkpoints.
    #[value(alias = "nested")]
    HeapNested,
    /// State in memory, restored from mapped files when it is needed.
    Fs,
    /// The same with the simple nested map and synchronous checkpoints.
    FsNested,
    /// State in a local RocksDB database.
    #[cfg(feature = "rocksdb")]
    Rocksdb,
}

impl From<BenchBackend> for BackendKind {
    fn from(backend: BenchBackend) -> Self {
        match backend {
            BenchBackend::Heap => Self::Heap,
            BenchBackend::HeapNested => Self::HeapNested,
            BenchBackend::Fs => Self::Fs,
            BenchBackend::FsNested => Self::FsNested,
            #[cfg(feature = "rocksdb")]
            BenchBackend::Rocksdb => Self::Rocksdb,
        }
    }
}

/// Compression of what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchCompression {
    /// None.
    None,
    /// Fast; RocksDB only.
    Lz4,
    /// Smaller; RocksDB only.
    Zstd,
}

impl From<BenchCompression> for Compression {
    fn from(compression: BenchCompression) -> Self {
        match compression {
            BenchCompression::None => Self::None,
            BenchCompression::Lz4 => Self::Lz4,
            BenchCompression::Zstd => Self::Zstd,
        }
    }
}
