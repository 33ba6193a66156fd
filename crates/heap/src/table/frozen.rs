//! A table as it was at a freeze: decides for each segment what is written, and writes it.
//!
//! A segment that was not touched since the base keeps its blocks; a touched one gets a delta block
//! on top of them, or a full block when its chain has grown too long or too heavy.
//!
//! Invariants: what is decided depends on the frozen segment and the base alone; recycled memory is
//! that of segments which nobody shares any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_format::CodecError;
use alluvium_format::keyed::{BlockRef, Chain, KeyedWriter, MapLayout};
use alluvium_state::ttl::TtlMoment;
use alluvium_state::{SnapshotError, StateKey, StateValue};
use alluvium_storage::CheckpointStream;
use bytes::Bytes;
use hashbrown::HashTable;

use super::{EntryCodec, count_of};
use crate::TableHasher;
use crate::base::{FileUsage, IncrementalOptions};
use crate::expiry::{Expiry, Remains};
use crate::groups::Groups;
use crate::map::{NestedStateMap, StateMap};
use crate::segment::{Changes, Segment, SpareSender};
use crate::slot::{InlineSlot, Slot};
use crate::sync::point;

/// Encoded size at which the synchronous snapshot begins another block.
const BLOCK_LEN_BYTES: usize = 64 * 1024;
/// What an entry of a chain costs in the index, in bytes, roughly.
const INDEX_LEN_BYTES: u64 = 14;

/// The stream that is being written, and what it may refer to.
pub(crate) struct BlockWriter<'w, 'b> {
    pub(crate) writer: &'w mut KeyedWriter<CheckpointStream>,
    /// `None` for a self-contained stream.
    pub(crate) usage: Option<&'w FileUsage<'b>>,
    pub(crate) options: IncrementalOptions,
    /// Encoded entries of the block at hand.
    pub(crate) scratch: Vec<u8>,
}

impl BlockWriter<'_, '_> {
    /// Writes what was encoded into `scratch`.
    fn block(&mut self, is_delta: bool, records: u32) -> Result<BlockRef, SnapshotError> {
        Ok(self.writer.block(is_delta, records, &self.scratch)?)
    }

    /// The same blocks, numbered as in this stream.
    pub(crate) fn refer(&mut self, blocks: &[BlockRef]) -> Result<Vec<BlockRef>, SnapshotError> {
        let mut referred = Vec::with_capacity(blocks.len() + 1);
        for block in blocks {
            let file = self.usage.and_then(|usage| usage.base().file(block.file));
            let Some(file) = file else { unreachable!("block of file {} has no file", block.file) };
            let file = self.writer.shared_file(file)?;
            referred.push(BlockRef { file, ..*block });
        }
        Ok(referred)
    }
}

/// A frozen table.
pub(crate) trait FrozenTable: Send {
    /// Counts what a map would refer to.
    fn plan(&self, group: usize, usage: &mut FileUsage<'_>, options: IncrementalOptions);

    /// Writes the blocks of a map, given by the position of its key group in the backend's range;
    /// `None` when it is empty.
    fn write(
        &mut self,
        group: usize,
        out: &mut BlockWriter<'_, '_>,
    ) -> Result<Option<MapLayout>, SnapshotError>;
}

fn encode_error(state: &str) -> impl Fn(CodecError) -> SnapshotError + '_ {
    move |source| SnapshotError::Encode { state: state.to_owned(), source }
}

/// What is written of a segment.
enum Decision<'a, R> {
    Keep(&'a Chain),
    Delta(&'a Chain, &'a Changes<R>),
    Full,
}

fn decide<'a, E: Slot>(
    segment: &'a Segment<E>,
    number: usize,
    chain: Option<&'a Chain>,
    base: crate::moment::Epoch,
    options: IncrementalOptions,
) -> Decision<'a, E::Removed> {
    let Some(chain) = chain.filter(|_| segment.born() <= base) else { return Decision::Full };
    if segment.written() <= base {
        return Decision::Keep(chain);
    }
    let Some(changes) = segment.changes_since(base) else { return Decision::Full };
    let records = changes.touched_since(base).count() + changes.removed_since(base).count();
    if records == 0 {
        return Decision::Keep(chain);
    }
    let Some((full, deltas)) = chain.blocks.split_first() else { return Decision::Full };
    // Segments reach their bounds one after the other, not all in one checkpoint.
    let spread = number % 8;
    let record_len = u64::from(full.block.len_bytes).div_ceil(u64::from(full.records).max(1));
    let deltas_len: u64 = deltas.iter().map(|block| u64::from(block.block.len_bytes)).sum();
    let index_len = INDEX_LEN_BYTES * (chain.blocks.len() as u64);
    let with_delta = deltas_len + index_len + record_len * records as u64;
    let limit = record_len * segment.len() as u64 * (8 + spread as u64) / 16;
    let longest = usize::from(options.max_chain.min(255)).saturating_sub(spread).max(1);
    if with_delta > limit || chain.blocks.len() >= longest {
        Decision::Full
    } else {
        Decision::Delta(chain, changes)
    }
}

