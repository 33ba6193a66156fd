//! The worst single insert while a table grows.

use std::time::Duration;

use crate::contender::{Backend, Bare, Contender, Map};
use crate::measure::{Latencies, Samples};
use crate::report::{Goal, Report};
use crate::shapes::{Access, Act, Numbers, access_to};

pub(super) fn figures(report: &Report) {
    let size = report.plan.main_size;
    let figure = format!("worst-insert-while-growing/{}/u64-u64", size.name);
    if !report.wants(&figure) {
        return;
    }
    let inserts: Vec<Access<Numbers>> =
        (0..size.count).map(|number| access_to(number, Act::Update)).collect();
    let mut latencies = Latencies::with_room(inserts.len());
    let mut worst = [Samples::default(), Samples::default(), Samples::default()];
    let mut notes = Vec::new();
    for _ in 0..report.plan.long_rounds {
        let contenders: [Box<dyn Contender<Numbers>>; 3] =
            [Box::new(Bare::with_capacity(0)), Box::new(Map::new()), Box::new(Backend::new())];
        notes.clear();
        for (mut contender, worst) in contenders.into_iter().zip(&mut worst) {
            latencies.watch(Duration::MAX, |number| {
                if let Some(insert) = inserts.get(number..=number) {
                    contender.update(insert);
                }
            });
            worst.push(latencies.worst());
            let (p9999, median) = (latencies.quantile(0.9999), latencies.quantile(0.5));
            let name = contender.name();
            let name = if name.is_empty() { "backend" } else { name };
            notes.push(format!("  {name}: p99.99 {p9999:.1}, median {median:.3} us"));
        }
    }
    for (worst, name) in worst.iter().zip(["/hashbrown", "/map", ""]) {
        report.figure(&format!("{figure}{name}"), worst, Goal::NONE, "us");
    }
    report.notes(&notes);
}
