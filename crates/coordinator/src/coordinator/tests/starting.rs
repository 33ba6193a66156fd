use alluvium_core::{JobId, MaxParallelism, Parallelism};

use crate::coordinator::fixture::*;
use crate::{Coordinator, CoordinatorConfig, PlanError, StartPoint};

fn refused(config: CoordinatorConfig, start: StartPoint) -> PlanError {
    Coordinator::new(config, plan(), start).unwrap_err()
}

#[test]
fn options_of_zero_are_refused_by_name() {
    let config = CoordinatorConfig::new;
    for (config, option) in [
        (config().interval_ms(Some(0)), "interval_ms"),
        (config().timeout_ms(0), "timeout_ms"),
        (config().retained(0), "retained"),
    ] {
        let error = refused(config, StartPoint::default());
        assert_eq!(error, PlanError::Option { option, found: 0, min: 1 });
    }
}

#[test]
fn a_plan_without_operators_or_with_one_twice_is_refused() {
    let new = |plan| Coordinator::new(CoordinatorConfig::new(), plan, StartPoint::default());
    let mut empty = plan();
    empty.operators.clear();
    assert!(matches!(new(empty), Err(PlanError::NoOperators { .. })));
    let mut twice = plan();
    twice.operators.push(twice.operators[0].clone());
    let error = new(twice).unwrap_err();
    assert!(matches!(&error, PlanError::DuplicateOperator { uid, .. } if uid.as_str() == "source"));
    assert_eq!(error.to_string(), "operator uid source stands twice in the plan of job words");
}

#[test]
fn an_operator_of_another_max_parallelism_is_refused() {
    let mut mixed = plan();
    mixed.operators[1].1 = Parallelism::new(2, MaxParallelism::new(64).unwrap()).unwrap();
    let error = Coordinator::new(CoordinatorConfig::new(), mixed, StartPoint::default());
    assert!(matches!(error, Err(PlanError::MaxParallelism { .. })));
}

#[test]
fn a_start_point_must_be_of_this_job_with_increasing_ids() {
    let kept = |checkpoint| metadata(checkpoint, (0, 0), ["-", "-", "-"]);
    let start =
        |next, retained: Vec<_>| StartPoint { next: id(next), retained, ..StartPoint::default() };
    let error = |start| refused(CoordinatorConfig::new(), start);
    let order = |checkpoint, found| PlanError::CheckpointOrder {
        checkpoint: id(checkpoint),
        found: id(found),
    };
    assert_eq!(error(start(7, vec![kept(5), kept(5)])), order(5, 5));
    assert_eq!(error(start(7, vec![kept(6), kept(5)])), order(6, 5));
    assert_eq!(error(start(6, vec![kept(5), kept(6)])), order(6, 6));
    let mut foreign = kept(5);
    foreign.properties.job = JobId::new("other").unwrap();
    assert!(matches!(error(start(7, vec![foreign])), PlanError::ForeignCheckpoint { .. }));
}

#[test]
fn a_restored_run_goes_on_counting_and_restores_the_newest() {
    let retained = vec![metadata(4, (1, 2), ["a", "b", "c"]), metadata(6, (3, 4), ["d", "e", "f"])];
    let start = StartPoint { next: id(9), retained, ..StartPoint::default() };
    let mut script = Script::started_from(CoordinatorConfig::new(), start);
    assert_eq!(script.0.latest().unwrap().properties.checkpoint, id(6));
    // More than one is retained, but only a completion cuts them down.
    let actions = script.complete(10, 9, ["g", "h", "i"]);
    let expected = [complete(9, Some(6)), delete(4, "a b c"), delete(6, "d e f")];
    assert_eq!(actions, expected);
    assert_eq!(script.retained(), [9]);
}
