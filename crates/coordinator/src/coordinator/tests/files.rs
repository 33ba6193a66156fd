//! What may be deleted and what must stay.

use crate::coordinator::fixture::*;
use crate::{AbortReason, CoordinatorConfig, DeclineCause, StartPoint};

fn config() -> CoordinatorConfig {
    CoordinatorConfig::new().tolerable_failed_checkpoints(100)
}

#[test]
fn an_acknowledgement_after_the_abort_is_discarded() {
    let mut script = Script::started(config());
    let _ = script.0.handle(10, REQUEST);
    script.step(11, decline(1, 0), &[aborted(1, declined(0))]);
    script.step(12, ack(1, 1, "a b"), &[discard("a b")]);
    let _ = script.0.handle(13, REQUEST);
    script.step(14, ack(1, 2, "c"), &[discard("c")]);
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
    let acknowledged = script.0.statistics().history[0].acknowledged();
    assert_eq!(acknowledged, 3, "duplicates do not count");
}

#[test]
fn a_different_duplicate_loses_only_the_files_that_the_first_does_not_have() {
    let mut script = Script::started(config());
    let _ = script.0.handle(10, REQUEST);
    script.step(11, ack(1, 1, "a b"), &[]);
    script.step(12, ack(1, 1, "a c"), &[discard("c")]);
    script.step(13, decline(1, 2), &[aborted(1, declined(2)), discard("a b")]);
}

#[test]
fn a_redelivered_acknowledgement_does_not_delete_a_file_of_a_retained_checkpoint() {
    let mut script = Script::started(config());
    let _ = script.complete(10, 1, ["a", "b", "c"]);
    script.step(11, ack(1, 2, "c"), &[]);
    script.step(12, ack(1, 2, "c d"), &[discard("d")]);
    // Once it is subsumed, the file is anybody's to delete.
    let _ = script.complete(20, 2, ["-"; 3]);
    script.step(21, ack(1, 2, "c"), &[discard("c")]);
}

#[test]
fn an_aborted_checkpoint_leaves_the_files_of_a_retained_one() {
    let mut script = Script::started(config());
    let _ = script.complete(10, 1, ["a", "b", "c"]);
    let _ = script.0.handle(20, REQUEST);
    let _ = script.0.handle(21, ack(2, 0, "a"));
    let _ = script.0.handle(22, ack(2, 1, "d b"));
    script.step(23, decline(2, 2), &[aborted(2, declined(2)), discard("d")]);
}

#[test]
fn a_subsumed_checkpoint_leaves_the_files_of_newer_ones_until_they_go() {
    let mut script = Script::started(config());
    let _ = script.complete(10, 1, ["a", "b", "c"]);
    let actions = script.complete(20, 2, ["a", "d", "b"]);
    assert_eq!(actions, [complete(2, Some(1)), delete(1, "c")]);
    let actions = script.complete(30, 3, ["-", "-", "-"]);
    assert_eq!(actions, [complete(3, Some(2)), delete(2, "a b d")]);
}

#[test]
fn a_file_of_a_restored_checkpoint_is_not_discarded() {
    let retained = vec![metadata(5, (1, 2), ["a", "b", "c"])];
    let start = StartPoint { next: id(6), retained, ..StartPoint::default() };
    let mut script = Script::started_from(config(), start);
    script.step(1, ack(5, 0, "a"), &[]);
    script.step(2, ack_of(ATTEMPT - 1, 5, 0, state(0, "a x")), &[discard("x")]);
    let ignored = script.0.statistics().ignored;
    assert_eq!((ignored.late, ignored.wrong_attempt), (1, 1));
}

