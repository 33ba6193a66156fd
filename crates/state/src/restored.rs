//! The keyed streams that a subtask is restored from, opened and compared with what the job says.
//!
//! Every backend that reads the streams of SPEC 6 begins with this; what it does with the blocks is
//! its own matter. One that only wants what is in them takes [`RestoredEntries`], and whoever has no job at
//! all [`StreamEntries`].
//!
//! Invariants: a key group comes from one stream only; a stream says the same as its handle; a name
//! stands for one kind and one pair of codecs in all streams.

mod entries;
mod stream_entries;

pub use entries::{EncodedEntry, RestoredEntries};
pub use stream_entries::{Segment, StreamEntries};

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::{
    AssignerName, KeyGroupError, KeyGroupRange, KeyedStateHandle, MaxParallelism, OperatorUid,
    SharedFile,
};
use alluvium_format::codec::{Codec, CodecSnapshot, Compatibility};
use alluvium_format::envelope::{StreamKind, read_identity};
use alluvium_format::keyed::{KeyedHeader, KeyedReader, StateMeta};
use alluvium_format::sst::{SstIndexHeader, SstIndexReader};
use alluvium_format::{FormatError, Source};
use alluvium_storage::{HandleReader, ReadAt};

use crate::{KeyedBackendSpec, RestoreError, StateError, StateKey, StreamSource};

/// One stream of a restore.
#[derive(Debug)]
pub struct RestoredStream<'h> {
    /// The handle that leads to it.
    pub handle: &'h KeyedStateHandle,
    /// What a message calls it.
    pub name: String,
    /// Its bytes.
    pub source: Arc<dyn ReadAt>,
    /// Its index.
    pub content: StreamContent,
    /// The key groups that the subtask takes from it.
    pub wanted: KeyGroupRange,
}

/// The index of a keyed stream, by its kind.
#[derive(Debug)]
pub enum StreamContent {
    /// Blocks of entries, which every backend restores (SPEC 6).
    Blocks(KeyedReader),
    /// SST files, which RocksDB restores (SPEC 12).
    Ssts(SstIndexReader),
}

impl RestoredStream<'_> {
    /// The index, for backends that restore blocks only.
    ///
    /// Errors: [`RestoreError::OtherBackend`].
    pub fn blocks(&self) -> Result<&KeyedReader, RestoreError> {
        match &self.content {
            StreamContent::Blocks(keyed) => Ok(keyed),
            StreamContent::Ssts(_) => {
                let (stream, kind) = (self.name.clone(), StreamKind::SstIndex);
                Err(RestoreError::OtherBackend { stream, kind })
            }
        }
    }
}

/// All streams of a restore.
#[derive(Debug)]
pub struct KeyedStreams<'h> {
    /// The key groups of the subtask.
    pub key_groups: KeyGroupRange,
    /// The streams that hold some of them, in the order of the handles.
    pub streams: Vec<RestoredStream<'h>>,
    /// The states of all streams, by name.
    pub states: BTreeMap<String, StateMeta>,
}

impl<'h> KeyedStreams<'h> {
    /// Opens the streams that hold key groups of the subtask. Headers, indexes and seals are
    /// checked, blocks are not read.
    ///
    /// Errors: [`RestoreError`].
    pub fn open<K: StateKey, C: Codec<K>>(
        spec: &KeyedBackendSpec<K, C>,
        handles: &'h [KeyedStateHandle],
        reader: &HandleReader,
    ) -> Result<Self, RestoreError> {
        let key_groups = KeyGroupRange::of_subtask(spec.subtask, spec.parallelism)
            .map_err(|error| of_subtask(&error))?;
        let mut opened = Self { key_groups, streams: Vec::new(), states: BTreeMap::new() };
        for handle in handles {
            let Some(wanted) = handle.key_groups.intersection(key_groups) else { continue };
            let name = name_of(handle, reader);
            opened.check_apart(wanted, &name)?;
            let source = reader.source(&handle.stream)?;
            let content = StreamContent::open(Arc::new(StreamSource::new(Arc::clone(&source))))
                .map_err(|error| RestoreError::of_stream(name.clone(), error))?;
            let said = Said::of(&content);
            check_header(spec, handle, &name, &said)?;
            opened.add_states(said.states, &name)?;
            opened.streams.push(RestoredStream { handle, name, source, content, wanted });
        }
        Ok(opened)
    }

    /// The key groups of a stream must not be those of another one.
    fn check_apart(&self, wanted: KeyGroupRange, stream: &str) -> Result<(), RestoreError> {
        let overlap = self.streams.iter().find_map(|other| other.wanted.intersection(wanted));
        overlap.map_or(Ok(()), |overlap| {
            let expected = format!("none of {overlap}, which another stream has,");
            Err(mismatch(stream, "key groups", &expected, &wanted))
        })
    }

