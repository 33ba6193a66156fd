//! What somebody may ask of a running job: checkpoints, savepoints, an end; and what a job may begin
//! from afterwards. Each number is committed once, whatever happens.
#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alluvium_coordinator::{
    CheckpointOutcome, CoordinatorConfig, RestartStrategy, SavepointFormat,
};
use alluvium_core::{CheckpointId, StoragePath};
use alluvium_runtime::{
    CheckpointRetention, ClaimMode, ControlError, JobConfig, JobError, JobStatus, RestoreFrom, Stop,
};
use alluvium_storage::open;

use common::{KEYS, World, read, total, up_to};

#[test]
fn a_checkpoint_is_taken_when_somebody_asks_for_it() {
    let world = World::new("checkpoint");
    let config = world.config();
    let records = Arc::clone(&config.records);
    let (outcome, ()) = world.run("chk", 5_000, config, async move |control| {
        read(&records, 500).await;
        assert!(matches!(control.status(), JobStatus::Running { .. }));
        let first = control.checkpoint(false).await.unwrap();
        let second = control.checkpoint(true).await.unwrap();
        assert_eq!([first, second].map(CheckpointId::get), [1, 2]);
        let statistics = control.statistics().await.unwrap();
        assert_eq!((statistics.completed, statistics.history.len()), (2, 2));
        let newest = statistics.history.back().unwrap();
        assert!(matches!(newest.outcome, CheckpointOutcome::Completed { .. }));
        assert_eq!((newest.acknowledged(), newest.tasks), (6, 6));
        assert_eq!(statistics.duration_ms().count, 2);
    });
    assert_eq!(total(&outcome.unwrap()), 5_000);
    assert_eq!(world.committed().0, up_to(5_000));
}

#[test]
fn a_savepoint_commits_nothing_and_another_job_begins_from_it() {
    for (name, format) in
        [("canonical", SavepointFormat::Canonical), ("native", SavepointFormat::Native)]
    {
        let world = World::new(name);
        let config = world.config();
        let (records, target) = (Arc::clone(&config.records), world.below("sp"));
        let (outcome, taken) = world.run("chk", 3_000, config, async move |control| {
            read(&records, 1_000).await;
            control.savepoint(target, format).await.unwrap()
        });
        assert_eq!(total(&outcome.unwrap()), 3_000);
        assert!(taken.location.contains("/sp/savepoint-tally-"), "{}", taken.location);
        let (folder, metadata) = world.savepoint("sp");
        assert_eq!(metadata.properties.checkpoint, taken.checkpoint);
        let names: Vec<_> = folder.list(None).unwrap().into_iter().map(|it| it.name).collect();
        assert!(names.contains(&"_metadata".to_owned()), "{names:?}");
        assert!(!names.contains(&"_unfinished".to_owned()), "{names:?}");
        assert!(metadata.files().all(|file| file.parent().is_none()), "all in one folder");

        assert_eq!(world.committed().0, up_to(3_000));

        // Another job begins from a copy of it, on another root and at another parallelism.
        for entry in folder.list(None).unwrap() {
            let copy = path(&format!("copied/folder/{}", entry.name));
            let bytes = folder.read_all(&path(&entry.name)).unwrap();
            world.storage.create(&copy, &bytes).unwrap();
        }
        world.storage.delete_dir(&path("sp")).unwrap();
        world.storage.delete_dir(&path("chk")).unwrap();
        let restore = world.restore_point("copied", ClaimMode::NoClaim);
        let config = JobConfig { parallelism: 3, restore, ..world.config() };
        let (outcome, ()) = world.run("other", 4_000, config, async |_| {});
        assert_eq!(total(&outcome.unwrap()), 4_000, "what came before is in the state");
        assert_eq!(world.committed().0, up_to(4_000), "what came after was set aside");
    }
}

