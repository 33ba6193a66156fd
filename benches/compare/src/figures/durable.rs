//! Until what was written would survive a power cut.

use alluvium_benches::cases::{Case, Kind};
use alluvium_heap::StateMapKind;

use super::Report;
use crate::contender::{Ours, Secures, with_values};
use crate::field::{Field, Name, Unit};
use crate::stores::{Fjall, RawRocksDb, Redb};

const DURABLE: &str = "durable";

const MILLISECONDS: Unit = Unit { name: "ms", per_second: 1e3 };

pub(super) fn figures(report: &Report) {
    if !report.wants(DURABLE) {
        return;
    }
    let plan = report.plan;
    let mut field = field(plan.keys);
    let seconds = field.take_turns(DURABLE, plan.rounds, |contender| {
        contender.run(Case::ValueUpdate, plan.few_updates);
        (contender.secure(), 0)
    });
    field.report(report, DURABLE, &seconds, MILLISECONDS);
    // Both name the same number: nothing was written since.
    field.agree("values, those in memory and those made durable", |contender| {
        let (live, secured) = (contender.digest(), contender.secured_digest());
        assert_eq!(secured, live, "what became durable is not what was there");
        live
    });
}

/// Those that have something on disk.
fn field(keys: u64) -> Field<dyn Secures> {
    let heap = |map| -> Box<dyn Secures> { Box::new(Ours::heap(map, Kind::Value, keys)) };
    Field::new(vec![
        (Name::Heap, heap(StateMapKind::CopyOnWrite)),
        (Name::Nested, heap(StateMapKind::Nested)),
        (Name::RocksDb, Box::new(Ours::rocksdb(Kind::Value, keys))),
        (Name::RawRocksDb, Box::new(with_values(RawRocksDb::create(), keys))),
        (Name::Redb, Box::new(with_values(Redb::create(), keys))),
        (Name::Fjall, Box::new(with_values(Fjall::create(), keys))),
    ])
}
