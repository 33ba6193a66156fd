//! What a restored stream holds of each state: entries, still encoded, all chains applied.
//!
//! A segment is read with its whole chain, applied in memory, and handed out in the order of the
//! encoded keys. Nobody needs the types of the job for it, so state that no function registers is
//! read like any other.
//!
//! Invariants: a block's checksum is compared before its first record is used; every key is in a
//! block of its own key group; no more than the blocks of one segment is held in memory.
//!
//! Source: SPEC 6.4, 6.5.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use alluvium_core::KeyGroup;
use alluvium_format::codec::Extent;
use alluvium_format::codec::{Codec, Input};
use alluvium_format::keyed::{
    BlockRef, Chain, KeyedReader, MapEntry, MapLayout, StateMeta, read_block, read_delta_header,
};
use alluvium_format::{CodecError, FormatError, Source};
use alluvium_storage::HandleReader;
use bytes::Bytes;

use super::RestoredStream;
use crate::{KeyedBackendSpec, RestoreError, StateError, StateKey, StreamSource};

/// Bytes that are read from a stream at a time.
const READ_LEN_BYTES: u64 = 4 * 1024 * 1024;

/// One entry of a state, by the codecs of its stream.
#[derive(Debug, Clone, Copy)]
pub struct EncodedEntry<'b> {
    pair: &'b [u8],
    key_len_bytes: usize,
    value: &'b [u8],
}

impl<'b> EncodedEntry<'b> {
    /// The key.
    pub fn key(&self) -> &'b [u8] {
        self.pair.get(..self.key_len_bytes).unwrap_or_default()
    }

    /// The namespace; of a timer, with its domain and time (SPEC 6.3).
    pub fn namespace(&self) -> &'b [u8] {
        self.pair.get(self.key_len_bytes..).unwrap_or_default()
    }

    /// Key and namespace, one after the other.
    pub const fn pair(&self) -> &'b [u8] {
        self.pair
    }

    /// The value: the whole list or map of a list or map state.
    pub const fn value(&self) -> &'b [u8] {
        self.value
    }
}

/// Reads the entries of one restored stream, map by map.
#[derive(Debug)]
pub struct RestoredEntries<'s, K, C> {
    spec: &'s KeyedBackendSpec<K, C>,
    stream: &'s RestoredStream<'s>,
    keyed: &'s KeyedReader,
    reader: &'s HandleReader,
    /// The stream and the shared files that were needed so far, by the number that blocks give.
    opened: BTreeMap<u16, (String, ReadAhead)>,
    /// Where the parts of an entry end, by the id of the state.
    extents: BTreeMap<u16, EntryExtents>,
}

impl<'s, K: StateKey, C: Codec<K>> RestoredEntries<'s, K, C> {
    /// Of a stream that [`KeyedStreams::open`](super::KeyedStreams::open) gave.
    ///
    /// Errors: [`RestoreError::OtherBackend`] for a stream without blocks.
    pub fn new(
        spec: &'s KeyedBackendSpec<K, C>,
        stream: &'s RestoredStream<'s>,
        reader: &'s HandleReader,
    ) -> Result<Self, RestoreError> {
        let keyed = stream.blocks()?;
        let own = ReadAhead::new(Arc::clone(keyed.source()));
        let opened = BTreeMap::from([(0, (stream.name.clone(), own))]);
        Ok(Self { spec, stream, keyed, reader, opened, extents: BTreeMap::new() })
    }

