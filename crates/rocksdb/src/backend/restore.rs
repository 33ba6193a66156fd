//! From the keyed streams of SPEC 6 to rows.
//!
//! All states of the streams become column families when the backend is opened, whether anybody
//! will register them or not. A segment is read with its whole chain, applied in memory, and
//! written in the order of its rows.
//!
//! Invariants: every block that is needed is read and checked before `open` returns; every key is
//! in a block of its own key group; no more than the blocks of one segment is held in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use alluvium_core::KeyGroup;
use alluvium_format::codec::{Codec, Input};
use alluvium_format::keyed::{
    BlockRef, KeyedReader, MapEntry, MapLayout, read_block, read_delta_header,
};
use alluvium_format::{CodecError, FormatError, Source};
use alluvium_state::{
    KeyedStreams, RestoreError, RestoredStream, StateError, StateKey, StreamContent, StreamSource,
};
use alluvium_storage::HandleReader;
use bytes::Bytes;

use super::RocksDbKeyedStateBackend;
use super::kept::Kept;
use crate::history::History;
use crate::restore::{ImportedState, SstRestore, SstSource};
use crate::store::{Batch, Failure};

/// Bytes that are read from a stream at a time.
const READ_LEN_BYTES: u64 = 4 * 1024 * 1024;

/// Why an entry is refused, before the state is named.
enum Refusal {
    Codec(CodecError),
    Misplaced(KeyGroup),
    Engine(Failure),
}

impl From<CodecError> for Refusal {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Engine(failure)
    }
}

impl Refusal {
    fn into_error(self, state: &str, expected: KeyGroup) -> RestoreError {
        let state = state.to_owned();
        match self {
            Self::Codec(source) => StateError::Decode { state, source }.into(),
            Self::Misplaced(found) => StateError::MisplacedKey { state, expected, found }.into(),
            Self::Engine(failure) => failure.into(),
        }
    }
}

impl<K: StateKey, C: Codec<K>> RocksDbKeyedStateBackend<K, C> {
    /// Writes everything that the streams hold of this subtask.
    pub(super) fn restore(
        &mut self,
        restored: &KeyedStreams<'_>,
        reader: &HandleReader,
    ) -> Result<(), RestoreError> {
        self.restore_ssts(restored, reader)?;
        for meta in restored.states.values() {
            if self.kept.contains_key(&meta.name) {
                continue;
            }
            let (format, column) = (self.format_of(meta)?, self.create_column(meta)?);
            let kept = Kept { meta: meta.clone(), format, column };
            self.kept.insert(meta.name.clone(), kept);
        }
        for stream in &restored.streams {
            let StreamContent::Blocks(keyed) = &stream.content else { continue };
            let mut sources = Sources::new(stream, keyed, reader);
            for map in keyed.maps_of(stream.wanted) {
                let states = &keyed.header().states;
                let meta = states.get(usize::from(map.state));
                // The index was checked: a map is one of a state of the stream.
                let Some(kept) = meta.and_then(|meta| self.kept.get(&meta.name)) else { continue };
                self.restore_map(kept, map, &mut sources)?;
            }
        }
        Ok(())
    }

    /// Imports the files of the streams that consist of them.
    fn restore_ssts(
        &mut self,
        restored: &KeyedStreams<'_>,
        reader: &HandleReader,
    ) -> Result<(), RestoreError> {
        let sources: Vec<SstSource<'_>> = restored
            .streams
            .iter()
            .filter_map(|stream| match &stream.content {
                StreamContent::Ssts(index) => Some(SstSource { index, wanted: stream.wanted }),
                StreamContent::Blocks(_) => None,
            })
            .collect();
        if sources.is_empty() {
            return Ok(());
        }
        let restore = SstRestore {
            store: &self.store,
            options: &self.options,
            reader,
            own: self.key_groups,
            max: self.spec.parallelism.max(),
            dir: &self.store.engine().sibling_dir("restore"),
        };
        let (states, base) = restore.run(&sources, &mut self.statistics)?;
        for ImportedState { meta, column } in states {
            let format = self.format_of(&meta)?;
            self.kept.insert(meta.name.clone(), Kept { meta, format, column });
        }
        self.history = History::new(base);
        Ok(())
    }

    fn restore_map(
        &self,
        kept: &Kept,
        map: &MapEntry,
        sources: &mut Sources<'_>,
    ) -> Result<(), RestoreError> {
        let mut batch = Batch::new(&self.store, &kept.column);
        let refused = |refusal: Refusal| refusal.into_error(&kept.meta.name, map.key_group);
        match &map.layout {
            MapLayout::Segmented(chains) => {
                for chain in chains {
                    let blocks = sources.read(&chain.blocks)?;
                    let count = Some(chain.entry_count);
                    self.restore_segment(kept, map.key_group, (&blocks, count), &mut batch)
                        .map_err(refused)?;
                }
            }
            MapLayout::Unsegmented(blocks) => {
                for block in blocks {
                    let block = sources.read(std::slice::from_ref(block))?;
                    self.restore_segment(kept, map.key_group, (&block, None), &mut batch)
                        .map_err(refused)?;
                }
            }
        }
        Ok(batch.finish()?)
    }