#[test]
fn acknowledgements_that_do_not_fit_are_discarded_and_counted_by_kind() {
    let mut script = Script::started(config());
    script.step(1, ack(7, 0, "a"), &[discard("a")]);
    let _ = script.0.handle(10, REQUEST);
    script.step(11, ack(1, 3, "b"), &[discard("b")]);
    script.step(12, ack_of(ATTEMPT - 1, 1, 0, state(0, "c")), &[discard("c")]);
    script.step(13, ack_of(ATTEMPT, 1, 1, state(2, "d")), &[discard("d")]);
    let ignored = script.0.statistics().ignored;
    assert_eq!((ignored.unknown_checkpoint, ignored.unknown_task), (1, 1));
    assert_eq!((ignored.wrong_attempt, ignored.wrong_subtask), (1, 1));
    assert_eq!(script.0.statistics().history[0].acknowledged(), 0);
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

#[test]
fn a_shared_file_stays_as_long_as_a_checkpoint_refers_to_it() {
    let mut script = Script::started(config());
    let _ = script.complete(10, 1, ["a", "b", "-"]);
    let actions = script.complete(20, 2, ["c+a", ".+b", "-"]);
    assert_eq!(actions, [complete(2, Some(1)), delete(1, "")]);
    let actions = script.complete(30, 3, ["d+a+c", "e", "-"]);
    assert_eq!(actions, [complete(3, Some(2)), delete(2, "b")]);
    let actions = script.complete(40, 4, ["f", "g+e", "-"]);
    assert_eq!(actions, [complete(4, Some(3)), delete(3, "a c d")]);
}

/// 1. A job is scaled from one subtask to two, and both refer to the file of the one;
/// 2. one of them no longer needs it;
/// 3. the file must stay for the other, and goes once.
#[test]
fn a_shared_file_of_two_subtasks_goes_with_the_last_reference() {
    let mut script = Script::started(config());
    let _ = script.complete(10, 1, ["-", "a", "-"]);
    let actions = script.complete(20, 2, ["-", "b+a", "c+a"]);
    assert_eq!(actions, [complete(2, Some(1)), delete(1, "")]);
    let actions = script.complete(30, 3, ["-", "d", "e+a"]);
    assert_eq!(actions, [complete(3, Some(2)), delete(2, "b c")]);
    let actions = script.complete(40, 4, ["-", "-", "-"]);
    assert_eq!(actions, [complete(4, Some(3)), delete(3, "a d e")]);
}

/// Of two that go together, the first is deleted while the second is still whole.
#[test]
fn a_file_of_several_subsumed_checkpoints_is_named_with_the_last() {
    let retained = vec![
        metadata(4, (1, 2), ["a", "-", "-"]),
        metadata(5, (3, 4), ["b+a", "-", "-"]),
        metadata(6, (5, 6), ["c+b", "-", "-"]),
    ];
    let start = StartPoint { next: id(7), retained, ..StartPoint::default() };
    let mut script = Script::started_from(config(), start);
    let actions = script.complete(10, 7, ["d", "-", "-"]);
    let expected = [complete(7, Some(6)), delete(4, ""), delete(5, "a"), delete(6, "b c")];
    assert_eq!(actions, expected);
}

#[test]
fn an_aborted_checkpoint_loses_its_own_streams_and_not_those_it_refers_to() {
    let mut script = Script::started(config());
    let _ = script.complete(10, 1, ["a", "b", "-"]);
    let _ = script.0.handle(20, REQUEST);
    script.step(21, ack(2, 0, "c+a"), &[]);
    script.step(22, decline(2, 2), &[aborted(2, declined(2)), discard("c")]);
    // Too late, and of a checkpoint that a newer one replaced.
    script.step(23, ack(2, 1, "d+b"), &[discard("d")]);
    let _ = script.complete(30, 3, ["e", "f", "-"]);
    script.step(31, ack(2, 1, "g+b"), &[discard("g")]);
}

/// The steps are in the text of the module.
#[test]
fn a_state_that_refers_to_a_file_that_is_gone_is_declined() {
    let mut script = Script::started(config());
    let _ = script.complete(10, 1, ["a", "-", "-"]);
    let actions = script.complete(20, 2, ["b", "-", "-"]);
    assert_eq!(actions, [complete(2, Some(1)), delete(1, "a")]);
    let _ = script.0.handle(30, REQUEST);
    script.step(31, ack(3, 1, "c"), &[]);
    let reason = "its state refers to a, which no checkpoint has".to_owned();
    let cause = DeclineCause::Asynchronous;
    let declined = AbortReason::Declined { task: task(0), cause, reason };
    let expected = [aborted(3, declined), discard("c"), discard("d")];
    script.step(32, ack(3, 0, "d+b+a"), &expected);
    let statistics = script.0.statistics();
    assert_eq!((statistics.failed.declined, statistics.history[2].acknowledged()), (1, 1));
    assert_eq!(script.retained(), [2]);
    // Nor does a state that was never acknowledged become one by being referred to.
    let _ = script.0.handle(40, REQUEST);
    let actions = script.0.handle(41, ack(4, 0, "e+unknown"));
    assert_eq!(actions[1], discard("e"));
}

/// As SST files are: shared from the moment they are written.
#[test]
fn shared_files_come_with_the_checkpoint_that_writes_them() {
    let mut script = Script::started(config());
    let _ = script.complete(10, 1, ["a+*x+*y", "-", "-"]);
    assert_eq!(script.0.statistics().history[0].state_len_bytes, 300);
    let actions = script.complete(20, 2, ["b+y+*z", "-", "-"]);
    assert_eq!(actions, [complete(2, Some(1)), delete(1, "a x")]);
    // Of a checkpoint that fails, the new ones go.
    let _ = script.0.handle(30, REQUEST);
    script.step(31, ack(3, 0, "c+y+z+*w"), &[]);
    script.step(32, decline(3, 1), &[aborted(3, declined(1)), discard("c w")]);
    // Of one that comes late as well.
    script.step(33, ack(3, 2, "d+z+*v"), &[discard("d v")]);
    let actions = script.complete(40, 4, ["e+z", "-", "-"]);
    assert_eq!(actions, [complete(4, Some(2)), delete(2, "b y")]);
}

#[test]
fn files_of_checkpoints_that_were_passed_over_are_spared() {
    let retained = vec![metadata(5, (1, 2), ["a", "b", "-"])];
    let spared = vec![path("a"), path("x")];
    let start = StartPoint { next: id(8), retained, spared, claimed: false };
    let mut script = Script::started_from(config(), start);
    let actions = script.complete(10, 8, ["c+a", "d", "-"]);
    assert_eq!(actions, [complete(8, Some(5)), delete(5, "b")]);
    let actions = script.complete(20, 9, ["e", "f+x", "-"]);
    assert_eq!(actions, [complete(9, Some(8)), delete(8, "c d")]);
}
