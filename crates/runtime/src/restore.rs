//! Where an attempt begins, and whether that fits the job.

use std::sync::Arc;

use alluvium_core::{
    AssignerName, CheckpointMetadata, JobId, KeyedStateHandle, MaxParallelism, OperatorUid,
    Parallelism,
};
use alluvium_format::operator::OperatorStateItems;
use alluvium_state::{RestoreError, restore_operator_states};
use alluvium_storage::{HandleReader, ReadAccess, Storage};

use crate::JobError;

/// Names of the three operators; state is found again by them.
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
    pub(crate) fn all(&self) -> [&OperatorUid; 3] {
        [&self.source, &self.operator, &self.sink]
    }
}

/// A checkpoint to begin from.
#[derive(Debug, Clone)]
pub(crate) struct RestorePoint {
    pub(crate) metadata: CheckpointMetadata,
    /// The folder of the job that the checkpoint lies in.
    pub(crate) storage: Arc<dyn Storage>,
}

impl RestorePoint {
    pub(crate) fn reader(&self) -> HandleReader {
        HandleReader::new(Arc::clone(&self.storage), ReadAccess::Copy)
    }

    fn incompatible(&self, what: &'static str, expected: String, found: String) -> JobError {
        let checkpoint = self.metadata.properties.checkpoint;
        JobError::Incompatible { checkpoint, what, expected, found }
    }

    /// Job, max parallelism, assigner and operators must be those of the job.
    pub(crate) fn check(
        &self,
        job: &JobId,
        max: MaxParallelism,
        assigner: AssignerName,
        uids: &OperatorUids,
    ) -> Result<(), JobError> {
        let properties = &self.metadata.properties;
        let pairs = [
            ("job", job.to_string(), properties.job.to_string()),
            ("max parallelism", max.to_string(), properties.max_parallelism.to_string()),
            ("key-group assigner", assigner.to_string(), properties.assigner.to_string()),
        ];
        for (what, expected, found) in pairs {
            if expected != found {
                return Err(self.incompatible(what, expected, found));
            }
        }
        for operator in &self.metadata.operators {
            if !uids.all().contains(&&operator.uid) {
                let expected = uids.all().map(|uid| format!("{:?}", uid.as_str())).join(", ");
                let found = format!("{:?}", operator.uid.as_str());
                return Err(self.incompatible("state of operator", expected, found));
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
        Some((operator, reader)) => restore_operator_states(operator, parallelism, &reader),
        None => Ok(vec![Vec::new(); usize::from(parallelism.get())]),
    }
}
