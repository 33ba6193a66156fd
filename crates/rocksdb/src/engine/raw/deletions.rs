//! Keeping files that RocksDB does not need any more.

use rocksdb::AsRawPtr;

use super::call::call;
use crate::engine::{Engine, EngineError};

/// While it lives, no file of the database is deleted. RocksDB counts these.
#[must_use]
pub(in crate::engine) struct FileDeletionsOff<'a> {
    engine: &'a Engine,
    on_again: bool,
}

impl<'a> FileDeletionsOff<'a> {
    pub(in crate::engine) fn begin(engine: &'a Engine) -> Result<Self, EngineError> {
        // SAFETY: the database is open as long as the engine is there.
        unsafe {
            call!("keep its files", rocksdb_disable_file_deletions(engine.db().as_raw_ptr()))
        }?;
        Ok(Self { engine, on_again: false })
    }

    /// Ends it, and says whether that worked.
    pub(in crate::engine) fn end(mut self) -> Result<(), EngineError> {
        self.enable()
    }

    fn enable(&mut self) -> Result<(), EngineError> {
        if std::mem::replace(&mut self.on_again, true) {
            return Ok(());
        }
        // SAFETY: as above.
        unsafe {
            call!(
                "delete its files again",
                rocksdb_enable_file_deletions(self.engine.db().as_raw_ptr())
            )
        }
    }
}

impl Drop for FileDeletionsOff<'_> {
    fn drop(&mut self) {
        // Whoever wants to know calls `end`. If it fails, files stay until the folder goes.
        let _ = self.enable();
    }
}
