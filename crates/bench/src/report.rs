//! What was measured: plain data.
//!
//! Invariants: what was not measured is `None`, and `null` in JSON; names end in their units; a share is
//! what was measured over its limit, so 1 is all that the machine can do.

#[cfg(test)]
pub(crate) mod sample;
mod shares;

use serde::Serialize;

pub use shares::{Reached, Shares};

use crate::error::BenchError;

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Version of this program.
    pub version: String,
    /// Where it ran.
    pub machine: Machine,
    /// What was asked for.
    pub settings: Settings,
    /// Inserting all keys.
    pub fill: Fill,
    /// What the state takes in memory.
    pub memory: Option<Memory>,
    /// The checkpoint of everything that was taken before the load, with nothing beside it.
    pub first: Checkpoint,
    /// The checkpoints under load, in their order.
    pub checkpoints: Vec<Checkpoint>,
    /// The checkpoint after the load, with nothing beside it, which was restored.
    pub last: Checkpoint,
    /// How long the updates stood still for each checkpoint under load.
    pub freeze: Option<Spread>,
    /// The rest of each checkpoint under load, in another thread.
    pub asynchronous: Option<Spread>,
    /// Telling the backend that a checkpoint under load is complete; the updates stand still.
    pub confirm: Option<Spread>,
    /// The updates.
    pub updates: Updates,
    /// The last checkpoint, restored as it was.
    pub restore: Option<Restored>,
    /// The same as two subtasks.
    pub rescale_out: Option<Restored>,
    /// Checkpoints of those two as one subtask.
    pub rescale_in: Option<Restored>,
    /// What the machine can do.
    pub limits: Limits,
    /// How much of it was reached.
    pub shares: Shares,
    /// What the state held at the end of the load.
    pub checked: Checked,
    /// The load in slices.
    pub timeline: Vec<Slice>,
}

impl Report {
    /// JSON, on several lines.
    ///
    /// Errors: [`BenchError::Json`].
    pub fn to_json(&self) -> Result<String, BenchError> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// Bytes that each checkpoint under load has written, the smallest first.
    pub(crate) fn sorted_new_bytes(&self) -> Vec<u64> {
        sorted(self.checkpoints.iter().map(|checkpoint| checkpoint.new_bytes))
    }

    /// Bytes that each checkpoint under load refers to, the smallest first.
    pub(crate) fn sorted_shared_bytes(&self) -> Vec<u64> {
        sorted(self.checkpoints.iter().map(|checkpoint| checkpoint.shared_bytes))
    }
}

fn sorted(values: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values
}

/// Where it ran; what the system does not tell is absent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Name of the processor.
    pub cpu: Option<String>,
    /// Threads that run at a time.
    pub cores: Option<usize>,
    /// Memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Operating system and architecture.
    pub system: String,
    /// Tasks that wanted to run in the minute before, on average.
    pub load_before: Option<f64>,
    /// The same at the end, this run included.
    pub load_after: Option<f64>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "they are those of `Options`")]
pub struct Settings {
    pub backend: String,
    pub keys: u64,
    pub value_bytes: usize,
    pub change_rate: f64,
    /// Most keys that change between two checkpoints.
    pub keys_per_interval: u64,
    pub skew: f64,
    pub interval_ms: f64,
    pub load_s: f64,
    pub warm_up_s: f64,
    /// When the part without checkpoints ends.
    pub before_ends_s: f64,
    /// Name of the storage, without secrets.
    pub storage: String,
    pub snapshots: String,
    pub compression: String,
    pub seed: u64,
    pub key_groups: u32,
    pub is_quick: bool,
    /// Memory that RocksDB was given.
    pub rocksdb_memory_bytes: Option<u64>,
}

/// Inserting all keys, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fill {
    /// How long it took.
    pub seconds: f64,
    /// Keys per second.
    pub keys_per_s: f64,
}

/// What the state takes in memory: by how much the resident memory of the process grew over the fill.
///
/// What the allocator keeps for later counts as well, and nothing tells how much that is; what RocksDB
/// keeps in files does not count, and what it caches does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Memory {
    /// Resident before the fill.
    pub before_bytes: u64,
    /// Resident after it.
    pub after_bytes: u64,
    /// The growth over the number of keys.
    pub bytes_per_entry: f64,
}

