//! Savepoints: on request, with an end of the job, never deleted once they are complete.

use crate::SavepointFormat::{Canonical, Native};
use crate::coordinator::fixture::*;
use crate::{AbortReason, Action, CheckpointKind, CoordinatorConfig, RequestFailure, StartPoint};

const SAVEPOINT: CheckpointKind = CheckpointKind::Savepoint(Canonical);
const STOP: CheckpointKind = CheckpointKind::StopWithSavepoint { format: Native, drain: false };

fn config() -> CoordinatorConfig {
    CoordinatorConfig::new().timeout_ms(100)
}

fn commit_of(kind: CheckpointKind, checkpoint: u64, times: (u64, u64), files: [&str; 3]) -> Action {
    Action::Commit { metadata: metadata(checkpoint, times, files), kind }
}

fn acknowledge(script: &mut Script, now_ms: u64, checkpoint: u64, files: [&str; 3]) -> Vec<Action> {
    let acks = files.into_iter().enumerate();
    let last = acks.map(|(number, files)| script.0.handle(now_ms, ack(checkpoint, number, files)));
    last.last().unwrap()
}

#[test]
fn a_savepoint_is_answered_and_nobody_else_hears_of_it() {
    let mut script = Script::started(config());
    let _ = script.complete(1, 1, ["a", "b", "c"]);
    script.step(10, request(SAVEPOINT, 7), &[trigger_for(SAVEPOINT, 2, 10, 7), wake(110)]);
    let files = ["s", "t+*u", "-"];
    let expected = [commit_of(SAVEPOINT, 2, (10, 12), files)];
    assert_eq!(acknowledge(&mut script, 12, 2, files), expected);
    script.step(13, committed(2), &[answered(7, Ok(2))]);
    assert_eq!(script.retained(), [1], "a restart does not begin from it");
    assert_eq!(script.0.statistics().latest_completed().unwrap().kind, SAVEPOINT);
    // The next checkpoint goes on from the one before, and deletes nothing of the savepoint.
    let actions = script.complete(20, 3, ["a", "d", "c"]);
    assert_eq!(actions, [complete(3, Some(1)), delete(1, "b")]);
}

#[test]
fn a_savepoint_waits_for_nothing_and_several_may_be_under_way() {
    let config = config().interval_ms(Some(50)).min_pause_ms(40).timeout_ms(1_000);
    let mut script = Script::started(config);
    script.step(50, TICK, &[trigger(1, 50), wake(1_050)]);
    script.step(51, request(SAVEPOINT, 1), &[trigger_for(SAVEPOINT, 2, 51, 1)]);
    script.step(52, request(SAVEPOINT, 2), &[trigger_for(SAVEPOINT, 3, 52, 2)]);
    // With barriers that hold nothing up, they go one after the other.
    let mut script = Script::started(CoordinatorConfig::new().unaligned(true).timeout_ms(1_000));
    script.step(10, REQUEST, &[trigger(1, 10), wake(1_010)]);
    script.step(11, request(SAVEPOINT, 1), &[]);
    let declined_1 = aborted(1, declined(0));
    let mut script = Script::started(
        CoordinatorConfig::new().unaligned(true).timeout_ms(1_000).tolerable_failed_checkpoints(9),
    );
    script.step(10, REQUEST, &[trigger(1, 10), wake(1_010)]);
    script.step(11, request(SAVEPOINT, 1), &[]);
    let expected = [declined_1, trigger_for(SAVEPOINT, 2, 12, 1), wake(1_012)];
    script.step(12, decline(1, 0), &expected);
}

#[test]
fn a_savepoint_that_fails_is_deleted_as_a_whole_and_does_not_fail_the_job() {
    let mut script = Script::started(config());
    let _ = script.0.handle(10, request(SAVEPOINT, 1));
    let _ = script.0.handle(11, ack(1, 0, "a"));
    let reason = declined(1);
    let failure = RequestFailure::Aborted { checkpoint: id(1), reason: reason.clone() };
    let expected = [aborted(1, reason), answered(1, Err(failure)), discard_savepoint(1)];
    script.step(12, decline(1, 1), &expected);
    // What a task writes late goes as well.
    script.step(13, ack(1, 2, "b"), &[discard_savepoint(1)]);
    // Nor does one that is too slow.
    let _ = script.0.handle(20, request(SAVEPOINT, 2));
    let actions = script.0.handle(120, TICK);
    assert_eq!(actions[0], aborted(2, AbortReason::Expired));
    assert!(matches!(&actions[1], Action::Answer { answer: Err(failure), .. }
        if failure.name() == "CHECKPOINT_EXPIRED"));
    assert_eq!(actions[2..], [discard_savepoint(2)]);
}

