//! What is no longer needed waits here and is removed one piece after the other.
//!
//! Invariants: pieces go in the order in which they came; a checkpoint that could not be deleted
//! keeps everything behind it waiting, and is tried again when the next piece comes.
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

use crate::restore::RestorePoint;
use crate::store::SavepointFolder;
use crate::{CheckpointStore, StoreError};

/// Something to remove.
#[derive(Debug, Clone)]
pub(super) enum Waste {
    /// Files that no checkpoint needs.
    Files(Vec<StoragePath>),
    /// A checkpoint, and the files that only it needed.
    Checkpoint(CheckpointId, Vec<StoragePath>),
    /// The folder of a checkpoint that did not complete, if nothing is in it.
    EmptyDir(CheckpointId),
    /// A savepoint that did not complete.
    Savepoint(SavepointFolder),
    /// What the run began from, and owns, in another folder.
    Claimed(RestorePoint),
}

impl Waste {
    pub(super) fn remove(
        &self,
        store: &CheckpointStore,
        attempt: AttemptId,
    ) -> Result<(), StoreError> {
        match self {
            Self::Files(files) => store.discard(attempt, files),
            Self::Checkpoint(checkpoint, files) => store.delete(attempt, *checkpoint, files),
            Self::EmptyDir(checkpoint) => store.remove_empty_dir(*checkpoint),
            Self::Savepoint(savepoint) => CheckpointStore::discard_savepoint(savepoint),
            Self::Claimed(point) => store.delete_claimed(attempt, &point.storage, &point.metadata),
        }
    }
}

/// The pieces that wait, the one that is being removed first.
#[derive(Debug, Default)]
pub(super) struct CleanUp {
    waiting: VecDeque<Waste>,
    is_busy: bool,
}

impl CleanUp {
    pub(super) fn push(&mut self, waste: Waste) {
        self.waiting.push_back(waste);
    }

    /// The piece to remove now; none while one is being removed. Report what came of it.
    #[must_use = "nothing else is handed out before this one is reported"]
    pub(super) fn next(&mut self) -> Option<Waste> {
        if self.is_busy {
            return None;
        }
        let next = self.waiting.front().cloned();
        self.is_busy = next.is_some();
        next
    }

    /// The piece is gone.
    pub(super) fn removed(&mut self) {
        self.is_busy = false;
        self.waiting.pop_front();
    }

    /// The piece is still there; whether another one may be removed now.
    pub(super) fn failed(&mut self) -> bool {
        self.is_busy = false;
        let may_go_on = !matches!(self.waiting.front(), Some(Waste::Checkpoint(..)));
        if may_go_on {
            self.waiting.pop_front();
        }
        may_go_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(n: u64) -> Waste {
        Waste::Checkpoint(CheckpointId::new(n).unwrap(), Vec::new())
    }

    fn number(waste: Option<Waste>) -> Option<u64> {
        match waste? {
            Waste::Checkpoint(n, _) | Waste::EmptyDir(n) => Some(n.get()),
            _ => Some(0),
        }
    }

    #[test]
    fn one_piece_is_removed_at_a_time_in_the_order_of_arrival() {
        let mut clean_up = CleanUp::default();
        assert_eq!(number(clean_up.next()), None);
        clean_up.push(checkpoint(1));
        clean_up.push(Waste::Files(Vec::new()));
        assert_eq!(number(clean_up.next()), Some(1));
        assert_eq!(number(clean_up.next()), None, "it is being removed");
        clean_up.removed();
        assert_eq!(number(clean_up.next()), Some(0));
        clean_up.removed();
        assert_eq!(number(clean_up.next()), None);
    }

    #[test]
    fn a_checkpoint_that_stays_holds_back_what_came_after_it() {
        let mut clean_up = CleanUp::default();
        clean_up.push(checkpoint(4));
        clean_up.push(checkpoint(5));
        assert_eq!(number(clean_up.next()), Some(4));
        assert!(!clean_up.failed(), "5 has to wait");
        clean_up.push(checkpoint(6));
        assert_eq!(number(clean_up.next()), Some(4), "it is tried again");
        clean_up.removed();
        assert_eq!(number(clean_up.next()), Some(5));
    }

    #[test]
    fn files_that_stay_hold_nothing_back() {
        let mut clean_up = CleanUp::default();
        clean_up.push(Waste::Files(Vec::new()));
        clean_up.push(checkpoint(5));
        assert_eq!(number(clean_up.next()), Some(0));
        assert!(clean_up.failed());
        assert_eq!(number(clean_up.next()), Some(5));
    }
}
