//! What a checkpoint holds, from its metadata alone.
//!
//! Invariants: nothing is read; each file counts once in a sum, however often it is referred to.

use std::collections::BTreeMap;

use alluvium_core::{
    CheckpointMetadata, KeyGroupRange, OperatorState, OperatorUid, Parallelism, StateHandle,
    StoragePath, SubtaskIndex, SubtaskState,
};

/// Numbers of files and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Streams in files of their own.
    pub stream_files: u64,
    /// Bytes of streams in files of their own.
    pub stream_bytes: u64,
    /// Streams inside the metadata.
    pub inlined: u64,
    /// Bytes of streams inside the metadata.
    pub inlined_bytes: u64,
    /// Files that streams refer to: streams of earlier checkpoints, or SST files.
    pub shared_files: u64,
    /// Bytes of these files, whole, however little of them is still needed.
    pub shared_bytes: u64,
}

impl Sizes {
    /// All bytes that the state needs.
    pub const fn total_bytes(&self) -> u64 {
        self.stream_bytes.saturating_add(self.inlined_bytes).saturating_add(self.shared_bytes)
    }

    /// All files that the state needs, without the metadata.
    pub const fn files(&self) -> u64 {
        self.stream_files.saturating_add(self.shared_files)
    }

    fn of<'s>(subtasks: impl Iterator<Item = &'s SubtaskState>) -> Self {
        let (mut streams, mut shared) = (Files::new(), Files::new());
        let mut sizes = Self::default();
        for subtask in subtasks {
            for stream in subtask.streams() {
                if let Some(path) = stream.file() {
                    streams.insert(path, stream.len_bytes);
                } else {
                    sizes.inlined += 1;
                    sizes.inlined_bytes = sizes.inlined_bytes.saturating_add(stream.len_bytes);
                }
            }
            shared.extend(subtask.shared_files().map(|file| (&file.path, file.len_bytes)));
        }
        shared.retain(|path, _| !streams.contains_key(path));
        (sizes.stream_files, sizes.stream_bytes) = sum(&streams);
        (sizes.shared_files, sizes.shared_bytes) = sum(&shared);
        sizes
    }
}

type Files<'s> = BTreeMap<&'s StoragePath, u64>;

fn sum(files: &Files<'_>) -> (u64, u64) {
    (files.len() as u64, files.values().fold(0, |sum: u64, len| sum.saturating_add(*len)))
}

/// A checkpoint.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Over all operators.
    pub sizes: Sizes,
    /// The operators, in the order of the metadata.
    pub operators: Vec<OperatorSummary>,
}

/// An operator of it.
#[derive(Debug, Clone)]
pub struct OperatorSummary {
    /// Its uid.
    pub uid: OperatorUid,
    /// Its parallelism.
    pub parallelism: Parallelism,
    /// How many subtasks have keyed state.
    pub keyed_subtasks: u64,
    /// How many subtasks have operator state.
    pub operator_subtasks: u64,
    /// Over all its subtasks.
    pub sizes: Sizes,
    /// Its subtasks.
    pub subtasks: Vec<SubtaskSummary>,
}

/// A subtask of it.
#[derive(Debug, Clone)]
pub struct SubtaskSummary {
    /// Its number.
    pub index: SubtaskIndex,
    /// The key groups of its keyed state, if it has any.
    pub key_groups: Option<KeyGroupRange>,
    /// Where its keyed state lies, if it has any.
    pub keyed: Option<StreamSummary>,
    /// Where its operator state lies, if it has any.
    pub operator: Option<StreamSummary>,
    /// Its files.
    pub sizes: Sizes,
}

/// A stream.
#[derive(Debug, Clone)]
pub struct StreamSummary {
    /// Its file; `None` inside the metadata.
    pub file: Option<StoragePath>,
    /// Its length in bytes.
    pub len_bytes: u64,
}

impl Summary {
    /// Of a checkpoint's metadata.
    pub fn of(metadata: &CheckpointMetadata) -> Self {
        let subtasks = metadata.operators.iter().flat_map(|operator| &operator.subtasks);
        let operators = metadata.operators.iter().map(OperatorSummary::of).collect();
        Self { sizes: Sizes::of(subtasks), operators }
    }
}

impl OperatorSummary {
    fn of(operator: &OperatorState) -> Self {
        let count = |has: fn(&SubtaskState) -> bool| {
            operator.subtasks.iter().filter(|subtask| has(subtask)).count() as u64
        };
        Self {
            uid: operator.uid.clone(),
            parallelism: operator.parallelism,
            keyed_subtasks: count(|subtask| subtask.keyed.is_some()),
            operator_subtasks: count(|subtask| subtask.operator.is_some()),
            sizes: Sizes::of(operator.subtasks.iter()),
            subtasks: operator.subtasks.iter().map(SubtaskSummary::of).collect(),
        }
    }
}

impl SubtaskSummary {
    fn of(subtask: &SubtaskState) -> Self {
        let stream = |handle: &StateHandle| StreamSummary {
            file: handle.file().cloned(),
            len_bytes: handle.len_bytes,
        };
        Self {
            index: subtask.index,
            key_groups: subtask.keyed.as_ref().map(|keyed| keyed.key_groups),
            keyed: subtask.keyed.as_ref().map(|keyed| stream(&keyed.stream)),
            operator: subtask.operator.as_ref().map(|operator| stream(&operator.stream)),
            sizes: Sizes::of(std::iter::once(subtask)),
        }
    }
}
