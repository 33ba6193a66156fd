//! The map entries of a keyed index: which blocks hold the map of a state in a key group.
//!
//! Fields of a map in order: key group, state, layout, number of segments or blocks; of each
//! segment the length of its chain and its number of entries; of each block its flags, file number
//! and offset if it lies in a shared file, stored length, records, checksum.
//!
//! Invariants:
//! - a chain begins with a full block and goes on with delta blocks; an unsegmented map has full
//!   blocks only;
//! - a block of this stream has no offset: it begins where the one before it ends;
//! - blocks of a shared file do not overlap, so an index cannot stand for more bytes than there are.

use alluvium_core::{KeyGroup, SharedFile};

use super::header::KeyedHeader;
use crate::CodecError;
use crate::codec::Input;
use crate::envelope::{Block, FOOTER_LEN, HEADER_LEN};
use crate::refusal::Refusal;
use crate::wire::{first_room, put_varint};

/// Most blocks of a segment.
pub const MAX_CHAIN_LEN: usize = 255;

/// Layout of a map that is split by the writer's hash.
const SEGMENTED: u8 = 1;
/// Layout of a map whose entries lie in no order of hashes.
const UNSEGMENTED: u8 = 2;
/// Flag of a delta block.
const DELTA: u8 = 1;
/// Flag of a block in a shared file.
const SHARED: u8 = 2;
/// The bits of the compression, of which only 0, none, is known.
const COMPRESSION_MASK: u8 = 0b1100;
/// Least bytes of a block in the index: flags, stored length, records, checksum.
const LEAST_BLOCK_LEN: u64 = 1 + 1 + 1 + 4;

/// A block and the stream that it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRef {
    /// Number of the shared file, from 1; 0 for the stream whose index this is.
    pub file: u16,
    /// Whether it holds changes to the blocks before it in its chain.
    pub is_delta: bool,
    /// How many records it holds: entries, and in a delta block also removals.
    pub records: u32,
    /// Where it lies.
    pub block: Block,
}

/// The blocks of one segment, oldest first; a segment without entries may have none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chain {
    /// How many entries the segment has once all blocks are applied.
    pub entry_count: u32,
    /// A full block, then delta blocks.
    pub blocks: Vec<BlockRef>,
}

/// How the map of a state in a key group is spread over blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapLayout {
    /// One chain for each segment that the writer's hash gives.
    Segmented(Vec<Chain>),
    /// Full blocks, whose entries lie in no order of hashes.
    Unsegmented(Vec<BlockRef>),
}

/// The map of one state in one key group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapEntry {
    /// The key group of all its keys.
    pub key_group: KeyGroup,
    /// Position of the state in the table.
    pub state: u16,
    /// Its blocks.
    pub layout: MapLayout,
}

impl BlockRef {
    /// Whether it lies in the stream whose index this is.
    pub const fn is_own(&self) -> bool {
        self.file == 0
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let delta = if self.is_delta { DELTA } else { 0 };
        out.push(if self.is_own() { delta } else { delta | SHARED });
        if !self.is_own() {
            put_varint(u64::from(self.file), out);
            put_varint(self.block.offset, out);
        }
        put_varint(u64::from(self.block.len_bytes), out);
        put_varint(u64::from(self.records), out);
        out.extend_from_slice(&self.block.checksum.to_le_bytes());
    }
}

impl MapEntry {
    /// How many entries the map has.
    pub fn entry_count(&self) -> u64 {
        match &self.layout {
            MapLayout::Segmented(chains) => {
                chains.iter().map(|chain| u64::from(chain.entry_count)).sum()
            }
            MapLayout::Unsegmented(blocks) => records(blocks),
        }
    }

    /// All blocks, in the order of the index.
    pub fn blocks(&self) -> impl Iterator<Item = &BlockRef> {
        let (chains, blocks): (&[Chain], &[BlockRef]) = match &self.layout {
            MapLayout::Segmented(chains) => (chains, &[]),
            MapLayout::Unsegmented(blocks) => (&[], blocks),
        };
        chains.iter().flat_map(|chain| &chain.blocks).chain(blocks)
    }

    /// How many segments or, if it is unsegmented, blocks it has.
    pub(super) fn len(&self) -> usize {
        match &self.layout {
            MapLayout::Segmented(chains) => chains.len(),
            MapLayout::Unsegmented(blocks) => blocks.len(),
        }
    }

