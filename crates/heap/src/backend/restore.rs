//! Opens the streams of a restore and keeps what this subtask needs of their indexes.
//!
//! A restore is *eager* (every block is read and checked now) or *lazy* (a block is read and checked
//! when one of its entries is first touched).
//!
//! Invariants: a key group comes from one stream only; a stream says the same as its handle.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::{KeyGroupError, KeyGroupRange, KeyedStateHandle, SharedFile, StateLocation};
use alluvium_format::FormatError;
use alluvium_format::codec::{Codec, Compatibility};
use alluvium_format::envelope::StreamKind;
use alluvium_format::keyed::{BlockRef, KeyedReader, MapEntry, MapLayout, StateMeta};
use alluvium_state::{KeyedBackendSpec, RestoreError, StateError, StateKey, StreamSource};
use alluvium_storage::{HandleReader, JobLayout, ReadAt};

use crate::TableHasher;
use crate::base::{Base, StateLayout};
use crate::streams::{BlockError, Kept, Streams};
use crate::table::RawTable;

/// A state of the restored streams, its entries still encoded.
#[derive(Debug, Clone)]
pub(super) struct RestoredState {
    pub(super) meta: StateMeta,
    pub(super) raw: RawTable,
}

/// What a backend begins with.
pub(super) struct Restored {
    pub(super) states: BTreeMap<String, RestoredState>,
    /// Hashers by the position of the key group.
    pub(super) hashers: Vec<TableHasher>,
    /// What the first checkpoint may refer to.
    pub(super) base: Option<Base>,
}

pub(super) fn subtask_error(error: &KeyGroupError) -> RestoreError {
    RestoreError::Mismatch {
        stream: "backend".to_owned(),
        what: "subtask",
        expected: "an index below the parallelism".to_owned(),
        found: error.to_string(),
    }
}

/// What a message calls a stream.
fn name_of(handle: &KeyedStateHandle, reader: &HandleReader) -> String {
    match handle.stream.file() {
        Some(path) => format!("{}/{path}", reader.root()),
        None => format!("inlined state of key groups {}", handle.key_groups),
    }
}