/// Shares its segments with the table and encodes them when they are asked for.
pub(super) struct SharedTable<E: Slot> {
    pub(super) name: String,
    pub(super) codec: Arc<dyn EntryCodec<E>>,
    pub(super) groups: Groups<E>,
    /// Hashers by the position of the key group.
    pub(super) hashers: Arc<[TableHasher]>,
    pub(super) spares: SpareSender<E>,
    /// For self-contained streams.
    pub(super) expiry: Option<FrozenExpiry<E::State>>,
}

/// What has expired at the freeze.
pub(super) struct FrozenExpiry<S> {
    rules: Arc<dyn Expiry<S>>,
    moment: TtlMoment,
}

impl<S> FrozenExpiry<S> {
    /// Of a state whose full snapshots leave it out.
    pub(super) fn now(rules: Option<&Arc<dyn Expiry<S>>>) -> Option<Self> {
        let rules = rules.filter(|rules| rules.ttl().cleans_full_snapshots())?;
        Some(Self { rules: Arc::clone(rules), moment: rules.ttl().now() })
    }
}

/// Appends an entry without what has expired of it, and says whether something was left.
fn encode_unexpired<E: Slot>(
    codec: &dyn EntryCodec<E>,
    (key, namespace, state): (&E::Key, &E::Namespace, &E::State),
    expiry: Option<&FrozenExpiry<E::State>>,
    out: &mut Vec<u8>,
) -> Result<bool, CodecError> {
    let remains = expiry.map_or(Remains::All, |expiry| expiry.rules.remains(state, &expiry.moment));
    let state = match &remains {
        Remains::All => state,
        Remains::Some(left) => left,
        Remains::Nothing => return Ok(false),
    };
    codec.encode_entry(key, namespace, state, out)?;
    Ok(true)
}

impl<E: Slot> SharedTable<E>
where
    E::Key: StateKey,
    E::Namespace: StateKey,
    E::State: StateValue,
{
    fn write_segment(
        &self,
        segment: &Segment<E>,
        decision: &Decision<'_, E::Removed>,
        hasher: TableHasher,
        out: &mut BlockWriter<'_, '_>,
    ) -> Result<Chain, SnapshotError> {
        let encode = encode_error(&self.name);
        let entry_count = count_of(segment.len()).map_err(&encode)?;
        let loaded = || segment.table().map_err(SnapshotError::State);
        let blocks = match decision {
            Decision::Keep(chain) => out.refer(&chain.blocks)?,
            Decision::Full => {
                let table = loaded()?;
                out.scratch.clear();
                self.codec.encode_full(table, &mut out.scratch).map_err(&encode)?;
                vec![out.block(false, entry_count)?]
            }
            Decision::Delta(chain, changes) => {
                let table = loaded()?;
                let base = out.usage.map_or(0, |usage| usage.base().epoch);
                let mut buckets: Vec<usize> = changes.touched_since(base).collect();
                buckets.retain(|bucket| table.get_bucket(*bucket).is_some());
                let removed = absent(changes.removed_since(base), table, hasher);
                out.scratch.clear();
                let scratch = &mut out.scratch;
                self.codec.encode_delta(table, &removed, &buckets, scratch).map_err(&encode)?;
                let records = count_of(buckets.len() + removed.len()).map_err(&encode)?;
                let mut blocks = out.refer(&chain.blocks)?;
                if records > 0 {
                    blocks.push(out.block(true, records)?);
                }
                blocks
            }
        };
        Ok(Chain { entry_count, blocks })
    }

    /// Writes a segment in full, without what has expired.
    fn write_unexpired(
        &self,
        segment: &Segment<E>,
        out: &mut BlockWriter<'_, '_>,
    ) -> Result<Chain, SnapshotError> {
        let (encode, mut written) = (encode_error(&self.name), 0_usize);
        out.scratch.clear();
        for entry in segment.table().map_err(SnapshotError::State)? {
            let entry = (entry.key(), entry.namespace(), entry.state());
            let (codec, expiry) = (&*self.codec, self.expiry.as_ref());
            let is_left = encode_unexpired(codec, entry, expiry, &mut out.scratch);
            written += usize::from(is_left.map_err(&encode)?);
        }
        if written == 0 {
            return Ok(Chain::default());
        }
        let entry_count = count_of(written).map_err(&encode)?;
        Ok(Chain { entry_count, blocks: vec![out.block(false, entry_count)?] })
    }
}

/// The removed pairs that did not come back, each once.
fn absent<'a, E: Slot>(
    removed: impl Iterator<Item = &'a E::Removed>,
    table: &HashTable<E>,
    hasher: TableHasher,
) -> Vec<&'a (E::Key, E::Namespace)>
where
    E::Key: StateKey,
    E::Namespace: StateKey,
{
    let mut seen = HashTable::<&(E::Key, E::Namespace)>::new();
    for pair in removed {
        let rehash = |pair: &&(E::Key, E::Namespace)| hasher.hash_pair(&pair.0, &pair.1);
        let hash = rehash(&pair);
        let is_back =
            table.find(hash, |entry| *entry.key() == pair.0 && *entry.namespace() == pair.1);
        if is_back.is_none() && seen.find(hash, |other| **other == *pair).is_none() {
            seen.insert_unique(hash, pair, rehash);
        }
    }
    seen.into_iter().collect()
}