    /// The maps that the subtask takes from the stream, each with its state, in the order of key
    /// group, state.
    pub fn maps(&self) -> impl Iterator<Item = (&'s StateMeta, &'s MapEntry)> + use<'s, K, C> {
        let states = &self.keyed.header().states;
        let maps = self.keyed.maps_of(self.stream.wanted);
        // The index was checked: a map is one of a state of the stream.
        maps.filter_map(|map| Some((states.get(usize::from(map.state))?, map)))
    }

    /// Gives every entry of a map to `visit`.
    ///
    /// Errors: [`RestoreError::Storage`], [`RestoreError::Damaged`]; [`StateError::Decode`],
    /// [`StateError::MisplacedKey`]; those of `visit`.
    pub fn visit(
        &mut self,
        map: &MapEntry,
        mut visit: impl FnMut(EncodedEntry<'_>) -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError> {
        match &map.layout {
            MapLayout::Segmented(chains) => chains.iter().try_for_each(|chain| {
                let Chain { entry_count, blocks } = chain;
                self.visit_segment(map, blocks, Some(*entry_count), &mut visit)
            }),
            MapLayout::Unsegmented(blocks) => blocks.iter().try_for_each(|block| {
                self.visit_segment(map, std::slice::from_ref(block), None, &mut visit)
            }),
        }
    }

    fn visit_segment(
        &mut self,
        map: &MapEntry,
        blocks: &[BlockRef],
        entry_count: Option<u32>,
        visit: &mut impl FnMut(EncodedEntry<'_>) -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError> {
        let bytes = blocks.iter().map(|block| self.read(block)).collect::<Result<Vec<_>, _>>()?;
        let keyed = self.keyed;
        let meta = keyed.header().states.get(usize::from(map.state));
        let name = meta.map_or("", |meta| &meta.name);
        let decode = |source| StateError::Decode { state: name.to_owned(), source };
        if let (Some(meta), false) = (meta, self.extents.contains_key(&map.state)) {
            let extents = EntryExtents::of(keyed, meta).map_err(decode)?;
            self.extents.insert(map.state, extents);
        }
        let Some(extents) = self.extents.get(&map.state) else { return Ok(()) };
        let mut entries = BTreeMap::new();
        for (block, bytes) in blocks.iter().zip(&bytes) {
            self.apply(extents, map.key_group, (block, bytes), &mut entries).map_err(
                |refusal| match refusal {
                    Refusal::Codec(source) => decode(source),
                    Refusal::Misplaced(found) => {
                        let (state, expected) = (name.to_owned(), map.key_group);
                        StateError::MisplacedKey { state, expected, found }
                    }
                },
            )?;
        }
        if entry_count.is_some_and(|count| u64::from(count) != entries.len() as u64) {
            let reason = "the blocks give another number of entries than the index says";
            return Err(decode(CodecError::Invalid { what: "segment", offset: 0, reason }).into());
        }
        entries.into_iter().try_for_each(|(pair, (key_len_bytes, value))| {
            visit(EncodedEntry { pair, key_len_bytes, value })
        })
    }

    /// Applies a block to the entries that the blocks before it gave, by encoded key and namespace.
    fn apply<'b>(
        &self,
        extents: &EntryExtents,
        key_group: KeyGroup,
        (block, bytes): (&BlockRef, &'b [u8]),
        entries: &mut BTreeMap<&'b [u8], (usize, &'b [u8])>,
    ) -> Result<(), Refusal> {
        let mut input = Input::new(bytes);
        let removals =
            if block.is_delta { read_delta_header(&mut input, block.records)? } else { 0 };
        let mut seen = BTreeSet::new();
        for record in 0..block.records {
            let (offset, before) = (input.offset(), input.rest());
            let key = extents.key.take(&mut input)?;
            extents.namespace.take(&mut input)?;
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
                entries.insert(pair, (key.len(), extents.value.take(&mut input)?));
            }
        }
        Ok(input.finish()?)
    }

    fn read(&mut self, block: &BlockRef) -> Result<Bytes, RestoreError> {
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

/// Where key, namespace and value of an entry end.
#[derive(Debug)]
struct EntryExtents {
    key: Extent,
    namespace: Extent,
    value: Extent,
}

impl EntryExtents {
    fn of(keyed: &KeyedReader, meta: &StateMeta) -> Result<Self, CodecError> {
        let key = Extent::of(&keyed.header().key)?;
        let (namespace, value) = (Extent::of(&meta.namespace)?, Extent::of(&meta.value)?);
        Ok(Self { key, namespace, value })
    }
}

/// Why an entry is refused, before the state is named.
enum Refusal {
    Codec(CodecError),
    Misplaced(KeyGroup),
}

impl From<CodecError> for Refusal {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
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
