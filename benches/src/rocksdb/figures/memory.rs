//! Resident memory under load over the budget.

use alluvium_benches::measure::Samples;

use crate::child::Task;
use crate::report::{Goal, Report};

const GOAL: Goal = Goal::bar(1.25);

pub(super) fn figures(report: &Report) {
    for budget_mib in report.plan.budgets_mib {
        let figure = format!("memory-over-budget/{budget_mib}-mib");
        if !report.wants(&figure) {
            continue;
        }
        let task = Task::Memory { budget_mib: *budget_mib };
        let (mut ratios, mut notes) = (Samples::default(), Vec::new());
        for _ in 0..report.plan.long_rounds.min(3) {
            if let [most, last, charged, state, operations, checkpoints] = task.in_a_process()[..] {
                let budget = *budget_mib as f64;
                ratios.push(most / budget);
                notes.push(format!(
                    "  at most {most:.0} MiB, {last:.0} at the end, {charged:.0} charged to the \
                     budget; {state:.0} MiB of state, {operations:.0} operations, \
                     {checkpoints:.0} checkpoints"
                ));
            }
        }
        report.figure(&figure, &ratios, GOAL, "ratio");
        report.notes(&notes);
    }
}
