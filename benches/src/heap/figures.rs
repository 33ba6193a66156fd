//! The figures, one file for each question.

mod access;
mod empty_groups;
mod freeze;
mod growth;
mod incremental;
mod large_values;
mod memory;
mod restore;
mod snapshot;
mod write_after_freeze;

use crate::report::Report;

/// Measures whatever was asked for.
pub(crate) fn all(report: &Report) {
    access::figures(report);
    freeze::figures(report);
    write_after_freeze::figures(report);
    large_values::figures(report);
    memory::figures(report);
    snapshot::figures(report);
    restore::figures(report);
    incremental::figures(report);
    empty_groups::figures(report);
    growth::figures(report);
}