/// Why a keyed stream cannot be opened; the one of another backend is whole all the same.
fn unreadable(stream: &str, error: FormatError) -> RestoreError {
    let (stream, kind) = (stream.to_owned(), StreamKind::SstIndex);
    match error {
        FormatError::Kind { found, .. } if found == kind.code() => {
            RestoreError::OtherBackend { stream, kind }
        }
        error => RestoreError::of_stream(stream, error),
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

/// The states of all handles, cut to the key groups of the subtask.
pub(super) fn read_handles<K: StateKey, C: Codec<K>>(
    spec: &KeyedBackendSpec<K, C>,
    key_groups: KeyGroupRange,
    handles: &[KeyedStateHandle],
    reader: &HandleReader,
    is_lazy: bool,
) -> Result<Restored, RestoreError> {
    let mut reading = Reading {
        key_groups,
        reader,
        streams: Streams::default(),
        states: BTreeMap::new(),
        hashers: vec![TableHasher::new(spec.hash_seed); usize::from(key_groups.count())],
    };
    let mut taken = Vec::new();
    for handle in handles {
        let Some(wanted) = handle.key_groups.intersection(key_groups) else { continue };
        let stream = name_of(handle, reader);
        check_apart(&taken, wanted, &stream)?;
        taken.push(wanted);
        let source = reader.source(&handle.stream)?;
        let keyed = KeyedReader::open(Arc::new(StreamSource::new(Arc::clone(&source))))
            .map_err(|error| unreadable(&stream, error))?;
        check_header(spec, handle, &stream, &keyed)?;
        reading.take(handle, &keyed, source, wanted, &stream)?;
    }
    reading.finish(is_lazy)
}

/// States on their way in; blocks name streams by their number in `streams`.
struct Reading<'r> {
    key_groups: KeyGroupRange,
    reader: &'r HandleReader,
    streams: Streams,
    states: BTreeMap<String, (StateMeta, StateLayout)>,
    hashers: Vec<TableHasher>,
}

impl Reading<'_> {
    fn take(
        &mut self,
        handle: &KeyedStateHandle,
        keyed: &KeyedReader,
        source: Arc<dyn ReadAt>,
        wanted: KeyGroupRange,
        stream: &str,
    ) -> Result<(), RestoreError> {
        for meta in &keyed.header().states {
            let fresh = || (meta.clone(), StateLayout::new());
            let (known, _) = self.states.entry(meta.name.clone()).or_insert_with(fresh);
            if known != meta {
                let describe = |meta: &StateMeta| {
                    format!("{} of {} ({})", meta.kind, meta.value, meta.namespace)
                };
                return Err(mismatch(stream, "type of a state", &describe(known), &describe(meta)));
            }
        }
        let numbers = self.add_streams(handle, keyed, source, wanted, stream)?;
        for key_group in wanted.iter() {
            let seed = keyed.header().hash_seed_of(key_group);
            let at = self.key_groups.index_of(key_group);
            if let (Some(at), Some(seed)) = (at.and_then(|at| self.hashers.get_mut(at)), seed) {
                *at = TableHasher::new(seed);
            }
        }
        for map in keyed.maps_of(wanted) {
            let meta = keyed.header().states.get(usize::from(map.state));
            let state = meta.and_then(|meta| self.states.get_mut(&meta.name));
            // The index was checked: a map has a known state and a key group of the stream.
            if let (Some((_, maps)), Some(group)) = (state, self.key_groups.index_of(map.key_group))
            {
                maps.insert(group, Arc::new(renumbered(&map.layout, &numbers)));
            }
        }
        Ok(())
    }

    /// Opens the streams that hold wanted blocks and gives their numbers by file of the handle.
    fn add_streams(
        &mut self,
        handle: &KeyedStateHandle,
        keyed: &KeyedReader,
        source: Arc<dyn ReadAt>,
        wanted: KeyGroupRange,
        stream: &str,
    ) -> Result<Vec<u16>, RestoreError> {
        let mut is_used = vec![false; handle.shared.len() + 1];
        for block in keyed.maps_of(wanted).flat_map(MapEntry::blocks) {
            if let Some(used) = is_used.get_mut(usize::from(block.file)) {
                *used = true;
            }
        }
        let own = match &handle.stream.location {
            StateLocation::File(path) => Some(SharedFile {
                path: path.clone(),
                len_bytes: handle.stream.len_bytes,
                seal: handle.stream.seal,
            }),
            _ => None,
        };
        let files = std::iter::once(own.as_ref()).chain(handle.shared.iter().map(Some));
        let mut sources = vec![Some(source)];
        sources.resize(is_used.len(), None);
        let mut numbers = Vec::with_capacity(is_used.len());
        for ((file, is_used), source) in files.zip(is_used).zip(sources) {
            let known = file.and_then(|file| self.streams.number_of(&file.path));
            let number = match known {
                _ if !is_used => 0,
                Some(number) => number,
                None => self.add_stream(file, source, stream)?,
            };
            numbers.push(number);
        }
        Ok(numbers)
    }

    fn add_stream(
        &mut self,
        file: Option<&SharedFile>,
        source: Option<Arc<dyn ReadAt>>,
        stream: &str,
    ) -> Result<u16, RestoreError> {
        let source = match (source, file) {
            (Some(source), _) => source,
            (None, Some(file)) => self.reader.shared_source(file)?,
            (None, None) => unreachable!("an inlined stream is open already"),
        };
        let name = source.name();
        // A stream that lies in the folder of its checkpoint goes with it.
        let outlives = |file: &&SharedFile| {
            self.reader.is_shareable() && file.path.parent() == Some(JobLayout::shared_dir())
        };
        let file = file.filter(outlives).cloned();
        let number = self.streams.add(name, Arc::new(StreamSource::new(source)), file);
        number.ok_or_else(|| mismatch(stream, "streams", &"at most 65535", &"more"))
    }

    fn finish(self, is_lazy: bool) -> Result<Restored, RestoreError> {
        let streams = Arc::new(self.streams);
        let kept: BTreeMap<String, Arc<Kept>> =
            self.states.keys().map(|name| (name.clone(), Arc::default())).collect();
        if !is_lazy {
            let states = self.states.values().zip(kept.values());
            let blocks = states.flat_map(|((_, maps), kept)| {
                let blocks = maps.values().flat_map(|map| blocks_of(map));
                blocks.map(|block| (*block, &**kept))
            });
            streams.keep_all(blocks.collect()).map_err(BlockError::into_restore_error)?;
        }
        let files = streams.files();
        let base = files.iter().any(Option::is_some).then(|| Base {
            epoch: 0,
            files,
            states: self.states.iter().map(|(n, (_, maps))| (n.clone(), maps.clone())).collect(),
        });
        let states = self.states.into_iter().map(|(name, (meta, maps))| {
            let streams = Arc::clone(&streams);
            let kept = kept.get(&name).cloned().unwrap_or_default();
            let raw = RawTable { name: name.clone(), streams, kept, maps };
            (name, RestoredState { meta, raw })
        });
        Ok(Restored { states: states.collect(), hashers: self.hashers, base })
    }
}

