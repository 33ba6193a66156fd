use crate::coordinator::fixture::*;
use crate::{AbortReason, Action, CheckpointOutcome, CoordinatorConfig, JobFailure};

fn tolerant(tolerable: u32) -> CoordinatorConfig {
    CoordinatorConfig::new().timeout_ms(50).tolerable_failed_checkpoints(tolerable)
}

fn fail_job(failed: u32, tolerable: u32, checkpoint: u64, reason: AbortReason) -> Action {
    let checkpoint = id(checkpoint);
    Action::FailJob {
        reason: JobFailure::TooManyFailedCheckpoints { failed, tolerable, checkpoint, reason },
    }
}

#[test]
fn a_checkpoint_expires_with_its_timeout_and_its_states_are_discarded() {
    let mut script = Script::started(tolerant(1));
    script.step(10, REQUEST, &[trigger(1, 10), wake(60)]);
    script.step(11, ack(1, 2, "c"), &[]);
    script.step(12, ack(1, 0, "a"), &[]);
    script.step(59, TICK, &[]);
    let expected = [aborted(1, AbortReason::Expired), discard("a c")];
    script.step(60, TICK, &expected);
    let statistics = script.0.statistics();
    assert_eq!(statistics.failed.expired, 1);
    let outcome = CheckpointOutcome::Aborted { at_ms: 60, reason: AbortReason::Expired };
    assert_eq!(statistics.history[0].outcome, outcome);
}

#[test]
fn the_last_acknowledgement_is_late_when_it_arrives_with_the_timeout() {
    let mut script = Script::started(tolerant(1));
    script.step(10, REQUEST, &[trigger(1, 10), wake(60)]);
    script.step(11, ack(1, 0, "a"), &[]);
    script.step(12, ack(1, 1, "b"), &[]);
    let expired = aborted(1, AbortReason::Expired);
    let expected = [expired, discard("a b"), discard("c")];
    script.step(60, ack(1, 2, "c"), &expected);
    assert_eq!(script.0.statistics().ignored.late, 1);
}

#[test]
fn a_committing_checkpoint_does_not_expire() {
    let mut script = Script::started(tolerant(0).interval_ms(Some(20)));
    script.step(20, TICK, &[trigger(1, 20), wake(70)]);
    for number in 0..TASKS {
        let _ = script.0.handle(21, ack(1, number, "-"));
    }
    script.step(10_000, TICK, &[]);
    // The due trigger waited for the commit.
    script.step(10_001, committed(1), &[complete(1, None), trigger(2, 10_001), wake(10_051)]);
}

#[test]
fn a_decline_aborts_and_names_the_task() {
    let mut script = Script::started(tolerant(1));
    script.step(10, REQUEST, &[trigger(1, 10), wake(60)]);
    script.step(11, ack(1, 0, "a"), &[]);
    script.step(12, decline(1, 2), &[aborted(1, declined(2)), discard("a")]);
    assert_eq!(declined(2).to_string(), "subtask 1 of count declined: disk full");
    assert_eq!(script.0.statistics().failed.declined, 1);
}

#[test]
fn declines_that_do_not_fit_are_ignored() {
    let mut script = Script::started(tolerant(0));
    script.step(9, decline(1, 0), &[]);
    script.step(10, REQUEST, &[trigger(1, 10), wake(60)]);
    script.step(11, decline(1, 3), &[]);
    for number in 0..TASKS {
        let _ = script.0.handle(12, ack(1, number, "-"));
    }
    script.step(13, decline(1, 0), &[]);
    script.step(14, committed(1), &[complete(1, None)]);
    script.step(15, decline(1, 0), &[]);
    let ignored = script.0.statistics().ignored;
    assert_eq!((ignored.unknown_checkpoint, ignored.unknown_task), (1, 1));
    assert_eq!((ignored.duplicate, ignored.late), (1, 1));
}

