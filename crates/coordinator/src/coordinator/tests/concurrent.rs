//! Several checkpoints under way at a time.

use crate::coordinator::fixture::*;
use crate::{AbortReason, CheckpointKind, CoordinatorConfig, RequestFailure};

fn two_at_a_time() -> CoordinatorConfig {
    CoordinatorConfig::new()
        .interval_ms(Some(100))
        .max_concurrent(2)
        .timeout_ms(1_000)
        .tolerable_failed_checkpoints(9)
}

fn all(script: &mut Script, now_ms: u64, checkpoint: u64, files: [&str; 3]) -> usize {
    let acks = files.into_iter().enumerate();
    acks.map(|(number, files)| script.0.handle(now_ms, ack(checkpoint, number, files)).len()).sum()
}

#[test]
fn as_many_are_under_way_as_are_allowed() {
    let mut script = Script::started(two_at_a_time());
    script.step(100, TICK, &[trigger(1, 100), wake(200)]);
    script.step(200, TICK, &[trigger(2, 200), wake(1_100)]);
    script.step(300, TICK, &[]);
    script.step(301, decline(1, 0), &[aborted(1, declined(0)), trigger(3, 301), wake(1_200)]);
}

#[test]
fn a_pause_or_unaligned_barriers_allow_one() {
    for config in [two_at_a_time().min_pause_ms(1), two_at_a_time().unaligned(true)] {
        let mut script = Script::started(config);
        script.step(100, TICK, &[trigger(1, 100), wake(1_100)]);
        script.step(200, TICK, &[]);
    }
}

#[test]
fn a_later_one_that_completes_first_subsumes_the_earlier() {
    let mut script = Script::started(two_at_a_time());
    let _ = script.0.handle(100, TICK);
    let _ = script.0.handle(200, TICK);
    script.step(210, ack(1, 0, "a"), &[]);
    let files = ["b", "c", "d"];
    assert_eq!(all(&mut script, 220, 2, files), 1, "a commit");
    let by = AbortReason::Subsumed { by: id(2) };
    let expected = [aborted(1, by), discard("a"), complete(2, None), wake(300)];
    script.step(230, committed(2), &expected);
    script.step(231, ack(1, 1, "e"), &[discard("e")]);
    assert_eq!(script.0.statistics().failed.subsumed, 1);
}

#[test]
fn commits_go_one_after_the_other_in_order() {
    let mut script = Script::started(two_at_a_time());
    let _ = script.0.handle(100, TICK);
    let _ = script.0.handle(200, TICK);
    let _ = all(&mut script, 210, 1, ["a", "-", "-"]);
    // It is ready, and waits until 1 is written.
    assert_eq!(all(&mut script, 220, 2, ["b", "-", "-"]), 0);
    let expected = [complete(1, None), commit(2, (200, 220), ["b", "-", "-"])];
    let actions = script.0.handle(230, committed(1));
    assert_eq!(actions[..2], expected);
    let actions = script.0.handle(240, committed(2));
    assert_eq!(actions[..2], [complete(2, Some(1)), delete(1, "a")]);
}

#[test]
fn a_commit_that_fails_lets_the_next_one_go() {
    let mut script = Script::started(two_at_a_time());
    let _ = script.0.handle(100, TICK);
    let _ = script.0.handle(200, TICK);
    let _ = all(&mut script, 210, 1, ["a", "-", "-"]);
    let _ = all(&mut script, 220, 2, ["b", "-", "-"]);
    let actions = script.0.handle(230, commit_failed(1));
    let expected =
        [aborted(1, not_committed()), discard("a"), commit(2, (200, 220), ["b", "-", "-"])];
    assert_eq!(actions[..3], expected);
}

/// 1. Checkpoint 1 is complete; 2 and 3 are under way, and both may build on 1;
/// 2. 2 completes and replaces 1;
/// 3. a task acknowledges 3 with a file of 1 that it did not need for 2.
#[test]
fn what_is_replaced_stays_until_those_under_way_have_ended() {
    let mut script = Script::started(two_at_a_time().timeout_ms(10_000));
    let _ = script.complete(10, 1, ["a", "-", "-"]);
    let _ = script.0.handle(110, TICK);
    let _ = script.0.handle(210, TICK);
    let _ = all(&mut script, 220, 2, ["b", "-", "-"]);
    let actions = script.0.handle(230, committed(2));
    assert_eq!(actions[0], complete(2, Some(1)));
    assert!(actions.iter().all(|action| *action != delete(1, "a")));
    let _ = script.0.handle(240, ack(3, 0, "c+a"));
    let _ = script.0.handle(240, ack(3, 1, "-"));
    let _ = script.0.handle(240, ack(3, 2, "-"));
    let _ = script.0.handle(310, TICK);
    let actions = script.0.handle(320, committed(3));
    // 4 was triggered meanwhile, so 2 stays until it has ended; file a stays with 3.
    assert_eq!(actions[..2], [complete(3, Some(2)), delete(1, "")]);
    let actions = script.0.handle(330, decline(4, 0));
    assert_eq!(actions[..2], [aborted(4, declined(0)), delete(2, "b")]);
}

#[test]
fn a_request_is_answered_when_its_checkpoint_is_subsumed() {
    let mut script = Script::started(two_at_a_time());
    let kind = CheckpointKind::FullCheckpoint;
    script.step(10, request(kind, 5), &[trigger_for(kind, 1, 10, 5), wake(110)]);
    let _ = script.0.handle(110, TICK);
    let _ = all(&mut script, 120, 2, ["-", "-", "-"]);
    let by = AbortReason::Subsumed { by: id(2) };
    let failure = RequestFailure::Aborted { checkpoint: id(1), reason: by.clone() };
    let actions = script.0.handle(130, committed(2));
    assert_eq!(actions[..2], [aborted(1, by), answered(5, Err(failure))]);
}
