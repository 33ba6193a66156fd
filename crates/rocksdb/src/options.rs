//! How databases and column families are set up.
//!
//! Source: Flink `PredefinedOptions`; what each value costs and brings is in `benches/README.md`.

use std::sync::Arc;

use alluvium_format::keyed::{StateKind, StateMeta};
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, DBCompressionType, DataBlockIndexType, LogLevel,
    Options,
};

use crate::engine::ColumnOptions;
use crate::list_row::{element_of, set_list_merge};
use crate::memory::RocksDbMemory;

const MIB: usize = 1024 * 1024;
/// Memory of a backend that is given none.
const MEMORY_LEN_BYTES: usize = 256 * MIB;
/// Bytes of a memtable, at most, where nothing else is said.
const WRITE_BUFFER_LEN_BYTES: usize = 64 * MIB;
/// Memtables of a state: the one that is written to, and those that are being flushed.
const MAX_WRITE_BUFFERS: i32 = 4;
/// Files that a checkpoint uploads, or a restore brings, at a time.
const PARALLEL_TRANSFERS: usize = 4;
/// A budget is so many times the buffer of a file that a compaction reads or writes: such buffers
/// are not charged to it, and a compaction has one for each of its files.
const BUDGET_OVER_FILE_BUFFER: usize = 512;

/// Options for a kind of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PredefinedOptions {
    /// What suits most: point reads from an SSD with a cache that holds a good part of them.
    #[default]
    Default,
    /// Little memory for much state: indexes and filters are read in parts, filters are a third
    /// smaller and cost more CPU time.
    MemoryBound,
    /// Spinning disks: larger blocks and files, read ahead.
    Disk,
    /// Flash with many queues: more compactions at a time, smaller blocks.
    Flash,
}

/// Changes options after this crate has set them.
type Customize = Arc<dyn Fn(&mut Options) + Send + Sync>;

/// What a job may choose.
#[derive(Clone)]
pub(crate) struct EngineOptions {
    pub(crate) memory: RocksDbMemory,
    pub(crate) predefined: PredefinedOptions,
    pub(crate) write_buffer_len_bytes: Option<usize>,
    pub(crate) parallel_transfers: usize,
    pub(crate) customize_database: Option<Customize>,
    pub(crate) customize_column: Option<Customize>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            memory: RocksDbMemory::of(MEMORY_LEN_BYTES),
            predefined: PredefinedOptions::default(),
            write_buffer_len_bytes: None,
            parallel_transfers: PARALLEL_TRANSFERS,
            customize_database: None,
            customize_column: None,
        }
    }
}

impl EngineOptions {
    /// Options of a new database.
    pub(crate) fn database(&self) -> Options {
        let mut options = Options::default();
        options.set_write_buffer_manager(self.memory.write_buffers());
        // One task writes.
        options.set_allow_concurrent_memtable_write(false);
        options.set_max_background_jobs(2);
        // A new database has no files; the default would start sixteen threads for them.
        options.set_max_file_opening_threads(1);
        options.set_log_level(LogLevel::Warn);
        options.set_keep_log_file_num(1);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        let file_buffer = self.memory.len_bytes() / BUDGET_OVER_FILE_BUFFER;
        let file_buffer = file_buffer.clamp(64 * 1024, MIB);
        options.set_compaction_readahead_size(file_buffer);
        options.set_writable_file_max_buffer_size(file_buffer as u64);
        match self.predefined {
            PredefinedOptions::Default | PredefinedOptions::MemoryBound => {}
            PredefinedOptions::Disk => options.set_compaction_readahead_size(4 * MIB),
            PredefinedOptions::Flash => options.set_max_background_jobs(4),
        }
        if let Some(customize) = &self.customize_database {
            customize(&mut options);
        }
        options
    }

    /// Options of the column family of a state.
    pub(crate) fn column(&self, meta: &StateMeta) -> ColumnOptions {
        let mut options = ColumnOptions::default();
        options.set_block_based_table_factory(&self.table());
        let write_buffer = self.write_buffer_len_bytes.unwrap_or_else(|| {
            WRITE_BUFFER_LEN_BYTES.min(self.memory.write_buffers_len_bytes() / 2)
        });
        options.set_write_buffer_size(write_buffer);
        // Memory of a memtable is taken in pieces of this size, from the first row on.
        options.set_arena_block_size((write_buffer / 64).clamp(4 * 1024, MIB));
        options.set_max_write_buffer_number(MAX_WRITE_BUFFERS);
        options.set_compression_type(DBCompressionType::Lz4);
        match self.predefined {
            PredefinedOptions::Default | PredefinedOptions::Flash => {}
            PredefinedOptions::MemoryBound => {
                options.set_bottommost_compression_type(DBCompressionType::Zstd);
            }
            PredefinedOptions::Disk => {
                options.set_target_file_size_base(256 * MIB as u64);
                options.set_max_bytes_for_level_base(1024 * MIB as u64);
            }
        }
        if meta.kind == StateKind::List {
            set_list_merge(element_of(&meta.value), &mut options);
        }
        if let Some(customize) = &self.customize_column {
            customize(&mut options);
        }
        options
    }

    fn table(&self) -> BlockBasedOptions {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(self.memory.cache());
        // Or they would be outside of the budget.
        table.set_cache_index_and_filter_blocks(true);
        table.set_cache_index_and_filter_blocks_with_high_priority(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        table.set_format_version(6);
        table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
        table.set_data_block_hash_ratio(0.75);
        match self.predefined {
            PredefinedOptions::Default | PredefinedOptions::Flash => {
                table.set_bloom_filter(10.0, false);
            }
            PredefinedOptions::MemoryBound => {
                table.set_ribbon_filter(10.0);
                table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
                table.set_partition_filters(true);
                table.set_metadata_block_size(4096);
            }
            PredefinedOptions::Disk => {
                table.set_bloom_filter(10.0, false);
                table.set_block_size(32 * 1024);
            }
        }
        table
    }
}