    /// Writes what a chain of blocks gives.
    fn restore_segment(
        &self,
        kept: &Kept,
        key_group: KeyGroup,
        (blocks, entry_count): (&[(BlockRef, Bytes)], Option<u32>),
        batch: &mut Batch<'_>,
    ) -> Result<(), Refusal> {
        let mut entries = BTreeMap::new();
        for (block, bytes) in blocks {
            self.apply(kept, key_group, (block, bytes), &mut entries)?;
        }
        if entry_count.is_some_and(|count| u64::from(count) != entries.len() as u64) {
            let reason = "the blocks give another number of entries than the index says";
            return Err(CodecError::Invalid { what: "segment", offset: 0, reason }.into());
        }
        let mut row = Vec::new();
        self.layout.put_key_group(key_group, &mut row);
        let group_len = row.len();
        for (pair, value) in entries {
            row.truncate(group_len);
            kept.format.put_pair(pair, &mut row)?;
            kept.format.put_rows(&mut row, value, |row, value| {
                batch.put(row, value).map_err(Refusal::Engine)
            })?;
        }
        Ok(())
    }

    /// Applies a block to the entries that the blocks before it gave, by encoded key and namespace.
    fn apply<'b>(
        &self,
        kept: &Kept,
        key_group: KeyGroup,
        (block, bytes): (&BlockRef, &'b [u8]),
        entries: &mut BTreeMap<&'b [u8], &'b [u8]>,
    ) -> Result<(), Refusal> {
        let mut input = Input::new(bytes);
        let removals =
            if block.is_delta { read_delta_header(&mut input, block.records)? } else { 0 };
        let mut seen = BTreeSet::new();
        for record in 0..block.records {
            let (offset, before) = (input.offset(), input.rest());
            let (key, _) = kept.format.take_pair(&mut input)?;
            let pair = before.get(..before.len() - input.rest().len()).unwrap_or_default();
            let decoded = self.spec.key.decode(&mut Input::new(key))?;
            let found = self.spec.assigner.assign(&decoded, key, self.spec.parallelism.max());
            if found != key_group {
                return Err(Refusal::Misplaced(found));
            }
            if !seen.insert(pair) {
                let (what, reason) = ("block", "a key comes twice");
                return Err(CodecError::Invalid { what, offset, reason }.into());
            }
            if record < removals {
                entries.remove(pair);
            } else {
                entries.insert(pair, kept.format.take_value(&mut input)?);
            }
        }
        Ok(input.finish()?)
    }
}

/// The stream of a handle and the shared files that it refers to, opened when they are needed.
struct Sources<'s> {
    stream: &'s RestoredStream<'s>,
    reader: &'s HandleReader,
    /// By the number that blocks give.
    opened: BTreeMap<u16, (String, ReadAhead)>,
}

impl<'s> Sources<'s> {
    fn new(stream: &'s RestoredStream<'s>, keyed: &KeyedReader, reader: &'s HandleReader) -> Self {
        let own = ReadAhead::new(Arc::clone(keyed.source()));
        let opened = BTreeMap::from([(0, (stream.name.clone(), own))]);
        Self { stream, reader, opened }
    }

    fn read(&mut self, blocks: &[BlockRef]) -> Result<Vec<(BlockRef, Bytes)>, RestoreError> {
        blocks.iter().map(|block| Ok((*block, self.read_one(block)?))).collect()
    }

    fn read_one(&mut self, block: &BlockRef) -> Result<Bytes, RestoreError> {
        if !self.opened.contains_key(&block.file) {
            let place = usize::from(block.file).checked_sub(1);
            let file = place.and_then(|place| self.stream.handle.shared.get(place));
            let Some(file) = file else { unreachable!("the index names file {}", block.file) };
            let source = self.reader.shared_source(file)?;
            let name = source.name();
            let source = ReadAhead::new(Arc::new(StreamSource::new(source)));
            self.opened.insert(block.file, (name, source));
        }
        let Some((name, source)) = self.opened.get(&block.file) else {
            unreachable!("file {} was just opened", block.file)
        };
        read_block(source, &block.block)
            .map_err(|error| RestoreError::of_stream(name.clone(), error))
    }
}

/// Reads a stream in large pieces: blocks mostly come in their order.
#[derive(Debug)]
struct ReadAhead {
    source: Arc<dyn Source>,
    /// Where the last piece begins, and the piece.
    piece: Mutex<(u64, Bytes)>,
}

impl ReadAhead {
    const fn new(source: Arc<dyn Source>) -> Self {
        Self { source, piece: Mutex::new((0, Bytes::new())) }
    }
}

impl Source for ReadAhead {
    fn len_bytes(&self) -> u64 {
        self.source.len_bytes()
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, FormatError> {
        let mut piece = self.piece.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, bytes) = &*piece;
        let end = start + bytes.len() as u64;
        if range.start < *start || range.end > end {
            let wanted = range.end.max(range.start.saturating_add(READ_LEN_BYTES));
            let wanted = range.start..wanted.min(self.len_bytes().max(range.end));
            *piece = (range.start, self.source.read(wanted)?);
        }
        let (start, bytes) = &*piece;
        bytes.read(range.start - start..range.end - start)
    }
}
