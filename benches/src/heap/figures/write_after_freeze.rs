//! The slowest single writes in the second after a freeze, while the frozen state is held.

mod collections;

use std::time::Duration;

use alluvium_state::FrozenState;

use self::collections::{BareLists, BareMaps, Lists, Maps};
use crate::contender::{Backend, Bare, Contender, fill};
use crate::measure::{Latencies, Samples};
use crate::report::{Goal, Report};
use crate::setup::ACCESS_SEED;
use crate::shapes::{Access, Numbers, Shape, Texts, Wide, random_accesses};

const P9999_US: Goal = Goal::of(100.0, 25.0);
/// No more writes are watched after one freeze.
const MOST_WRITES: usize = 8_000_000;
/// Lists and maps have a few elements each, so there are fewer of them than plain values.
const VALUES_PER_COLLECTION: u64 = 5;

/// Something that is written to and can be frozen.
trait Written {
    /// The write with a number.
    fn write(&mut self, number: usize);
    /// `None` where nothing can be frozen.
    fn freeze(&mut self) -> Option<Box<dyn FrozenState>>;
}

pub(super) fn figures(report: &Report) {
    values::<Numbers>(report);
    values::<Wide>(report);
    values::<Texts>(report);
    let keys = report.plan.main_size.count / VALUES_PER_COLLECTION;
    let accesses = || random_accesses::<Numbers>(report.plan.accesses, keys, ACCESS_SEED);
    watch(report, "list-u64", || {
        let own = Lists::new(keys, accesses(), |number| number);
        (Box::new(own), Box::new(BareLists::new(keys, accesses(), |number| number)))
    });
    watch(report, "list-string", || {
        let text = |number: u64| format!("element {number}");
        let own = Lists::new(keys, accesses(), text);
        (Box::new(own), Box::new(BareLists::new(keys, accesses(), text)))
    });
    watch(report, "map-u64-u64", || {
        (Box::new(Maps::new(keys, accesses())), Box::new(BareMaps::new(keys, accesses())))
    });
}

/// Updates of plain values.
struct Values<S: Shape, C> {
    contender: C,
    accesses: Vec<Access<S>>,
}

impl<S: Shape, C: Contender<S>> Values<S, C> {
    fn write_one(&mut self, number: usize) {
        let at = number % self.accesses.len();
        if let Some(access) = self.accesses.get(at..=at) {
            self.contender.update(access);
        }
    }
}

impl<S: Shape> Written for Values<S, Backend<S>> {
    fn write(&mut self, number: usize) {
        self.write_one(number);
    }

    fn freeze(&mut self) -> Option<Box<dyn FrozenState>> {
        Some(self.contender.freeze().0)
    }
}

impl<S: Shape> Written for Values<S, Bare<S>> {
    fn write(&mut self, number: usize) {
        self.write_one(number);
    }

    fn freeze(&mut self) -> Option<Box<dyn FrozenState>> {
        None
    }
}

fn values<S: Shape>(report: &Report) {
    let count = report.plan.main_size.count;
    watch(report, S::NAME, || {
        let accesses = || random_accesses::<S>(report.plan.accesses, count, ACCESS_SEED);
        let mut bare = Bare::with_capacity(count);
        fill(&mut bare, count);
        let contender = Backend::<S>::with_entries(count);
        let own = Values { contender, accesses: accesses() };
        (Box::new(own), Box::new(Values { contender: bare, accesses: accesses() }))
    });
}

type Pair = (Box<dyn Written>, Box<dyn Written>);

/// Watches what the backend does after a freeze, and a bare table beside it.
fn watch(report: &Report, kind: &str, make: impl FnOnce() -> Pair) {
    let size = report.plan.main_size.name;
    let p9999_name = format!("write-after-freeze-p9999/{size}/{kind}");
    let worst_name = format!("write-after-freeze-worst/{size}/{kind}");
    if !report.wants_any(&[&p9999_name, &worst_name]) {
        return;
    }
    let (own, bare) = make();
    let mut latencies = Latencies::with_room(MOST_WRITES);
    let mut contenders = [own, bare];
    let mut p9999 = [Samples::default(), Samples::default()];
    let mut worst = [Samples::default(), Samples::default()];
    let mut notes = Vec::new();
    for _ in 0..report.plan.long_rounds {
        notes.clear();
        for ((written, p9999), worst) in contenders.iter_mut().zip(&mut p9999).zip(&mut worst) {
            let held = written.freeze();
            let limit = Duration::from_millis(report.plan.watched_ms);
            latencies.watch(limit, |number| written.write(number));
            drop(held);
            let (p50, p99) = (latencies.quantile(0.5), latencies.quantile(0.99));
            notes.push(format!("  {} writes, p50 {p50:.3}, p99 {p99:.3} us", latencies.len()));
            p9999.push(latencies.quantile(0.9999));
            worst.push(latencies.worst());
        }
    }
    let suffixes = [("", P9999_US), ("/hashbrown", Goal::NONE)];
    for ((suffix, goal), (p9999, worst)) in suffixes.into_iter().zip(p9999.iter().zip(&worst)) {
        report.figure(&format!("{p9999_name}{suffix}"), p9999, goal, "us");
        report.figure(&format!("{worst_name}{suffix}"), worst, Goal::NONE, "us");
    }
    report.notes(&notes);
}
