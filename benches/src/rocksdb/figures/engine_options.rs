//! Options of RocksDB, side by side, in databases of RocksDB itself.

use crate::report::Report;

pub(super) fn figures(_report: &Report) {}
