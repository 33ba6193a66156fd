//! Lets compactions drop rows of other key groups, and what has expired.
//!
//! Shape: entries that are being merged in a compaction are not shown to filters; what becomes of
//! them is, in the next one.
//!
//! Invariants: rows of other key groups go, whatever they say; of the others, what cannot be parsed
//! stays.

use std::sync::Arc;

use alluvium_state::ttl::TtlMoment;

use crate::engine::{ColumnOptions, RowDecision, RowFilter, RowFilters, set_row_filters};
use crate::row_expiry::{Remains, RowExpiry};
use crate::row_key::RowRange;

/// Lets compactions drop all rows outside a range.
pub(crate) fn keep_only(rows: &RowRange, options: &mut ColumnOptions) {
    filter(Some(rows), None, options);
}

/// Lets compactions drop all rows outside a range, if there is one, and what has expired, if
/// something can.
pub(crate) fn filter(
    rows: Option<&RowRange>,
    expiry: Option<&Arc<RowExpiry>>,
    options: &mut ColumnOptions,
) {
    if rows.is_some() || expiry.is_some() {
        set_row_filters(options, Filters { rows: rows.cloned(), expiry: expiry.cloned() });
    }
}

/// What makes a filter for each compaction.
struct Filters {
    rows: Option<RowRange>,
    expiry: Option<Arc<RowExpiry>>,
}

/// The filter of a compaction. It has one time from beginning to end.
struct Filter {
    rows: Option<RowRange>,
    expiry: Option<(Arc<RowExpiry>, TtlMoment)>,
}

impl RowFilters for Filters {
    type Filter = Filter;

    fn begin(&self) -> Filter {
        let expiry = self.expiry.as_ref();
        let expiry = expiry.and_then(|it| Some((Arc::clone(it), it.for_compaction()?)));
        Filter { rows: self.rows.clone(), expiry }
    }
}

impl RowFilter for Filter {
    fn decide(&mut self, row: &[u8], value: &[u8], changed: &mut Vec<u8>) -> RowDecision {
        if self.rows.as_ref().is_some_and(|rows| !rows.holds_all(row, row)) {
            return RowDecision::Remove;
        }
        let Some((expiry, moment)) = &self.expiry else { return RowDecision::Keep };
        match expiry.remains(value, moment, changed) {
            Ok(Remains::All) | Err(_) => RowDecision::Keep,
            Ok(Remains::Some) => RowDecision::Change,
            Ok(Remains::Nothing) => RowDecision::Remove,
        }
    }
}
