//! What is no longer needed waits here and is removed in steps, several at a time.
//!
//! Ladder of names: waste (what the coordinator gives up, in order) > step (what one thread does: the
//! metadata of a checkpoint, a batch of files, a folder).
//!
//! Invariants:
//! - waste is taken up in the order in which it came, and behind a checkpoint only when its metadata
//!   is gone: one that could not be deleted keeps everything behind it waiting, and is tried again
//!   when the next waste comes;
//! - what is taken up has no order any more: a batch that fails keeps nothing waiting, and is tried
//!   again when the next waste comes, [`MAX_TRIES`] times;
//! - of a step that fails again and again, somebody is told once.
//!
//! Why in order:
//! 1. checkpoints 4 and 5 both need file f, and 6 subsumes both: f goes with 5, the last of them;
//! 2. the metadata of 4 cannot be removed for a moment;
//! 3. removing f all the same would leave 4 whole, in the eyes of a reader, without its file.
//!
//! What still waits when an attempt ends is taken over by the next one with the checkpoints that
//! are still there, or is a leftover that the next process removes.

use std::collections::VecDeque;

use alluvium_core::{AttemptId, CheckpointId, StoragePath};
use alluvium_storage::SavepointFolder;

use crate::restore::RestorePoint;
use crate::store::Kept;
use crate::{CheckpointStore, StoreError};

/// How many steps are under way at a time. Each has a thread to itself, so that a store that is slow
/// delays neither checkpoints nor tasks.
pub(super) const CONCURRENT_STEPS: usize = 4;

/// How often a step is tried before it is left to the next process.
const MAX_TRIES: u32 = 5;

/// Something to remove.
#[derive(Debug, Clone)]
pub(super) enum Waste {
    /// Files that no checkpoint needs.
    Files(Vec<StoragePath>),
    /// A checkpoint, and the files that only it needed.
    Checkpoint(CheckpointId, Vec<StoragePath>),
    /// What older runs have left, as far as no checkpoint needs it now.
    Leftovers(Vec<StoragePath>),
    /// The folder of a checkpoint that did not complete, if nothing is in it.
    EmptyDir(CheckpointId),
    /// A savepoint that did not complete.
    Savepoint(SavepointFolder),
    /// What the run began from, and owns, in another folder.
    Claimed(RestorePoint),
}

/// What one thread removes.
#[derive(Debug, Clone)]
enum Piece {
    Metadata(CheckpointId),
    Files(Vec<StoragePath>),
    Leftovers(Vec<StoragePath>),
    EmptyDir(CheckpointId),
    Savepoint(SavepointFolder),
    Claimed(RestorePoint),
}

/// A piece, and how often it was tried.
#[derive(Debug, Clone)]
pub(super) struct Step {
    piece: Piece,
    tries: u32,
}

/// What came of a step that did not fail as a whole.
#[derive(Debug)]
pub(super) struct Removed {
    /// What is left of it, and why.
    left: Option<(Step, String)>,
    is_metadata: bool,
}

impl Step {
    const fn new(piece: Piece) -> Self {
        Self { piece, tries: 0 }
    }

    /// The state files that it removes.
    pub(super) fn files(&self) -> &[StoragePath] {
        if let Piece::Files(files) = &self.piece { files } else { &[] }
    }

    fn kept(&self, kept: Kept) -> Removed {
        let left = Self { piece: Piece::Files(kept.files), tries: self.tries + 1 };
        Removed { left: Some((left, kept.error.to_string())), is_metadata: false }
    }

