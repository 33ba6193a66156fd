//! The RocksDB backend as the command sets it up.

use alluvium::rocksdb::{RocksDbMemory, RocksDbStateBackend};

use crate::args::RunOptions;
use crate::error::CliError;

/// Folder of the databases, in that for temporary files.
const DEFAULT_DIR: &str = "alluvium";

pub(crate) fn backend(options: &RunOptions) -> Result<RocksDbStateBackend, CliError> {
    let dir = options.local_dir.clone().unwrap_or_else(|| std::env::temp_dir().join(DEFAULT_DIR));
    let memory = usize::try_from(options.rocksdb_memory.as_u64())
        .ok()
        .and_then(|len_bytes| RocksDbMemory::new(len_bytes).ok())
        .ok_or_else(|| {
            let usage =
                format!("--rocksdb-memory {}: at least 4 MiB are needed", options.rocksdb_memory);
            CliError::Usage(usage)
        })?;
    Ok(RocksDbStateBackend::new(dir).memory(&memory))
}
