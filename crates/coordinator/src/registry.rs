//! How often each file is referenced by the pending and the retained checkpoints.
//!
//! Invariants:
//! - the count of a file is the number of streams in these checkpoints that lie in it;
//! - what is handed out for deletion names only files with count zero.
//!
//! Looking up, adding and releasing a state cost what that state holds, however much is retained.

use std::collections::BTreeMap;

use alluvium_core::{CheckpointMetadata, OperatorState, StateHandle, StoragePath, SubtaskState};

#[derive(Debug, Clone, Default)]
pub(crate) struct FileRegistry {
    counts: BTreeMap<StoragePath, usize>,
}

impl FileRegistry {
    pub(crate) fn add<'a>(&mut self, streams: impl Iterator<Item = &'a StateHandle>) {
        for file in streams.filter_map(StateHandle::file) {
            *self.counts.entry(file.clone()).or_default() += 1;
        }
    }

    /// Takes back one `add` of the same streams.
    pub(crate) fn release<'a>(&mut self, streams: impl Iterator<Item = &'a StateHandle>) {
        for file in streams.filter_map(StateHandle::file) {
            let count = self.counts.get_mut(file);
            assert!(count.is_some(), "file {file} was released more often than it was added");
            let Some(count) = count else { continue };
            *count -= 1;
            if *count == 0 {
                self.counts.remove(file);
            }
        }
    }

    /// The part of a state whose files may be deleted; `None` when that is nothing.
    pub(crate) fn deletable(&self, state: SubtaskState) -> Option<SubtaskState> {
        let state = self.without_used(state);
        (state.keyed.is_some() || state.operator.is_some()).then_some(state)
    }

    /// A checkpoint that is left with the streams whose files may be deleted.
    pub(crate) fn deletable_part(&self, metadata: CheckpointMetadata) -> CheckpointMetadata {
        let operators = metadata.operators.into_iter().map(|operator| OperatorState {
            subtasks: operator.subtasks.into_iter().map(|it| self.without_used(it)).collect(),
            ..operator
        });
        CheckpointMetadata { properties: metadata.properties, operators: operators.collect() }
    }

    /// Every field is named, so that a kind of state yet to come cannot be forgotten here.
    fn without_used(&self, SubtaskState { index, keyed, operator }: SubtaskState) -> SubtaskState {
        SubtaskState {
            index,
            keyed: keyed.filter(|handle| self.is_deletable(&handle.stream)),
            operator: operator.filter(|handle| self.is_deletable(&handle.stream)),
        }
    }

    fn is_deletable(&self, stream: &StateHandle) -> bool {
        stream.file().is_some_and(|file| !self.counts.contains_key(file))
    }
}
