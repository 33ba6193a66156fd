//! One column family.
//!
//! Invariants:
//! - a column family is dropped in RocksDB only when nobody uses it any more, so a freeze collects
//!   it even if the state was cleared meanwhile;
//! - its name in RocksDB is unique, so a state can be made anew at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rocksdb::{AsColumnFamilyRef, Options};

use super::raw::{self, ColumnHandle};
use super::{Engine, EngineError, LiveFile};

/// How a column family is set up; options of RocksDB with what they point to.
pub(crate) type ColumnOptions = Options;

/// A column family. Clones share it; it is closed with the last one.
#[derive(Clone)]
pub(crate) struct Column {
    family: Arc<Family>,
}

struct Family {
    // Before the engine, so that it is closed first.
    handle: ColumnHandle,
    name_in_db: String,
    drop: AtomicBool,
    engine: Arc<Engine>,
}

impl Column {
    /// Creates an empty column family.
    pub(crate) fn create(
        engine: &Arc<Engine>,
        name: &str,
        options: &ColumnOptions,
    ) -> Result<Self, EngineError> {
        let family_name = engine.family_name(name);
        let handle = ColumnHandle::create(engine.db(), &family_name, options)?;
        Ok(Self::new(engine, family_name, handle))
    }

    pub(super) fn new(engine: &Arc<Engine>, name_in_db: String, handle: ColumnHandle) -> Self {
        let drop = AtomicBool::new(false);
        let engine = Arc::clone(engine);
        Self { family: Arc::new(Family { handle, name_in_db, drop, engine }) }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.family.engine
    }

    /// Its name in RocksDB.
    pub(crate) fn family_name(&self) -> &str {
        &self.family.name_in_db
    }

    /// Drops the column family with all rows, as soon as no freeze and no other clone needs it.
    ///
    /// A failure then poisons the engine.
    pub(crate) fn drop_family(self) {
        self.family.drop.store(true, Ordering::Release);
    }

    /// The files it consists of now, level by level.
    pub(crate) fn live_files(&self) -> Result<Vec<LiveFile>, EngineError> {
        let mut files = raw::live_files(self.engine().db())?;
        files.retain(|file| file.column == self.family_name());
        files.sort_by(LiveFile::level_order);
        Ok(files)
    }

    pub(super) fn handle(&self) -> &ColumnHandle {
        &self.family.handle
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        if self.drop.load(Ordering::Acquire)
            && let Err(error) = self.handle.drop_family(self.engine.db())
        {
            self.engine.poison(error);
        }
    }
}

impl AsColumnFamilyRef for &Column {
    fn inner(&self) -> *mut librocksdb_sys::rocksdb_column_family_handle_t {
        self.family.handle.as_ptr()
    }
}
