//! Checkpoints whose keyed state may lie in SST files, which a build with RocksDB reads.

use alluvium::inspect::Checkpoint;

use crate::error::CliError;

/// A checkpoint, and a folder for what is made of its SST files, which goes with this.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) checkpoint: Checkpoint,
    #[cfg(feature = "rocksdb")]
    _scratch: tempfile::TempDir,
}

impl Opened {
    #[cfg(not(feature = "rocksdb"))]
    pub(crate) fn new(uri: &str) -> Result<Self, CliError> {
        Ok(Self { checkpoint: Checkpoint::open(uri)? })
    }

    #[cfg(feature = "rocksdb")]
    pub(crate) fn new(uri: &str) -> Result<Self, CliError> {
        use std::sync::Arc;

        use alluvium::inspect::ByBackend;
        use alluvium::rocksdb::RocksDbStateBackend;

        let scratch = tempfile::tempdir()
            .map_err(|source| CliError::System { what: "make a folder".to_owned(), source })?;
        let blocks = scratch.path().join("blocks").display().to_string();
        let backend = RocksDbStateBackend::new(scratch.path().join("rocksdb"));
        let native = ByBackend::new(backend, alluvium::storage::open(&blocks)?);
        let checkpoint = Checkpoint::open(uri)?.with_native(Arc::new(native));
        Ok(Self { checkpoint, _scratch: scratch })
    }
}