fn blocks_of(layout: &MapLayout) -> impl Iterator<Item = &BlockRef> {
    let (chains, blocks) = match layout {
        MapLayout::Segmented(chains) => (chains.as_slice(), [].as_slice()),
        MapLayout::Unsegmented(blocks) => ([].as_slice(), blocks.as_slice()),
    };
    chains.iter().flat_map(|chain| &chain.blocks).chain(blocks)
}

fn renumbered(layout: &MapLayout, numbers: &[u16]) -> MapLayout {
    let mut layout = layout.clone();
    let renumber = |block: &mut BlockRef| {
        block.file = numbers.get(usize::from(block.file)).copied().unwrap_or(0);
    };
    match &mut layout {
        MapLayout::Segmented(chains) => {
            chains.iter_mut().flat_map(|chain| &mut chain.blocks).for_each(renumber);
        }
        MapLayout::Unsegmented(blocks) => blocks.iter_mut().for_each(renumber),
    }
    layout
}

/// The key groups of a stream must not be those of another one.
fn check_apart(
    taken: &[KeyGroupRange],
    wanted: KeyGroupRange,
    stream: &str,
) -> Result<(), RestoreError> {
    match taken.iter().find_map(|other| other.intersection(wanted)) {
        None => Ok(()),
        Some(overlap) => {
            let expected = format!("none of {overlap}, which another stream has,");
            Err(mismatch(stream, "key groups", &expected, &wanted))
        }
    }
}

/// The stream must be of this operator and job, and say the same as its handle.
fn check_header<K: StateKey, C: Codec<K>>(
    spec: &KeyedBackendSpec<K, C>,
    handle: &KeyedStateHandle,
    stream: &str,
    keyed: &KeyedReader,
) -> Result<(), RestoreError> {
    let header = keyed.header();
    let max = spec.parallelism.max();
    let same = [
        ("operator", spec.uid.to_string(), header.uid.to_string()),
        ("max parallelism", max.to_string(), header.max_parallelism.to_string()),
        ("key-group assigner", spec.assigner.name().to_string(), header.assigner.to_string()),
        ("key-group range", handle.key_groups.to_string(), header.key_groups.to_string()),
    ];
    for (what, expected, found) in same {
        if expected != found {
            return Err(mismatch(stream, what, &expected, &found));
        }
    }
    if keyed.shared() != handle.shared {
        let list = |files: &[SharedFile]| {
            let paths: Vec<String> = files.iter().map(|file| file.path.to_string()).collect();
            format!("[{}]", paths.join(", "))
        };
        return Err(mismatch(stream, "shared files", &list(&handle.shared), &list(keyed.shared())));
    }
    // A key decides its key group, so it can never be migrated.
    if matches!(spec.key.resolve(&header.key), Compatibility::AsIs) {
        return Ok(());
    }
    let (stored, current) = (Box::new(header.key.clone()), Box::new(spec.key.snapshot()));
    let state = spec.uid.to_string();
    Err(StateError::IncompatibleSchema { state, part: "key", stored, current }.into())
}