    /// Appends the map, whose rules the writer has checked.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key_group.get().to_le_bytes());
        out.extend_from_slice(&self.state.to_le_bytes());
        match &self.layout {
            MapLayout::Segmented(chains) => {
                out.push(SEGMENTED);
                put_varint(chains.len() as u64, out);
                for chain in chains {
                    put_varint(chain.blocks.len() as u64, out);
                    if !chain.blocks.is_empty() {
                        put_varint(u64::from(chain.entry_count), out);
                    }
                    for block in &chain.blocks {
                        block.encode(out);
                    }
                }
            }
            MapLayout::Unsegmented(blocks) => {
                out.push(UNSEGMENTED);
                put_varint(blocks.len() as u64, out);
                for block in blocks {
                    block.encode(out);
                }
            }
        }
    }

    /// The rule of a layout that this map breaks, whoever made it.
    pub(super) fn broken_rule(&self) -> Option<&'static str> {
        match &self.layout {
            MapLayout::Segmented(chains) if chains.is_empty() => Some("a map has no segments"),
            MapLayout::Segmented(chains) => chains.iter().find_map(Chain::broken_rule),
            MapLayout::Unsegmented(blocks) if blocks.is_empty() => Some("a map has no blocks"),
            MapLayout::Unsegmented(blocks) if blocks.iter().any(|block| block.is_delta) => {
                Some("an unsegmented map has a delta block")
            }
            MapLayout::Unsegmented(_) => None,
        }
    }

    const fn order(&self) -> (KeyGroup, u16) {
        (self.key_group, self.state)
    }
}

impl Chain {
    fn broken_rule(&self) -> Option<&'static str> {
        let misplaced = |(place, block): (usize, &BlockRef)| block.is_delta != (place > 0);
        if self.blocks.iter().enumerate().any(misplaced) {
            Some("a chain is not a full block and then delta blocks")
        } else if u64::from(self.entry_count) > records(&self.blocks) {
            Some("a segment has more entries than its blocks have records")
        } else if self.blocks.len() > MAX_CHAIN_LEN {
            Some("a chain has more than 255 blocks")
        } else {
            None
        }
    }
}

fn records(blocks: &[BlockRef]) -> u64 {
    blocks.iter().map(|block| u64::from(block.records)).sum()
}

/// Reads the maps of an index, one after the other.
pub(super) struct MapDecoder<'a> {
    header: &'a KeyedHeader,
    shared: &'a [SharedFile],
    used: Vec<bool>,
    next_own_offset: u64,
}

impl<'a> MapDecoder<'a> {
    pub(super) fn new(header: &'a KeyedHeader, shared: &'a [SharedFile]) -> Self {
        let used = vec![false; shared.len()];
        Self { header, shared, used, next_own_offset: HEADER_LEN as u64 }
    }

    /// Reads all maps up to the end of the index.
    pub(super) fn decode(mut self, input: &mut Input<'_>) -> Result<Vec<MapEntry>, Refusal> {
        let mut maps = Vec::<MapEntry>::new();
        for _ in 0..input.u32("number of maps")? {
            let map = self.map(input)?;
            if maps.last().is_some_and(|last| map.order() <= last.order()) {
                let rule = "maps are not in the order of key group and state";
                return Err(Refusal::Rule(rule.to_owned()));
            }
            maps.push(map);
        }
        match self.shared.iter().zip(&self.used).find(|(_, used)| !**used) {
            Some((file, _)) => {
                Err(Refusal::Rule(format!("no block lies in shared file {}", file.path)))
            }
            None => match overlap(&maps) {
                Some((file, offset)) => {
                    let path = usize::from(file).checked_sub(1).and_then(|at| self.shared.get(at));
                    let path = path.map_or("", |file| file.path.as_str());
                    Err(Refusal::Rule(format!("two blocks of {path} overlap at {offset}")))
                }
                None => Ok(maps),
            },
        }
    }

    fn map(&mut self, input: &mut Input<'_>) -> Result<MapEntry, Refusal> {
        let key_group = KeyGroup::new(input.u16("key group")?, self.header.max_parallelism)?;
        let state = input.u16("state id")?;
        if !self.header.key_groups.contains(key_group) {
            let range = self.header.key_groups;
            return Err(Refusal::Rule(format!("key group {key_group} is outside {range}")));
        }
        if usize::from(state) >= self.header.states.len() {
            return Err(Refusal::Rule(format!("state id {state} is not in the table")));
        }
        let layout = match input.u8("layout")? {
            SEGMENTED => {
                let count = count(input, "number of segments", 1)?;
                let mut chains = Vec::with_capacity(first_room::<Chain>(count, input));
                for _ in 0..count {
                    chains.push(self.chain(input)?);
                }
                MapLayout::Segmented(chains)
            }
            UNSEGMENTED => {
                let count = count(input, "number of blocks", LEAST_BLOCK_LEN)?;
                MapLayout::Unsegmented(self.blocks(count, input)?)
            }
            other => return Err(Refusal::Rule(format!("layout {other} is unknown"))),
        };
        let map = MapEntry { key_group, state, layout };
        match map.broken_rule() {
            Some(rule) => Err(Refusal::Rule(rule.to_owned())),
            None => Ok(map),
        }
    }

