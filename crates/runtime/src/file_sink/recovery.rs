//! What a sink finds of earlier attempts, and puts in order before it writes.
//!
//! A restore of checkpoint `n`, written by attempt `r`, wants the parts of checkpoints up to `n` and
//! no others:
//! 1. an attempt later than `r` may have set some of them aside, when it restored an older
//!    checkpoint and failed before it came to one of its own: they come back;
//! 2. parts of later checkpoints are set aside;
//! 3. pending files stay until a checkpoint of this attempt is complete, because until then a
//!    restore may begin from any older one.
//!
//! Steps 1 and 2 move only what was there before anybody replaced this attempt:
//! 1. attempt 6 restores checkpoint 2, and is slow;
//! 2. attempt 7 replaces it, restores 2 as well, and its sinks commit the parts of checkpoint 3;
//! 3. attempt 6 goes on, finds parts after 2, and would set them aside for ever.
//!
//! So it looks, then checks that it was not replaced, then moves what it saw; and it checks before each
//! file that it finishes.
//!
//! A check is no lock: attempt 6 may be stopped between its check and its move, for as long as it
//! likes, and then finish a part of checkpoint 5 that attempt 7, which a person let begin from
//! checkpoint 3, does not want. So when a checkpoint of attempt 7 is complete:
//! 4. pending files of earlier attempts go, so that nothing can be finished that was not read before;
//! 5. parts that have appeared since step 2, of checkpoints after the restored one and before those of
//!    this attempt, are set aside.
//!
//! What is left: on a storage whose moves are a copy and a delete, a run that has read a pending file
//! before step 4 and is stopped before it creates the part until step 5 is over. On local files moves
//! are at once, and only one process at a time holds the lock of the job.

use alluvium_core::museum::{self, Mistake};
use alluvium_core::{AttemptId, CheckpointId, StoragePath};
use alluvium_storage::StorageError;

use super::{FileSink, Transaction, UPDATES_DIR, path};
use crate::TaskError;

const SUPERSEDED: &str = "superseded-";
const PENDING: &str = "pending-";

/// The checkpoint in the name of a part: `part-<checkpoint>-<subtask>.csv`.
fn checkpoint_of_part(name: &str) -> Option<u64> {
    name.strip_prefix("part-")?.split_once('-')?.0.parse().ok()
}

/// The attempt in the name of a folder: `<prefix><attempt>`, or with `.` and a number behind it.
fn attempt_of(name: &str, prefix: &str) -> Option<u32> {
    let rest = name.strip_prefix(prefix)?;
    rest.split_once('.').map_or(rest, |(attempt, _)| attempt).parse().ok()
}

/// What lay in the output folder.
pub(super) struct Found {
    names: Vec<String>,
    /// Folders of what was set aside, and what is in each.
    aside: Vec<(String, Vec<String>)>,
}

