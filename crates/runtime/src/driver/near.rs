//! Copies of checkpoint files on this machine, as an attempt uses them.
//!
//! Invariants: copies decide nothing: whether they are there, right or cannot be written, the same
//! checkpoints complete and the same state is restored.

use alluvium_coordinator::CheckpointKind;
use alluvium_core::{CheckpointId, CheckpointMetadata};
use alluvium_storage::{CopyStatistics, LocalCopies};

use crate::restore::RestorePoint;
use crate::{JobConfig, JobEvent};

/// The copies of an attempt, if it has any.
#[derive(Debug, Clone)]
pub(super) struct Near {
    copies: Option<LocalCopies>,
    /// Before the attempt restored anything.
    before: CopyStatistics,
}

impl Near {
    pub(super) fn new(copies: Option<LocalCopies>) -> Self {
        let before = copies.as_ref().map(LocalCopies::statistics).unwrap_or_default();
        Self { copies, before }
    }

    pub(super) const fn copies(&self) -> Option<&LocalCopies> {
        self.copies.as_ref()
    }

    /// Nobody writes yet: what the attempt does not begin from goes. Blocks.
    pub(super) fn prepare(&self, point: Option<&RestorePoint>) {
        let Some(copies) = &self.copies else { return };
        // A checkpoint of another folder has no copies here.
        let here = point.filter(|point| point.copies.is_some()).map(|point| &point.metadata);
        let checkpoint = here.map(|metadata| metadata.properties.checkpoint);
        copies.keep_only(checkpoint, here.into_iter().flat_map(CheckpointMetadata::files));
    }

    /// Tells how much was read from copies, if something was restored.
    pub(super) fn tell_restored(&self, restored: Option<CheckpointId>, config: &JobConfig) {
        let (Some(copies), Some(_)) = (&self.copies, restored) else { return };
        let (before, after) = (self.before, copies.statistics());
        (config.listener)(&JobEvent::LocalRecovery {
            local_files: after.local_files.saturating_sub(before.local_files),
            remote_files: after.remote_files.saturating_sub(before.remote_files),
            damaged_files: after.damaged_files.saturating_sub(before.damaged_files),
        });
    }

    /// A checkpoint is complete: work, for a thread that may block, that removes the copies which it
    /// does not need. Tells why copies of it could not be made.
    pub(super) fn confirmation(
        &self,
        metadata: &CheckpointMetadata,
        kind: CheckpointKind,
        config: &JobConfig,
    ) -> Option<impl FnOnce() + Send + 'static> {
        let copies = self.copies.clone().filter(|_| !kind.is_savepoint())?;
        if let Some(reason) = copies.take_failure() {
            (config.listener)(&JobEvent::CopyFailed { reason });
        }
        let checkpoint = metadata.properties.checkpoint;
        let files: Vec<_> = metadata.files().cloned().collect();
        Some(move || copies.confirm(checkpoint, &files))
    }
}
