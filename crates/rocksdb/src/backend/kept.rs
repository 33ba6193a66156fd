//! Restored state that nobody has registered: rows like all others, of types that nobody knows.

use alluvium_format::keyed::StateMeta;

use crate::engine::Column;
use crate::row_format::RowFormat;

/// A restored state.
pub(super) struct Kept {
    pub(super) meta: StateMeta,
    pub(super) format: RowFormat,
    pub(super) column: Column,
}
