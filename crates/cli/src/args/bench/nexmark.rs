//! What a person can type to run NEXMark.

use std::time::Duration;

#[cfg(feature = "rocksdb")]
use std::path::PathBuf;

use alluvium_bench::nexmark::{Options, Query};
use clap::{Args, ValueEnum};

use super::{BenchBackend, target_of};

/// Which queries to run, and how.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "they are flags of the command")]
pub struct BenchNexmarkOptions {
    /// Queries, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "all")]
    pub query: Vec<BenchQuery>,
    /// Where state lives; several backends, separated by commas, take turns.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "fs")]
    pub backend: Vec<BenchBackend>,
    /// Events that each query reads, 1000 to 1000000000; a block of half a million lies in memory, and is
    /// read over and over; default: 10000000.
    #[arg(long, value_name = "N")]
    pub events: Option<u64>,
    /// Subtasks of each stage, 1 to 128.
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub parallelism: u32,
    /// Time between the starts of two checkpoints, such as 500ms or 10s; default: 1s.
    #[arg(long, value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub interval: Option<Duration>,
    /// Run without checkpoints only; otherwise with them and without, in turns.
    #[arg(long)]
    pub no_checkpoints: bool,
    /// How often each job runs in each way, 1 to 100; default: 3.
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,
    /// Where checkpoints go: a path, file:, memory: or s3: URI, below which a folder is made for each run
    /// and removed after it; or `tmp`, a folder in that for temporary files.
    #[arg(long, default_value = "tmp", value_name = "URI|tmp")]
    pub storage: String,
    /// Folder for the databases of the RocksDB backend. Default: a temporary one.
    #[cfg(feature = "rocksdb")]
    #[arg(long, value_name = "DIR")]
    pub local_dir: Option<PathBuf>,
    /// Memory that the RocksDB backend has for caches and for what is not written to files yet.
    #[cfg(feature = "rocksdb")]
    #[arg(long, default_value = "256MiB", value_name = "BYTES")]
    pub rocksdb_memory: bytesize::ByteSize,
    /// 20000 events, one round and a checkpoint every 10ms, where nothing else is given: to see that it
    /// works, not to compare figures.
    #[arg(long)]
    pub quick: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Do not show on standard error what is being done.
    #[arg(long)]
    pub quiet: bool,
}

impl BenchNexmarkOptions {
    /// What to measure, not checked yet.
    pub fn options(&self) -> Options {
        let defaults = if self.quick { Options::quick() } else { Options::default() };
        Options {
            queries: self.query.iter().flat_map(|query| query.queries()).copied().collect(),
            backends: self.backend.iter().map(|backend| (*backend).into()).collect(),
            events: self.events.unwrap_or(defaults.events),
            parallelism: self.parallelism,
            interval: self.interval.unwrap_or(defaults.interval),
            has_checkpoints: !self.no_checkpoints,
            rounds: self.rounds.unwrap_or(defaults.rounds),
            target: target_of(&self.storage),
            #[cfg(feature = "rocksdb")]
            local_dir: self.local_dir.clone(),
            #[cfg(feature = "rocksdb")]
            rocksdb_memory_len_bytes: self.rocksdb_memory.as_u64(),
        }
    }
}

/// A query of NEXMark, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchQuery {
    /// All of them.
    All,
    /// Pass through.
    Q0,
    /// Local item suggestion: a join of sellers and auctions.
    Q3,
    /// Hot items: a sliding window over bids.
    Q5,
    /// Monitor new users: a join within windows.
    Q8,
    /// Find last bid: the last of each bidder on each auction.
    Q18,
}

impl BenchQuery {
    const fn queries(self) -> &'static [Query] {
        match self {
            Self::All => &Query::ALL,
            Self::Q0 => &[Query::Q0],
            Self::Q3 => &[Query::Q3],
            Self::Q5 => &[Query::Q5],
            Self::Q8 => &[Query::Q8],
            Self::Q18 => &[Query::Q18],
        }
    }
}
