//! What checkpoints leave behind is removed in the background, whatever the storage does.

#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use alluvium_coordinator::{CoordinatorConfig, SavepointFormat};
use alluvium_core::StoragePath;
use alluvium_runtime::{CheckpointStatus, JobConfig, JobControl};
use alluvium_state::SnapshotMode;
use alluvium_storage::StreamPolicy;

use common::World;
use common::watched::Watched;

/// Every stream is a file, and each checkpoint replaces the one before.
fn config(world: &World) -> JobConfig {
    JobConfig {
        checkpoints: CoordinatorConfig::new().interval_ms(Some(2)).retained(1),
        snapshot_mode: SnapshotMode::Full,
        streams: StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None },
        ..world.config()
    }
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Files of the job's folder that no checkpoint refers to.
fn leftovers(world: &World) -> Vec<String> {
    let (mut found, mut needed) = (BTreeSet::new(), BTreeSet::new());
    let store = world.store("chk");
    for entry in store.list().unwrap() {
        let dir = StoragePath::new(&format!("chk-{}", entry.checkpoint)).unwrap();
        for file in store.storage().list(Some(&dir)).unwrap() {
            found.insert(dir.join(&file.name).unwrap());
        }
        needed.insert(dir.join("_metadata").unwrap());
        if let CheckpointStatus::Complete(metadata) = entry.status {
            needed.extend(metadata.files().cloned());
        }
    }
    found.difference(&needed).map(ToString::to_string).collect()
}

/// One checkpoint is kept; another may just have been committed when the job was cancelled.
fn few(world: &World) -> bool {
    (1..=2).contains(&world.checkpoints("chk").len())
}

/// Lets deletes of state files wait.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicUsize,
    most: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        let waiting = self.waiting.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(waiting, Ordering::SeqCst);
        let is_open = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(is_open, |is_open| !*is_open).unwrap());
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

#[test]
fn a_store_that_deletes_slowly_delays_no_checkpoint() {
    let mut world = World::new("slow-deletes");
    let gate = Arc::new(Gate::default());
    let watching = Arc::clone(&gate);
    world.storage = Watched::over(Arc::clone(&world.storage), move |call, path| {
        if call == "delete" && path.starts_with("chk/") && !path.ends_with("_metadata") {
            watching.pass();
        }
        Ok(())
    });
    let (outcome, most) =
        world.run("chk", u64::MAX, config(&world), async |control: JobControl| {
            // None of the files is gone, and checkpoints go on.
            until(|| world.heard("Completed") >= 8).await;
            until(|| gate.waiting.load(Ordering::SeqCst) == 4).await;
            assert!(world.heard("Completed") >= 8);
            gate.open();
            control.cancel();
            gate.most.load(Ordering::SeqCst)
        });
    outcome.unwrap_err();
    assert_eq!(most, 4, "several at once, and no more than that");
    assert_eq!(leftovers(&world), [""; 0]);
    assert!(few(&world), "{:?}", world.checkpoints("chk"));
}

#[test]
fn a_file_that_could_not_be_deleted_is_tried_again() {
    let mut world = World::new("failing-deletes");
    let (tried, fails) = (Mutex::new(BTreeSet::new()), Arc::new(AtomicBool::new(true)));
    let is_failing = Arc::clone(&fails);
    world.storage = Watched::over(Arc::clone(&world.storage), move |call, path| {
        let is_first = call == "delete" && tried.lock().unwrap().insert(path.to_owned());
        let is_first = is_first && is_failing.load(Ordering::SeqCst);
        if is_first && path.starts_with("chk/") { Err(io::ErrorKind::TimedOut) } else { Ok(()) }
    });
    let (outcome, ()) = world.run("chk", u64::MAX, config(&world), async |control: JobControl| {
        until(|| world.heard("Completed") >= 8).await;
        fails.store(false, Ordering::SeqCst);
        control.cancel();
    });
    outcome.unwrap_err();
    assert!(world.heard("CleanUpFailed") > 0);
    assert_eq!(leftovers(&world), [""; 0]);
    assert!(few(&world), "{:?}", world.checkpoints("chk"));
}

#[test]
fn a_file_that_stays_is_said_once_and_keeps_no_other_one() {
    let mut world = World::new("kept-file");
    let kept = Arc::new(AtomicBool::new(true));
    let is_kept = Arc::clone(&kept);
    world.storage = Watched::over(Arc::clone(&world.storage), move |call, path| {
        let hits = call == "delete" && path.ends_with("chk-2/tally-0-keyed-1");
        if hits && is_kept.load(Ordering::SeqCst) {
            Err(io::ErrorKind::PermissionDenied)
        } else {
            Ok(())
        }
    });
    let (outcome, ()) = world.run("chk", u64::MAX, config(&world), async |control: JobControl| {
        until(|| world.heard("Completed") >= 12).await;
        control.cancel();
    });
    outcome.unwrap_err();
    assert_eq!(world.heard("CleanUpFailed"), 1);
    assert_eq!(leftovers(&world), ["chk-2/tally-0-keyed-1"]);
}

/// Memory has no locks, so nobody can tell when a process opens the folder whether an older one still
/// writes there.
#[test]
fn what_a_dead_run_has_left_on_a_storage_without_locks_goes_with_the_first_checkpoint() {
    let world = World::new("dead-run");
    let folder = world.below("chk").below(&StoragePath::new("tally").unwrap()).unwrap();
    let path = |name: &str| StoragePath::new(name).unwrap();
    let left = ["chk-7/tally-0-keyed-3", "shared/tally-0-keyed-3-6", "shared/tally-1-sst-3-6-0"];
    for name in left {
        folder.create(&path(name), b"of a run that was killed").unwrap();
    }
    folder.create(&path("taskowned/tally/0-3-1"), b"of an operator").unwrap();
    drop(world.store("chk"));
    let is_there = |name: &str| folder.len_bytes(&path(name)).is_ok();
    assert!(left.iter().all(|name| is_there(name)), "opening it removes nothing");
    let quiet = JobConfig { checkpoints: CoordinatorConfig::new(), ..config(&world) };
    let (outcome, ()) = world.run("chk", u64::MAX, quiet, async |control: JobControl| {
        control.savepoint(world.below("sp"), SavepointFormat::Canonical).await.unwrap();
        assert!(left.iter().all(|name| is_there(name)), "a savepoint is no checkpoint");
        control.checkpoint(false).await.unwrap();
        until(|| !left.iter().any(|name| is_there(name))).await;
        control.cancel();
    });
    outcome.unwrap_err();
    assert!(is_there("taskowned/tally/0-3-1"));
    assert!(few(&world), "{:?}", world.checkpoints("chk"));
}
