//! How large a checkpoint is, for people.

use std::collections::BTreeSet;

use alluvium::core::{CheckpointMetadata, SharedFile};
use alluvium::storage::JobLayout;

/// Bytes that a checkpoint has added, and bytes of earlier ones that it refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) new_bytes: u64,
    pub(crate) shared_bytes: u64,
}

impl Sizes {
    /// SST files lie in `shared/` from the first day on, so those of the checkpoint itself are told
    /// from those of earlier ones by their names.
    pub(crate) fn of(metadata: &CheckpointMetadata) -> Self {
        let (checkpoint, attempt) = (metadata.properties.checkpoint, metadata.properties.attempt);
        let subtasks = metadata.operators.iter().flat_map(|operator| &operator.subtasks);
        let files: BTreeSet<&SharedFile> =
            subtasks.flat_map(alluvium::core::SubtaskState::shared_files).collect();
        let own = files
            .iter()
            .filter(|file| JobLayout::is_sst_file_of(&file.path, checkpoint, attempt))
            .map(|file| file.len_bytes)
            .sum::<u64>();
        let shared_bytes = metadata.shared_len_bytes().saturating_sub(own);
        Self { new_bytes: metadata.state_len_bytes().saturating_add(own), shared_bytes }
    }
}

#[cfg(test)]
mod tests {
    use alluvium::core::{
        AssignerName, AttemptId, CheckpointId, CheckpointProperties, JobId, KeyedStateHandle,
        MaxParallelism, OperatorState, OperatorUid, Parallelism, StateHandle, StateLocation,
        StoragePath, SubtaskIndex, SubtaskState,
    };

    use super::*;

    #[test]
    fn sst_files_of_the_checkpoint_itself_are_new() {
        let max_parallelism = MaxParallelism::new(4).unwrap();
        let file = |path: &str, len_bytes| {
            let path = StoragePath::new(path).unwrap();
            SharedFile { path, len_bytes, seal: 0 }
        };
        let location = StateLocation::Inline(Vec::new().into());
        let keyed = KeyedStateHandle {
            key_groups: max_parallelism.all_key_groups(),
            stream: StateHandle { location, len_bytes: 7, seal: 0 },
            written: Vec::new(),
            shared: vec![
                file("shared/count-0-sst-2-9-0", 100),
                file("shared/count-0-sst-2-9-1", 1000),
                file("shared/count-0-sst-2-8-0", 20),
                file("shared/count-0-keyed-2-9", 3),
            ],
        };
        let index = SubtaskIndex::new(0);
        let subtasks = vec![SubtaskState { index, keyed: Some(keyed), operator: None }];
        let metadata = CheckpointMetadata {
            properties: CheckpointProperties {
                job: JobId::new("job").unwrap(),
                checkpoint: CheckpointId::new(9).unwrap(),
                attempt: AttemptId::new(2),
                triggered_at_ms: 1,
                completed_at_ms: 2,
                max_parallelism,
                assigner: AssignerName::Stable,
            },
            operators: vec![OperatorState {
                uid: OperatorUid::new("count").unwrap(),
                parallelism: Parallelism::new(1, max_parallelism).unwrap(),
                subtasks,
            }],
        };
        assert_eq!(Sizes::of(&metadata), Sizes { new_bytes: 1107, shared_bytes: 23 });
    }
}