    fn chain(&mut self, input: &mut Input<'_>) -> Result<Chain, Refusal> {
        let len = input.varint_u32("length of a chain")?;
        if len == 0 {
            return Ok(Chain::default());
        }
        if len as usize > MAX_CHAIN_LEN {
            return Err(Refusal::Rule(format!("a chain has {len} blocks, more than 255")));
        }
        let entry_count = input.varint_u32("number of entries")?;
        Ok(Chain { entry_count, blocks: self.blocks(len as usize, input)? })
    }

    fn blocks(&mut self, count: usize, input: &mut Input<'_>) -> Result<Vec<BlockRef>, Refusal> {
        check_count(count as u64, input, "blocks", LEAST_BLOCK_LEN)?;
        let mut blocks = Vec::with_capacity(first_room::<BlockRef>(count, input));
        for _ in 0..count {
            blocks.push(self.block(input)?);
        }
        Ok(blocks)
    }

    fn block(&mut self, input: &mut Input<'_>) -> Result<BlockRef, Refusal> {
        let flags = input.u8("block flags")?;
        if flags & !(DELTA | SHARED | COMPRESSION_MASK) != 0 {
            return Err(Refusal::Rule(format!("block flags {flags:#04x} are unknown")));
        }
        if flags & COMPRESSION_MASK != 0 {
            let compression = (flags & COMPRESSION_MASK) >> 2;
            return Err(Refusal::Rule(format!("compression {compression} is unknown")));
        }
        let is_shared = flags & SHARED != 0;
        let place = if is_shared {
            Some((input.varint("file number")?, input.varint("offset")?))
        } else {
            None
        };
        let len_bytes = input.varint_u32("stored length")?;
        let records = input.varint_u32("number of records")?;
        let checksum = input.u32("checksum")?;
        let (file, offset) = match place {
            Some((number, offset)) => (self.use_shared(number, offset, len_bytes)?, offset),
            None => (0, self.next_own_offset),
        };
        if file == 0 {
            self.next_own_offset = self.next_own_offset.saturating_add(u64::from(len_bytes));
        }
        let block = Block { offset, len_bytes, checksum };
        Ok(BlockRef { file, is_delta: flags & DELTA != 0, records, block })
    }

    /// Checks the place of a block in a shared file and notes that the file is needed.
    fn use_shared(&mut self, number: u64, offset: u64, len_bytes: u32) -> Result<u16, Refusal> {
        let found = u16::try_from(number).ok().and_then(|number| {
            let place = usize::from(number).checked_sub(1)?;
            Some((number, self.shared.get(place)?, self.used.get_mut(place)?))
        });
        let Some((number, file, used)) = found else {
            return Err(Refusal::Rule(format!("shared file {number} is not in the list")));
        };
        *used = true;
        if is_within(file, offset, len_bytes) {
            return Ok(number);
        }
        let rule = format!("{len_bytes} bytes at {offset} are no block of {}", file.path);
        Err(Refusal::Rule(rule))
    }
}

/// The first byte of a shared file that is in two blocks, and the number of the file.
fn overlap(maps: &[MapEntry]) -> Option<(u16, u64)> {
    let far = maps.iter().flat_map(MapEntry::blocks).filter(|block| !block.is_own());
    let mut places: Vec<(u16, u64, u32)> =
        far.map(|far| (far.file, far.block.offset, far.block.len_bytes)).collect();
    places.retain(|(_, _, len_bytes)| *len_bytes > 0);
    places.sort_unstable();
    places.windows(2).find_map(|pair| match pair {
        [(file, offset, len_bytes), (next_file, next, _)]
            if file == next_file && offset.saturating_add(u64::from(*len_bytes)) > *next =>
        {
            Some((*file, *next))
        }
        _ => None,
    })
}

/// Whether a block lies between the header and the footer of a shared file.
pub(super) fn is_within(file: &SharedFile, offset: u64, len_bytes: u32) -> bool {
    let limit = file.len_bytes.checked_sub(FOOTER_LEN as u64);
    let end = offset.checked_add(u64::from(len_bytes));
    offset >= HEADER_LEN as u64 && end.zip(limit).is_some_and(|(end, limit)| end <= limit)
}

/// Reads a number of things that need at least `least` bytes each.
fn count(input: &mut Input<'_>, what: &'static str, least: u64) -> Result<usize, Refusal> {
    let count = input.varint_u32(what)?;
    Ok(check_count(u64::from(count), input, what, least)?)
}

/// Compares a number of things with the bytes that are left, before anything is allocated.
fn check_count(
    count: u64,
    input: &Input<'_>,
    what: &'static str,
    least: u64,
) -> Result<usize, CodecError> {
    let (needed, left) = (count.saturating_mul(least), input.rest().len());
    usize::try_from(count).ok().filter(|_| needed <= left as u64).ok_or(CodecError::Truncated {
        what,
        offset: input.offset(),
        needed,
        left,
    })
}
