//! What a job does not begin with, and where no savepoint goes: each refusal names the difference, and
//! leaves everything as it was.

#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

mod common;

use std::io;
use std::sync::Arc;

use alluvium_coordinator::SavepointFormat;
use alluvium_core::{OperatorUid, StoragePath};
use alluvium_runtime::{
    ClaimMode, ControlError, JobConfig, JobControl, JobError, RestoreFrom, Stop,
};

use common::watched::Watched;
use common::{World, read, total};

/// A job that was stopped with a savepoint.
fn stopped(name: &str) -> World {
    let world = World::new(name);
    let config = world.config();
    let records = Arc::clone(&config.records);
    let (outcome, _) = world.run("chk", u64::MAX, config, async |control: JobControl| {
        read(&records, 1_000).await;
        let format = SavepointFormat::Canonical;
        control.stop(world.below("sp"), format, Stop::Suspend).await.unwrap()
    });
    outcome.unwrap();
    world
}

fn refused(world: &World, change: impl FnOnce(&mut JobConfig)) -> String {
    let restore = world.restore_point("sp", ClaimMode::NoClaim);
    let mut config = JobConfig { restore, ..world.config() };
    change(&mut config);
    let (outcome, ()) = world.run("other", 50_000, config, async |_| ());
    let error = outcome.unwrap_err();
    assert!(matches!(error, JobError::Incompatible { .. } | JobError::KeyGroup(_)), "{error}");
    assert_eq!(world.heard("Restarting"), 0, "it would not help");
    assert!(world.checkpoints("other").is_empty());
    error.to_string()
}

#[test]
fn a_restore_of_another_topology_or_max_parallelism_is_refused_by_name() {
    let world = stopped("refused-restore");
    let uid = |name: &str| OperatorUid::new(name).unwrap();
    let text = refused(&world, |config| config.max_parallelism = Some(64));
    assert!(text.contains("has max parallelism 128, and the job has 64"), "{text}");
    let text = refused(&world, |config| {
        config.uids.as_mut().unwrap().operator = uid("tally-2");
    });
    assert!(text.contains("state of operator \"tally\", and the job has"), "{text}");
    assert!(text.contains("\"tally-2\""), "{text}");
    let text = refused(&world, |config| {
        config.uids.as_mut().unwrap().source = uid("counter");
    });
    assert!(text.contains("state of operator \"count\""), "{text}");
    let text = refused(&world, |config| config.parallelism = 129);
    assert!(text.contains("129") && text.contains("128"), "{text}");
    // The savepoint is as it was.
    let restore = world.restore_point("sp", ClaimMode::NoClaim);
    let config = JobConfig { restore, ..world.config() };
    let (outcome, ()) = world.run("other", 50_000, config, async |_| ());
    assert_eq!(total(&outcome.unwrap()), 50_000);
}

#[test]
fn a_restore_from_nothing_that_is_named_is_refused_before_anything_is_claimed() {
    let world = World::new("refused-nothing");
    let config = JobConfig {
        parallelism: 2,
        max_parallelism: Some(1),
        restore: RestoreFrom::Nothing,
        ..world.config()
    };
    let (outcome, ()) = world.run("chk", 100, config, async |_| ());
    let text = outcome.unwrap_err().to_string();
    assert!(text.contains('2') && text.contains('1'), "{text}");
    assert_eq!(world.below("chk").list(None).unwrap(), []);
}

#[test]
fn savepoint_folders_that_are_taken_or_cannot_be_written_are_refused_by_name() {
    let mut world = World::new("refused-target");
    world.storage =
        Watched::over(Arc::clone(&world.storage), |call, path| match path.split('/').next() {
            Some("taken") if call == "create" => Err(io::ErrorKind::AlreadyExists),
            Some("closed") if call == "create" => Err(io::ErrorKind::PermissionDenied),
            _ => Ok(()),
        });
    let config = world.config();
    let (outcome, ()) = world.run("chk", u64::MAX, config, async |control: JobControl| {
        for (target, why) in [("taken", "already exists"), ("closed", "permission denied")] {
            for stop in [None, Some(Stop::Suspend), Some(Stop::Drain)] {
                let (folder, format) = (world.below(target), SavepointFormat::Native);
                let refused = match stop {
                    None => control.savepoint(folder, format).await,
                    Some(stop) => control.stop(folder, format, stop).await,
                };
                let Err(ControlError::Target { target: named, reason }) = refused else {
                    panic!("{target}: {refused:?}")
                };
                assert!(named.ends_with(target), "{named}");
                assert!(reason.contains(why), "{reason}");
            }
        }
        // The job goes on.
        control.savepoint(world.below("sp"), SavepointFormat::Native).await.unwrap();
        control.cancel();
    });
    assert!(matches!(outcome, Err(JobError::Cancelled)));
    for target in ["taken", "closed"] {
        assert_eq!(world.storage.list(Some(&StoragePath::new(target).unwrap())).unwrap(), []);
    }
}
