//! What a sink finds of earlier attempts, and puts in order before it writes.
//!
//! A restore wants the parts in the line of its checkpoint, and no others. A part has the attempt in its
//! name that wrote it, so it is known whose it is:
//! 1. an attempt may have set some of them aside, when it restored another checkpoint: they come back;
//! 2. parts that are not in the line are set aside;
//! 3. pending files stay until a checkpoint of this attempt is the latest, because until then a
//!    restore may begin from any older one.
//!
//! Why the number of the checkpoint is not enough:
//! 1. attempt 1 takes savepoint 2, and is killed; attempt 2 begins from checkpoint 1, takes a savepoint, 2 as
//!    well, and is killed;
//! 2. attempt 3 begins from the first of them, and its sink commits the parts of 2;
//! 3. attempt 4 begins from the second, whose parts of 2 are others.
//!
//! Steps 1 and 2 move only what was there before anybody replaced this attempt:
//! 1. attempt 6 restores checkpoint 2, and is slow;
//! 2. attempt 7 replaces it, restores 2 as well, and its sinks commit the parts of checkpoint 3;
//! 3. attempt 6 goes on, finds parts that are not in its line, and would set them aside for ever.
//!
//! So it looks, then checks that it was not replaced, then moves what it saw; and it checks before each
//! file that it finishes.
//!
//! A check is no lock: attempt 6 may be stopped between its check and its move, for as long as it
//! likes, and then finish a part of checkpoint 5 that attempt 7, which a person let begin from
//! checkpoint 3, does not want. So when a checkpoint of attempt 7 is the latest:
//! 4. pending files of earlier attempts go, so that nothing can be finished that was not read before;
//! 5. parts of earlier attempts that have appeared since step 2 are set aside.
//!
//! What is left: on a storage whose moves are a copy and a delete, a run that has read a pending file
//! before step 4 and is stopped before it creates the part until step 5 is over. On local files moves
//! are at once, and only one process at a time holds the lock of the job.

use alluvium_core::StoragePath;
use alluvium_core::museum::{self, Mistake};
use alluvium_storage::StorageError;

use super::{FileSink, Stretch, Transaction, UPDATES_DIR, path};
use crate::TaskError;

const SUPERSEDED: &str = "superseded-";
const PENDING: &str = "pending-";

/// Attempt and checkpoint in the name of a part: `part-<checkpoint>-<attempt>-<subtask>.csv`.
fn stretch_of_part(name: &str) -> Option<Stretch> {
    let (checkpoint, rest) = name.strip_prefix("part-")?.split_once('-')?;
    let (attempt, _) = rest.split_once('-')?;
    Some((attempt.parse().ok()?, checkpoint.parse().ok()?))
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

    /// Whether a part is in the line of the restored checkpoint.
    fn is_in_line(&self, (attempt, checkpoint): Stretch) -> bool {
        self.restored_line.iter().any(|(of, up_to)| *of == attempt && checkpoint <= *up_to)
    }

    /// Step 1: parts that the restored checkpoint has, from where another attempt put them.
    pub(super) fn bring_back(&self, found: &Found) -> Result<(), TaskError> {
        let updates = StoragePath::new(UPDATES_DIR)?;
        for (dir, names) in &found.aside {
            // What an attempt of the line has set aside was not in the line then, and what has come into it
            // since is what that attempt and later ones wrote: a part of such a name is an older one, of
            // attempts that were counted from 1 as well.
            let is_in_line = |attempt| self.restored_line.iter().any(|(of, _)| *of == attempt);
            if attempt_of(dir, SUPERSEDED).is_none_or(is_in_line) {
                continue;
            }
            let aside = updates.join(dir)?;
            for name in names {
                if stretch_of_part(name).is_some_and(|part| self.is_in_line(part)) {
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

    /// Step 2: parts that are not in the line.
    pub(super) fn set_aside(&self, found: &Found) -> Result<(), TaskError> {
        self.set_aside_where(found, |_| true)
    }

    /// Step 5: parts that replaced runs have finished since.
    pub(super) fn set_aside_late(&self) -> Result<(), TaskError> {
        let found = self.look()?;
        self.fence.check()?;
        self.set_aside_where(&found, |attempt| attempt < self.attempt.get())
    }

    /// Sets aside parts that are not in the line, of some attempts.
    fn set_aside_where(
        &self,
        found: &Found,
        of_attempt: impl Fn(u32) -> bool,
    ) -> Result<(), TaskError> {
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
            let is_unwanted = |part: Stretch| of_attempt(part.0) && !self.is_in_line(part);
            if stretch_of_part(name).is_some_and(is_unwanted) {
                let from = updates.join(name)?;
                self.output.rename(&from, &aside.join(name)?)?;
                moved = Some(from);
            }
        }
        // Without this a power cut brings the name that went last back, and whoever reads the output
        // before the next restore finds lines twice.
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
