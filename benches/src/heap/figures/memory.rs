//! Bytes of memory per entry, as the system counts them, over a `hashbrown` table.

use crate::child::Task;
use crate::measure::Samples;
use crate::options::Size;
use crate::report::{Goal, Report};
use crate::shapes::{Numbers, Shape, Texts, Wide};

const GOAL: Goal = Goal::of(1.5, 1.15);
const PROCESSES: usize = 3;

pub(super) fn figures(report: &Report) {
    for size in report.plan.sizes {
        let has_bar = size.count == report.plan.main_size.count;
        of_shape::<Numbers>(report, *size, GOAL.when(has_bar));
        of_shape::<Wide>(report, *size, Goal::NONE);
        of_shape::<Texts>(report, *size, Goal::NONE);
    }
}

fn of_shape<S: Shape>(report: &Report, size: Size, goal: Goal) {
    let figure = format!("memory-over-hashbrown/{}/{}", size.name, S::NAME);
    if !report.wants(&figure) {
        return;
    }
    let bytes_per_entry = |contender: &str| -> Samples {
        let (contender, shape) = (contender.to_owned(), S::NAME.to_owned());
        let task = Task::Memory { contender, shape, count: size.count };
        let bytes = (0..PROCESSES).flat_map(|_| task.in_a_process());
        bytes.map(|bytes| bytes / size.count as f64).collect()
    };
    let [bare, map, backend] = ["hashbrown", "map", "backend"].map(bytes_per_entry);
    report.figure(&figure, &backend.over(&bare), goal, "ratio");
    report.figure(&format!("{figure}/map"), &map.over(&bare), goal, "ratio");
    let [bare, map, backend] = [bare, map, backend].map(|bytes| bytes.median());
    report.note(&format!(
        "  bytes per entry: hashbrown {bare:.1}, map {map:.1}, backend {backend:.1}"
    ));
}
