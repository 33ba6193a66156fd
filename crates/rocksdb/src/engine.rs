//! A RocksDB database and its column families, as the backend uses them.
//!
//! Roles: [`Engine`] is an open database, shared by the task and by snapshot jobs; [`Column`] is
//! one of its column families; a [`FreezePoint`] is what the task thread leaves to a snapshot job,
//! and a [`Snapshot`] a view of the rows at one moment. Column families are created, imported and
//! dropped by this crate, not through the safe crate, whose handles borrow the database.
//!
//! Invariants:
//! - all `unsafe` code of the crate is in [`raw`];
//! - columns, snapshots and freezes keep the database open; it is closed by whoever is the last;
//! - the handle of a column is closed before the database is;
//! - once a call that writes has failed, or a job in the background, every later one fails with
//!   that cause;
//! - one thread writes, freezes and imports; the others read, collect and drop.

mod column;
mod error;
mod filter;
mod freeze;
mod import;
mod listener;
mod raw;
#[cfg(test)]
mod test_kit;
#[cfg(test)]
mod tests;
mod threads;

pub(crate) use column::{Column, ColumnOptions};
pub use error::EngineError;
pub(crate) use filter::{RowDecision, RowFilter, RowFilters};
pub(crate) use freeze::{Collected, CollectedFile, FreezePoint};
pub(crate) use import::ImportFile;
pub(crate) use raw::{Cursor, LiveFile, Row, Snapshot, set_row_filters};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rocksdb::{DB, Options, WriteOptions};

use listener::EngineState;
use threads::Threads;

use crate::folder::LocalFolder;

/// An open database.
pub(crate) struct Engine {
    // Fields are dropped in this order: the database is closed before its folder is deleted.
    db: DB,
    state: Arc<EngineState>,
    /// Column families ever made; part of their names.
    columns_made: AtomicU64,
    dir: PathBuf,
    /// Deleted with the engine, if it has one of its own.
    _folder: Option<LocalFolder>,
    _threads: Threads,
}

impl Engine {
    /// Opens an empty database in a folder that is not there yet.
    ///
    /// What the freeze depends on is set here, whatever `options` say: atomic flush, one flush at a
    /// time, no flush when the database is closed, no recovery from errors in the background.
    pub(crate) fn create(dir: &Path, options: &Options) -> Result<Arc<Self>, EngineError> {
        Self::open(dir, None, options)
    }

    /// The same in a folder of its own, which is deleted with the engine.
    pub(crate) fn create_in(
        folder: LocalFolder,
        options: &Options,
    ) -> Result<Arc<Self>, EngineError> {
        Self::open(&folder.database_dir(), Some(folder), options)
    }

    fn open(
        dir: &Path,
        folder: Option<LocalFolder>,
        options: &Options,
    ) -> Result<Arc<Self>, EngineError> {
        let mut options = options.clone();
        options.create_if_missing(true);
        options.set_error_if_exists(true);
        options.set_atomic_flush(true);
        let compactions = raw::prepare_options(&mut options, threads::FLUSHES);
        let threads = Threads::reserve(compactions)?;
        let state = Arc::new(EngineState::default());
        raw::add_listener(&mut options, &state);
        let db = DB::open(&options, dir).map_err(|source| EngineError::new("open", source))?;
        let columns_made = AtomicU64::new(0);
        Ok(Arc::new(Self {
            db,
            state,
            columns_made,
            dir: dir.to_owned(),
            _folder: folder,
            _threads: threads,
        }))
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A folder beside that of the database, which is deleted with it; it is not made.
    pub(crate) fn sibling_dir(&self, name: &str) -> PathBuf {
        self.dir.with_file_name(name)
    }

    pub(crate) const fn db(&self) -> &DB {
        &self.db
    }

    /// Fails if a write or a job in the background failed before.
    pub(crate) fn check(&self) -> Result<(), Arc<EngineError>> {
        self.state.check()
    }

    /// Remembers the first error for all later calls.
    pub(crate) fn poison(&self, error: EngineError) -> Arc<EngineError> {
        self.state.poison(error)
    }

    /// How many compactions waited because of a freeze.
    pub(crate) fn compactions_held_back(&self) -> u64 {
        self.state.held_back()
    }

    /// Bytes of rows that are in no file and in no flush yet.
    pub(crate) fn dirty_bytes(&self, columns: &[&Column]) -> u64 {
        let size = |column: &&Column| {
            let property = "rocksdb.cur-size-active-mem-table";
            self.db.property_int_value_cf(column, property).ok().flatten().unwrap_or(0)
        };
        columns.iter().map(size).sum()
    }

    /// The rows as they are now, for as long as what is returned lives.
    #[cfg(test)]
    pub(crate) fn snapshot(self: &Arc<Self>) -> Snapshot {
        Snapshot::take(self)
    }

    /// A name that no other column family of this database has or had.
    fn family_name(&self, name: &str) -> String {
        format!("{}#{name}", self.columns_made.fetch_add(1, Ordering::Relaxed))
    }

    /// Fails if RocksDB gave up a job in the background.
    fn look_for_background_errors(&self) -> Result<(), EngineError> {
        match self.db.property_int_value("rocksdb.background-errors") {
            Ok(None | Some(0)) => Ok(()),
            Ok(Some(count)) => {
                Err(EngineError::new("work in the background", format!("{count} errors")))
            }
            Err(error) => Err(EngineError::new("tell its errors", error)),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.state.close();
    }
}

/// Writes skip the log of RocksDB: a checkpoint is what survives a crash.
pub(crate) fn write_options() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options
}
