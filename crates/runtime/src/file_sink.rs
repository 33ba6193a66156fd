//! A sink that writes lines to files, exactly once.
//!
//! Between two barriers lines go to a *pending* file that nobody sees. A barrier makes it durable
//! and puts its name into the checkpoint; the completion of the checkpoint moves it to its final
//! name. A restore moves what the checkpoint had pre-committed, and sets aside what was committed
//! after it.
//!
//! Files below the output folder:
//! ```text
//! updates/part-<checkpoint>-<attempt>-<subtask>.csv  committed
//! updates/pending-<attempt>/<number>-<subtask>.csv   pre-committed
//! updates/superseded-<attempt>[.<number>]/part-...   not in the line of the checkpoint that this
//!                                                    attempt restored: replaced, kept aside
//! ```
//!
//! Invariants:
//! - a file below `updates/` that begins with `part-` belongs to a completed checkpoint;
//! - a checkpoint knows its *line*: which attempts wrote the parts before it, up to which checkpoint
//!   each. Checkpoints and savepoints of several lines may be restored one after the other, in any
//!   order, and each finds its own parts and no others;
//! - each line of the input is in the part files once, however often the job was killed;
//! - nothing that an older checkpoint may need is removed before a checkpoint of this attempt is
//!   complete, and committed files are never removed.

mod recovery;

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

use alluvium_core::museum::{self, Mistake};
use alluvium_core::{AttemptId, CheckpointId, PathError, StoragePath, SubtaskIndex};
use alluvium_state::{ListStateDescriptor, OperatorListState, OperatorStateBackend};
use alluvium_storage::{Storage, StorageWriter};

use crate::operator::{OperatorContext, Sink};
use crate::{AttemptFence, TaskError};

/// Folder of the files, below the output folder.
pub const UPDATES_DIR: &str = "updates";

/// A pre-committed file: pending name, final name, checkpoint.
type Transaction = (String, String, u64);

/// Parts of an attempt that are in the line of a checkpoint: those up to a checkpoint.
type Stretch = (u32, u64);

/// Writes lines to files, exactly once.
pub struct FileSink {
    output: Arc<dyn Storage>,
    attempt: AttemptId,
    fence: AttemptFence,
    subtask: SubtaskIndex,
    pending: Option<OperatorListState<Transaction>>,
    line: Option<OperatorListState<Stretch>>,
    /// The line of the restored checkpoint.
    restored_line: Vec<Stretch>,
    /// Lines since the last barrier.
    open: Option<Box<dyn StorageWriter>>,
    open_name: String,
    /// Pre-committed and not yet committed, oldest first.
    waiting: Vec<Transaction>,
    /// The highest number of a pending file of this subtask.
    last_number: u64,
    /// Whether pending files of earlier attempts may still be needed.
    keeps_older: bool,
}

impl FileSink {
    /// A sink of one subtask below an output folder.
    pub fn new(output: Arc<dyn Storage>, context: &OperatorContext) -> Self {
        // 1. A job is stopped with a savepoint, in attempt 1;
        // 2. another job begins from it with a checkpoint root of its own, in attempt 1 too;
        // 3. it writes a file under the name of one that the first has pre-committed.
        let after = context.restored_attempt.map(|restored| restored.get().saturating_add(1));
        let attempt = context.attempt.get().max(after.unwrap_or(0));
        Self {
            output,
            attempt: AttemptId::new(attempt),
            fence: context.fence.clone(),
            subtask: context.subtask,
            pending: None,
            line: None,
            restored_line: Vec::new(),
            open: None,
            open_name: String::new(),
            waiting: Vec::new(),
            last_number: 0,
            keeps_older: true,
        }
    }

    /// One subtask does what is to be done once.
    fn is_first(&self) -> bool {
        self.subtask == SubtaskIndex::new(0)
    }

    fn pending_dir(&self) -> String {
        format!("pending-{}", self.attempt)
    }

    /// The writer of the open transaction, begun if there is none.
    fn writer(&mut self) -> Result<&mut Box<dyn StorageWriter>, TaskError> {
        let writer = if let Some(writer) = self.open.take() {
            writer
        } else {
            self.last_number += 1;
            let (dir, number, subtask) = (self.pending_dir(), self.last_number, self.subtask);
            self.open_name = format!("{dir}/{number}-{subtask}.csv");
            self.output.writer(&path(&self.open_name)?)?
        };
        Ok(self.open.insert(writer))
    }
}

