//! Full snapshots of the heap backends: the synchronous part, the writing, and the disk.

use alluvium_benches::measure::Samples;
use alluvium_benches::report::Goal;

use super::Report;
use crate::field::{BACKEND, Field, Java, numbers};

const FREEZE: Goal = Goal::of(100.0, 1_000.0);
const SPEED: Goal = Goal::of(4.0, 10.0);
const DISK: Goal = Goal::of(0.6, 0.9);
const FREEZE_NAME: &str = "flink-freeze/heap";
const SPEED_NAME: &str = "flink-snapshot-speed/heap";
const DISK_NAME: &str = "snapshot-over-writing/heap";

pub(super) fn figures(report: &Report, java: &Java) {
    let keys = report.plan.snapshot_keys.to_string();
    let task = ["snapshots", BACKEND, &keys];
    if report.wants_any(&[FREEZE_NAME, SPEED_NAME]) {
        let mut field = Field::start(java, &task, &["heap"]);
        against_flink(report, &mut field);
    }
    if report.wants(DISK_NAME) {
        let mut field = Field::ours_alone(&task, "heap");
        onto_disk(report, &mut field);
    }
}

fn against_flink(report: &Report, field: &mut Field) {
    let plan = report.plan;
    let answers = field.compare("snapshot", plan.long_warm_ups, plan.long_rounds);
    let [theirs, ours] = &answers[..] else { return };
    let [froze, ours_froze] = [theirs, ours].map(|it| numbers(it, 0).map(|nanos| nanos / 1e6));
    report.figure(FREEZE_NAME, &froze.over(&ours_froze), FREEZE, "times");
    report.note(&format!("  {} against {} ms", spread(&ours_froze), spread(&froze)));
    let [speed, ours_speed] =
        [theirs, ours].map(|it| numbers(it, 2).over(&numbers(it, 1)).map(|per_ns| per_ns * 1e3));
    report.figure(SPEED_NAME, &ours_speed.over(&speed), SPEED, "times");
    report.note(&format!("  {} against {} MB/s", spread(&ours_speed), spread(&speed)));
    let [len, ours_len] = [theirs, ours].map(|it| numbers(it, 2).median());
    report.note(&format!("  {ours_len:.0} against {len:.0} bytes, {} entries", plan.snapshot_keys));
}

fn onto_disk(report: &Report, field: &mut Field) {
    let answers = field.compare("disk", 1, report.plan.long_rounds);
    let Some(answers) = answers.first() else { return };
    let [snapshot, plain] = [0, 1].map(|at| numbers(answers, at).map(|nanos| nanos / 1e6));
    report.figure(DISK_NAME, &plain.over(&snapshot), DISK, "share");
    let bytes = numbers(answers, 2).median();
    report.note(&format!(
        "  {} ms, write and fsync {} ms, {bytes:.0} bytes",
        spread(&snapshot),
        spread(&plain)
    ));
}

fn spread(samples: &Samples) -> String {
    format!("{:.3} ({:.3} to {:.3})", samples.median(), samples.min(), samples.max())
}
