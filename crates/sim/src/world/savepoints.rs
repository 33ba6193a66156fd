//! What people ask of the running job, and the savepoints that come of it.
//!
//! Invariants:
//! - a savepoint whose metadata is there can be restored, whoever was told of it;
//! - one that somebody was told of stays, unless a run has begun from it that owns it.

use std::sync::{Arc, Mutex};

use alluvium_coordinator::SavepointFormat;
use alluvium_core::StoragePath;
use alluvium_runtime::{
    CheckpointStatus, ClaimMode, Host, JobControl, RestoreFrom, Savepoint, Stop, StoreError,
    read_savepoint, verify_checkpoint,
};
use alluvium_state::StateBackend;
use alluvium_storage::{HandleReader, JobLayout, ReadAccess, Storage};
use alluvium_testkit::random::Random;

use super::history::{History, Taken};
use super::{World, below};
use crate::host::SimHost;
use crate::storage::SimStorage;
use crate::threads::lock;

/// Folder of all savepoints.
pub(super) const TARGET: &str = "sp";

/// What somebody asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wish {
    Checkpoint { is_full: bool },
    Savepoint(SavepointFormat),
    Stop(SavepointFormat, Stop),
}

/// Something that somebody asks of a process, and when, after its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) after_us: u64,
    pub(crate) wish: Wish,
}

impl Ask {
    pub(crate) fn draw(random: &mut Random, time_us: u64, may_stop: bool) -> Self {
        let format = *random.pick(&[SavepointFormat::Canonical, SavepointFormat::Native]);
        let wish = match random.below(10) {
            0 | 1 => Wish::Checkpoint { is_full: random.one_in(2) },
            2 if may_stop => Wish::Stop(format, Stop::Drain),
            3 | 4 if may_stop => Wish::Stop(format, Stop::Suspend),
            _ => Wish::Savepoint(format),
        };
        Self { after_us: random.below(time_us), wish }
    }
}

/// A process begins from this savepoint instead of the newest checkpoint.
pub(super) struct Chosen {
    pub(super) taken: Taken,
    pub(super) claim: ClaimMode,
}

impl Chosen {
    /// Reads its metadata, as the process that begins from it does.
    pub(super) fn restore(&self, storage: &SimStorage) -> Result<RestoreFrom, StoreError> {
        let folder = folder(storage, &self.taken.dir);
        let metadata = Box::new(read_savepoint(&*folder)?);
        Ok(RestoreFrom::Checkpoint { metadata, storage: folder, claim: self.claim })
    }
}

impl std::fmt::Display for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({:?})", self.taken.dir, self.claim)
    }
}

fn folder(storage: &SimStorage, dir: &str) -> Arc<dyn Storage> {
    below(storage, &format!("{TARGET}/{dir}"))
}

impl<B: StateBackend> World<B> {
    fn seen(&self) -> SimStorage {
        SimStorage::new(&self.disk, SimHost::world(&self.executor))
    }

    /// Somebody who asks a process for something, and goes with it.
    pub(super) fn send_asker(&self, host: &SimHost, control: &JobControl, ask: Ask) {
        let (host, control, history) = (host.clone(), control.clone(), Arc::clone(&self.history));
        let (seen, target) =
            (self.seen(), below(&SimStorage::new(&self.disk, host.clone()), TARGET));
        let sleep = host.sleep_us(ask.after_us);
        let asker = host.clone();
        let asking = async move {
            sleep.await;
            asker.trace(&format!("somebody asks: {:?}", ask.wish));
            let (answer, stop) = match ask.wish {
                Wish::Checkpoint { is_full } => {
                    let answer = control.checkpoint(is_full).await;
                    return asker.trace(&format!("the answer: {answer:?}"));
                }
                Wish::Savepoint(format) => (control.savepoint(target, format).await, None),
                Wish::Stop(format, stop) => (control.stop(target, format, stop).await, Some(stop)),
            };
            asker.trace(&format!("the answer: {answer:?}"));
            match answer {
                Ok(savepoint) => note(&history, &seen, &savepoint, stop),
                Err(_) => lock(&history).refused += 1,
            }
        };
        drop(host.spawn("asker", Box::pin(asking)));
    }

    /// Sometimes one of the savepoints that a process may begin from.
    ///
    /// None where two runs may be there at a time: sinks of a run that was replaced may still move
    /// what it had found, which does no harm only where both began from the newest checkpoint.
    pub(super) fn choose_savepoint(&self) -> Option<Chosen> {
        if self.plan.is_taken_over() {
            return None;
        }
        let written = self.store().and_then(|store| store.list()).unwrap_or_default();
        let mut history = lock(&self.history);
        for entry in written {
            if let CheckpointStatus::Complete(metadata) = entry.status {
                history.completes(metadata.properties.attempt);
            }
        }
        let restorable = history.restorable();
        let mut state = self.executor.state();
        if restorable.is_empty() || !state.random.one_in(2) {
            return None;
        }
        let at = *state.random.pick(&restorable);
        let claim = *state.random.pick(&[ClaimMode::NoClaim, ClaimMode::Claim]);
        drop(state);
        history.restores += 1;
        let taken = history.savepoints.get_mut(at)?;
        let chosen = taken.clone();
        taken.is_claimed = claim == ClaimMode::Claim;
        Some(Chosen { taken: chosen, claim })
    }

