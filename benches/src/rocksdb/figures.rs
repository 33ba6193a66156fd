//! The figures, one file for each question.

mod access;
mod engine_options;
mod freeze;
mod incremental;
mod memory;
mod rescale;
mod throughput;

use crate::report::Report;

/// Measures whatever was asked for.
pub(crate) fn all(report: &Report) {
    access::figures(report);
    incremental::figures(report);
    freeze::figures(report);
    throughput::figures(report);
    rescale::figures(report);
    memory::figures(report);
    engine_options::figures(report);
}
