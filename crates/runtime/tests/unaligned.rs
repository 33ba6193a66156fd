//! Barriers that overtake records: checkpoints of a job that is held up, and what is restored from them.
#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alluvium_coordinator::{CheckpointRecord, CoordinatorConfig, RestartStrategy};
use alluvium_runtime::{CheckpointMode, JobConfig};

use common::{World, read, total, up_to};

fn unaligned() -> CoordinatorConfig {
    CoordinatorConfig::new().unaligned(true)
}

fn persisted(record: &CheckpointRecord) -> u64 {
    record.in_flight_bytes().1
}

/// Takes a checkpoint while the job is held up, cancels it, and lets another one go on from there.
fn overtake(name: &str, operator_us: u64, sink_us: u64, parallelisms: &[u32]) {
    let world = World::new(&format!("overtake-{name}"));
    let end = 40_000;
    for parallelism in parallelisms {
        world.slow_us.store(0, Ordering::SeqCst);
        world.slow_sink_us.store(0, Ordering::SeqCst);
        let config = JobConfig {
            parallelism: *parallelism,
            checkpoints: unaligned(),
            records_per_s: None,
            ..world.config()
        };
        let records = Arc::clone(&config.records);
        let (slow, slow_sink) = (Arc::clone(&world.slow_us), Arc::clone(&world.slow_sink_us));
        let (outcome, record) = world.run("chk", u64::MAX, config, async move |control| {
            read(&records, 500).await;
            slow.store(operator_us, Ordering::SeqCst);
            slow_sink.store(sink_us, Ordering::SeqCst);
            // Until the channels are full.
            tokio::time::sleep(Duration::from_millis(30)).await;
            control.checkpoint(false).await.unwrap();
            let statistics = control.statistics().await.unwrap();
            control.cancel();
            statistics.latest_completed().unwrap().clone()
        });
        assert!(outcome.is_err());
        assert!(record.subtasks.values().any(|subtask| subtask.metrics.is_unaligned));
        assert!(persisted(&record) > 0, "records were in flight");
    }
    world.slow_us.store(0, Ordering::SeqCst);
    world.slow_sink_us.store(0, Ordering::SeqCst);
    let (numbers, _) = world.committed();
    let before = numbers.len() as u64;
    assert!(before < end, "{before}: the last one must find something to do");
    let config = JobConfig { parallelism: 2, ..world.config() };
    let (outcome, ()) = world.run("chk", end, config, async |_| {});
    assert_eq!(total(&outcome.unwrap()), end, "each record is in the state once");
    assert!(world.committed().0 == up_to(end), "and in the output");
}

#[test]
fn a_slow_operator_is_overtaken_and_its_records_follow_their_keys() {
    overtake("operator", 200, 0, &[2, 3, 1, 2]);
}

#[test]
fn a_slow_sink_is_overtaken_behind_an_operator_that_waits_for_it() {
    overtake("sink", 0, 200, &[2, 2, 3]);
}

#[test]
fn failures_between_unaligned_checkpoints_lose_and_repeat_nothing() {
    let world = World::new("failures");
    world.slow_us.store(20, Ordering::SeqCst);
    world.slow_sink_us.store(10, Ordering::SeqCst);
    let config = JobConfig {
        checkpoints: unaligned().interval_ms(Some(5)).retained(2),
        restart: RestartStrategy::FixedDelay { attempts: 100, delay_ms: 1 },
        records_per_s: None,
        ..world.config()
    };
    let (fails, end) = (Arc::clone(&world.fails), 6_000);
    let (outcome, overtaken) = world.run("chk", end, config, async move |control| {
        let mut overtaken = 0;
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(25)).await;
            let Ok(statistics) = control.statistics().await else { break };
            overtaken += statistics.persisted_bytes().max;
            fails.store(true, Ordering::SeqCst);
        }
        fails.store(false, Ordering::SeqCst);
        overtaken
    });
    let outcome = outcome.unwrap();
    assert!(outcome.restarts > 0, "it failed now and then");
    assert!(overtaken > 0, "records were in flight");
    assert_eq!(total(&outcome), end);
    assert!(world.committed().0 == up_to(end), "each record is in the output once");
}

#[test]
fn barriers_stay_among_the_records_until_the_timeout() {
    for (timeout_ms, overtakes) in [(0, true), (20, true), (600_000, false)] {
        let world = World::new(&format!("timeout-{timeout_ms}"));
        let config = JobConfig {
            checkpoints: unaligned(),
            aligned_timeout_ms: timeout_ms,
            records_per_s: None,
            ..world.config()
        };
        let (records, slow) = (Arc::clone(&config.records), Arc::clone(&world.slow_us));
        let (outcome, record) = world.run("chk", u64::MAX, config, async move |control| {
            read(&records, 500).await;
            // A batch takes longer than the timeout.
            slow.store(2_000, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(30)).await;
            control.checkpoint(false).await.unwrap();
            let statistics = control.statistics().await.unwrap();
            control.cancel();
            statistics.latest_completed().unwrap().clone()
        });
        assert!(outcome.is_err());
        assert_eq!(persisted(&record) > 0, overtakes, "{timeout_ms} ms: {record:?}");
    }
}

#[test]
fn records_without_a_codec_are_never_overtaken() {
    let world = World { has_codecs: false, ..World::new("codecs") };
    let config = JobConfig { checkpoints: unaligned(), ..world.config() };
    let (outcome, ()) = world.run("chk", 1_000, config, async |_| {});
    let refused = outcome.unwrap_err().to_string();
    assert!(refused.contains("to operator tally have no codec"), "{refused}");

    // A checkpoint that holds some cannot be restored without a codec either.
    let world = World::new("codecs-2");
    world.slow_us.store(300, Ordering::SeqCst);
    let config = JobConfig { checkpoints: unaligned(), records_per_s: None, ..world.config() };
    let records = Arc::clone(&config.records);
    let (_, ()) = world.run("chk", u64::MAX, config, async move |control| {
        read(&records, 2_000).await;
        control.checkpoint(false).await.unwrap();
        control.cancel();
    });
    let world = World { has_codecs: false, ..world };
    let (outcome, ()) = world.run("chk", 1_000, world.config(), async |_| {});
    let refused = outcome.unwrap_err().to_string();
    assert!(refused.contains("records in flight to operator tally"), "{refused}");
}

/// At least once does not care which side of a barrier a record is on, and never holds one.
#[test]
fn at_least_once_may_be_overtaken_as_well() {
    let world = World::new("at-least-once");
    world.slow_us.store(20, Ordering::SeqCst);
    let config = JobConfig {
        mode: CheckpointMode::AtLeastOnce,
        checkpoints: unaligned().interval_ms(Some(3)),
        records_per_s: None,
        ..world.config()
    };
    let fails = Arc::clone(&world.fails);
    let (outcome, ()) = world.run("chk", 6_000, config, async move |_| {
        tokio::time::sleep(Duration::from_millis(60)).await;
        fails.store(true, Ordering::SeqCst);
    });
    assert!(total(&outcome.unwrap()) >= 6_000);
}
