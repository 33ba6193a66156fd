//! A mapped file of a [`FaultyStorage`].
//!
//! Invariants: after a crash it cannot be read, as if the process that mapped it were gone.

use std::ops::Range;
use std::sync::Arc;

use alluvium_core::StoragePath;
use alluvium_storage::{ReadAt, StorageError};
use bytes::Bytes;

use super::FaultyStorage;

#[derive(Debug)]
pub(super) struct FaultyReadAt {
    pub(super) storage: FaultyStorage,
    pub(super) path: StoragePath,
    pub(super) inner: Arc<dyn ReadAt>,
}

impl ReadAt for FaultyReadAt {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn len_bytes(&self) -> u64 {
        self.inner.len_bytes()
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.storage.check_alive("read", Some(&self.path))?;
        self.inner.read(range)
    }
}
