use super::*;
use crate::nexmark::Options;
use crate::nexmark::table::table;
use crate::options::Target;

fn report(options: Options) -> (Report, Vec<Phase>) {
    let mut phases = Vec::new();
    let options = Options { target: Target::Uri("memory:nexmark-runs".to_owned()), ..options };
    let report = run(&Plan::new(options).unwrap(), &mut |phase| phases.push(phase)).unwrap();
    (report, phases)
}

#[test]
fn every_query_is_measured_on_every_backend_in_turns() {
    use BackendKind::{Fs, FsNested, Heap, HeapNested};
    let backends = vec![Heap, HeapNested, Fs, FsNested];
    let options = Options { backends, events: 2_000, rounds: 2, ..Options::quick() };
    let (report, phases) = report(options);
    assert_eq!(report.queries.len(), Query::ALL.len());
    for of_query in &report.queries {
        assert_eq!((of_query.events, of_query.backends.len()), (2_000, 4));
        assert!(of_query.generator.events_per_s > 0.0 && of_query.plain.events_per_s > 0.0);
        for of_backend in &of_query.backends {
            let with = of_backend.with.as_ref().unwrap();
            assert_eq!((of_backend.without.rounds.len(), with.rounds.len()), (2, 2));
            assert_eq!(of_backend.without.checkpoints, None);
            assert!(with.events_per_s.least > 0.0);
            let ratio = of_backend.ratio.unwrap();
            assert!(ratio.least <= ratio.median && ratio.median <= ratio.most);
            for round in of_backend.without.rounds.iter().chain(&with.rounds) {
                let is_changelog = of_query.query == "q18";
                assert!(round.records_written >= of_query.results);
                assert!(is_changelog || round.records_written == of_query.results);
            }
        }
    }
    let order: Vec<(BackendKind, bool)> = phases
        .iter()
        .filter_map(|phase| match phase {
            Phase::Job { query: Query::Q0, backend, has_checkpoints, .. } => {
                Some((*backend, *has_checkpoints))
            }
            _ => None,
        })
        .collect();
    let (first, second) = order.split_at(8);
    assert_eq!(first[..3], [(Heap, false), (Heap, true), (HeapNested, false)]);
    assert!(second.iter().rev().eq(first), "{order:?}");
    let text = table(&report);
    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    report.to_json().unwrap();
}

#[test]
fn without_checkpoints_there_is_nothing_to_compare_with() {
    let queries = vec![Query::Q3];
    let (report, phases) = report(Options { queries, has_checkpoints: false, ..Options::quick() });
    let of_backend = &report.queries[0].backends[0];
    assert_eq!((of_backend.with.as_ref(), of_backend.ratio), (None, None));
    assert_eq!(report.settings.interval_ms, None);
    assert_eq!(phases.len(), 3, "{phases:?}");
}
