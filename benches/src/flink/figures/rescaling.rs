//! From checkpoints in local files back to state: at the same parallelism, and at another one.

use alluvium_benches::cases::Step;
use alluvium_benches::report::Goal;

use super::Report;
use crate::field::{BACKEND, Field, Java, check_same, numbers};

const GOAL: Goal = Goal::of(8.0, 49.0);

pub(super) fn figures(report: &Report, java: &Java) {
    let plan = report.plan;
    compare(report, java, &["heap", "fs"], plan.rescaled_keys);
    compare(report, java, &["rocksdb"], plan.rescaled_keys_on_disk);
}

fn name(step: Step, backend: &str) -> String {
    format!("flink-{}/{backend}", step.name().replace('_', "-"))
}

fn compare(report: &Report, java: &Java, backends: &[&'static str], keys: u64) {
    let wants = |step: Step, backend: &str| report.wants(&name(step, backend));
    let of_any_step = |backend: &&str| Step::ALL.into_iter().any(|step| wants(step, backend));
    let backends: Vec<_> = backends.iter().copied().filter(of_any_step).collect();
    let is_wanted = |step: &Step| backends.iter().any(|backend| wants(*step, backend));
    let steps: Vec<_> = Step::ALL.into_iter().filter(is_wanted).collect();
    if steps.is_empty() {
        return;
    }
    let keys = keys.to_string();
    let mut field = Field::start(java, &["rescaling", BACKEND, &keys], &backends);
    for step in steps {
        let plan = report.plan;
        let answers = field.compare(step.name(), plan.long_warm_ups, plan.long_rounds);
        check_same(step.name(), &answers, 1);
        let millis = |contender: usize| {
            let answers = answers.get(contender).map_or(&[][..], Vec::as_slice);
            numbers(answers, 0).map(|nanos| nanos / 1e6)
        };
        let theirs = millis(0);
        for (contender, backend) in field.ours() {
            let ours = millis(contender);
            report.figure(&name(step, backend), &theirs.over(&ours), GOAL, "times");
            report.note(&format!(
                "  {:.1} ms ({:.1} to {:.1}) against {:.1} ms ({:.1} to {:.1}), {keys} keys",
                ours.median(),
                ours.min(),
                ours.max(),
                theirs.median(),
                theirs.min(),
                theirs.max()
            ));
        }
    }
}