#[test]
fn a_savepoint_that_refers_to_files_of_checkpoints_is_declined() {
    let mut script = Script::started(config());
    let _ = script.complete(1, 1, ["a", "-", "-"]);
    let _ = script.0.handle(10, request(SAVEPOINT, 1));
    let actions = script.0.handle(11, ack(2, 0, "b+a"));
    assert!(matches!(&actions[0], Action::NotifyAborted { reason, .. }
        if reason.to_string().contains("refers to a")));
    assert_eq!(actions.last(), Some(&discard_savepoint(2)), "and nothing else is deleted");
    assert!(!actions.iter().any(|action| matches!(action, Action::Discard { .. })));
}

#[test]
fn a_duplicate_of_a_complete_savepoint_deletes_nothing() {
    let mut script = Script::started(config());
    let _ = script.0.handle(10, request(SAVEPOINT, 1));
    script.step(11, ack(1, 0, "a"), &[]);
    script.step(12, ack(1, 0, "a"), &[]);
    let _ = acknowledge(&mut script, 13, 1, ["a", "b", "c"]);
    script.step(14, committed(1), &[answered(1, Ok(1))]);
    script.step(15, ack(1, 0, "a"), &[]);
    assert_eq!(script.0.statistics().ignored.late, 1);
}

#[test]
fn after_a_stop_with_savepoint_nothing_is_triggered_and_the_tasks_hear_of_it() {
    let mut script = Script::started(config().interval_ms(Some(20)).timeout_ms(1_000));
    let _ = script.complete(1, 1, ["a", "b", "c"]);
    script.step(10, request(STOP, 1), &[trigger_for(STOP, 2, 10, 1), wake(1_010)]);
    script.step(500, TICK, &[]);
    let refused = RequestFailure::Stopping;
    script.step(501, request(SAVEPOINT, 2), &[answered(2, Err(refused))]);
    let _ = acknowledge(&mut script, 502, 2, ["s", "t", "u"]);
    let complete = Action::NotifyComplete { checkpoint: id(2), subsumed: None, kind: STOP };
    script.step(503, committed(2), &[complete, answered(1, Ok(2))]);
    script.step(9_000, TICK, &[]);
    script.step(9_001, request(SAVEPOINT, 3), &[answered(3, Err(RequestFailure::JobStopped))]);
    assert_eq!(script.retained(), [1]);
}

#[test]
fn a_stop_with_savepoint_that_fails_lets_the_job_go_on() {
    let mut script = Script::started(config().interval_ms(Some(20)));
    let _ = script.0.handle(10, request(STOP, 1));
    let actions = script.0.handle(15, decline(1, 0));
    let failure = RequestFailure::Aborted { checkpoint: id(1), reason: declined(0) };
    let rest = [answered(1, Err(failure)), discard_savepoint(1), wake(30)];
    assert_eq!(actions, [vec![aborted(1, declined(0))], rest.to_vec()].concat());
    script.step(30, TICK, &[trigger(2, 30), wake(130)]);
}

#[test]
fn the_end_of_the_run_answers_everybody() {
    let mut script = Script::started(CoordinatorConfig::new().unaligned(true).timeout_ms(100));
    let _ = script.0.handle(10, request(SAVEPOINT, 1));
    let _ = script.0.handle(11, request(SAVEPOINT, 2));
    let aborted_1 = RequestFailure::Aborted { checkpoint: id(1), reason: AbortReason::JobStopped };
    let expected = [
        aborted(1, AbortReason::JobStopped),
        answered(1, Err(aborted_1)),
        discard_savepoint(1),
        answered(2, Err(RequestFailure::JobStopped)),
    ];
    script.step(12, STOPPED, &expected);
    script.step(13, request(SAVEPOINT, 3), &[answered(3, Err(RequestFailure::JobStopped))]);
}

#[test]
fn a_savepoint_that_commits_as_the_run_ends_is_answered() {
    let mut script = Script::started(config());
    let _ = script.0.handle(10, request(SAVEPOINT, 1));
    let _ = acknowledge(&mut script, 11, 1, ["a", "b", "c"]);
    script.step(12, STOPPED, &[]);
    script.step(13, committed(1), &[answered(1, Ok(1))]);
    assert_eq!(script.retained(), []);
}

#[test]
fn a_claimed_snapshot_goes_when_newer_ones_replace_it() {
    let start = StartPoint { claimed: true, ..StartPoint::default() };
    let mut script = Script::started_from(config().retained(2), start);
    assert_eq!(script.complete(10, 1, ["a", "-", "-"]), [complete(1, None)]);
    assert_eq!(script.complete(20, 2, ["b", "-", "-"]), [complete(2, None), Action::DeleteClaimed]);
    let actions = script.complete(30, 3, ["c", "-", "-"]);
    assert_eq!(actions, [complete(3, Some(1)), delete(1, "a")]);
}
