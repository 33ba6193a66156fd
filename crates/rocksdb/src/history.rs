//! Which SSTs the last confirmed checkpoint has, for later ones to refer to.
//!
//! Invariants:
//! - a base holds only files of one checkpoint, which is confirmed, or restored and counted by the
//!   job; it is never changed, only replaced;
//! - a file number stands for the same bytes for the life of the database;
//! - a checkpoint that left nothing to refer to takes the base away: it may be the one whose
//!   completion lets the files of the base go.
//!
//! Source: Flink `RocksIncrementalSnapshotStrategy`.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use alluvium_core::{CheckpointId, SharedFile};

/// An SST as a checkpoint has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Uploaded {
    pub(crate) file: SharedFile,
    /// CRC32 of the whole file.
    pub(crate) checksum: u32,
}

/// The SSTs of a checkpoint, by their number in the database.
pub(crate) type Base = BTreeMap<u64, Uploaded>;

/// Where a snapshot job says what it has written.
pub(crate) type Written = Arc<OnceLock<Arc<Base>>>;

/// The base, and the checkpoints on their way.
#[derive(Debug, Default)]
pub(crate) struct History {
    base: Arc<Base>,
    /// Checkpoints that are neither confirmed nor given up, oldest first.
    pending: Vec<(CheckpointId, Written)>,
}

impl History {
    /// Begins with what a restored checkpoint has.
    pub(crate) fn new(base: Base) -> Self {
        Self { base: Arc::new(base), pending: Vec::new() }
    }

    /// A checkpoint is frozen: what it may refer to, and where it says what it has written.
    pub(crate) fn freeze(&mut self, checkpoint: CheckpointId) -> (Arc<Base>, Written) {
        let written = Written::default();
        self.pending.push((checkpoint, Arc::clone(&written)));
        (Arc::clone(&self.base), written)
    }

    /// A checkpoint exists. Those before it, and those that are not known, change nothing.
    pub(crate) fn complete(&mut self, checkpoint: CheckpointId) {
        let at = self.pending.iter().position(|(pending, _)| *pending == checkpoint);
        let Some(at) = at else { return };
        if let Some((_, written)) = self.pending.drain(..=at).next_back() {
            self.base = written.get().cloned().unwrap_or_default();
        }
    }

    /// A checkpoint will never exist.
    pub(crate) fn abort(&mut self, checkpoint: CheckpointId) {
        self.pending.retain(|(pending, _)| *pending != checkpoint);
    }
}

#[cfg(test)]
mod tests {
    use alluvium_core::StoragePath;

    use super::*;

    fn base(number: u64) -> Arc<Base> {
        let path = StoragePath::new(&format!("shared/{number}")).unwrap();
        let file = SharedFile { path, len_bytes: 1, seal: 2 };
        Arc::new(Base::from([(number, Uploaded { file, checksum: 3 })]))
    }

    fn id(number: u64) -> CheckpointId {
        CheckpointId::new(number).unwrap()
    }

    #[test]
    fn only_confirmed_checkpoints_are_referred_to() {
        let mut history = History::default();
        let (first, first_written) = history.freeze(id(1));
        first_written.set(base(1)).unwrap();
        let (second, second_written) = history.freeze(id(2));
        second_written.set(base(2)).unwrap();
        assert!(first.is_empty() && second.is_empty(), "nothing is confirmed yet");
        history.complete(id(2));
        assert_eq!(history.freeze(id(3)).0, base(2));
        history.complete(id(1));
        assert_eq!(history.freeze(id(4)).0, base(2), "the one before comes late");
        history.abort(id(4));
        history.complete(id(4));
        assert_eq!(history.freeze(id(5)).0, base(2), "what was given up cannot be confirmed");
        history.complete(id(5));
        assert!(history.freeze(id(6)).0.is_empty(), "it left nothing to refer to");
    }
}
