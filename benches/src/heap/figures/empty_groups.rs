//! What many key groups and states cost while they hold nothing.

use crate::child::Task;
use crate::measure::Samples;
use crate::report::{Goal, Report};

const KEY_GROUPS: u32 = 32_768;
const STATES: u32 = 10;
const BYTES: Goal = Goal::bar(64.0 * 1_024.0 * 1_024.0);
const FREEZE_MS: Goal = Goal::bar(1.0);
const PROCESSES: usize = 3;

pub(super) fn figures(report: &Report) {
    let memory = format!("empty-groups-memory/{KEY_GROUPS}x{STATES}");
    let freeze = format!("empty-groups-freeze/{KEY_GROUPS}x{STATES}");
    if !report.wants_any(&[&memory, &freeze]) {
        return;
    }
    let task = Task::EmptyGroups { key_groups: KEY_GROUPS, states: STATES };
    let (mut bytes, mut millis, mut worst) = <(Samples, Samples, Samples)>::default();
    for _ in 0..PROCESSES {
        let numbers = task.in_a_process();
        for (samples, number) in [&mut bytes, &mut millis, &mut worst].into_iter().zip(numbers) {
            samples.push(number);
        }
    }
    report.figure(&memory, &bytes, BYTES, "bytes");
    report.figure(&freeze, &millis, FREEZE_MS, "ms");
    report.note(&format!("  worst freeze {:.3} ms", worst.max()));
}
