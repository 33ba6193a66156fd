//! Lets compactions drop rows of other key groups.
//!
//! By a factory, which RocksDB owns: a filter alone would have to outlive the database, whose
//! options name it.
//!
//! Shape: entries that are being merged in a compaction are not shown to filters; what becomes of
//! them is, in the next one.

use std::ffi::CStr;

use rocksdb::CompactionDecision;
use rocksdb::compaction_filter::CompactionFilter;
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};

use crate::engine::ColumnOptions;
use crate::row_key::RowRange;

const NAME: &CStr = c"alluvium.key-groups";

/// Lets compactions drop all rows outside a range.
pub(crate) fn keep_only(rows: &RowRange, options: &mut ColumnOptions) {
    options.set_compaction_filter_factory(KeepOnly(rows.clone()));
}

/// Both the filter and what makes one for each compaction.
struct KeepOnly(RowRange);

impl CompactionFilterFactory for KeepOnly {
    type Filter = Self;

    fn create(&mut self, _: CompactionFilterContext) -> Self {
        Self(self.0.clone())
    }

    fn name(&self) -> &CStr {
        NAME
    }
}

impl CompactionFilter for KeepOnly {
    fn filter(&mut self, _: u32, row: &[u8], _: &[u8]) -> CompactionDecision {
        if self.0.holds_all(row, row) {
            CompactionDecision::Keep
        } else {
            CompactionDecision::Remove
        }
    }

    fn name(&self) -> &CStr {
        NAME
    }
}