impl FileSink {
    /// Moves a pre-committed file to its final name; fine when that was done before.
    pub(super) fn finish(&self, (pending, part, _): &Transaction) -> Result<(), TaskError> {
        let (from, to) = (path(pending)?, path(part)?);
        let root = self.output.root();
        match self.output.rename(&from, &to) {
            Ok(()) => Ok(()),
            // A crash between the two halves of a move leaves both names; so does a move whose sync
            // failed, and then only the first name would survive a power cut.
            Err(StorageError::AlreadyExists { .. }) => {
                if self.output.read_all(&from)? != self.output.read_all(&to)? {
                    return Err(format!("output {root}/{to} exists with another content").into());
                }
                if !museum::makes(Mistake::LosesUnsyncedOutput) {
                    self.output.sync(&to)?;
                }
                Ok(self.output.delete(&from)?)
            }
            Err(StorageError::NotFound { .. }) => match self.output.len_bytes(&to) {
                Ok(_) => Ok(()),
                Err(StorageError::NotFound { .. }) => Err(format!(
                    "output {root}/{to} is lost: neither it nor {from} exists (was the job run \
                     with another output folder?)"
                )
                .into()),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    fn names(&self, dir: &StoragePath) -> Result<Vec<String>, TaskError> {
        Ok(self.output.list(Some(dir))?.into_iter().map(|entry| entry.name).collect())
    }

    /// What is there, before it is known whether a newer attempt is there too.
    pub(super) fn look(&self) -> Result<Found, TaskError> {
        let updates = StoragePath::new(UPDATES_DIR)?;
        let names = self.names(&updates)?;
        let mut aside = Vec::new();
        for dir in names.iter().filter(|name| name.starts_with(SUPERSEDED)) {
            aside.push((dir.clone(), self.names(&updates.join(dir)?)?));
        }
        Ok(Found { names, aside })
    }

    /// Step 1: parts that the restored checkpoint has, from where a later attempt put them.
    pub(super) fn bring_back(&self, found: &Found) -> Result<(), TaskError> {
        let restored = self.restored.map_or(0, CheckpointId::get);
        let wrote = self.restored_attempt.map_or(0, AttemptId::get);
        let updates = StoragePath::new(UPDATES_DIR)?;
        for (dir, names) in &found.aside {
            if attempt_of(dir, SUPERSEDED).is_none_or(|attempt| attempt <= wrote) {
                continue;
            }
            let aside = updates.join(dir)?;
            for name in names {
                if checkpoint_of_part(name).is_some_and(|checkpoint| checkpoint <= restored) {
                    match self.output.rename(&aside.join(name)?, &updates.join(name)?) {
                        // It was brought back before.
                        Ok(()) | Err(StorageError::AlreadyExists { .. }) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        Ok(())
    }

    /// Step 2: parts of checkpoints after the restored one.
    pub(super) fn set_aside(&self, found: &Found) -> Result<(), TaskError> {
        self.set_aside_until(found, u64::MAX)
    }

    /// Step 5: parts that replaced runs have finished since.
    pub(super) fn set_aside_late(&self) -> Result<(), TaskError> {
        let found = self.look()?;
        self.fence.check()?;
        self.set_aside_until(&found, self.first_checkpoint.get().saturating_sub(1))
    }

    /// Sets aside parts of checkpoints after the restored one, up to `last`.
    fn set_aside_until(&self, found: &Found, last: u64) -> Result<(), TaskError> {
        let restored = self.restored.map_or(0, CheckpointId::get);
        let updates = StoragePath::new(UPDATES_DIR)?;
        let names = &found.names;
        let mut aside = format!("{SUPERSEDED}{}", self.attempt);
        let mut number = 0;
        while names.contains(&aside) {
            number += 1;
            aside = format!("{SUPERSEDED}{}.{number}", self.attempt);
        }
        let aside = updates.join(&aside)?;
        let mut moved = None;
        for name in names {
            let is_unwanted = |checkpoint| checkpoint > restored && checkpoint <= last;
            if checkpoint_of_part(name).is_some_and(is_unwanted) {
                let from = updates.join(name)?;
                self.output.rename(&from, &aside.join(name)?)?;
                moved = Some(from);
            }
        }
        // 1. This attempt restores savepoint 1, and sets aside the parts of checkpoints 2 to 4;
        // 2. it completes checkpoint 5, and a power cut brings the name that went last back: part 4;
        // 3. the next attempt restores checkpoint 5 and keeps part 4, which 5 does not come from.
        let moved = moved.filter(|_| !museum::makes(Mistake::LeavesMovesUnsynced));
        moved.map_or(Ok(()), |from| Ok(self.output.sync(&from)?))
    }

    /// Step 4: pending files of earlier attempts.
    pub(super) fn remove_older_pending(&self) -> Result<(), TaskError> {
        let updates = StoragePath::new(UPDATES_DIR)?;
        for dir in self.names(&updates)? {
            if attempt_of(&dir, PENDING).is_some_and(|attempt| attempt < self.attempt.get()) {
                self.output.delete_dir(&updates.join(&dir)?)?;
            }
        }
        Ok(())
    }

    /// What must never happen to a transaction of a complete checkpoint (`make museum`).
    pub(super) fn roll_back(&self, (pending, ..): &Transaction) -> Result<(), TaskError> {
        match self.output.delete(&path(pending)?) {
            Ok(()) | Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The highest number of a pending file of this attempt and subtask; 0 when there is none.
    pub(super) fn highest_pending(&self) -> Result<u64, TaskError> {
        let end = format!("-{}.csv", self.subtask);
        let numbers = self.names(&path(&self.pending_dir())?)?;
        let numbers = numbers.iter().filter_map(|name| name.strip_suffix(&end)?.parse().ok());
        Ok(numbers.max().unwrap_or(0))
    }
}
