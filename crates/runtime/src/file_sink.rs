//! A sink that writes lines to files, exactly once.
//!
//! Between two barriers lines go to a *pending* file that nobody sees. A barrier makes it durable
//! and puts its name into the checkpoint; the completion of the checkpoint moves it to its final
//! name. A restore moves what the checkpoint had pre-committed, and removes the rest.
//!
//! Files below the output folder:
//! ```text
//! updates/part-<checkpoint>-<subtask>.csv              committed
//! updates/pending-<attempt>/<checkpoint>-<subtask>.csv  pre-committed
//! updates/superseded-<attempt>/part-...                 committed after the checkpoint that was
//!                                                      restored: replaced, and kept aside
//! ```
//!
//! Invariants:
//! - a file below `updates/` that begins with `part-` belongs to a completed checkpoint;
//! - each line of the input is in the part files once, however often the job was killed, as long as
//!   each restore begins from the newest checkpoint or an older one is chosen by name.

use std::io::Write;
use std::sync::Arc;

use alluvium_core::{AttemptId, CheckpointId, PathError, StoragePath, SubtaskIndex};
use alluvium_state::{ListStateDescriptor, OperatorListState, OperatorStateBackend};
use alluvium_storage::{Storage, StorageError, StorageWriter};

use crate::TaskError;
use crate::operator::{OperatorContext, Sink};

/// Folder of the files, below the output folder.
pub const UPDATES_DIR: &str = "updates";

/// A pre-committed file: pending name, final name, checkpoint.
type Transaction = (String, String, u64);

/// Writes lines to files, exactly once.
pub struct FileSink {
    output: Arc<dyn Storage>,
    attempt: AttemptId,
    subtask: SubtaskIndex,
    restored: Option<CheckpointId>,
    pending: Option<OperatorListState<Transaction>>,
    /// Lines since the last barrier.
    open: Option<Box<dyn StorageWriter>>,
    open_name: String,
    /// Pre-committed and not yet committed, oldest first.
    waiting: Vec<Transaction>,
    opened: u64,
}

impl FileSink {
    /// A sink of one subtask below an output folder.
    pub fn new(output: Arc<dyn Storage>, context: &OperatorContext) -> Self {
        Self {
            output,
            attempt: context.attempt,
            subtask: context.subtask,
            restored: context.restored,
            pending: None,
            open: None,
            open_name: String::new(),
            waiting: Vec::new(),
            opened: 0,
        }
    }

    fn pending_dir(attempt: AttemptId) -> String {
        format!("pending-{attempt}")
    }

    /// Moves a pre-committed file to its final name; fine when that was done before.
    fn finish(&self, (pending, part, _): &Transaction) -> Result<(), TaskError> {
        let (from, to) = (path(pending)?, path(part)?);
        match self.output.rename(&from, &to) {
            Ok(()) => Ok(()),
            Err(StorageError::AlreadyExists { .. }) => Ok(self.output.delete(&from)?),
            Err(StorageError::NotFound { .. }) => {
                self.output.len_bytes(&to).map(drop).map_err(|_| {
                    let root = self.output.root();
                    format!("output {root}/{to} is lost: neither it nor {from} exists").into()
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sets aside parts that were committed after the restored checkpoint, and removes the pending
    /// files of earlier attempts. Only subtask 0 does this.
    fn recover(&self) -> Result<(), TaskError> {
        let updates = StoragePath::new(UPDATES_DIR)?;
        let restored = self.restored.map_or(0, CheckpointId::get);
        for entry in self.output.list(Some(&updates))? {
            if checkpoint_of_part(&entry.name).is_some_and(|checkpoint| checkpoint > restored) {
                let aside = format!("superseded-{}/{}", self.attempt, entry.name);
                self.output.rename(&updates.join(&entry.name)?, &updates.join(&aside)?)?;
            }
            let attempt = entry.name.strip_prefix("pending-").and_then(|it| it.parse().ok());
            if attempt.is_some_and(|attempt: u32| attempt < self.attempt.get()) {
                self.output.delete_dir(&updates.join(&entry.name)?)?;
            }
        }
        Ok(())
    }
}

fn path(below: &str) -> Result<StoragePath, PathError> {
    StoragePath::new(&format!("{UPDATES_DIR}/{below}"))
}

/// The checkpoint in the name of a part: `part-<checkpoint>-<subtask>.csv`.
fn checkpoint_of_part(name: &str) -> Option<u64> {
    name.strip_prefix("part-")?.split_once('-')?.0.parse().ok()
}

impl Sink for FileSink {
    type Input = String;

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let descriptor = ListStateDescriptor::<Transaction>::new("pending-files");
        let pending = state.union_list_state(descriptor)?;
        // Union state: every subtask sees the files of all. One of them finishes the work of the
        // last run, so that it is done once and before anything is removed.
        if self.subtask == SubtaskIndex::new(0) {
            for transaction in state.items(pending)? {
                self.finish(transaction)?;
            }
            self.recover()?;
        }
        state.update(pending, Vec::new())?;
        self.pending = Some(pending);
        Ok(())
    }

    fn write(&mut self, records: Vec<String>) -> Result<(), TaskError> {
        let mut lines = String::new();
        for record in &records {
            lines.push_str(record);
            lines.push('\n');
        }
        if self.open.is_none() {
            self.opened += 1;
            self.open_name =
                format!("{}/{}-{}.csv", Self::pending_dir(self.attempt), self.opened, self.subtask);
            self.open = Some(self.output.writer(&path(&self.open_name)?)?);
        }
        if let Some(writer) = &mut self.open {
            writer.write_all(lines.as_bytes())?;
        }
        Ok(())
    }

    fn pre_commit(
        &mut self,
        checkpoint: CheckpointId,
        state: &mut OperatorStateBackend,
    ) -> Result<(), TaskError> {
        if let Some(writer) = self.open.take() {
            writer.finish()?;
            let part = format!("part-{:010}-{}.csv", checkpoint.get(), self.subtask);
            self.waiting.push((self.open_name.clone(), part, checkpoint.get()));
        }
        if let Some(pending) = self.pending {
            state.update(pending, self.waiting.clone())?;
        }
        Ok(())
    }

    fn commit(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(_, _, of)| *of <= checkpoint.get());
        self.waiting = later;
        due.iter().try_for_each(|transaction| self.finish(transaction))
    }
}

impl std::fmt::Debug for FileSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileSink({}, subtask {})", self.output.root(), self.subtask)
    }
}
