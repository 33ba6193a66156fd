//! Restores that read copies of checkpoint files on the machine itself.

#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium_coordinator::CoordinatorConfig;
use alluvium_core::StoragePath;
use alluvium_runtime::{CheckpointStatus, JobConfig, JobControl, RestoreFrom};
use alluvium_storage::StreamPolicy;

use common::watched::Watched;
use common::{World, total};

const END: u64 = 60_000;

/// A world that notes which state files are read from its storage.
struct Near {
    world: World,
    dir: tempfile::TempDir,
    read: Arc<Mutex<BTreeSet<String>>>,
}

impl Near {
    fn new(name: &str) -> Self {
        let mut world = World::new(name);
        let read = Arc::new(Mutex::new(BTreeSet::new()));
        let noted = Arc::clone(&read);
        world.storage = Watched::over(Arc::clone(&world.storage), move |call, path| {
            let is_state = path.starts_with("chk/") && !path.ends_with("_metadata");
            if call == "read" && is_state {
                noted.lock().unwrap().insert(path.to_owned());
            }
            Ok(())
        });
        Self { world, dir: tempfile::tempdir().unwrap(), read }
    }

    fn config(&self, parallelism: u32) -> JobConfig {
        JobConfig {
            parallelism,
            checkpoints: CoordinatorConfig::new().interval_ms(Some(5)).retained(2),
            streams: StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None },
            restore: RestoreFrom::Latest,
            local_recovery: Some(self.dir.path().join("copies")),
            ..self.world.config()
        }
    }

    /// Runs the job from its latest checkpoint until some more are complete, and gives the state files
    /// that were read from the storage.
    fn run(&self, parallelism: u32) -> BTreeSet<String> {
        self.read.lock().unwrap().clear();
        let before = self.world.heard("Completed");
        let asking = async |control: JobControl| {
            while self.world.heard("Completed") < before + 4 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            control.cancel();
        };
        let config = JobConfig { records_per_s: Some(10_000.0), ..self.config(parallelism) };
        self.world.run("chk", u64::MAX, config, asking).0.unwrap_err();
        self.read.lock().unwrap().clone()
    }

    /// Runs the job from its latest checkpoint to its end, and checks that nothing was lost.
    fn finish(&self) {
        let config = JobConfig { records_per_s: None, ..self.config(2) };
        let outcome = self.world.run("chk", END, config, async |_| ()).0.unwrap();
        assert_eq!(total(&outcome), END);
    }

    /// What the listener heard last of copies.
    fn told(&self) -> String {
        let heard = self.world.heard.lock().unwrap();
        heard.iter().rfind(|event| event.contains("LocalRecovery")).cloned().unwrap()
    }

    fn data(&self, file: &Path) -> PathBuf {
        let [job] = &children(&self.dir.path().join("copies"))[..] else { panic!("one job") };
        job.join("files").join(file)
    }

    /// The copies of files, by the paths of these.
    fn copies(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        for job in children(&self.dir.path().join("copies")) {
            let files = job.join("files");
            for file in children(&files).iter().flat_map(|dir| children(dir)) {
                found.insert(file.strip_prefix(&files).unwrap().to_owned());
            }
        }
        found
    }

    /// The files of the latest checkpoint.
    fn needed(&self) -> BTreeSet<PathBuf> {
        let latest = self.world.store("chk").list().unwrap().pop().unwrap();
        let CheckpointStatus::Complete(metadata) = latest.status else { panic!("not whole") };
        metadata.files().map(|file| PathBuf::from(file.as_str())).collect()
    }
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Every operator has operator state in a file, and the keyed one keyed state, too.
fn is_all_local(near: &Near) {
    let told = near.told();
    assert!(told.contains("remote_files: 0, damaged_files: 0"), "{told}");
    assert!(!told.contains("local_files: 0"), "{told}");
}

