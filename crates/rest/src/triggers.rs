//! What somebody has triggered, and what became of it.
//!
//! Invariants: a trigger goes from being under way to its end once; at most [`MOST`] are remembered, and
//! none is forgotten while it is under way.
//!
//! Source: Flink `CompletedOperationCache`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use alluvium_core::CheckpointId;
use alluvium_runtime::{ControlError, Savepoint};
use hyper::StatusCode;
use tokio::sync::Notify;

use crate::error::Refusal;

/// How many triggers are remembered: as many as a job lets wait, and as many ended ones.
const MOST: usize = 2 * alluvium_coordinator::MAX_WAITING;

/// Of what kind a trigger is; ids of different kinds have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Checkpoint,
    Savepoint,
}

/// How far a trigger is.
#[derive(Debug, Clone)]
pub(crate) enum Progress {
    UnderWay,
    Checkpoint(CheckpointId),
    Savepoint(Savepoint),
    Failed { name: &'static str, reason: String },
}

#[derive(Debug)]
struct Trigger {
    /// Later ones have higher numbers.
    number: u64,
    progress: Progress,
    /// Whether somebody has read its end.
    is_told: bool,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    triggers: BTreeMap<(Kind, String), Trigger>,
    /// Somebody has ended the job and does not know yet that it is over.
    owes_end: bool,
}

/// The triggers of a server.
#[derive(Debug, Default)]
pub(crate) struct Triggers {
    state: Mutex<State>,
    told: Notify,
}

impl Triggers {
    /// Begins a trigger under an id that a client has chosen, or one that is made from the number of
    /// the trigger and the salt. `false` if there is one of this id already.
    ///
    /// Errors: 503 when too many are under way.
    pub(crate) fn begin(
        &self,
        kind: Kind,
        chosen: Option<String>,
        salt: u64,
    ) -> Result<(String, bool), Refusal> {
        let mut state = self.state();
        let id = chosen.unwrap_or_else(|| format!("{salt:016x}{:016x}", state.last + 1));
        let key = (kind, id.clone());
        if state.triggers.contains_key(&key) {
            return Ok((id, false));
        }
        if state.triggers.len() >= MOST {
            let ended = state.triggers.iter();
            let ended = ended.filter(|(_, it)| !matches!(it.progress, Progress::UnderWay));
            let oldest = ended.min_by_key(|(_, it)| it.number).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else {
                let reason = format!("{MOST} triggers are under way");
                return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason));
            };
            state.triggers.remove(&oldest);
        }
        state.last += 1;
        let number = state.last;
        let trigger = Trigger { number, progress: Progress::UnderWay, is_told: false };
        state.triggers.insert(key, trigger);
        Ok((id, true))
    }

    /// Notes what became of a trigger.
    pub(crate) fn end(&self, kind: Kind, id: &str, end: Result<Progress, ControlError>) {
        let progress = end.unwrap_or_else(|error| Progress::Failed {
            name: name_of(&error),
            reason: error.to_string(),
        });
        if let Some(trigger) = self.state().triggers.get_mut(&(kind, id.to_owned())) {
            trigger.progress = progress;
        }
    }

    /// How far a trigger is; its end is then told.
    pub(crate) fn tell(&self, kind: Kind, id: &str) -> Option<Progress> {
        let mut state = self.state();
        let trigger = state.triggers.get_mut(&(kind, id.to_ascii_lowercase()))?;
        trigger.is_told = !matches!(trigger.progress, Progress::UnderWay);
        let progress = trigger.progress.clone();
        drop(state);
        self.told.notify_waiters();
        Some(progress)
    }

    /// Where savepoints that were triggered here lie.
    pub(crate) fn savepoints(&self) -> BTreeMap<CheckpointId, String> {
        let state = self.state();
        let places = state.triggers.values().filter_map(|trigger| match &trigger.progress {
            Progress::Savepoint(it) => Some((it.checkpoint, it.location.clone())),
            _ => None,
        });
        places.collect()
    }

    /// Somebody has ended the job.
    pub(crate) fn owe_end(&self) {
        self.state().owes_end = true;
    }

    /// Somebody has read that the job is over.
    pub(crate) fn tell_end(&self) {
        self.state().owes_end = false;
        self.told.notify_waiters();
    }

    /// Waits until everybody has read what became of what they triggered.
    pub(crate) async fn all_told(&self) {
        loop {
            let told = self.told.notified();
            {
                let state = self.state();
                if !state.owes_end && state.triggers.values().all(|trigger| trigger.is_told) {
                    return;
                }
            }
            told.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a reason. Source: Flink `CheckpointFailureReason`.
fn name_of(error: &ControlError) -> &'static str {
    match error {
        ControlError::Request(failure) => failure.name(),
        ControlError::Target { .. } => "IO_EXCEPTION",
        ControlError::Over => "CHECKPOINT_COORDINATOR_SHUTDOWN",
        _ => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests;