#[test]
fn a_job_that_was_stopped_goes_on_from_its_savepoint() {
    let world = World::new("stop");
    let config = world.config();
    let (records, target) = (Arc::clone(&config.records), world.below("sp"));
    let (outcome, stopped) = world.run("chk", u64::MAX, config, async move |control| {
        read(&records, 1_000).await;
        let stopped =
            control.stop(target, SavepointFormat::Canonical, Stop::Suspend).await.unwrap();
        (stopped, control)
    });
    let (stopped, control) = stopped;
    let outcome = outcome.unwrap();
    assert_eq!(outcome.savepoint.as_ref(), Some(&stopped));
    assert_eq!(control.status(), JobStatus::Stopped { savepoint: stopped.location.clone() });
    assert!(control.checkpoint(false).now_or_over(&world));
    let (numbers, words) = world.committed();
    assert_eq!(numbers, up_to(total(&outcome)), "all that the savepoint holds is committed");
    assert!(numbers.len() >= 1_000 && words.is_empty(), "event time has not come to its end");
    assert_eq!(world.checkpoints("chk"), [0_u64; 0], "a savepoint is no checkpoint");

    let restore = world.restore_point("sp", ClaimMode::NoClaim);
    let end = numbers.len() as u64 + 2_000;
    let config = JobConfig { parallelism: 3, restore, ..world.config() };
    let (outcome, ()) = world.run("chk", end, config, async |_| {});
    assert_eq!(total(&outcome.unwrap()), end);
    let (numbers, words) = world.committed();
    assert_eq!((numbers, words.len() as u64), (up_to(end), KEYS));
    let _ = world.savepoint("sp");
}

/// Whether a question was answered with the end of the job.
trait NowOrOver {
    fn now_or_over(self, world: &World) -> bool;
}

impl<F: Future<Output = Result<CheckpointId, ControlError>>> NowOrOver for F {
    fn now_or_over(self, world: &World) -> bool {
        world.runtime.block_on(self) == Err(ControlError::Over)
    }
}

#[test]
fn draining_ends_event_time_first() {
    let world = World::new("drain");
    let config = world.config();
    let (records, target) = (Arc::clone(&config.records), world.below("sp"));
    let (outcome, ()) = world.run("chk", u64::MAX, config, async move |control| {
        read(&records, 1_000).await;
        control.stop(target, SavepointFormat::Native, Stop::Drain).await.unwrap();
    });
    let (numbers, words) = world.committed();
    assert_eq!(numbers, up_to(total(&outcome.unwrap())));
    let mut goodbyes: Vec<_> = (0..KEYS).map(|key| format!("goodbye {key}")).collect();
    goodbyes.sort_unstable();
    assert_eq!(words, goodbyes);
}

#[test]
fn a_target_that_cannot_be_written_is_refused_by_name_and_the_job_goes_on() {
    let world = World::new("target");
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    let target = open(&format!("file:{}", folder.display())).unwrap();
    std::fs::remove_dir(&folder).unwrap();
    std::fs::write(&folder, b"no folder any more").unwrap();
    let config = world.config();
    let records = Arc::clone(&config.records);
    let (outcome, refused) = world.run("chk", 3_000, config, async move |control| {
        read(&records, 500).await;
        control.stop(target, SavepointFormat::Canonical, Stop::Suspend).await.unwrap_err()
    });
    assert!(refused.to_string().contains("/folder"), "{refused}");
    assert_eq!(total(&outcome.unwrap()), 3_000);
}

#[test]
fn a_claimed_savepoint_goes_with_the_first_checkpoint_and_an_unclaimed_one_stays() {
    let world = World::new("claim");
    let config = world.config();
    let (records, target) = (Arc::clone(&config.records), world.below("sp"));
    let (outcome, ()) = world.run("chk", u64::MAX, config, async move |control| {
        read(&records, 1_000).await;
        control.stop(target, SavepointFormat::Canonical, Stop::Suspend).await.unwrap();
    });
    let end = total(&outcome.unwrap());
    for (claim, stays) in [(ClaimMode::NoClaim, true), (ClaimMode::Claim, false)] {
        let restore = world.restore_point("sp", claim);
        let root = format!("chk-{claim:?}");
        let (outcome, ()) =
            world.run(&root, end, JobConfig { restore, ..world.config() }, async |_| {});
        assert_eq!(total(&outcome.unwrap()), end);
        let folder = world.below("sp").list(None).unwrap();
        let left = folder.first().map_or(0, |folder| {
            let folder = StoragePath::new(&format!("sp/{}", folder.name)).unwrap();
            world.storage.list(Some(&folder)).unwrap().len()
        });
        assert_eq!(left > 0, stays, "{claim:?}");
    }
    assert_eq!(world.heard("CleanUpFailed"), 0);
}