#[test]
fn a_failed_commit_discards_all_states() {
    let mut script = Script::started(tolerant(1));
    script.step(10, REQUEST, &[trigger(1, 10), wake(60)]);
    for number in 0..TASKS {
        let _ = script.0.handle(11, ack(1, number, ["a", "b x", "-"][number]));
    }
    let expected = [aborted(1, not_committed()), discard("a b x")];
    script.step(12, commit_failed(1), &expected);
    assert_eq!(script.0.latest(), None);
    assert_eq!(script.0.statistics().failed.commit_failed, 1);
}

#[test]
fn a_commit_that_fails_after_the_stop_only_discards() {
    let mut script = Script::started(tolerant(0));
    script.step(10, REQUEST, &[trigger(1, 10), wake(60)]);
    for number in 0..TASKS {
        let _ = script.0.handle(11, ack(1, number, ["a", "-", "-"][number]));
    }
    script.step(12, STOPPED, &[]);
    script.step(13, commit_failed(1), &[discard("a")]);
    assert_eq!(script.0.statistics().failed.commit_failed, 1);
}

#[test]
fn the_failure_beyond_the_tolerable_ones_fails_the_job_once() {
    let mut script = Script::started(tolerant(2).interval_ms(Some(100)));
    script.step(10, REQUEST, &[trigger(1, 10), wake(60)]);
    script.step(11, decline(1, 0), &[aborted(1, declined(0)), wake(110)]);
    script.step(20, REQUEST, &[trigger(2, 20), wake(70)]);
    script.step(70, TICK, &[aborted(2, AbortReason::Expired), wake(120)]);
    script.step(120, TICK, &[trigger(3, 120), wake(170)]);
    script.step(121, ack(3, 0, "a"), &[]);
    let reason = declined(1);
    let expected = [aborted(3, reason.clone()), discard("a"), fail_job(3, 2, 3, reason)];
    script.step(122, decline(3, 1), &expected);
    // Nothing is triggered any more, and what comes late is discarded.
    script.step(1_000, TICK, &[]);
    script.step(1_001, FINAL_REQUEST, &[]);
    script.step(1_002, ack(3, 1, "b"), &[discard("b")]);
    script.step(1_003, decline(3, 1), &[]);
    script.step(1_004, STOPPED, &[]);
}

#[test]
fn a_completed_checkpoint_resets_the_count_of_failures() {
    let mut script = Script::started(tolerant(1));
    let _ = script.0.handle(10, REQUEST);
    script.step(11, decline(1, 0), &[aborted(1, declined(0))]);
    assert_eq!(script.complete(20, 2, ["-"; 3]), [complete(2, None)]);
    let _ = script.0.handle(30, REQUEST);
    script.step(31, decline(3, 0), &[aborted(3, declined(0))]);
    let _ = script.0.handle(40, REQUEST);
    let expected = [aborted(4, declined(0)), fail_job(2, 1, 4, declined(0))];
    script.step(41, decline(4, 0), &expected);
}

#[test]
fn with_nothing_tolerable_the_first_failure_fails_the_job() {
    let mut script = Script::started(tolerant(0));
    let _ = script.0.handle(10, REQUEST);
    let expected = [aborted(1, AbortReason::Expired), fail_job(1, 0, 1, AbortReason::Expired)];
    script.step(60, TICK, &expected);
    let Action::FailJob { reason } = &expected[1] else { panic!() };
    let text = "checkpoint 1 failed, which makes 1 in a row where 0 are tolerable: not all tasks \
                acknowledged in time";
    assert_eq!(reason.to_string(), text);
}

#[test]
fn a_stop_aborts_the_pending_checkpoint_and_is_no_failure() {
    let mut script = Script::started(tolerant(0).interval_ms(Some(20)));
    script.step(20, TICK, &[trigger(1, 20), wake(70)]);
    script.step(21, ack(1, 0, "a"), &[]);
    script.step(22, STOPPED, &[aborted(1, AbortReason::JobStopped), discard("a")]);
    script.step(23, ack(1, 1, "b"), &[discard("b")]);
    script.step(24, STOPPED, &[]);
    script.step(25, STARTED, &[]);
    script.step(1_000, TICK, &[]);
    script.step(1_001, FINAL_REQUEST, &[]);
    assert_eq!(script.0.statistics().failed.job_stopped, 1);
}
