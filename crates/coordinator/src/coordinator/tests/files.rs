//! What may be deleted and what must stay.

use crate::coordinator::fixture::*;
use crate::{AbortReason, CoordinatorConfig};

fn config() -> CoordinatorConfig {
    CoordinatorConfig::new().tolerable_failed_checkpoints(100)
}

#[test]
fn an_acknowledgement_after_the_abort_is_discarded() {
    let mut script = Script::started(config());
    let _ = script.0.handle(10, REQUEST);
    script.step(11, decline(1, 0), &[aborted(1, declined(0))]);
    script.step(12, ack(1, 1, "a b"), &[discard(1, "a b")]);
    let _ = script.0.handle(13, REQUEST);
    script.step(14, ack(1, 2, "c"), &[discard(2, "c")]);
    assert_eq!(script.0.statistics().ignored.late, 2);
}

#[test]
fn an_equal_duplicate_keeps_its_file() {
    let mut script = Script::started(config());
    let _ = script.0.handle(10, REQUEST);
    script.step(11, ack(1, 0, "a"), &[]);
    script.step(12, ack(1, 0, "a"), &[]);
    let _ = script.0.handle(13, ack(1, 1, "b"));
    let _ = script.0.handle(14, ack(1, 2, "c"));
    script.step(15, ack(1, 2, "c"), &[]);
    script.step(16, committed(1), &[complete(1, None)]);
    assert_eq!(script.0.statistics().ignored.duplicate, 2);
    let acknowledged = script.0.statistics().history[0].acknowledged;
    assert_eq!(acknowledged, 3, "duplicates do not count");
}

#[test]
fn a_different_duplicate_loses_only_the_files_that_the_first_does_not_have() {
    let mut script = Script::started(config());
    let _ = script.0.handle(10, REQUEST);
    script.step(11, ack(1, 1, "a b"), &[]);
    script.step(12, ack(1, 1, "a c"), &[discard(1, "- c")]);
    script.step(13, decline(1, 2), &[aborted(1, declined(2)), discard(1, "a b")]);
}

#[test]
fn a_redelivered_acknowledgement_does_not_delete_a_file_of_a_retained_checkpoint() {
    let mut script = Script::started(config());
    let _ = script.complete(10, 1, ["a", "b", "c"]);
    script.step(11, ack(1, 2, "c"), &[]);
    script.step(12, ack(1, 2, "c d"), &[discard(2, "- d")]);
    // Once it is subsumed, the file is anybody's to delete.
    let _ = script.complete(20, 2, ["-"; 3]);
    script.step(21, ack(1, 2, "c"), &[discard(2, "c")]);
}

#[test]
fn an_aborted_checkpoint_leaves_the_files_of_a_retained_one() {
    let mut script = Script::started(config());
    let _ = script.complete(10, 1, ["a", "b", "c"]);
    let _ = script.0.handle(20, REQUEST);
    let _ = script.0.handle(21, ack(2, 0, "a"));
    let _ = script.0.handle(22, ack(2, 1, "d b"));
    script.step(23, decline(2, 2), &[aborted(2, declined(2)), discard(1, "d")]);
}

#[test]
fn a_subsumed_checkpoint_leaves_the_files_of_newer_ones_until_they_go() {
    let mut script = Script::started(config());
    let _ = script.complete(10, 1, ["a", "b", "c"]);
    let actions = script.complete(20, 2, ["a", "d", "b"]);
    assert_eq!(actions, [complete(2, Some(1)), delete(1, (10, 10), ["-", "-", "c"])]);
    let actions = script.complete(30, 3, ["-", "-", "-"]);
    assert_eq!(actions, [complete(3, Some(2)), delete(2, (20, 20), ["a", "d", "b"])]);
}

#[test]
fn a_file_of_a_restored_checkpoint_is_not_discarded() {
    let retained = vec![metadata(5, (1, 2), ["a", "b", "c"])];
    let start = crate::StartPoint { next: id(6), retained };
    let mut script = Script::started_from(config(), start);
    script.step(1, ack(5, 0, "a"), &[]);
    script.step(2, ack_of(ATTEMPT - 1, 5, 0, state(0, "a x")), &[discard(0, "- x")]);
    let ignored = script.0.statistics().ignored;
    assert_eq!((ignored.late, ignored.wrong_attempt), (1, 1));
}

#[test]
fn acknowledgements_that_do_not_fit_are_discarded_and_counted_by_kind() {
    let mut script = Script::started(config());
    script.step(1, ack(7, 0, "a"), &[discard(0, "a")]);
    let _ = script.0.handle(10, REQUEST);
    script.step(11, ack(1, 3, "b"), &[discard(3, "b")]);
    script.step(12, ack_of(ATTEMPT - 1, 1, 0, state(0, "c")), &[discard(0, "c")]);
    script.step(13, ack_of(ATTEMPT, 1, 1, state(2, "d")), &[discard(2, "d")]);
    let ignored = script.0.statistics().ignored;
    assert_eq!((ignored.unknown_checkpoint, ignored.unknown_task), (1, 1));
    assert_eq!((ignored.wrong_attempt, ignored.wrong_subtask), (1, 1));
    assert_eq!(script.0.statistics().history[0].acknowledged, 0);
}

#[test]
fn a_state_of_a_later_run_is_left_alone() {
    let mut script = Script::started(config());
    let _ = script.0.handle(10, REQUEST);
    script.step(11, ack_of(ATTEMPT + 1, 1, 0, state(0, "a")), &[]);
    assert_eq!(script.0.statistics().ignored.wrong_attempt, 1);
}

#[test]
fn a_state_without_files_needs_no_discard() {
    let mut script = Script::started(config().timeout_ms(5));
    let _ = script.0.handle(10, REQUEST);
    let _ = script.0.handle(11, ack(1, 0, "-"));
    script.step(15, TICK, &[aborted(1, AbortReason::Expired)]);
    script.step(16, ack(1, 1, "-"), &[]);
}
