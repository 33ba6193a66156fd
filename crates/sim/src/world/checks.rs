//! What must hold whenever nobody runs, and what must hold in the end.

use std::collections::BTreeSet;
use std::sync::Arc;

use alluvium_core::StoragePath;
use alluvium_runtime::{CheckpointStatus, CheckpointStore, StoreError, UPDATES_DIR};
use alluvium_state::StateBackend;
use alluvium_storage::{JobLayout, Storage};

use super::{World, below, job_id};
use crate::chaos::Fault;
use crate::host::SimHost;
use crate::storage::SimStorage;
use crate::threads::lock;

impl<B: StateBackend> World<B> {
    /// The disk, without faults.
    fn observed(&self, name: &str) -> Arc<dyn Storage> {
        below(&SimStorage::new(&self.disk, SimHost::world(&self.executor)), name)
    }

    pub(super) fn store(&self) -> Result<CheckpointStore, StoreError> {
        CheckpointStore::open(&*self.observed("chk"), job_id())
    }

    /// Lines in committed files.
    pub(super) fn committed_lines(&self) -> Vec<String> {
        let output = self.observed("output");
        let mut lines = Vec::new();
        let Ok(updates) = StoragePath::new(UPDATES_DIR) else { return lines };
        for entry in output.list(Some(&updates)).unwrap_or_default() {
            if entry.name.starts_with("part-")
                && let Ok(path) = updates.join(&entry.name)
                && let Ok(bytes) = output.read_all(&path)
            {
                lines.extend(String::from_utf8_lossy(&bytes).lines().map(str::to_owned));
            }
        }
        lines
    }

    /// Whether checkpoints may lie around that no run owns and that are no longer whole.
    fn has_ghosts(&self) -> bool {
        let is_late = |(fault, _): &(Fault, _)| *fault == Fault::EffectLate;
        self.has_overlapped
            || lock(&self.disk).has_undone
            || self.executor.state().chaos.counts.keys().any(is_late)
    }

    /// The latest checkpoint can be restored, and none of which somebody was told is newer; so can all others, unless some are ghosts.
    pub(super) fn check_checkpoints(&mut self) {
        if let Err(error) = self.try_check_checkpoints() {
            self.violations.push(error.to_string());
        }
        self.violations.append(&mut lock(&self.disk).too_early);
        let foreign = lock(&self.disk).files_below("");
        let is_known = |path: &&String| {
            ["chk/job/", "output/updates/", "sp/savepoint-job-"]
                .iter()
                .any(|known| path.starts_with(known))
        };
        let foreign: Vec<_> = foreign.iter().filter(|path| !is_known(path)).collect();
        if !foreign.is_empty() {
            self.violations.push(format!("files outside the job's folders: {foreign:?}"));
        }
    }

    fn try_check_checkpoints(&mut self) -> Result<(), StoreError> {
        let store = self.store()?;
        let latest = store.latest()?.map(|it| (it.properties.attempt, it.properties.checkpoint));
        let told = lock(&self.history).newest;
        if latest < told {
            self.violations.push(format!("the latest checkpoint is {latest:?}, and was {told:?}"));
        }
        if self.has_ghosts() {
            return Ok(());
        }
        for entry in store.list()? {
            match entry.status {
                CheckpointStatus::Complete(metadata) => store.verify(&metadata)?,
                CheckpointStatus::Unfinished => {}
                CheckpointStatus::Damaged(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// After the job has ended without faults nothing is left that nobody needs.
    ///
    /// Checkpoints that a run did not begin from are left alone, so there may be more of them after one
    /// that began from a savepoint.
    pub(super) fn check_what_is_left(&mut self, has_branched: bool) {
        self.check_checkpoints();
        if self.plan.is_remote {
            return;
        }
        // What the process before it left behind was removed when this one began, but for what a
        // power cut brought back into folders of whole checkpoints: SPEC 2.5.
        let store = if lock(&self.disk).has_undone {
            CheckpointStore::open_exclusive(&*self.observed("chk"), job_id())
        } else {
            self.store()
        };
        let left = store.and_then(|store| self.unneeded(&store, has_branched));
        match left {
            Ok(left) if left.is_empty() => {}
            Ok(left) => self.violations.push(format!("left behind: {left:?}")),
            Err(error) => self.violations.push(error.to_string()),
        }
    }

    fn unneeded(
        &self,
        store: &CheckpointStore,
        has_branched: bool,
    ) -> Result<Vec<String>, StoreError> {
        let mut needed = BTreeSet::new();
        let mut folders = BTreeSet::from([JobLayout::shared_dir().to_string()]);
        folders.insert(JobLayout::attempts_dir().to_string());
        let mut complete = 0;
        for entry in store.list()? {
            if let CheckpointStatus::Complete(metadata) = entry.status {
                complete += 1;
                needed.extend(metadata.files().map(ToString::to_string));
                needed.insert(JobLayout::metadata(entry.checkpoint).to_string());
                folders.insert(JobLayout::checkpoint_dir(entry.checkpoint).to_string());
            }
        }
        let disk = lock(&self.disk);
        let mut left = Vec::new();
        for path in disk.files_below("chk/job") {
            let name = path.strip_prefix("chk/job/").unwrap_or(&path);
            // Nobody deletes from the folder of a whole checkpoint by name: SPEC 2.5.
            let dir = name.split('/').next().unwrap_or_default();
            let is_in_whole = dir.starts_with("chk-") && folders.contains(dir);
            if !needed.contains(name)
                && !is_in_whole
                && !name.starts_with("attempts/")
                && name != "_lock"
            {
                left.push(path.clone());
            }
        }
        for dir in disk.dirs_below("chk/job") {
            let name = dir.strip_prefix("chk/job/").unwrap_or(&dir);
            if !folders.contains(name) {
                left.push(format!("{dir}/"));
            }
        }
        let output = disk.files_below("output/updates");
        left.extend(output.into_iter().filter(|path| path.contains("/pending-")));
        if complete > self.plan.retained && !disk.has_undone && !has_branched {
            left.push(format!("{complete} checkpoints"));
        }
        Ok(left)
    }
}
