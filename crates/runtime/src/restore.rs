//! Where an attempt begins, and whether that fits the job.

use std::sync::Arc;

use alluvium_coordinator::JobPlan;
use alluvium_core::museum::{self, Mistake};
use alluvium_core::{CheckpointMetadata, KeyedStateHandle, OperatorUid, Parallelism};
use alluvium_format::operator::OperatorStateItems;
use alluvium_state::{RestoreError, restore_operator_states};
use alluvium_storage::{HandleReader, LocalCopies, ReadAccess, Storage};

use crate::JobError;

/// Names of the three operators of a [`Pipeline`](crate::Pipeline); state is found again by them.
#[derive(Debug, Clone)]
pub struct OperatorUids {
    /// The source.
    pub source: OperatorUid,
    /// The keyed operator.
    pub operator: OperatorUid,
    /// The sink.
    pub sink: OperatorUid,
}

impl OperatorUids {
    /// All of them, in the order in which records pass them.
    pub fn all(&self) -> [&OperatorUid; 3] {
        [&self.source, &self.operator, &self.sink]
    }
}

/// A checkpoint to begin from.
#[derive(Debug, Clone)]
pub(crate) struct RestorePoint {
    pub(crate) metadata: CheckpointMetadata,
    /// The folder of the job that the checkpoint lies in.
    pub(crate) storage: Arc<dyn Storage>,
    /// Whether the run owns the checkpoint, so that its coordinator counts the files.
    pub(crate) is_owned: bool,
    /// Copies of its files on this machine.
    pub(crate) copies: Option<LocalCopies>,
}

impl RestorePoint {
    /// A checkpoint of another folder, and one whose files nobody counts, must not be referred to:
    /// 1. a job begins from a copy of a checkpoint, which lies in another folder;
    /// 2. its next checkpoint refers to file f of the copy, by a path that is relative to its own
    ///    folder, where no such file is; or f is there, and goes when nobody counts it;
    /// 3. that checkpoint cannot be restored.
    pub(crate) fn reader(&self) -> HandleReader {
        HandleReader::new(Arc::clone(&self.storage), ReadAccess::Copy)
            .shareable(self.is_owned)
            .with_copies(self.copies.clone())
    }

    /// Lets it be read from copies, if it lies in the folder that they are copies of.
    pub(crate) fn near(self, folder: &dyn Storage, copies: Option<&LocalCopies>) -> Self {
        let copies = copies.filter(|_| self.storage.root() == folder.root()).cloned();
        Self { copies, ..self }
    }

    /// Finds out whether the run owns the checkpoint: it lies in the run's folder and is among
    /// those that the coordinator begins with, to the last handle.
    pub(crate) fn owned_by(self, folder: &dyn Storage, retained: &[CheckpointMetadata]) -> Self {
        let is_here = self.storage.root() == folder.root();
        let is_owned = is_here && retained.contains(&self.metadata);
        Self { is_owned, ..self }
    }

    fn incompatible(&self, what: &'static str, expected: String, found: String) -> JobError {
        let checkpoint = self.metadata.properties.checkpoint;
        JobError::Incompatible { checkpoint, what, expected, found }
    }

    /// Job, max parallelism, assigner and stages must be those of the job; of each stage it is known
    /// whether it has keyed state.
    pub(crate) fn check(
        &self,
        plan: &JobPlan,
        stages: &[(&OperatorUid, bool)],
    ) -> Result<(), JobError> {
        let properties = &self.metadata.properties;
        let (max, found_max) = (plan.max_parallelism, properties.max_parallelism);
        let pairs = [
            ("job", plan.job.to_string(), properties.job.to_string()),
            ("max parallelism", max.to_string(), found_max.to_string()),
            ("key-group assigner", plan.assigner.to_string(), properties.assigner.to_string()),
        ];
        for (what, expected, found) in pairs {
            if expected != found {
                return Err(self.incompatible(what, expected, found));
            }
        }
        for operator in &self.metadata.operators {
            let stage = stages.iter().find(|(uid, _)| **uid == operator.uid);
            let mut subtasks = operator.subtasks.iter();
            let found = format!("{:?}", operator.uid.as_str());
            match stage {
                Some((_, true)) => {}
                Some((_, false)) => {
                    if subtasks.any(|subtask| subtask.keyed.is_some()) {
                        let expected = "no keyed state there".to_owned();
                        return Err(self.incompatible("keyed state of operator", expected, found));
                    }
                }
                // A stage that kept nothing may go.
                None => {
                    if subtasks.any(|it| it.keyed.is_some() || it.operator.is_some()) {
                        let uids = stages.iter().map(|(uid, _)| format!("{:?}", uid.as_str()));
                        let expected = uids.collect::<Vec<_>>().join(", ");
                        return Err(self.incompatible("state of operator", expected, found));
                    }
                }
            }
        }
        Ok(())
    }

    /// The keyed state of an operator, of all its old subtasks.
    pub(crate) fn keyed(&self, uid: &OperatorUid) -> Vec<KeyedStateHandle> {
        let operator = self.metadata.operators.iter().find(|operator| operator.uid == *uid);
        let subtasks = operator.into_iter().flat_map(|operator| &operator.subtasks);
        subtasks.filter_map(|subtask| subtask.keyed.clone()).collect()
    }
}

/// The operator state of an operator, handed out to its new subtasks.
pub(crate) fn operator_states(
    point: Option<&RestorePoint>,
    uid: &OperatorUid,
    parallelism: Parallelism,
) -> Result<Vec<Vec<OperatorStateItems>>, RestoreError> {
    let operator = point.and_then(|point| {
        let operator = point.metadata.operators.iter().find(|operator| operator.uid == *uid);
        operator.map(|operator| (operator, point.reader()))
    });
    match operator {
        Some((operator, reader)) => {
            let mut states = restore_operator_states(operator, parallelism, &reader)?;
            if museum::makes(Mistake::DuplicatesOperatorState)
                && let Some(first) = states.first().cloned()
            {
                states.fill(first);
            }
            Ok(states)
        }
        None => Ok(vec![Vec::new(); usize::from(parallelism.get())]),
    }
}

#[cfg(test)]
mod tests;
