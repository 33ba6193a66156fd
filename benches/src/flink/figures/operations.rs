//! Single operations: how many times faster than Flink's, and their geometric mean.

use alluvium_benches::cases::{Case, Kind};
use alluvium_benches::measure::{Samples, geometric_means};
use alluvium_benches::report::Goal;

use super::Report;
use crate::field::{BACKEND, Field, Java, check_same, numbers};
use crate::options::Rounds;

const HEAP: Goal = Goal::of(4.0, 10.0);
const ROCKSDB: Goal = Goal::of(1.5, 3.0);

pub(super) fn figures(report: &Report, java: &Java) {
    compare(report, java, &[("heap", HEAP), ("nested", Goal::NONE)], report.plan.heap);
    compare(report, java, &[("rocksdb", ROCKSDB)], report.plan.rocksdb);
}

fn name(backend: &str) -> String {
    format!("flink-operations/{backend}")
}

/// Flink's backend of the first name, and those of this project.
fn compare(report: &Report, java: &Java, backends: &[(&'static str, Goal)], rounds: Rounds) {
    let wanted = backends.iter().filter(|(backend, _)| report.wants(&name(backend)));
    let backends: Vec<_> = wanted.copied().collect();
    if backends.is_empty() {
        return;
    }
    let names: Vec<_> = backends.iter().map(|(backend, _)| *backend).collect();
    // By contender of this project.
    let mut ratios = vec![Vec::new(); backends.len()];
    for kind in Kind::ALL {
        let is_wanted = |case: &Case| {
            let figure = |backend: &str| format!("{}/{}", name(backend), case.name());
            names.iter().any(|backend| report.wants(&figure(backend)))
        };
        let cases: Vec<_> = kind.cases().filter(is_wanted).collect();
        if cases.is_empty() {
            continue;
        }
        let keys = report.plan.keys.to_string();
        let task = ["operations", BACKEND, kind.name(), &keys];
        let mut field = Field::start(java, &task, &names);
        for case in cases {
            for (ratios, ratio) in
                ratios.iter_mut().zip(compare_case(report, &mut field, case, rounds))
            {
                ratios.push(ratio);
            }
        }
        field.agree("digest");
    }
    for ((backend, goal), ratios) in backends.iter().zip(&ratios) {
        if ratios.len() == Case::ALL.len() {
            report.figure(&name(backend), &geometric_means(ratios), *goal, "times");
        }
    }
}

/// Of each contender of this project: how many times faster.
fn compare_case(report: &Report, field: &mut Field, case: Case, rounds: Rounds) -> Vec<Samples> {
    let request = format!("run {} {}", case.name(), rounds.operations);
    let answers = field.compare(&request, rounds.warm_ups, rounds.counted);
    check_same(case.name(), &answers, 1);
    let nanos = |contender: usize| {
        let answers = answers.get(contender).map_or(&[][..], Vec::as_slice);
        numbers(answers, 0).map(|nanos| nanos / rounds.operations as f64)
    };
    let theirs = nanos(0);
    let mut ratios = Vec::new();
    for (contender, backend) in field.ours() {
        let ours = nanos(contender);
        let ratio = theirs.over(&ours);
        report.figure(&format!("{}/{}", name(backend), case.name()), &ratio, Goal::NONE, "times");
        report.note(&format!(
            "  {:.1} ns ({:.1} to {:.1}) against {:.1} ns ({:.1} to {:.1})",
            ours.median(),
            ours.min(),
            ours.max(),
            theirs.median(),
            theirs.min(),
            theirs.max()
        ));
        ratios.push(ratio);
    }
    ratios
}
