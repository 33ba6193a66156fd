//! What checkpoints there are, and which one a restore should take.

use alluvium_core::museum::{self, Mistake};
use alluvium_core::{CheckpointId, CheckpointMetadata};
use alluvium_storage::{HandleReader, JobLayout, LocalCopies, ReadAccess};

use super::{CheckpointStore, verify_checkpoint};
use crate::StoreError;

/// A checkpoint folder.
#[derive(Debug)]
pub struct CheckpointEntry {
    /// Its number.
    pub checkpoint: CheckpointId,
    /// What is in it.
    pub status: CheckpointStatus,
}

/// What a checkpoint folder holds.
#[derive(Debug)]
pub enum CheckpointStatus {
    /// Metadata that is whole.
    Complete(Box<CheckpointMetadata>),
    /// No metadata: being written, or left behind.
    Unfinished,
    /// Metadata that cannot be used.
    Damaged(StoreError),
}

/// What a restore of the newest checkpoint finds.
enum Newest {
    Nothing,
    Whole(Box<CheckpointMetadata>),
    Damaged {
        /// The newest whole one of those before it.
        older: Option<Box<CheckpointMetadata>>,
        source: StoreError,
    },
}

impl CheckpointStore {
    /// All checkpoint folders, by number. Only metadata is read.
    ///
    /// Errors: [`StoreError::Storage`].
    pub fn list(&self) -> Result<Vec<CheckpointEntry>, StoreError> {
        let mut ids: Vec<CheckpointId> = self
            .storage
            .list(None)?
            .iter()
            .filter(|entry| entry.is_dir)
            .filter_map(|entry| JobLayout::parse_checkpoint_dir(&entry.name))
            .collect();
        ids.sort_unstable();
        let entry = |checkpoint| {
            let status = match self.read(checkpoint) {
                Ok(metadata) => CheckpointStatus::Complete(Box::new(metadata)),
                Err(StoreError::NotACheckpoint { .. }) => CheckpointStatus::Unfinished,
                Err(StoreError::Storage(_))
                    if museum::makes(Mistake::SkipsUnreadableCheckpoints) =>
                {
                    CheckpointStatus::Unfinished
                }
                Err(error @ StoreError::Storage(_)) => return Err(error),
                Err(error) => CheckpointStatus::Damaged(error),
            };
            Ok(CheckpointEntry { checkpoint, status })
        };
        ids.into_iter().map(entry).collect()
    }

    /// The id after the highest folder; 1 when there is none.
    pub(crate) fn next_id(entries: &[CheckpointEntry]) -> CheckpointId {
        entries.last().map_or(CheckpointId::FIRST, |last| last.checkpoint.next())
    }

    /// The newest checkpoint, verified to its last byte; `None` when there is none.
    ///
    /// The newest is the one of the highest attempt and, within it, of the highest id. Damaged
    /// metadata with a higher id than that makes the latest checkpoint damaged.
    ///
    /// Errors: [`StoreError::LatestDamaged`], which names the newest whole one;
    /// [`StoreError::Storage`].
    pub fn latest(&self) -> Result<Option<CheckpointMetadata>, StoreError> {
        self.latest_near(None)
    }

    /// The same; files are read from their copies where there are right ones.
    pub(crate) fn latest_near(
        &self,
        copies: Option<&LocalCopies>,
    ) -> Result<Option<CheckpointMetadata>, StoreError> {
        match self.newest(copies)? {
            Newest::Nothing => Ok(None),
            Newest::Whole(latest) => Ok(Some(*latest)),
            Newest::Damaged { older, source } => {
                let newest_whole = older.map(|older| self.location_of(&older));
                Err(StoreError::LatestDamaged { newest_whole, source: Box::new(source) })
            }
        }
    }

    /// The newest checkpoint that is whole, verified to its last byte, and what is wrong with a newer
    /// one, if there is one.
    ///
    /// Errors: [`StoreError::LatestDamaged`] when there are checkpoints and none is whole, and when the
    /// newest is not damaged but cannot be read now, or only by a newer version of this program;
    /// [`StoreError::Storage`].
    pub fn latest_whole(&self) -> Result<(Option<CheckpointMetadata>, Option<String>), StoreError> {
        self.latest_whole_near(None)
    }

    /// The same; files are read from their copies where there are right ones.
    pub(crate) fn latest_whole_near(
        &self,
        copies: Option<&LocalCopies>,
    ) -> Result<(Option<CheckpointMetadata>, Option<String>), StoreError> {
        match self.newest(copies)? {
            Newest::Nothing => Ok((None, None)),
            Newest::Whole(latest) => Ok((Some(*latest), None)),
            Newest::Damaged { older: Some(older), source } if source.is_damage() => {
                Ok((Some(*older), Some(source.to_string())))
            }
            Newest::Damaged { older, source } => {
                let newest_whole = older.map(|older| self.location_of(&older));
                Err(StoreError::LatestDamaged { newest_whole, source: Box::new(source) })
            }
        }
    }

    fn location_of(&self, metadata: &CheckpointMetadata) -> String {
        let dir = JobLayout::checkpoint_dir(metadata.properties.checkpoint);
        format!("{}/{dir}", self.storage.root())
    }

    fn newest(&self, copies: Option<&LocalCopies>) -> Result<Newest, StoreError> {
        let mut whole = Vec::new();
        let mut damaged: Option<(CheckpointId, StoreError)> = None;
        for entry in self.list()? {
            match entry.status {
                CheckpointStatus::Complete(metadata) => whole.push(*metadata),
                CheckpointStatus::Damaged(error) => damaged = Some((entry.checkpoint, error)),
                CheckpointStatus::Unfinished => {}
            }
        }
        whole.sort_by_key(|it| (it.properties.attempt, it.properties.checkpoint));
        let newest = whole.last().map(|metadata| metadata.properties.checkpoint);
        if let Some((checkpoint, source)) = damaged
            && Some(checkpoint) > newest
        {
            return Ok(self.damaged(whole, source, copies));
        }
        let Some(latest) = whole.pop() else { return Ok(Newest::Nothing) };
        match self.verify_near(&latest, copies) {
            Ok(()) => Ok(Newest::Whole(Box::new(latest))),
            Err(source) => Ok(self.damaged(whole, source, copies)),
        }
    }

    /// Finds the newest of the older checkpoints that is whole.
    fn damaged(
        &self,
        older: Vec<CheckpointMetadata>,
        source: StoreError,
        copies: Option<&LocalCopies>,
    ) -> Newest {
        let mut newest_first = older.into_iter().rev();
        let older = newest_first.find(|older| self.verify_near(older, copies).is_ok());
        Newest::Damaged { older: older.map(Box::new), source }
    }

    /// Compares every byte of a checkpoint with its checksums. Files are mapped: one that somebody
    /// cuts short meanwhile ends the process (`SIGBUS`).
    ///
    /// Errors: [`StoreError::State`].
    pub fn verify(&self, metadata: &CheckpointMetadata) -> Result<(), StoreError> {
        self.verify_near(metadata, None)
    }

    fn verify_near(
        &self,
        metadata: &CheckpointMetadata,
        copies: Option<&LocalCopies>,
    ) -> Result<(), StoreError> {
        let reader = HandleReader::new(self.storage.clone(), ReadAccess::Map);
        let reader = reader.with_copies(copies.cloned());
        let checkpoint = metadata.properties.checkpoint;
        verify_checkpoint(metadata, &reader)
            .map_err(|source| StoreError::State { checkpoint, source: Box::new(source) })
    }
}
