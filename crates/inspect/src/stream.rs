//! A keyed stream of a checkpoint, opened and compared with the metadata.
//!
//! Invariants: a stream says the same as its handle and as the metadata (SPEC 8.3).

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::{
    AssignerName, CheckpointProperties, KeyGroupRange, KeyedStateHandle, MaxParallelism,
    OperatorState, OperatorUid, SharedFile, StateHandle, SubtaskIndex,
};
use alluvium_format::codec::CodecSnapshot;
use alluvium_format::envelope::StreamIdentity;
use alluvium_format::keyed::StateMeta;
use alluvium_state::{RestoreError, StreamContent, StreamSource};
use alluvium_storage::HandleReader;

use crate::Checkpoint;

/// A keyed stream whose frame and index are whole.
#[derive(Debug)]
pub(crate) struct KeyedStream {
    /// What messages call it.
    pub(crate) name: String,
    pub(crate) content: StreamContent,
}

/// What an index says of its stream.
pub(crate) struct Said<'s> {
    pub(crate) uid: &'s OperatorUid,
    pub(crate) max_parallelism: MaxParallelism,
    pub(crate) assigner: AssignerName,
    pub(crate) key_groups: KeyGroupRange,
    pub(crate) key: &'s CodecSnapshot,
    pub(crate) states: &'s [StateMeta],
    pub(crate) shared: &'s [SharedFile],
    pub(crate) identity: &'s StreamIdentity,
}

impl<'s> Said<'s> {
    pub(crate) fn of(content: &'s StreamContent) -> Self {
        match content {
            StreamContent::Blocks(keyed) => {
                let header = keyed.header();
                Self {
                    uid: &header.uid,
                    max_parallelism: header.max_parallelism,
                    assigner: header.assigner,
                    key_groups: header.key_groups,
                    key: &header.key,
                    states: &header.states,
                    shared: keyed.shared(),
                    identity: keyed.identity(),
                }
            }
            StreamContent::Ssts(index) => {
                let header = index.header();
                Self {
                    uid: &header.uid,
                    max_parallelism: header.max_parallelism,
                    assigner: header.assigner,
                    key_groups: header.key_groups,
                    key: &header.key,
                    states: &header.states,
                    shared: index.shared(),
                    identity: index.identity(),
                }
            }
        }
    }
}

impl KeyedStream {
    /// Opens the stream of a subtask. No block and no SST is read.
    pub(crate) fn open(
        checkpoint: &Checkpoint,
        operator: &OperatorState,
        subtask: SubtaskIndex,
        handle: &KeyedStateHandle,
        reader: &HandleReader,
    ) -> Result<Self, RestoreError> {
        let name = stream_name(checkpoint, operator, subtask, &handle.stream);
        let source = Arc::new(StreamSource::new(reader.source(&handle.stream)?));
        let content = StreamContent::open(source)
            .map_err(|error| RestoreError::of_stream(name.clone(), error))?;
        let said = Said::of(&content);
        let properties = &checkpoint.metadata().properties;
        let files = |files: &[SharedFile]| {
            let text = |file: &SharedFile| {
                format!("{} ({} bytes, seal {:08x})", file.path, file.len_bytes, file.seal)
            };
            files.iter().map(text).collect::<Vec<_>>().join(", ")
        };
        for (what, expected, found) in [
            ("operator", operator.uid.to_string(), said.uid.to_string()),
            (
                "max parallelism",
                properties.max_parallelism.to_string(),
                said.max_parallelism.to_string(),
            ),
            ("key-group assigner", properties.assigner.to_string(), said.assigner.to_string()),
            ("key-group range", handle.key_groups.to_string(), said.key_groups.to_string()),
            ("shared files", files(&handle.shared), files(said.shared)),
        ] {
            if expected != found {
                return Err(RestoreError::Mismatch { stream: name, what, expected, found });
            }
        }
        check_identity(&name, subtask, properties, said.identity)?;
        Ok(Self { name, content })
    }

    pub(crate) fn said(&self) -> Said<'_> {
        Said::of(&self.content)
    }
}

/// What the streams of an operator say of its states: the same (SPEC 8.3).
#[derive(Default)]
pub(crate) struct KnownStates {
    key: Option<CodecSnapshot>,
    states: BTreeMap<String, StateMeta>,
}

impl KnownStates {
    /// Refuses a stream that says anything else than those before it.
    pub(crate) fn check(
        &mut self,
        stream: &str,
        key: &CodecSnapshot,
        states: &[StateMeta],
    ) -> Result<(), RestoreError> {
        let mismatch = |what, expected: String, found: String| {
            Err(RestoreError::Mismatch { stream: stream.to_owned(), what, expected, found })
        };
        let known = self.key.get_or_insert_with(|| key.clone());
        if known != key {
            return mismatch("codec of the keys", known.to_string(), key.to_string());
        }
        for meta in states {
            let known = self.states.entry(meta.name.clone()).or_insert_with(|| meta.clone());
            if known != meta {
                let text = |meta: &StateMeta| {
                    format!("{} {:?} of {} ({})", meta.kind, meta.name, meta.value, meta.namespace)
                };
                return mismatch("type of a state", text(known), text(meta));
            }
        }
        Ok(())
    }
}

/// The writer of a stream must be the subtask, and not come after its checkpoint.
pub(crate) fn check_identity(
    stream: &str,
    subtask: SubtaskIndex,
    properties: &CheckpointProperties,
    found: &StreamIdentity,
) -> Result<(), RestoreError> {
    let mismatch = |what, expected: String, found: String| RestoreError::Mismatch {
        stream: stream.to_owned(),
        what,
        expected,
        found,
    };
    if found.subtask != Some(subtask) {
        let found = found.subtask.map_or("none".to_owned(), |found| found.to_string());
        return Err(mismatch("subtask", subtask.to_string(), found));
    }
    if found.checkpoint > properties.checkpoint {
        let expected = format!("{} or an earlier one", properties.checkpoint);
        return Err(mismatch("checkpoint", expected, found.checkpoint.to_string()));
    }
    if found.attempt > properties.attempt {
        let expected = format!("{} or an earlier one", properties.attempt);
        return Err(mismatch("attempt", expected, found.attempt.to_string()));
    }
    Ok(())
}

/// What messages call a stream.
pub(crate) fn stream_name(
    checkpoint: &Checkpoint,
    operator: &OperatorState,
    subtask: SubtaskIndex,
    handle: &StateHandle,
) -> String {
    if let Some(path) = handle.file() {
        return crate::checkpoint::location(&**checkpoint.storage(), Some(path));
    }
    let metadata = checkpoint.location_of_metadata();
    format!("{metadata} (state of {} subtask {subtask} inside)", operator.uid)
}
