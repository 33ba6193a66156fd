//! A barrier, and what it tells each task about the snapshot to take.
//!
//! Invariants: all barriers of one checkpoint say the same.

use std::sync::Arc;

use alluvium_coordinator::CheckpointKind;
use alluvium_core::CheckpointId;
use alluvium_state::SnapshotMode;
use alluvium_storage::CheckpointStreams;

/// The state of a checkpoint lies before this; what comes later does not belong to it.
#[derive(Debug, Clone)]
pub(crate) struct Barrier {
    pub(crate) checkpoint: CheckpointId,
    pub(crate) snapshot: Arc<SnapshotOptions>,
}

/// What a snapshot is for, and where it goes.
#[derive(Debug)]
pub(crate) struct SnapshotOptions {
    pub(crate) kind: CheckpointKind,
    /// In milliseconds since 1970-01-01 UTC.
    pub(crate) triggered_at_ms: u64,
    pub(crate) mode: SnapshotMode,
    pub(crate) streams: CheckpointStreams,
    /// Whether the barrier overtakes records from the beginning.
    pub(crate) is_unaligned: bool,
}

impl Barrier {
    /// Whether the job ends when the checkpoint is complete.
    pub(crate) fn ends_job(&self) -> bool {
        self.snapshot.kind.ends_job()
    }

    /// Whether all input ends before it, for good.
    pub(crate) fn drains(&self) -> bool {
        matches!(self.snapshot.kind, CheckpointKind::StopWithSavepoint { drain: true, .. })
    }
}