    fn add_states(&mut self, states: &[StateMeta], stream: &str) -> Result<(), RestoreError> {
        for meta in states {
            let known = self.states.entry(meta.name.clone()).or_insert_with(|| meta.clone());
            if known != meta {
                let describe = |meta: &StateMeta| {
                    format!("{} of {} ({})", meta.kind, meta.value, meta.namespace)
                };
                return Err(mismatch(stream, "type of a state", &describe(known), &describe(meta)));
            }
        }
        Ok(())
    }
}

impl StreamContent {
    /// Opens a keyed stream of either kind: its frame and index are checked, blocks are not read.
    ///
    /// Errors: [`FormatError`].
    pub fn open(source: Arc<dyn Source>) -> Result<Self, FormatError> {
        Ok(match read_identity(&*source)?.kind {
            StreamKind::SstIndex => Self::Ssts(SstIndexReader::open(source)?),
            // What is neither is refused as what it is not.
            _ => Self::Blocks(KeyedReader::open(source)?),
        })
    }
}

/// What both kinds of streams say of themselves.
struct Said<'s> {
    uid: &'s OperatorUid,
    max_parallelism: MaxParallelism,
    assigner: AssignerName,
    key_groups: KeyGroupRange,
    key: &'s CodecSnapshot,
    states: &'s [StateMeta],
    shared: &'s [SharedFile],
}

impl<'s> Said<'s> {
    fn of(content: &'s StreamContent) -> Self {
        match content {
            StreamContent::Blocks(keyed) => {
                let KeyedHeader { uid, max_parallelism, assigner, key_groups, key, states, .. } =
                    keyed.header();
                let (max_parallelism, assigner, key_groups) =
                    (*max_parallelism, *assigner, *key_groups);
                let shared = keyed.shared();
                Self { uid, max_parallelism, assigner, key_groups, key, states, shared }
            }
            StreamContent::Ssts(index) => {
                let SstIndexHeader { uid, max_parallelism, assigner, key_groups, key, states } =
                    index.header();
                let (max_parallelism, assigner, key_groups) =
                    (*max_parallelism, *assigner, *key_groups);
                let shared = index.shared();
                Self { uid, max_parallelism, assigner, key_groups, key, states, shared }
            }
        }
    }
}

fn of_subtask(error: &KeyGroupError) -> RestoreError {
    mismatch("backend", "subtask", &"an index below the parallelism", error)
}

/// What a message calls a stream.
fn name_of(handle: &KeyedStateHandle, reader: &HandleReader) -> String {
    match handle.stream.file() {
        Some(path) => format!("{}/{path}", reader.root()),
        None => format!("inlined state of key groups {}", handle.key_groups),
    }
}

fn mismatch(
    stream: &str,
    what: &'static str,
    expected: &dyn ToString,
    found: &dyn ToString,
) -> RestoreError {
    let (expected, found) = (expected.to_string(), found.to_string());
    RestoreError::Mismatch { stream: stream.to_owned(), what, expected, found }
}

/// The stream must be of this operator and job, and say the same as its handle.
fn check_header<K: StateKey, C: Codec<K>>(
    spec: &KeyedBackendSpec<K, C>,
    handle: &KeyedStateHandle,
    stream: &str,
    said: &Said<'_>,
) -> Result<(), RestoreError> {
    let max = spec.parallelism.max();
    let same = [
        ("operator", spec.uid.to_string(), said.uid.to_string()),
        ("max parallelism", max.to_string(), said.max_parallelism.to_string()),
        ("key-group assigner", spec.assigner.name().to_string(), said.assigner.to_string()),
        ("key-group range", handle.key_groups.to_string(), said.key_groups.to_string()),
    ];
    for (what, expected, found) in same {
        if expected != found {
            return Err(mismatch(stream, what, &expected, &found));
        }
    }
    if said.shared != handle.shared {
        let list = |files: &[SharedFile]| {
            let paths: Vec<String> = files.iter().map(|file| file.path.to_string()).collect();
            format!("[{}]", paths.join(", "))
        };
        return Err(mismatch(stream, "shared files", &list(&handle.shared), &list(said.shared)));
    }
    // A key decides its key group, so it can never be migrated.
    if matches!(spec.key.resolve(said.key), Compatibility::AsIs) {
        return Ok(());
    }
    let (stored, current) = (Box::new(said.key.clone()), Box::new(spec.key.snapshot()));
    let state = spec.uid.to_string();
    Err(StateError::IncompatibleSchema { state, part: "key", stored, current }.into())
}
