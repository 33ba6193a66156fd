//! The figures, in the order in which they are measured.

mod durable;
mod freeze;
mod operations;

use crate::options::Plan;

pub(crate) type Report = alluvium_benches::report::Report<Plan>;

/// Measures all that were asked for.
pub(crate) fn all(report: &Report) {
    operations::figures(report);
    freeze::figures(report);
    durable::figures(report);
}
