//! What somebody has asked of the running attempt, and the folders of savepoints on their way.
//!
//! Invariants: each reply is sent once; a folder that was reserved is either complete or named for
//! deletion.

use std::collections::BTreeMap;

use alluvium_coordinator::{CheckpointKind, RequestFailure, RequestId};
use alluvium_core::CheckpointId;
use alluvium_storage::SavepointFolder;

use crate::ControlError;
use crate::control::{Reply, Savepoint};

/// How many folders of savepoints that have ended are remembered, for states that come late.
const ENDED_FOLDERS: usize = 16;

/// Somebody who waits for an answer.
#[derive(Debug)]
enum Waiting {
    Checkpoint(Reply<CheckpointId>),
    Savepoint(SavepointFolder, Reply<Savepoint>),
}

#[derive(Debug, Default)]
pub(super) struct Asked {
    last: u64,
    waiting: BTreeMap<RequestId, Waiting>,
    folders: BTreeMap<CheckpointId, SavepointFolder>,
}

impl Asked {
    pub(super) fn checkpoint(&mut self, reply: Reply<CheckpointId>) -> RequestId {
        self.add(Waiting::Checkpoint(reply))
    }

    pub(super) fn savepoint(
        &mut self,
        folder: SavepointFolder,
        reply: Reply<Savepoint>,
    ) -> RequestId {
        self.add(Waiting::Savepoint(folder, reply))
    }

    fn add(&mut self, waiting: Waiting) -> RequestId {
        self.last += 1;
        let request = RequestId(self.last);
        self.waiting.insert(request, waiting);
        request
    }

    /// A savepoint was triggered: where it goes.
    pub(super) fn triggered(
        &mut self,
        checkpoint: CheckpointId,
        kind: CheckpointKind,
        requests: &[RequestId],
    ) -> Option<SavepointFolder> {
        if !kind.is_savepoint() {
            return None;
        }
        let folder = requests.iter().find_map(|request| match self.waiting.get(request) {
            Some(Waiting::Savepoint(folder, _)) => Some(folder.clone()),
            _ => None,
        })?;
        if self.folders.len() > ENDED_FOLDERS {
            self.folders.pop_first();
        }
        self.folders.insert(checkpoint, folder.clone());
        Some(folder)
    }

    /// Where a savepoint goes, or went.
    pub(super) fn folder(&self, checkpoint: CheckpointId) -> Option<&SavepointFolder> {
        self.folders.get(&checkpoint)
    }

    /// Tells who asked. Gives the folder of a savepoint that was never triggered.
    #[must_use = "the folder is to be removed"]
    pub(super) fn answer(
        &mut self,
        request: RequestId,
        answer: &Result<CheckpointId, RequestFailure>,
    ) -> Option<SavepointFolder> {
        // Whoever asked may be gone.
        match (self.waiting.remove(&request)?, answer) {
            (Waiting::Checkpoint(reply), Ok(checkpoint)) => {
                let _ = reply.send(Ok(*checkpoint));
                None
            }
            (Waiting::Checkpoint(reply), Err(failure)) => {
                let _ = reply.send(Err(ControlError::Request(failure.clone())));
                None
            }
            (Waiting::Savepoint(folder, reply), Ok(checkpoint)) => {
                let location = folder.location();
                let _ = reply.send(Ok(Savepoint { checkpoint: *checkpoint, location }));
                None
            }
            (Waiting::Savepoint(folder, reply), Err(failure)) => {
                let _ = reply.send(Err(ControlError::Request(failure.clone())));
                // One that was triggered is discarded by its number.
                let was_triggered = matches!(failure, RequestFailure::Aborted { .. });
                (!was_triggered).then_some(folder)
            }
        }
    }
}
