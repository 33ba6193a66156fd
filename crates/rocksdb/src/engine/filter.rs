//! What compactions ask about rows.

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowDecision {
    /// It stays as it is.
    Keep,
    /// It goes.
    Remove,
    /// It gets the value that was put into the buffer.
    Change,
}

/// Makes a filter for each compaction, in any thread.
pub(crate) trait RowFilters: Send + Sync + 'static {
    /// The filter.
    type Filter: RowFilter;

    /// The filter of a compaction that begins.
    fn begin(&self) -> Self::Filter;
}

/// Decides about the rows of a compaction.
pub(crate) trait RowFilter: Send + 'static {
    /// What becomes of a row; `changed` is empty.
    fn decide(&mut self, row: &[u8], value: &[u8], changed: &mut Vec<u8>) -> RowDecision;
}