#[test]
fn without_a_claim_the_checkpoints_that_were_there_stay() {
    let world = World::new("unclaimed");
    let config = || JobConfig {
        checkpoints: CoordinatorConfig::new().interval_ms(Some(5)).retained(2),
        ..world.config()
    };
    let (outcome, ()) = world.run("chk", 3_000, config(), async |_| {});
    assert_eq!(total(&outcome.unwrap()), 3_000);
    let before = world.checkpoints("chk");
    let store = world.store("chk");
    let metadata = store.read(CheckpointId::new(before[0]).unwrap()).unwrap();
    let storage = Arc::clone(store.storage());
    drop(store);
    let restore = RestoreFrom::Checkpoint {
        metadata: Box::new(metadata),
        storage,
        claim: ClaimMode::NoClaim,
    };
    let (outcome, ()) = world.run("chk", 6_000, JobConfig { restore, ..config() }, async |_| {});
    assert_eq!(total(&outcome.unwrap()), 6_000);
    assert_eq!(world.committed().0, up_to(6_000));
    let after = world.checkpoints("chk");
    assert!(after.starts_with(&before) && after.len() == before.len() + 2, "{before:?} {after:?}");
    let store = world.store("chk");
    for checkpoint in after {
        let metadata = store.read(CheckpointId::new(checkpoint).unwrap()).unwrap();
        store.verify(&metadata).unwrap();
    }
}

#[test]
fn a_cancelled_job_ends_without_a_savepoint_also_while_it_waits_to_restart() {
    let world = World::new("cancel");
    for waits in [false, true] {
        let delay_ms = if waits { 3_600_000 } else { 1 };
        let restart = RestartStrategy::FixedDelay { attempts: 3, delay_ms };
        let config = JobConfig { restart, ..world.config() };
        let (records, fails) = (Arc::clone(&config.records), Arc::clone(&world.fails));
        let (outcome, control) = world.run("chk", u64::MAX, config, async move |control| {
            read(&records, 500).await;
            fails.store(waits, Ordering::SeqCst);
            while waits && !matches!(control.status(), JobStatus::Restarting { .. }) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            control.cancel();
            control
        });
        assert!(matches!(outcome, Err(JobError::Cancelled)));
        assert_eq!(control.status(), JobStatus::Cancelled);
    }
}

#[test]
fn checkpoints_stay_or_go_as_the_retention_says() {
    use CheckpointRetention::{Delete, DeleteOnCancellation, Retain, RetainOnCancellation};
    // Finished, cancelled, failed.
    for (retention, stays) in [
        (Retain, [true, true, true]),
        (RetainOnCancellation, [false, true, true]),
        (DeleteOnCancellation, [false, false, true]),
        (Delete, [false, false, false]),
    ] {
        for (end, stays) in stays.into_iter().enumerate() {
            let world = World::new(&format!("retention-{retention:?}-{end}"));
            let restart = RestartStrategy::None;
            let config = JobConfig { retention, restart, ..world.config() };
            let fails = Arc::clone(&world.fails);
            let last = if end == 0 { 2_000 } else { u64::MAX };
            let (_, ()) = world.run("chk", last, config, async move |control| {
                control.checkpoint(false).await.unwrap();
                match end {
                    1 => control.cancel(),
                    2 => fails.store(true, Ordering::SeqCst),
                    _ => {}
                }
            });
            let left = world.checkpoints("chk").len();
            assert_eq!(left > 0, stays, "{retention:?} after end {end}");
            if !stays {
                let files = world.below("chk/tally").list(Some(&path("shared"))).unwrap();
                assert_eq!(files.len(), 0, "{retention:?} after end {end}");
            }
        }
    }
}

fn path(path: &str) -> StoragePath {
    StoragePath::new(path).unwrap()
}

#[test]
fn a_damaged_latest_checkpoint_is_passed_over_and_told() {
    let world = World::new("damage");
    let config =
        || JobConfig { checkpoints: CoordinatorConfig::new().retained(3), ..world.config() };
    let records = Arc::clone(&config().records);
    let (outcome, ()) = world.run("chk", 3_000, config(), async move |control| {
        let _ = records;
        control.checkpoint(false).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        control.checkpoint(false).await.unwrap();
    });
    assert_eq!(total(&outcome.unwrap()), 3_000);
    let kept = world.checkpoints("chk");
    let metadata = path(&format!("chk/tally/chk-{}/_metadata", kept[kept.len() - 1]));
    let mut bytes = world.storage.read_all(&metadata).unwrap().to_vec();
    bytes[50] ^= 1;
    world.storage.delete(&metadata).unwrap();
    world.storage.create(&metadata, &bytes).unwrap();
    let strict = JobConfig { restore: RestoreFrom::LatestStrict, ..config() };
    let (outcome, ()) = world.run("chk", 6_000, strict, async |_| {});
    assert!(outcome.unwrap_err().to_string().contains("the latest checkpoint is damaged"));
    let (outcome, ()) = world.run("chk", 6_000, config(), async |_| {});
    assert_eq!(total(&outcome.unwrap()), 6_000);
    assert_eq!(world.heard("FellBack"), 1);
    let (numbers, _) = world.committed();
    assert_eq!(numbers, up_to(6_000), "what came after it is set aside and done once more");
}
