//! Opens the streams of a restore and keeps what this subtask needs of their indexes.
//!
//! A restore is *eager* (every block is read and checked now) or *lazy* (a block is read and checked
//! when one of its entries is first touched).

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::{KeyGroupRange, KeyedStateHandle, SharedFile, StateLocation};
use alluvium_format::codec::Codec;
use alluvium_format::keyed::{BlockRef, KeyedReader, MapEntry, MapLayout, StateMeta};
use alluvium_state::{
    KeyedBackendSpec, KeyedStreams, RestoreError, RestoredStream, StateKey, StreamSource,
};
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
    /// The key groups of the subtask.
    pub(super) key_groups: KeyGroupRange,
    pub(super) states: BTreeMap<String, RestoredState>,
    /// Hashers by the position of the key group.
    pub(super) hashers: Vec<TableHasher>,
    /// What the first checkpoint may refer to.
    pub(super) base: Option<Base>,
}

/// The states of all handles, cut to the key groups of the subtask.
pub(super) fn read_handles<K: StateKey, C: Codec<K>>(
    spec: &KeyedBackendSpec<K, C>,
    handles: &[KeyedStateHandle],
    reader: &HandleReader,
    is_lazy: bool,
) -> Result<Restored, RestoreError> {
    let KeyedStreams { key_groups, streams, states } = KeyedStreams::open(spec, handles, reader)?;
    let fresh = |(name, meta)| (name, (meta, StateLayout::new()));
    let mut reading = Reading {
        key_groups,
        reader,
        streams: Streams::default(),
        states: states.into_iter().map(fresh).collect(),
        hashers: vec![TableHasher::new(spec.hash_seed); usize::from(key_groups.count())],
    };
    for stream in streams {
        reading.take(&stream)?;
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
    fn take(&mut self, stream: &RestoredStream<'_>) -> Result<(), RestoreError> {
        let keyed = stream.blocks()?;
        let RestoredStream { handle, name, source, wanted, .. } = stream;
        let (source, wanted) = (Arc::clone(source), *wanted);
        let numbers = self.add_streams(handle, keyed, source, wanted, name)?;
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
        number.ok_or_else(|| RestoreError::Mismatch {
            stream: stream.to_owned(),
            what: "streams",
            expected: "at most 65535".to_owned(),
            found: "more".to_owned(),
        })
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
        let (key_groups, hashers) = (self.key_groups, self.hashers);
        Ok(Restored { key_groups, states: states.collect(), hashers, base })
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
