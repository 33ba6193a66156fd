//! How many background threads all engines of the process have.
//!
//! RocksDB's environment belongs to the process: its two pools serve every database. A compaction
//! that a freeze holds back keeps its thread, so the pools are as large as all engines together may
//! use: no engine waits for the freeze of another one, and flushes have threads of their own.

use std::ffi::c_int;
use std::sync::{Mutex, PoisonError};

use rocksdb::Env;

use super::EngineError;

/// Flushes of one database at a time.
///
/// More than one would break the freeze: two jobs let go of the mutex between taking their request
/// and choosing memtables, so the later one could merge memtables from both sides of a freeze.
pub(super) const FLUSHES: c_int = 1;

static COMPACTIONS: Mutex<Pools> = Mutex::new(Pools { in_use: 0, low: 0, high: 0, engines: 0 });

struct Pools {
    in_use: c_int,
    engines: c_int,
    low: c_int,
    high: c_int,
}

/// The share of one engine; given back when it is dropped.
pub(super) struct Threads {
    compactions: c_int,
}

impl Threads {
    pub(super) fn reserve(compactions: c_int) -> Result<Self, EngineError> {
        let mut env = Env::new().map_err(|error| EngineError::new("use its environment", error))?;
        let mut pools = COMPACTIONS.lock().unwrap_or_else(PoisonError::into_inner);
        pools.in_use += compactions;
        pools.engines += 1;
        // The pools only grow: threads without work cost next to nothing.
        if pools.in_use > pools.low {
            pools.low = pools.in_use;
            env.set_low_priority_background_threads(pools.low);
        }
        if pools.engines * FLUSHES > pools.high {
            pools.high = pools.engines * FLUSHES;
            env.set_high_priority_background_threads(pools.high);
        }
        Ok(Self { compactions })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let mut pools = COMPACTIONS.lock().unwrap_or_else(PoisonError::into_inner);
        pools.in_use -= self.compactions;
        pools.engines -= 1;
    }
}
