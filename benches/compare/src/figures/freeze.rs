//! State fixed as it is while writes go on, in memory: the moment itself, and the writes behind it.

use std::time::Duration;

use alluvium_benches::cases::{Case, Kind};
use alluvium_heap::StateMapKind;

use super::Report;
use crate::contender::{Contender, Freezes, Ours, with_values};
use crate::field::{Field, Name, Unit};
use crate::stores::{Hashbrown, Imbl};

const FREEZE: &str = "freeze";
const AFTER: &str = "update_after_freeze";

const MICROSECONDS: Unit = Unit { name: "us", per_second: 1e6 };
const NANOSECONDS: Unit = Unit { name: "ns", per_second: 1e9 };

pub(super) fn figures(report: &Report) {
    if !report.wants_any(&[FREEZE, AFTER]) {
        return;
    }
    let plan = report.plan;
    let mut field = field(plan.keys);
    if report.wants(FREEZE) {
        let seconds = field.take_turns(FREEZE, plan.rounds, |contender| {
            let mut all = Duration::ZERO;
            for _ in 0..plan.freezes {
                contender.run(Case::ValueUpdate, plan.updates_before_freeze);
                let (took, held) = contender.freeze();
                all += took;
                drop(held);
            }
            (all / plan.freezes, 0)
        });
        field.report(report, FREEZE, &seconds, MICROSECONDS);
    }
    if report.wants(AFTER) {
        let seconds = field.take_turns(AFTER, plan.rounds, |contender| {
            let before = contender.digest();
            let (_, held) = contender.freeze();
            let done = contender.run(Case::ValueUpdate, plan.few_updates);
            let frozen = held();
            assert_eq!(frozen, before, "what was frozen has changed");
            (done.took, frozen)
        });
        let of_one: Vec<_> =
            seconds.iter().map(|it| it.map(|it| it / plan.few_updates as f64)).collect();
        field.report(report, AFTER, &of_one, NANOSECONDS);
    }
    field.agree("values", Contender::digest);
}

/// Those in memory.
fn field(keys: u64) -> Field<dyn Freezes> {
    let heap = |map| -> Box<dyn Freezes> { Box::new(Ours::heap(map, Kind::Value, keys)) };
    Field::new(vec![
        (Name::Heap, heap(StateMapKind::CopyOnWrite)),
        (Name::Nested, heap(StateMapKind::Nested)),
        (Name::Hashbrown, Box::new(with_values(Hashbrown::default(), keys))),
        (Name::Imbl, Box::new(with_values(Imbl::default(), keys))),
    ])
}
