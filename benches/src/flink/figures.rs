//! The figures, one file for each question.

mod operations;
mod rescaling;
mod snapshots;
mod word_count;

use crate::field::Java;
use crate::options::Plan;

type Report = alluvium_benches::report::Report<Plan>;

/// Measures whatever was asked for.
pub(crate) fn all(report: &Report, java: &Java) {
    operations::figures(report, java);
    snapshots::figures(report, java);
    rescaling::figures(report, java);
    word_count::figures(report, java);
}
