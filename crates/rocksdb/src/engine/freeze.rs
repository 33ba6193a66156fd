//! Freezing: which files hold exactly what was written until now.
//!
//! 1. [`Engine::freeze`], in the thread that writes: a marker row is put into the default column
//!    family; compactions that begin from now on wait; a snapshot fixes the sequence number; all
//!    memtables are switched at once, and nobody waits for their flush.
//! 2. [`FreezePoint::collect`], in any thread: waits until the flush of the marker is in the list
//!    of files, and so all of the same atomic flush and of those before; lists the files while
//!    none can be deleted; then compactions go on, and the files that are wanted are linked.
//!
//! Invariants:
//! - a file belongs to the freeze if its largest sequence number is at most the frozen one. One
//!   with numbers on both sides is an error, never part of a freeze;
//! - the snapshot lives until the files are listed, so no compaction drops a row that it sees, or
//!   clears a sequence number after it: the check cannot miss newer data;
//! - `delete_files_in_range` goes round the gate: nobody calls it while a freeze is not collected.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::listener::GateHold;
use super::raw::{self, FileDeletionsOff, FlushWait};
use super::{Column, Engine, EngineError, LiveFile, Snapshot, write_options};

#[cfg(test)]
mod latency;
#[cfg(test)]
mod tests;

/// The row of the default column family that each freeze writes.
const MARKER: &[u8] = b"freeze";

/// The state at one moment, not yet in files. Dropping it gives it up.
#[must_use]
pub(crate) struct FreezePoint {
    hold: GateHold,
    snapshot: Snapshot,
    columns: Vec<Column>,
    /// The marker of this freeze is the first row of the default column family after this.
    before_marker_seqno: u64,
    engine: Arc<Engine>,
}

/// The files of a freeze.
#[derive(Debug)]
pub(crate) struct Collected {
    /// In the order in which they were frozen.
    pub(crate) columns: Vec<CollectedColumn>,
}

/// The files of one column family.
#[derive(Debug)]
pub(crate) struct CollectedColumn {
    /// By level; in level 0 the newest first, below by key.
    pub(crate) files: Vec<CollectedFile>,
}

/// One file of a freeze.
#[derive(Debug)]
pub(crate) struct CollectedFile {
    /// What RocksDB knows of it.
    pub(crate) file: LiveFile,
    /// Where it was linked, if it was wanted.
    pub(crate) link: Option<PathBuf>,
}

impl Engine {
    /// Begins to flush what is dirty, so that less is dirty at the freeze to come.
    pub(crate) fn pre_flush(&self, columns: &[&Column]) -> Result<(), Arc<EngineError>> {
        self.check()?;
        let handles = columns.iter().map(|column| column.handle());
        match raw::flush(self.db(), handles, FlushWait::No) {
            // Writes are stopped since too much is being flushed already.
            Err(error) if error.is_try_again() => Ok(()),
            result => result.map_err(|error| self.poison(error)),
        }
    }

    /// Freezes the columns as they are; the thread that writes calls it.
    ///
    /// It writes one row, so it waits like any write where RocksDB has stopped writes.
    pub(crate) fn freeze(
        self: &Arc<Self>,
        columns: &[&Column],
    ) -> Result<FreezePoint, Arc<EngineError>> {
        self.check()?;
        let before_marker_seqno = self.db().latest_sequence_number();
        self.db()
            .put_opt(MARKER, b"", &write_options())
            .map_err(|error| self.poison(EngineError::new("write the marker", error)))?;
        // Not before the marker: its write may wait for a compaction that begins only now.
        let hold = self.state.hold();
        let snapshot = Snapshot::take(self);
        let handles = || columns.iter().map(|column| column.handle());
        let flushed = match raw::flush(self.db(), handles(), FlushWait::No) {
            // Without waiting, RocksDB refuses while writes are stopped.
            Err(error) if error.is_try_again() => raw::flush(self.db(), handles(), FlushWait::Yes),
            result => result,
        };
        flushed.map_err(|error| self.poison(error))?;
        let columns = columns.iter().map(|&column| column.clone()).collect();
        let engine = Arc::clone(self);
        Ok(FreezePoint { hold, snapshot, columns, before_marker_seqno, engine })
    }
}

impl FreezePoint {
    /// The sequence number of the freeze.
    #[cfg(test)]
    pub(crate) fn frozen_seqno(&self) -> u64 {
        self.snapshot.sequence_number()
    }

    /// Gives the files up and keeps the view: compactions go on.
    pub(crate) fn into_snapshot(self) -> Snapshot {
        self.snapshot
    }

    /// Lists the files of the freeze and links those that are wanted into `link_dir`, under the
    /// names they have in the database.
    ///
    /// Errors: `Leaked` if a file has newer data too; the links made until then stay.
    pub(crate) fn collect(
        self,
        link_dir: &Path,
        wanted: impl Fn(&LiveFile) -> bool,
    ) -> Result<Collected, EngineError> {
        let Self { hold, snapshot, columns, before_marker_seqno, engine } = self;
        engine
            .state
            .wait_flushed_past(before_marker_seqno, || engine.look_for_background_errors())
            .map_err(|error| (*error).clone())?;
        let deletions = FileDeletionsOff::begin(&engine)?;
        let live = raw::live_files(engine.db())?;
        let frozen_seqno = snapshot.sequence_number();
        drop(snapshot);
        drop(hold);
        let mut collected = Collected { columns: Vec::with_capacity(columns.len()) };
        for column in &columns {
            let files = frozen_files(&engine, column, &live, frozen_seqno)?;
            collected.columns.push(CollectedColumn { files });
        }
        for file in collected.columns.iter_mut().flat_map(|column| &mut column.files) {
            if wanted(&file.file) {
                file.link = Some(link(engine.dir(), link_dir, &file.file)?);
            }
        }
        deletions.end()?;
        Ok(collected)
    }
}

/// The files of one column that hold what was frozen, in level order.
fn frozen_files(
    engine: &Engine,
    column: &Column,
    live: &[LiveFile],
    frozen_seqno: u64,
) -> Result<Vec<CollectedFile>, EngineError> {
    let mut files = Vec::new();
    for file in live.iter().filter(|file| file.column == column.family_name()) {
        if file.largest_seqno <= frozen_seqno {
            files.push(CollectedFile { file: file.clone(), link: None });
        } else if file.smallest_seqno <= frozen_seqno {
            return Err(EngineError::Leaked {
                path: engine.dir().join(&file.file_name),
                frozen_seqno,
                smallest_seqno: file.smallest_seqno,
                largest_seqno: file.largest_seqno,
            });
        }
    }
    files.sort_by(|left, right| left.file.level_order(&right.file));
    Ok(files)
}

fn link(from: &Path, to: &Path, file: &LiveFile) -> Result<PathBuf, EngineError> {
    let (from, to) = (from.join(&file.file_name), to.join(&file.file_name));
    std::fs::hard_link(&from, &to).map_err(|error| EngineError::file("link", &from, &error))?;
    Ok(to)
}