    /// All savepoints can be restored, and those that somebody was told of are there.
    pub(super) fn check_savepoints(&mut self) {
        let (seen, history) = (self.seen(), Arc::clone(&self.history));
        let history = lock(&history);
        let claimed =
            |dir: &str| history.savepoints.iter().any(|it| it.is_claimed && it.dir == dir);
        for dir in self.savepoint_dirs().into_iter().filter(|dir| !claimed(dir)) {
            let told = history.savepoints.iter().any(|taken| taken.dir == dir);
            match read_and_verify(&folder(&seen, &dir)) {
                Ok(()) => {}
                Err(StoreError::NotACheckpoint { .. }) if !told => {}
                Err(error) => self.violations.push(format!("savepoint {dir}: {error}")),
            }
        }
        for Taken { dir, is_claimed, .. } in &history.savepoints {
            if !is_claimed && !self.savepoint_dirs().contains(dir) {
                self.violations.push(format!("savepoint {dir} is gone"));
            }
        }
    }

    fn savepoint_dirs(&self) -> Vec<String> {
        let entries = below(&self.seen(), TARGET).list(None).unwrap_or_default();
        entries.into_iter().filter(|entry| entry.is_dir).map(|entry| entry.name).collect()
    }

    /// Folders that somebody has reserved and that hold no savepoint.
    pub(super) fn unfinished_savepoints(&self) -> Vec<String> {
        let seen = self.seen();
        let is_unfinished = |dir: &String| {
            let found = read_savepoint(&*folder(&seen, dir));
            matches!(found, Err(StoreError::NotACheckpoint { .. }))
        };
        self.savepoint_dirs().into_iter().filter(is_unfinished).collect()
    }

    /// After a process to which nothing has happened: it has left no folder without a savepoint, and
    /// what it began from and owned is gone once enough checkpoints of its own were complete.
    pub(super) fn check_savepoints_left(
        &mut self,
        unfinished: &[String],
        chosen: Option<&Taken>,
        checkpoints: u64,
    ) {
        let left = self.unfinished_savepoints();
        // Of one that was claimed the folder stays.
        let history = Arc::clone(&self.history);
        let claimed = |dir: &String| {
            lock(&history).savepoints.iter().any(|it| it.is_claimed && it.dir == *dir)
        };
        for dir in left.iter().filter(|dir| !unfinished.contains(dir) && !claimed(dir)) {
            self.violations.push(format!("left behind: the folder {dir} without a savepoint"));
        }
        let Some(Taken { dir, .. }) = chosen else { return };
        let metadata = folder(&self.seen(), dir).read_all(&JobLayout::savepoint_metadata());
        if claimed(dir) && checkpoints >= self.plan.retained as u64 && metadata.is_ok() {
            self.violations.push(format!("left behind: the claimed savepoint {dir}"));
        }
    }
}

fn read_and_verify(folder: &Arc<dyn Storage>) -> Result<(), StoreError> {
    let metadata = read_savepoint(&**folder)?;
    let reader = HandleReader::new(Arc::clone(folder), ReadAccess::Map);
    let checkpoint = metadata.properties.checkpoint;
    verify_checkpoint(&metadata, &reader)
        .map_err(|source| StoreError::State { checkpoint, source: Box::new(source) })
}

/// Notes a savepoint that is complete, by what its metadata says.
fn note(history: &Mutex<History>, seen: &SimStorage, savepoint: &Savepoint, stop: Option<Stop>) {
    let dir = savepoint.location.rsplit('/').next().unwrap_or_default().to_owned();
    let Ok(path) = StoragePath::new(&format!("{TARGET}/{dir}")) else { return };
    let found = seen.below(&path).map_err(StoreError::from).and_then(|it| read_savepoint(&*it));
    let attempt = found.map(|metadata| metadata.properties.attempt);
    let mut history = lock(history);
    match attempt {
        Ok(attempt) => {
            let point = (attempt, savepoint.checkpoint);
            history.savepoints.push(Taken { dir, point, stop, is_claimed: false });
        }
        // Whoever checks finds that it is not there.
        Err(_) => history.savepoints.push(Taken {
            dir,
            point: (alluvium_core::AttemptId::new(0), savepoint.checkpoint),
            stop: Some(Stop::Drain),
            is_claimed: false,
        }),
    }
}
