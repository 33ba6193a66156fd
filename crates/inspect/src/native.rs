//! Keyed state that a state backend stores in files of its own, as blocks.
//!
//! Only the backend knows its files, so it is opened on them, and writes what it has as a full snapshot
//! to a place for scratch. No type of the job is needed: keys go through as they are encoded.
//!
//! Invariants: the files of the checkpoint are read and linked, never changed; each stream is turned
//! once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use alluvium_core::{
    AssignerName, KeyGroupAssigner, KeyedStateHandle, OperatorState, OperatorUid, SubtaskIndex,
};
use alluvium_format::codec::{CodecSnapshot, Encoded, EncodedCodec};
use alluvium_state::{
    KeyedBackendSpec, KeyedStateBackend, SnapshotMode, SnapshotTarget, StateBackend, StateError,
};
use alluvium_storage::{CheckpointStreams, HandleReader, ReadAccess, Storage, StreamPolicy};

use crate::{Checkpoint, InspectError};

/// Whoever turns keyed streams of a backend's own kind into streams of blocks.
pub trait NativeState: Send + Sync + fmt::Debug {
    /// The state of a stream as a stream of blocks, and who reads it; `None` when there is none.
    ///
    /// Errors: [`InspectError`].
    fn to_blocks(
        &self,
        checkpoint: &Checkpoint,
        operator: &OperatorState,
        subtask: SubtaskIndex,
        handle: &KeyedStateHandle,
        key: &CodecSnapshot,
    ) -> Result<Option<(KeyedStateHandle, HandleReader)>, InspectError>;
}

type Turned = BTreeMap<(OperatorUid, SubtaskIndex), Option<KeyedStateHandle>>;

/// A state backend that reads its own files. One for each checkpoint.
///
/// Shape: the scratch holds as many bytes as the state that was asked for.
pub struct ByBackend<B> {
    backend: B,
    scratch: Arc<dyn Storage>,
    turned: Mutex<Turned>,
}

impl<B: StateBackend> ByBackend<B> {
    /// Turns streams by a backend, and writes them to an empty storage that nobody else uses.
    pub fn new(backend: B, scratch: Arc<dyn Storage>) -> Self {
        Self { backend, scratch, turned: Mutex::new(Turned::new()) }
    }

    fn turn(
        &self,
        checkpoint: &Checkpoint,
        operator: &OperatorState,
        subtask: SubtaskIndex,
        handle: &KeyedStateHandle,
        key: &CodecSnapshot,
    ) -> Result<Option<KeyedStateHandle>, InspectError> {
        let properties = &checkpoint.metadata().properties;
        let refused = |source| StateError::Decode { state: "keys".to_owned(), source };
        let spec = KeyedBackendSpec::<Encoded, EncodedCodec> {
            uid: operator.uid.clone(),
            subtask,
            parallelism: operator.parallelism,
            key: EncodedCodec::new(key.clone()).map_err(refused)?,
            // Rows have their key groups with them: nobody computes one.
            assigner: match properties.assigner {
                AssignerName::Flink => KeyGroupAssigner::Flink(|_| 0),
                _ => KeyGroupAssigner::Stable,
            },
            hash_seed: 0,
        };
        let handles = std::slice::from_ref(handle);
        let mut opened = self.backend.open(spec, handles, &checkpoint.reader())?;
        let policy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };
        let target = SnapshotTarget {
            streams: CheckpointStreams::new(Arc::clone(&self.scratch), policy),
            checkpoint: properties.checkpoint,
            attempt: properties.attempt,
            mode: SnapshotMode::Full,
        };
        Ok(opened.freeze(properties.checkpoint)?.write(&target)?)
    }
}

impl<B> fmt::Debug for ByBackend<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByBackend({})", self.scratch.root())
    }
}

impl<B: StateBackend> NativeState for ByBackend<B> {
    fn to_blocks(
        &self,
        checkpoint: &Checkpoint,
        operator: &OperatorState,
        subtask: SubtaskIndex,
        handle: &KeyedStateHandle,
        key: &CodecSnapshot,
    ) -> Result<Option<(KeyedStateHandle, HandleReader)>, InspectError> {
        let mut turned = self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (operator.uid.clone(), subtask);
        let blocks = if let Some(known) = turned.get(&place) {
            known.clone()
        } else {
            let blocks = self.turn(checkpoint, operator, subtask, handle, key)?;
            turned.insert(place, blocks.clone());
            blocks
        };
        let reader = HandleReader::new(Arc::clone(&self.scratch), ReadAccess::Copy);
        Ok(blocks.map(|blocks| (blocks, reader)))
    }
}