/// One checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checkpoint {
    /// Its number.
    pub number: u64,
    /// When it began, after the beginning of the load; absent outside of the load.
    pub begin_s: Option<f64>,
    /// The synchronous part.
    pub freeze_us: f64,
    /// The asynchronous part, from the end of the freeze.
    pub asynchronous_us: f64,
    /// The confirmation.
    pub confirm_us: f64,
    /// Keys that were updated since the one before.
    pub changed_keys: u64,
    /// Bytes that were written for it.
    pub new_bytes: u64,
    /// Bytes of the files of earlier checkpoints that it refers to: whole files, however little of them
    /// it needs.
    pub shared_bytes: u64,
    /// Files that it needs.
    pub files: u64,
}

/// How long some things took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// How many there were.
    pub count: u64,
    /// One half took as long, or less.
    pub p50_us: f64,
    /// 99 of 100 took as long, or less.
    pub p99_us: f64,
    /// 999 of 1,000 took as long, or less.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

/// The updates of a load: each reads a value, changes it and writes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Updates {
    /// Before the first checkpoint under load.
    pub before: Window,
    /// While a checkpoint was frozen or written.
    pub during: Window,
    /// The rest: between the end of a checkpoint and the next freeze.
    pub after: Window,
    /// The slowest update of all, but for those of the warm-up.
    pub worst_us: Option<f64>,
}

/// A part of the load.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Window {
    /// How many updates.
    pub updates: u64,
    /// How long they took, with freezes (during) and confirmations (after).
    pub busy_s: f64,
    /// The one over the other.
    pub updates_per_s: Option<f64>,
    /// How long single updates took, with a reading of the clock for each.
    pub update: Option<Spread>,
}

/// A restore.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Restored {
    /// Parallelism of the checkpoint.
    pub from_parallelism: u32,
    /// Parallelism of the restore.
    pub to_parallelism: u32,
    /// Until a subtask was open and had read one value, the slowest of them.
    pub first_read: Times,
    /// Until it had loaded everything.
    pub loaded: Times,
    /// Keys that have a value.
    pub keys: u64,
    /// Updates that their values have counted.
    pub updates: u64,
    /// Checksum of all keys and values, in hexadecimal digits.
    pub digest: String,
}

/// Times of several rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Times {
    /// The one in the middle.
    pub median_ms: f64,
    /// The shortest.
    pub least_ms: f64,
    /// The longest.
    pub most_ms: f64,
    /// How many there were.
    pub rounds: usize,
}

/// What one thread of the machine can do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Limits {
    /// Copying memory.
    pub memory_copy: Option<Speed>,
    /// CRC32, which every block of a checkpoint has.
    pub crc32: Option<Speed>,
    /// Zstandard, of values as those of this run.
    pub zstd: Option<Speed>,
    /// Its level.
    pub zstd_level: i32,
    /// Writing as many bytes as the first checkpoint has to a file, and syncing it.
    pub write_sync_first: Option<Speed>,
    /// The same with as many as a checkpoint under load has written, in the median.
    pub write_sync_median: Option<Speed>,
    /// Whether that was the storage of the checkpoints; else it was the folder for temporary files.
    pub written_to_target: bool,
    /// How long it takes to read the clock.
    pub clock_read_ns: f64,
}

/// A limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Speed {
    /// Of the fastest round.
    pub bytes_per_s: f64,
    /// Of the slowest round.
    pub slowest_bytes_per_s: f64,
    /// Bytes of a round.
    pub measured_bytes: u64,
    /// How many rounds there were.
    pub rounds: usize,
}

/// What the state held at the end of the load; all restores had the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// Updates that were done.
    pub updates_done: u64,
    /// Updates that the values have counted.
    pub updates_counted: u64,
    /// Keys that have a value.
    pub keys: u64,
    /// Checksum of all keys and values, in hexadecimal digits.
    pub digest: String,
}

/// A slice of the load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Slice {
    /// When it begins, after the beginning of the load.
    pub begin_s: f64,
    /// When it ends.
    pub end_s: f64,
    /// Updates that were begun in it.
    pub updates: u64,
    /// How long they took.
    pub busy_s: f64,
    /// The slowest of them.
    pub slowest_us: f64,
}