fn path(below: &str) -> Result<StoragePath, PathError> {
    StoragePath::new(&format!("{UPDATES_DIR}/{below}"))
}

impl Sink for FileSink {
    type Input = String;

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let descriptor = ListStateDescriptor::<Transaction>::new("pending-files");
        let pending = state.union_list_state(descriptor)?;
        let line = state.union_list_state(ListStateDescriptor::<Stretch>::new("line"))?;
        self.restored_line = state.items(line)?.to_vec();
        let last = self.restored_line.iter().map(|(attempt, _)| *attempt).max();
        // As in `new`: the line may come from several roots.
        let after = last.map_or(0, |last| last.saturating_add(1));
        self.attempt = AttemptId::new(self.attempt.get().max(after));
        // Union state: every subtask sees the files of all. One of them finishes the work of the
        // last run, so that it is done once and before anything is set aside.
        if self.is_first() {
            let found = self.look()?;
            self.fence.check()?;
            self.bring_back(&found)?;
            let waiting = state.items(pending)?;
            if museum::makes(Mistake::RefusesSeveralPreCommitted) {
                let subtask = |of: &Transaction| of.0.rsplit_once('-').map(|it| it.1.to_owned());
                let subtasks: BTreeSet<_> = waiting.iter().map(subtask).collect();
                if subtasks.len() < waiting.len() {
                    return Err("a subtask has more than one transaction".into());
                }
            }
            let forgets = museum::makes(Mistake::DoesNotCommitAgain);
            for transaction in waiting.iter().filter(|_| !forgets) {
                self.fence.check()?;
                if museum::makes(Mistake::RollsBackPreCommitted) {
                    self.roll_back(transaction)?;
                    continue;
                }
                self.finish(transaction)?;
            }
            self.set_aside(&found)?;
            if museum::makes(Mistake::RemovesPendingBeforeCheckpoint) {
                self.remove_older_pending()?;
            }
        }
        // Attempts are counted anew with new checkpoints: files of that number may be here.
        self.last_number = self.highest_pending()?;
        state.update(pending, Vec::new())?;
        (self.pending, self.line) = (Some(pending), Some(line));
        Ok(())
    }

    fn write(&mut self, records: Vec<String>) -> Result<(), TaskError> {
        let mut lines = String::new();
        for record in &records {
            lines.push_str(record);
            lines.push('\n');
        }
        Ok(self.writer()?.write_all(lines.as_bytes())?)
    }

    fn pre_commit(
        &mut self,
        checkpoint: CheckpointId,
        state: &mut OperatorStateBackend,
    ) -> Result<(), TaskError> {
        if let Some(writer) = self.open.take() {
            writer.finish()?;
            let (attempt, subtask) = (self.attempt, self.subtask);
            let part = format!("part-{:010}-{attempt}-{subtask}.csv", checkpoint.get());
            self.waiting.push((self.open_name.clone(), part, checkpoint.get()));
        }
        if let Some(pending) = self.pending {
            state.update(pending, self.waiting.clone())?;
        }
        if let Some(line) = self.line {
            // The union of all subtasks is restored, so one of them writes it.
            let mut stretches = Vec::new();
            if self.is_first() {
                stretches.clone_from(&self.restored_line);
                stretches.push((self.attempt.get(), checkpoint.get()));
            }
            state.update(line, stretches)?;
        }
        Ok(())
    }

    fn commit(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(_, _, of)| *of <= checkpoint.get());
        self.waiting = later;
        for transaction in &due {
            // The notification may have come long after the checkpoint.
            self.fence.check()?;
            self.finish(transaction)?;
        }
        Ok(())
    }

    fn forget_older(&mut self) -> Result<(), TaskError> {
        if self.keeps_older && self.is_first() {
            self.fence.check()?;
            self.remove_older_pending()?;
            self.set_aside_late()?;
            self.keeps_older = false;
        }
        Ok(())
    }
}

impl std::fmt::Debug for FileSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileSink({}, subtask {})", self.output.root(), self.subtask)
    }
}

#[cfg(test)]
mod tests;
