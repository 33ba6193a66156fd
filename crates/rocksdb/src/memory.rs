//! One budget of memory for all databases of a process.
//!
//! RocksDB uses memory for blocks that it has read, for indexes and filters of files, and for rows
//! that are not in files yet (memtables). Here all of it is charged to one cache: memtables through
//! a write-buffer manager, indexes and filters as blocks of it.
//!
//! Shape: of `n` bytes the cache has `5n/6`, and memtables `n/3` of these, which they exceed by half
//! while they are being flushed: `5n/6 + n/6 = n`.
//!
//! What is charged is not all that is resident: there is also what the allocator keeps. The one of
//! glibc keeps 1.6 times what is charged after some minutes of 20 GiB of state, jemalloc 1.1 times
//! (`benches/README.md`). A program that opens RocksDB backends should have jemalloc as its global
//! allocator, under the names of the C library, so that RocksDB uses it too: the crate
//! `tikv-jemallocator` with `unprefixed_malloc_on_supported_platforms`, as the `alluvium` command
//! has it. It is for the program to choose, so no library here does.
//!
//! The cache is not strict: one that refuses a block when all others are in use makes reads fail,
//! and a job must not fail for a moment of bad luck. Blocks in use are what one call reads.
//!
//! Source: Flink `RocksDBMemoryControllerUtils`, whose shares these are.

use rocksdb::{Cache, WriteBufferManager};

/// Least budget, in bytes.
const LEAST_LEN_BYTES: usize = 4 * 1024 * 1024;

/// A budget that is too small to work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{len_bytes} bytes of memory for RocksDB: at least 4 MiB are needed")]
pub struct MemoryTooSmall {
    /// What was asked for, in bytes.
    pub len_bytes: usize,
}

/// Memory that all backends share that are given it, or a clone of it.
#[derive(Clone)]
pub struct RocksDbMemory {
    cache: Cache,
    write_buffers: WriteBufferManager,
    len_bytes: usize,
}

impl RocksDbMemory {
    /// A budget of some bytes.
    ///
    /// Errors: [`MemoryTooSmall`] below 4 MiB.
    pub fn new(len_bytes: usize) -> Result<Self, MemoryTooSmall> {
        if len_bytes < LEAST_LEN_BYTES {
            return Err(MemoryTooSmall { len_bytes });
        }
        Ok(Self::of(len_bytes))
    }

    pub(crate) fn of(len_bytes: usize) -> Self {
        let cache = Cache::new_hyper_clock_cache(len_bytes / 6 * 5, 0);
        let write_buffers = WriteBufferManager::new_write_buffer_manager_with_cache(
            len_bytes / 3,
            false,
            cache.clone(),
        );
        Self { cache, write_buffers, len_bytes }
    }

    /// The budget in bytes.
    pub const fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// What is charged to it now, in bytes.
    pub fn used_bytes(&self) -> usize {
        self.cache.get_usage()
    }

    pub(crate) const fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(crate) const fn write_buffers(&self) -> &WriteBufferManager {
        &self.write_buffers
    }

    /// Bytes that all memtables together may have before some are flushed.
    pub(crate) const fn write_buffers_len_bytes(&self) -> usize {
        self.len_bytes / 3
    }
}

impl std::fmt::Debug for RocksDbMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RocksDbMemory({} of {} bytes)", self.used_bytes(), self.len_bytes)
    }
}
