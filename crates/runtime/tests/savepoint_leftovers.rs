//! A savepoint that is asked for while an attempt ends.

#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alluvium_coordinator::{RequestFailure, SavepointFormat};
use alluvium_runtime::{ControlError, JobControl};

use common::World;
use common::watched::Watched;

/// 1. Somebody asks for a savepoint, and its folder is being reserved;
/// 2. a task fails, so the attempt ends;
/// 3. the folder is there: without a word it would stay, and the caller would hear that the job is
///    over, which it is not.
#[test]
fn a_folder_that_is_reserved_too_late_goes_and_its_caller_may_ask_again() {
    let mut world = World::new("late-folder");
    let (is_held, is_waiting) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (held, waiting) = (Arc::clone(&is_held), Arc::clone(&is_waiting));
    world.storage = Watched::over(Arc::clone(&world.storage), move |call, path| {
        while call == "create" && path.ends_with("_unfinished") && held.load(Ordering::SeqCst) {
            waiting.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    });
    let config = world.config();
    let format = SavepointFormat::Canonical;
    let (outcome, ()) = world.run("chk", u64::MAX, config, async |control: JobControl| {
        let breaking = async {
            while !is_waiting.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            world.fails.store(true, Ordering::SeqCst);
            while world.fails.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // The driver hears of the failure, and waits for the folder.
            tokio::time::sleep(Duration::from_millis(100)).await;
            is_held.store(false, Ordering::SeqCst);
        };
        let (refused, ()) = tokio::join!(control.savepoint(world.below("sp"), format), breaking);
        assert_eq!(refused, Err(ControlError::Request(RequestFailure::JobStopped)));
        control.savepoint(world.below("sp"), format).await.unwrap();
        control.cancel();
    });
    outcome.unwrap_err();
    assert_eq!(world.heard("Restarting"), 1);
    // Reads it, and finds no other folder.
    world.savepoint("sp");
}