impl<E: Slot> FrozenTable for SharedTable<E>
where
    E::Key: StateKey,
    E::Namespace: StateKey,
    E::State: StateValue,
{
    fn plan(&self, group: usize, usage: &mut FileUsage<'_>, options: IncrementalOptions) {
        let Some(map) = self.groups.map(group) else { return };
        let base = usage.base();
        let layout = base.map(&self.name, group);
        for (number, segment) in map.segments().enumerate() {
            let chain = usage.chain(layout, number);
            if let Decision::Keep(chain) | Decision::Delta(chain, _) =
                decide(segment, number, chain, base.epoch, options)
            {
                usage.add(&chain.blocks);
            }
        }
    }

    fn write(
        &mut self,
        group: usize,
        out: &mut BlockWriter<'_, '_>,
    ) -> Result<Option<MapLayout>, SnapshotError> {
        let Some(map) = self.groups.map(group).filter(|map| map.entry_count() > 0) else {
            return Ok(None);
        };
        let hasher = self.hashers.get(group).copied().unwrap_or(TableHasher::new(0));
        let layout = out.usage.and_then(|usage| usage.base().map(&self.name, group));
        let mut chains = Vec::new();
        for (number, segment) in map.segments().enumerate() {
            point();
            if segment.len() == 0 {
                chains.push(Chain::default());
                continue;
            }
            if out.usage.is_none() && self.expiry.is_some() {
                chains.push(self.write_unexpired(segment, out)?);
                continue;
            }
            let decision = match out.usage {
                None => Decision::Full,
                Some(usage) => {
                    let chain = usage.chain(layout, number);
                    decide(segment, number, chain, usage.base().epoch, out.options)
                }
            };
            chains.push(self.write_segment(segment, &decision, hasher, out)?);
        }
        if let Some(map) = self.groups.unshared(group) {
            for slot in map.table_mut().unshared_slots() {
                point();
                Segment::recycle(slot, &self.spares);
            }
        }
        let is_empty = chains.iter().all(|chain| chain.blocks.is_empty());
        Ok((!is_empty).then_some(MapLayout::Segmented(chains)))
    }
}

/// Blocks that were encoded at the freeze, by key group.
pub(super) struct EncodedTable {
    groups: BTreeMap<usize, Vec<(u32, Bytes)>>,
}

impl EncodedTable {
    pub(super) fn encode<K: StateKey, N: StateKey, S: StateValue>(
        name: &str,
        codec: &dyn EntryCodec<InlineSlot<K, N, S>>,
        maps: &[NestedStateMap<K, N, S>],
        expiry: Option<&FrozenExpiry<S>>,
    ) -> Result<Self, SnapshotError> {
        let mut groups = BTreeMap::new();
        for (group, map) in maps.iter().enumerate().filter(|(_, map)| !map.is_empty()) {
            let blocks = encode_map(codec, map, expiry).map_err(encode_error(name))?;
            if !blocks.is_empty() {
                groups.insert(group, blocks);
            }
        }
        Ok(Self { groups })
    }
}

fn encode_map<K: StateKey, N: StateKey, S: StateValue>(
    codec: &dyn EntryCodec<InlineSlot<K, N, S>>,
    map: &NestedStateMap<K, N, S>,
    expiry: Option<&FrozenExpiry<S>>,
) -> Result<Vec<(u32, Bytes)>, CodecError> {
    let (mut blocks, mut block, mut count) = (Vec::new(), Vec::new(), 0_u32);
    let mut result = Ok(());
    map.for_each(|key, namespace, state| {
        if result.is_err() {
            return;
        }
        match encode_unexpired(codec, (key, namespace, state), expiry, &mut block) {
            Ok(is_left) => count += u32::from(is_left),
            Err(error) => result = Err(error),
        }
        if block.len() >= BLOCK_LEN_BYTES {
            blocks.push((count, Bytes::from(std::mem::take(&mut block))));
            count = 0;
        }
    });
    result?;
    if count > 0 {
        blocks.push((count, Bytes::from(block)));
    }
    Ok(blocks)
}

impl FrozenTable for EncodedTable {
    fn plan(&self, _: usize, _: &mut FileUsage<'_>, _: IncrementalOptions) {}

    fn write(
        &mut self,
        group: usize,
        out: &mut BlockWriter<'_, '_>,
    ) -> Result<Option<MapLayout>, SnapshotError> {
        let Some(encoded) = self.groups.remove(&group) else { return Ok(None) };
        let mut blocks = Vec::with_capacity(encoded.len());
        for (records, bytes) in encoded {
            blocks.push(out.writer.block(false, records, &bytes)?);
        }
        Ok(Some(MapLayout::Unsegmented(blocks)))
    }
}