    /// Does it; for a thread that may block.
    ///
    /// Errors: [`StoreError`] with `Fenced` when the attempt was replaced: nothing is removed then.
    pub(super) fn run(
        self,
        store: &CheckpointStore,
        attempt: AttemptId,
    ) -> Result<Removed, StoreError> {
        let is_metadata = matches!(self.piece, Piece::Metadata(_));
        let removed = match &self.piece {
            Piece::Metadata(checkpoint) => {
                let gone = store.delete_metadata(attempt, *checkpoint);
                // Its files may lie elsewhere; if not, the folder goes with the last of them.
                gone.inspect(|()| drop(store.remove_empty_dir(*checkpoint)))
            }
            Piece::Files(files) => match store.discard_batch(attempt, files) {
                Ok(Some(kept)) => return Ok(self.kept(kept)),
                other => other.map(drop),
            },
            Piece::Leftovers(files) => match store.remove_noted(attempt, files) {
                Ok(Some(kept)) => return Ok(self.kept(kept)),
                other => other.map(drop),
            },
            Piece::EmptyDir(checkpoint) => store.remove_empty_dir(*checkpoint),
            Piece::Savepoint(savepoint) => savepoint.discard().map_err(StoreError::from),
            Piece::Claimed(point) => store.delete_claimed(attempt, &point.storage, &point.metadata),
        };
        let left = match removed {
            Ok(()) => None,
            Err(error) if error.is_fenced() => return Err(error),
            Err(error) => Some((Self { tries: self.tries + 1, ..self }, error.to_string())),
        };
        Ok(Removed { left, is_metadata })
    }
}

/// What waits, and how much is under way.
#[derive(Debug, Default)]
pub(super) struct CleanUp {
    waiting: VecDeque<Waste>,
    ready: VecDeque<Step>,
    /// Failed, until the next waste comes.
    failed: Vec<Step>,
    under_way: usize,
    /// The metadata at the front of `waiting` is being removed, or could not be.
    front: Front,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Front {
    /// Nothing was done with it.
    #[default]
    Untouched,
    UnderWay,
    /// It is still there; with how often it was tried.
    Failed(u32),
}

impl CleanUp {
    pub(super) fn push(&mut self, waste: Waste) {
        self.waiting.push_back(waste);
        self.again();
    }

    /// Makes what has failed ready once more.
    pub(super) fn again(&mut self) {
        self.ready.extend(self.failed.drain(..));
        if let Front::Failed(_) = self.front {
            self.ready_front();
        }
    }

    /// The next step, if one more may be under way. Report what came of it.
    #[must_use = "a step that is not reported is under way for ever"]
    pub(super) fn next(&mut self, batch_len: usize) -> Option<Step> {
        if self.under_way >= CONCURRENT_STEPS {
            return None;
        }
        while self.ready.is_empty() && self.front == Front::Untouched {
            match self.waiting.front()? {
                Waste::Checkpoint(..) => self.ready_front(),
                _ => self.take_up(batch_len),
            }
        }
        let step = self.ready.pop_front()?;
        self.under_way += 1;
        Some(step)
    }

    /// Makes the metadata of the checkpoint at the front ready to be removed.
    fn ready_front(&mut self) {
        let Some(Waste::Checkpoint(checkpoint, _)) = self.waiting.front() else { return };
        let tries = if let Front::Failed(tries) = self.front { tries } else { 0 };
        let piece = Piece::Metadata(*checkpoint);
        self.front = Front::UnderWay;
        self.ready.push_back(Step { piece, tries });
    }

    /// Makes steps of what is at the front.
    fn take_up(&mut self, batch_len: usize) {
        let Some(waste) = self.waiting.pop_front() else { return };
        match waste {
            Waste::Files(files) | Waste::Checkpoint(_, files) => {
                let batches = files.chunks(batch_len.max(1));
                self.ready.extend(batches.map(|batch| Step::new(Piece::Files(batch.to_vec()))));
            }
            Waste::Leftovers(files) => self.ready.push_back(Step::new(Piece::Leftovers(files))),
            Waste::EmptyDir(checkpoint) => {
                self.ready.push_back(Step::new(Piece::EmptyDir(checkpoint)));
            }
            Waste::Savepoint(folder) => self.ready.push_back(Step::new(Piece::Savepoint(folder))),
            Waste::Claimed(point) => self.ready.push_back(Step::new(Piece::Claimed(point))),
        }
    }

    /// What came of a step. Gives what somebody is to be told.
    pub(super) fn report(&mut self, removed: Removed, batch_len: usize) -> Option<String> {
        self.under_way = self.under_way.saturating_sub(1);
        let Removed { left, is_metadata } = removed;
        let Some((step, reason)) = left else {
            if is_metadata {
                self.front = Front::Untouched;
                self.take_up(batch_len);
            }
            return None;
        };
        let is_first = step.tries == 1;
        if is_metadata {
            self.front = Front::Failed(step.tries);
        } else if step.tries < MAX_TRIES {
            self.failed.push(step);
        }
        is_first.then_some(reason)
    }
}

#[cfg(test)]
mod tests;
