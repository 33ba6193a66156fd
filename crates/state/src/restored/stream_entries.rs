//! The entries of a stream of blocks, segment by segment, for whoever knows no types: all chains
//! applied, all bytes still encoded.
//!
//! Invariants: a block's checksum is compared before its first record is used; no more than the
//! blocks of one segment and a piece of each open file is held in memory.
//!
//! Source: SPEC 6.4, 6.5.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use alluvium_core::{KeyGroup, SharedFile};
use alluvium_format::codec::{Extent, Input};
use alluvium_format::keyed::{
    BlockRef, Chain, KeyedReader, MapEntry, MapLayout, StateMeta, read_block, read_delta_header,
};
use alluvium_format::{CodecError, FormatError, Source};
use alluvium_storage::HandleReader;
use bytes::Bytes;

use super::EncodedEntry;
use crate::{RestoreError, StateError, StreamSource};

/// Bytes that are read from a stream at a time.
const READ_LEN_BYTES: u64 = 4 * 1024 * 1024;
/// Shared files that are open at a time.
const MAX_OPEN_FILES: usize = 64;

/// What is read at once: a segment with its chain, or one block of a map without segments.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'k> {
    /// Its blocks, oldest first.
    pub blocks: &'k [BlockRef],
    /// Its entries, where the index says how many.
    pub entry_count: Option<u32>,
}

impl<'k> Segment<'k> {
    /// The parts of a map, in the order of the index.
    pub fn of(map: &'k MapEntry) -> impl Iterator<Item = Self> + use<'k> {
        (0..).map_while(|place| Self::at(map, place))
    }

    /// The part of a map at a place, from 0.
    pub fn at(map: &'k MapEntry, place: usize) -> Option<Self> {
        match &map.layout {
            MapLayout::Segmented(chains) => chains.get(place).map(|chain| {
                let Chain { entry_count, blocks } = chain;
                Self { blocks, entry_count: Some(*entry_count) }
            }),
            MapLayout::Unsegmented(blocks) => blocks
                .get(place)
                .map(|block| Self { blocks: std::slice::from_ref(block), entry_count: None }),
        }
    }
}

/// Reads segments of one stream.
#[derive(Debug)]
pub struct StreamEntries {
    shared: Vec<SharedFile>,
    reader: HandleReader,
    /// The stream, and what messages call it.
    own: (String, ReadAhead),
    /// The shared files that were needed lately, by the number that blocks give.
    opened: BTreeMap<u16, (String, ReadAhead)>,
    /// Where the parts of an entry end, by the id of the state.
    extents: BTreeMap<u16, EntryExtents>,
}

impl StreamEntries {
    /// Of a stream with a name for messages, whose shared files `reader` opens.
    pub fn new(keyed: &KeyedReader, name: String, reader: HandleReader) -> Self {
        let own = (name, ReadAhead::new(Arc::clone(keyed.source())));
        let shared = keyed.shared().to_vec();
        Self { shared, reader, own, opened: BTreeMap::new(), extents: BTreeMap::new() }
    }

    /// Gives every entry of a segment to `visit`, in the order of the encoded keys. `keyed` is the
    /// stream that this was made of, and the segment one of a map of it; `key_group_of` gives the key
    /// group of an encoded key, or `None` where nobody but the job can compute it.
    ///
    /// Errors: [`RestoreError::Storage`], [`RestoreError::Damaged`]; [`StateError::Decode`],
    /// [`StateError::MisplacedKey`]; those of `visit`.
    pub fn visit<E: From<RestoreError>>(
        &mut self,
        keyed: &KeyedReader,
        map: &MapEntry,
        segment: Segment<'_>,
        key_group_of: impl Fn(&[u8]) -> Result<Option<KeyGroup>, CodecError>,
        mut visit: impl FnMut(EncodedEntry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Segment { blocks, entry_count } = segment;
        let bytes = blocks.iter().map(|block| self.read(block)).collect::<Result<Vec<_>, _>>()?;
        let meta = keyed.header().states.get(usize::from(map.state));
        let name = meta.map_or("", |meta| &meta.name);
        let decode =
            |source| RestoreError::from(StateError::Decode { state: name.to_owned(), source });
        if let (Some(meta), false) = (meta, self.extents.contains_key(&map.state)) {
            let extents = EntryExtents::of(keyed, meta).map_err(decode)?;
            self.extents.insert(map.state, extents);
        }
        let Some(extents) = self.extents.get(&map.state) else { return Ok(()) };
        let mut entries = BTreeMap::new();
        for (block, bytes) in blocks.iter().zip(&bytes) {
            let applied =
                extents.apply((block, bytes), &mut entries, |key| match key_group_of(key)? {
                    Some(found) if found != map.key_group => Err(Refusal::Misplaced(found)),
                    _ => Ok(()),
                });
            applied.map_err(|refusal| match refusal {
                Refusal::Codec(source) => decode(source),
                Refusal::Misplaced(found) => {
                    let (state, expected) = (name.to_owned(), map.key_group);
                    StateError::MisplacedKey { state, expected, found }.into()
                }
            })?;
        }
        if entry_count.is_some_and(|count| u64::from(count) != entries.len() as u64) {
            let reason = "the blocks give another number of entries than the index says";
            return Err(decode(CodecError::Invalid { what: "segment", offset: 0, reason }).into());
        }
        entries.into_iter().try_for_each(|(pair, (key_len_bytes, value))| {
            visit(EncodedEntry { pair, key_len_bytes, value })
        })
    }

    fn read(&mut self, block: &BlockRef) -> Result<Bytes, RestoreError> {
        let (name, source) = if block.is_own() { &self.own } else { self.opened(block.file)? };
        read_block(source, &block.block)
            .map_err(|error| RestoreError::of_stream(name.clone(), error))
    }

    fn opened(&mut self, number: u16) -> Result<&(String, ReadAhead), RestoreError> {
        if !self.opened.contains_key(&number) {
            let place = usize::from(number).checked_sub(1);
            let file = place.and_then(|place| self.shared.get(place));
            let Some(file) = file else { unreachable!("the index names file {number}") };
            let source = self.reader.shared_source(file)?;
            let name = source.name();
            if self.opened.len() >= MAX_OPEN_FILES {
                self.opened.clear();
            }
            let source = ReadAhead::new(Arc::new(StreamSource::new(source)));
            self.opened.insert(number, (name, source));
        }
        let Some(opened) = self.opened.get(&number) else {
            unreachable!("file {number} was just opened")
        };
        Ok(opened)
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

    /// Applies a block to the entries that the blocks before it gave, by encoded key and namespace.
    fn apply<'b>(
        &self,
        (block, bytes): (&BlockRef, &'b [u8]),
        entries: &mut BTreeMap<&'b [u8], (usize, &'b [u8])>,
        check_key: impl Fn(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut input = Input::new(bytes);
        let removals =
            if block.is_delta { read_delta_header(&mut input, block.records)? } else { 0 };
        let mut seen = BTreeSet::new();
        for record in 0..block.records {
            let (offset, before) = (input.offset(), input.rest());
            let key = self.key.take(&mut input)?;
            self.namespace.take(&mut input)?;
            let pair = before.get(..before.len() - input.rest().len()).unwrap_or_default();
            check_key(key)?;
            if !seen.insert(pair) {
                let (what, reason) = ("block", "a key comes twice");
                return Err(CodecError::Invalid { what, offset, reason }.into());
            }
            if record < removals {
                entries.remove(pair);
            } else {
                entries.insert(pair, (key.len(), self.value.take(&mut input)?));
            }
        }
        Ok(input.finish()?)
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