#[test]
fn a_restart_of_an_attempt_reads_no_state_from_the_storage() {
    let near = Near::new("near-restart");
    let config = JobConfig { records_per_s: Some(10_000.0), ..near.config(2) };
    let asking = async |control: JobControl| {
        while near.world.heard("Completed") < 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        near.world.fails.store(true, Ordering::SeqCst);
        while near.world.heard("LocalRecovery") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        control.cancel();
    };
    near.world.run("chk", u64::MAX, config, asking).0.unwrap_err();
    assert_eq!(near.world.heard("Restarting"), 1);
    assert_eq!(*near.read.lock().unwrap(), BTreeSet::new());
    is_all_local(&near);
    near.finish();
}

#[test]
fn a_later_process_of_another_parallelism_reads_no_state_from_the_storage() {
    let near = Near::new("near-rescale");
    near.run(2);
    for parallelism in [3, 1, 4] {
        assert_eq!(near.copies(), near.needed(), "those of older checkpoints are gone");
        assert_eq!(near.run(parallelism), BTreeSet::new());
        is_all_local(&near);
    }
    near.finish();
}

#[test]
fn a_damaged_copy_costs_one_read_and_a_missing_one_too() {
    let near = Near::new("near-damaged");
    near.run(2);
    let mut files: Vec<PathBuf> = near.needed().into_iter().collect();
    files.retain(|file| file.to_str().unwrap().contains("tally"));
    let [damaged, missing] = [&files[0], &files[1]];
    let mut bytes = fs::read(near.data(damaged)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(near.data(damaged), bytes).unwrap();
    fs::remove_file(near.data(missing)).unwrap();
    let expected = [damaged, missing].map(|file| format!("chk/tally/{}", file.display()));
    assert_eq!(near.run(2), BTreeSet::from(expected));
    let told = near.told();
    assert!(!told.contains("local_files: 0") && !told.contains("damaged_files: 0"), "{told}");
    near.finish();
}

#[test]
fn a_missing_folder_costs_all_reads() {
    let near = Near::new("near-missing");
    near.run(2);
    fs::remove_dir_all(near.dir.path().join("copies")).unwrap();
    assert!(!near.run(2).is_empty());
    let told = near.told();
    assert!(told.contains("local_files: 0") && told.contains("damaged_files: 0"), "{told}");
    // What a later checkpoint has by reference has no copy any more.
    let (copies, needed) = (near.copies(), near.needed());
    assert!(!copies.is_empty() && copies.is_subset(&needed));
    let without = needed.difference(&copies).map(|file| format!("chk/tally/{}", file.display()));
    assert_eq!(near.run(2), without.collect());
    near.finish();
}

#[test]
fn copies_that_cannot_be_written_are_told_and_fail_nothing() {
    let near = Near::new("near-unwritable");
    fs::write(near.dir.path().join("copies"), b"a file where the folder should be").unwrap();
    near.run(2);
    let failed = near.world.heard("CopyFailed");
    assert!(failed > 0 && near.world.heard("Aborted") <= 1, "{failed}");
    assert!(!near.run(2).is_empty());
    near.finish();
}

/// 1. A job leaves copies of checkpoint 1 of attempt 1, and its storage is lost;
/// 2. it begins anew, without copies for a while, with a checkpoint 1 of attempt 1;
/// 3. the copies have the names of the new files, and other bytes.
#[test]
fn copies_of_files_that_are_gone_are_not_taken_for_those_of_the_same_name() {
    let near = Near::new("near-stale");
    near.run(2);
    let (copies, kept) = (near.dir.path().join("copies"), near.dir.path().join("kept"));
    fs::rename(&copies, &kept).unwrap();
    near.world.below("chk").delete_dir(&StoragePath::new("tally").unwrap()).unwrap();
    near.world.below("output").delete_dir(&StoragePath::new("updates").unwrap()).unwrap();
    near.run(2);
    fs::remove_dir_all(&copies).unwrap();
    fs::rename(&kept, &copies).unwrap();
    near.run(2);
    near.finish();
}
