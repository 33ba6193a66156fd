//! Counting words with two cores and an exactly-once checkpoint each second.

use alluvium_benches::report::Goal;

use super::Report;
use crate::field::{BACKEND, Field, Java, numbers};

const GOAL: Goal = Goal::of(4.0, 10.0);
const NAME: &str = "flink-word-count/heap";

pub(super) fn figures(report: &Report, java: &Java) {
    if !report.wants(NAME) {
        return;
    }
    let plan = report.plan;
    let words = plan.words.to_string();
    let mut field = Field::start(java, &["words", BACKEND, &words], &["heap"]);
    let [warm_up, window] = [plan.word_warm_up, plan.word_window].map(|it| it.as_millis());
    let answers = field.compare(&format!("run {warm_up} {window}"), 0, plan.word_rounds);
    let [theirs, ours] = &answers[..] else { return };
    let [rate, ours_rate] =
        [theirs, ours].map(|it| numbers(it, 0).over(&numbers(it, 1)).map(|per_ns| per_ns * 1e3));
    report.figure(NAME, &ours_rate.over(&rate), GOAL, "times");
    report.note(&format!(
        "  {:.2} ({:.2} to {:.2}) against {:.2} ({:.2} to {:.2}) M records/s, {words} words",
        ours_rate.median(),
        ours_rate.min(),
        ours_rate.max(),
        rate.median(),
        rate.min(),
        rate.max()
    ));
    let [checkpoints, ours_checkpoints] = [theirs, ours].map(|it| numbers(it, 2).median());
    report.note(&format!(
        "  {ours_checkpoints:.0} against {checkpoints:.0} checkpoints completed in {window} ms"
    ));
}
