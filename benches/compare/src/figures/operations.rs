//! Single operations by the names of flink-benchmarks.

use alluvium_benches::cases::{Case, Kind};
use alluvium_heap::StateMapKind;

use super::Report;
use crate::contender::{Contender, Ours, stored};
use crate::field::{Field, Name, Unit};
use crate::stores::{Fjall, Hashbrown, Imbl, RawRocksDb, Redb};

const CASES: [Case; 10] = [
    Case::ValueGet,
    Case::ValueUpdate,
    Case::ValueAdd,
    Case::ListGetAndIterate,
    Case::ListAppend,
    Case::MapGet,
    Case::MapUpdate,
    Case::MapIterate,
    Case::MapAdd,
    Case::MapRemove,
];

const NANOSECONDS: Unit = Unit { name: "ns", per_second: 1e9 };

pub(super) fn figures(report: &Report) {
    for kind in [Kind::Value, Kind::Map, Kind::List] {
        let cases = CASES.into_iter().filter(|case| case.kind() == kind);
        let cases: Vec<_> = cases.filter(|case| report.wants(case.name())).collect();
        if cases.is_empty() {
            continue;
        }
        let mut field = field(kind, report.plan.keys);
        for case in cases {
            let (rounds, operations) = (report.plan.rounds, report.plan.operations);
            let seconds = field.take_turns(case.name(), rounds, |contender| {
                let done = contender.run(case, operations);
                (done.took, done.checksum)
            });
            let of_one: Vec<_> =
                seconds.iter().map(|it| it.map(|it| it / operations as f64)).collect();
            field.report(report, case.name(), &of_one, NANOSECONDS);
        }
        field.agree(kind.name(), Contender::digest);
    }
}

/// Everybody.
fn field(kind: Kind, keys: u64) -> Field<dyn Contender> {
    let heap = |map| -> Box<dyn Contender> { Box::new(Ours::heap(map, kind, keys)) };
    Field::new(vec![
        (Name::Heap, heap(StateMapKind::CopyOnWrite)),
        (Name::Nested, heap(StateMapKind::Nested)),
        (Name::Hashbrown, stored(Hashbrown::default(), kind, keys)),
        (Name::Imbl, stored(Imbl::default(), kind, keys)),
        (Name::RocksDb, Box::new(Ours::rocksdb(kind, keys))),
        (Name::RawRocksDb, stored(RawRocksDb::create(), kind, keys)),
        (Name::Redb, stored(Redb::create(), kind, keys)),
        (Name::Fjall, stored(Fjall::create(), kind, keys)),
    ])
}
