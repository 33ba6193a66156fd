//! The RocksDB backend, with the compression that was asked for.

use ::rocksdb::{DBCompressionType, Options as EngineOptions};
use alluvium::rocksdb::{RocksDbMemory, RocksDbStateBackend};
use tempfile::TempDir;

use crate::error::BenchError;
use crate::options::{Compression, OptionError, Options};
use crate::place::temporary_folder;

/// The backend, and its folder if that is a temporary one.
///
/// Errors: [`BenchError::System`], [`OptionError::OutOfRange`].
pub(crate) fn backend(
    options: &Options,
) -> Result<(RocksDbStateBackend, Option<TempDir>), BenchError> {
    let (dir, temporary) = if let Some(dir) = &options.local_dir {
        (dir.clone(), None)
    } else {
        let temporary = temporary_folder()?;
        (temporary.path().to_owned(), Some(temporary))
    };
    let memory = usize::try_from(options.rocksdb_memory_len_bytes).ok();
    let memory =
        memory.and_then(|len_bytes| RocksDbMemory::new(len_bytes).ok()).ok_or_else(|| {
            OptionError::OutOfRange {
                option: "rocksdb-memory",
                value: options.rocksdb_memory_len_bytes.to_string(),
                allowed: "at least 4 MiB are needed",
            }
        })?;
    let backend = RocksDbStateBackend::new(dir).memory(&memory);
    let backend = match options.compression {
        None => backend,
        Some(compression) => {
            let kind = match compression {
                Compression::None => DBCompressionType::None,
                Compression::Lz4 => DBCompressionType::Lz4,
                Compression::Zstd => DBCompressionType::Zstd,
            };
            let choose = move |column: &mut EngineOptions| column.set_compression_type(kind);
            backend.customize_column(choose)
        }
    };
    Ok((backend, temporary))
}
