//! What is to be measured, as somebody asks for it.
//!
//! Invariants: names of options in errors are those of the command, without the dashes.

use std::fmt;
use std::time::Duration;

#[cfg(feature = "rocksdb")]
use std::path::PathBuf;

use alluvium::storage::StorageError;

/// What is to be measured; [`Plan::new`](crate::Plan::new) checks it.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Where state lives; default [`BackendKind::Fs`].
    pub backend: BackendKind,
    /// Keys that have a value; 1,000 to 1,000,000,000, default 1,000,000.
    pub keys: u64,
    /// Length of each value in bytes; 8 to 1,048,576, default 100.
    pub value_len_bytes: usize,
    /// Share of the keys that may change between two checkpoints; above 0, at most 1, default 0.1.
    pub change_rate: f64,
    /// Exponent of the Zipf distribution by which those keys are drawn; 0, which is uniform, to 10,
    /// default 0.
    pub skew: f64,
    /// Time between the starts of two checkpoints; 1 ms to 1 hour, default 500 ms.
    pub interval: Duration,
    /// How long the state is updated; seven tenths of it have room for a checkpoint, at most a day,
    /// default 10 s.
    pub load: Duration,
    /// Where checkpoints go; default [`Target::Temporary`].
    pub target: Target,
    /// What a checkpoint writes; default [`Snapshots::Incremental`].
    pub snapshots: Snapshots,
    /// Compression of what is written; default what the backend does by itself.
    pub compression: Option<Compression>,
    /// Seed of keys, values and the order of updates; default 42.
    pub seed: u64,
    /// One restore instead of three, and short buffers for the limits; default false.
    pub is_quick: bool,
    /// Folder for the databases of RocksDB; default a temporary one.
    #[cfg(feature = "rocksdb")]
    pub local_dir: Option<PathBuf>,
    /// Memory that RocksDB may take, in bytes; at least 4 MiB, default 256 MiB.
    #[cfg(feature = "rocksdb")]
    pub rocksdb_memory_len_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            backend: BackendKind::Fs,
            keys: 1_000_000,
            value_len_bytes: 100,
            change_rate: 0.1,
            skew: 0.0,
            interval: Duration::from_millis(500),
            load: Duration::from_secs(10),
            target: Target::Temporary,
            snapshots: Snapshots::Incremental,
            compression: None,
            seed: 42,
            is_quick: false,
            #[cfg(feature = "rocksdb")]
            local_dir: None,
            #[cfg(feature = "rocksdb")]
            rocksdb_memory_len_bytes: 256 << 20,
        }
    }
}

impl Options {
    /// 20,000 keys and a second of load: to see that it works, not to compare figures.
    pub fn quick() -> Self {
        Self {
            keys: 20_000,
            interval: Duration::from_millis(100),
            load: Duration::from_secs(1),
            is_quick: true,
            ..Self::default()
        }
    }
}

/// Where state lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendKind {
    /// In memory, restored at once.
    Heap,
    /// The same with the simple nested map, which is encoded while the job waits.
    HeapNested,
    /// In memory, restored from mapped files when it is needed.
    Fs,
    /// The same with the simple nested map.
    FsNested,
    /// In a RocksDB database.
    #[cfg(feature = "rocksdb")]
    Rocksdb,
}

impl BackendKind {
    /// As on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Heap => "heap",
            Self::HeapNested => "heap-nested",
            Self::Fs => "fs",
            Self::FsNested => "fs-nested",
            #[cfg(feature = "rocksdb")]
            Self::Rocksdb => "rocksdb",
        }
    }

    /// What the backend writes if nobody asks for anything else.
    pub(crate) const fn own_compression(self) -> Compression {
        match self {
            #[cfg(feature = "rocksdb")]
            Self::Rocksdb => Compression::Lz4,
            _ => Compression::None,
        }
    }

    /// Whether the backend can write so. The streams of the others know no compression (SPEC 6.5).
    pub(crate) fn can_write(self, compression: Compression) -> bool {
        match self {
            #[cfg(feature = "rocksdb")]
            Self::Rocksdb => true,
            _ => compression == Compression::None,
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where checkpoints go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A folder in that for temporary files, which is removed at the end.
    Temporary,
    /// Nowhere: bytes are counted and forgotten. Nothing can be restored.
    Null,
    /// A storage, by its URI. A folder of its own is made there, and removed at the end.
    Uri(String),
}

/// What a checkpoint writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snapshots {
    /// Everything.
    Full,
    /// What has changed, where the backend can tell, and references to the rest.
    Incremental,
}

impl Snapshots {
    /// As on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
        }
    }
}

/// Compression of what a checkpoint writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// None.
    None,
    /// LZ4.
    Lz4,
    /// Zstandard, at the level that RocksDB takes by itself (3).
    Zstd,
}

impl Compression {
    /// As on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An option that cannot be, or does not go with another.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// A value outside of what is possible.
    #[error("{option} {value}: {allowed}")]
    OutOfRange {
        /// The option.
        option: &'static str,
        /// What was given.
        value: String,
        /// What is possible, as a sentence.
        allowed: &'static str,
    },
    /// The storage is no URI that can be opened.
    #[error("storage: {0}")]
    Storage(#[source] StorageError),
    /// A compression that the backend does not have.
    #[error("compression {compression}: the backend {backend} writes without compression only")]
    Compression {
        /// What was given.
        compression: Compression,
        /// The backend.
        backend: BackendKind,
    },
    /// No checkpoint would begin within the load.
    #[error(
        "interval {interval_ms}ms: the {room_ms}ms of the load that have checkpoints are shorter"
    )]
    Interval {
        /// What was given, in milliseconds.
        interval_ms: u128,
        /// The part of the load that has checkpoints, in milliseconds.
        room_ms: u128,
    },
}
