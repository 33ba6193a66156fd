use alluvium::fs::FsStateBackend;
use alluvium::heap::{HeapStateBackend, StateMapKind};

use super::*;
use crate::nexmark::Options;
use crate::options::Target;

fn plan(parallelism: u32) -> Plan {
    let target = Target::Uri("memory:nexmark-jobs".to_owned());
    Plan::new(Options { parallelism, target, ..Options::quick() }).unwrap()
}

/// The results of a job on plain memory, without checkpoints.
pub(crate) fn run_in_memory(query: Query, feed: &Feed, parallelism: u32) -> Totals {
    run(HeapStateBackend::default(), &plan(parallelism), query, feed, false).unwrap().results
}

/// As many events as it takes for some windows.
fn feed(query: Query) -> Feed {
    Feed::generate(query, if query == Query::Q5 { 40_000 } else { 12_000 })
}

/// Without checkpoints; with checkpoints all the time, and a failure in the middle.
fn check<B: StateBackend>(backend: &B, query: Query, feed: &Feed, expected: &Totals) {
    let what = queries::results_of(query);
    let ran = run(backend.clone(), &plan(2), query, feed, false).unwrap();
    ran.results.check(what, expected).unwrap();
    assert_eq!((ran.restarts, ran.checkpoints.len()), (0, 0));
    for parallelism in [1, 3] {
        let shared = Shared { halt: Some(Arc::default()), ..Shared::default() };
        let halt = shared.halt.clone().unwrap();
        let ran =
            run_with(backend.clone(), &plan(parallelism), (query, feed), Some(2), &shared).unwrap();
        ran.results.check(what, expected).unwrap();
        assert!(halt.has_failed() && ran.restarts == 1, "{query}: it failed in the middle");
        assert!(ran.checkpoints.len() >= 2, "{query}: {:?}", ran.checkpoints);
        assert!(ran.checkpoints.iter().any(|it| it.new_bytes > 0), "{:?}", ran.checkpoints);
    }
}

fn check_on_all(query: Query) {
    let feed = feed(query);
    let expected = queries::plain(query, &feed);
    assert!(expected.count > 0, "{query} has results");
    check(&HeapStateBackend::default(), query, &feed, &expected);
    check(&HeapStateBackend::new(StateMapKind::Nested), query, &feed, &expected);
    check(&FsStateBackend::default(), query, &feed, &expected);
    check(&FsStateBackend::new(StateMapKind::Nested), query, &feed, &expected);
}

#[test]
fn q0_comes_to_the_plain_results_over_a_failure() {
    check_on_all(Query::Q0);
}

#[test]
fn q3_comes_to_the_plain_results_over_a_failure() {
    check_on_all(Query::Q3);
}

#[test]
fn q5_comes_to_the_plain_results_over_a_failure() {
    check_on_all(Query::Q5);
}

#[test]
fn q8_comes_to_the_plain_results_over_a_failure() {
    check_on_all(Query::Q8);
}

#[test]
fn q18_comes_to_the_plain_results_over_a_failure() {
    check_on_all(Query::Q18);
}

/// What the comparison is worth: results of other events are others.
#[test]
fn results_of_fewer_events_are_not_taken_for_those_of_all() {
    for query in Query::ALL {
        let feed = feed(query);
        let fewer = Feed::generate(query, feed.len() / 2);
        let found = run_in_memory(query, &fewer, 2);
        let expected = queries::plain(query, &feed);
        let error = found.check(queries::results_of(query), &expected).unwrap_err();
        assert!(error.to_string().starts_with(queries::results_of(query)), "{error}");
    }
}
