//! The report with the plan of this program.

pub(crate) use alluvium_benches::report::Goal;

use crate::options::Plan;

pub(crate) type Report = alluvium_benches::report::Report<Plan>;
