//! From restored blocks to the maps of a table.
//!
//! Copy-on-write maps take the segments of the stream over as they are, loaded now (on all threads)
//! or when they are first touched. Where the hash of this process parts keys otherwise than the
//! writer's did, and for nested maps, every entry is inserted anew.
//!
//! Invariants: that keys are parted as in the stream is tried on some segments before it is relied
//! on, and checked of every entry that is loaded.

use std::sync::Arc;

use alluvium_core::{KeyGroup, KeyGroupAssigner, KeyGroupRange, MaxParallelism};
use alluvium_format::CodecError;
use alluvium_format::keyed::{BlockRef, Chain, MapLayout};
use alluvium_state::{StateError, StateKey, StateValue};
use hashbrown::HashTable;
use rayon::prelude::*;

use crate::TableHasher;
use crate::groups::Groups;
use crate::map::{CopyOnWriteStateMap, NestedStateMap, Probe, StateMap};
use crate::moment::{Epoch, Moment};
use crate::segment::{LazySegment, Segment, SegmentSource, Writing};
use crate::segmented::Partition;
use crate::slot::{InlineSlot, Slot};
use crate::table::{
    CopyOnWriteTable, EntryReader, LoadRules, RawTable, Refusal, StreamedMap, not_loaded,
};

/// Entries that are tried before the segments of a stream are relied on, if there are as many.
const ENOUGH_TRIED: usize = 64;

/// What the maps of one state are filled from.
pub(super) struct Filling<'r, K> {
    pub(super) state: Arc<str>,
    pub(super) raw: &'r RawTable,
    pub(super) key_groups: KeyGroupRange,
    pub(super) hashers: &'r [TableHasher],
    pub(super) assigner: KeyGroupAssigner<K>,
    pub(super) max_parallelism: MaxParallelism,
    pub(super) is_lazy: bool,
    /// Whether values are read by another codec than they will be written with.
    pub(super) is_migrated: bool,
    /// Where the backend stands. What does not lie in the streams as it will be written begins
    /// now, so no checkpoint that was frozen before can be built upon:
    ///
    /// 1. a checkpoint is frozen while nobody has registered the state, and refers to its blocks;
    /// 2. the state is registered, and its values are migrated;
    /// 3. the checkpoint completes, and is the base of the next one: its blocks hold old values.
    pub(super) moment: Moment,
}

/// The chains of a layout; a block of an unsegmented map counts as one.
fn chains_of(layout: &MapLayout) -> Vec<Chain> {
    match layout {
        MapLayout::Segmented(chains) => chains.clone(),
        MapLayout::Unsegmented(blocks) => {
            let chain =
                |block: &BlockRef| Chain { entry_count: block.records, blocks: vec![*block] };
            blocks.iter().map(chain).collect()
        }
    }
}

impl<K: StateKey> Filling<'_, K> {
    /// Fills copy-on-write maps.
    pub(super) fn fill<E>(
        &self,
        table: &mut CopyOnWriteTable<E>,
        reader: &Arc<dyn EntryReader<E>>,
    ) -> Result<(), StateError>
    where
        E: Slot<Key = K>,
        E::Namespace: StateKey,
        E::State: StateValue,
    {
        let is_segmented =
            self.raw.maps.values().all(|map| matches!(**map, MapLayout::Segmented(_)));
        let mut maps = self.streamed(reader, is_segmented);
        let is_parted = is_segmented && is_parted_alike(&maps)?;
        let born = if self.is_migrated { self.moment.now } else { 0 };
        if is_parted && self.is_lazy {
            for (group, map) in maps {
                put(&mut table.groups, group, lazy_segments(map, born));
            }
            return Ok(());
        }
        let segments = if is_parted { loaded(&maps, born)? } else { None };
        if let Some(segments) = segments {
            for (group, segments) in segments {
                put(&mut table.groups, group, segments);
            }
            return Ok(());
        }
        for (_, map) in &mut maps {
            map.is_parted = false;
        }
        let (moment, split_at) = (self.moment, table.split_at());
        let rehashed =
            maps.par_iter().map(|(group, map)| Ok((*group, rehashed(map, moment, split_at)?)));
        for (group, map) in rehashed.collect::<Result<Vec<_>, StateError>>()? {
            put(&mut table.groups, group, map);
        }
        Ok(())
    }

    /// Fills nested maps.
    pub(super) fn fill_nested<N: StateKey, S: StateValue>(
        &self,
        nested: &mut [NestedStateMap<K, N, S>],
        reader: &Arc<dyn EntryReader<InlineSlot<K, N, S>>>,
    ) -> Result<(), StateError> {
        for (group, map) in self.streamed(reader, false) {
            let Some(nested) = nested.get_mut(group) else { continue };
            for number in 0..map.chains.len() {
                for entry in map.load(number)? {
                    let probe = Probe::new(entry.key(), entry.namespace(), map.rules.hasher);
                    if !nested.insert(&probe, entry.state().clone()) {
                        return Err(map.named(twice()));
                    }
                }
            }
        }
        Ok(())
    }

    fn streamed<E>(
        &self,
        reader: &Arc<dyn EntryReader<E>>,
        is_parted: bool,
    ) -> Vec<(usize, StreamedMap<E>)>
    where
        E: Slot<Key = K>,
    {
        let key_groups: Vec<KeyGroup> = self.key_groups.iter().collect();
        let maps = self.raw.maps.iter().filter_map(|(group, map)| {
            let chains = chains_of(map);
            let rules = LoadRules {
                hasher: *self.hashers.get(*group)?,
                key_group: *key_groups.get(*group)?,
                assigner: self.assigner,
                max_parallelism: self.max_parallelism,
                partition: Partition::new(chains.len()),
            };
            let (state, streams) = (Arc::clone(&self.state), Arc::clone(&self.raw.streams));
            let kept = Arc::clone(&self.raw.kept);
            let reader = Arc::clone(reader);
            Some((*group, StreamedMap { state, streams, kept, chains, reader, rules, is_parted }))
        });
        maps.collect()
    }
}

fn put<E: Slot>(groups: &mut Groups<E>, group: usize, map: CopyOnWriteStateMap<E>) {
    if let Some(slot) = groups.map_mut(group) {
        *slot = map;
    }
}

fn twice() -> Refusal {
    let reason = "a key comes twice";
    Refusal::Codec(CodecError::Invalid { what: "block", offset: 0, reason })
}

/// Tries segments of maps that have several, until enough entries lie where they are expected: one
/// entry would do so by chance in half of the cases where there are two segments.
fn is_parted_alike<E: Slot>(maps: &[(usize, StreamedMap<E>)]) -> Result<bool, StateError> {
    let mut tried = 0;
    for (_, map) in maps.iter().filter(|(_, map)| map.chains.len() > 1) {
        for number in 0..map.chains.len() {
            match map.load_segment(number) {
                Ok(entries) => tried += entries.len(),
                Err(Refusal::Segment) => return Ok(false),
                Err(refusal) => return Err(map.named(refusal)),
            }
            if tried >= ENOUGH_TRIED {
                return Ok(true);
            }
        }
    }
    Ok(true)
}

fn lazy_segments<E: Slot>(map: StreamedMap<E>, born: Epoch) -> CopyOnWriteStateMap<E>
where
    E::Key: Send + Sync,
{
    let lens: Vec<Option<u32>> = map
        .chains
        .iter()
        .map(|chain| (!chain.blocks.is_empty()).then_some(chain.entry_count))
        .collect();
    let source: Arc<dyn SegmentSource<E>> = Arc::new(map);
    let segment = |(number, len): (usize, Option<u32>)| {
        let Some(len) = len else { return Segment::restored(HashTable::new(), born) };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        Segment::lazily_restored(LazySegment::new(Arc::clone(&source), number, len), born)
    };
    let segments = lens.into_iter().enumerate().map(segment);
    CopyOnWriteStateMap::from_segments(segments.collect())
}

/// The position of a key group, and its map.
type GroupMap<E> = (usize, CopyOnWriteStateMap<E>);

/// Loads all segments on all threads; `None` when keys turn out to be parted otherwise.
fn loaded<E: Slot>(
    maps: &[(usize, StreamedMap<E>)],
    born: Epoch,
) -> Result<Option<Vec<GroupMap<E>>>, StateError>
where
    E::Key: Send + Sync,
{
    let load = |(group, map): &(usize, StreamedMap<E>)| {
        let segment = |number| match map.load_segment(number) {
            Ok(table) => Ok(Some(Segment::restored(table, born))),
            Err(Refusal::Segment) => Ok(None),
            Err(refusal) => Err(map.named(refusal)),
        };
        let numbers = (0..map.chains.len()).into_par_iter();
        let segments = numbers.map(segment).collect::<Result<Vec<_>, StateError>>()?;
        let segments = segments.into_iter().collect::<Option<Vec<_>>>();
        Ok(segments.map(|segments| (*group, CopyOnWriteStateMap::from_segments(segments))))
    };
    let maps = maps.par_iter().map(load).collect::<Result<Vec<_>, StateError>>()?;
    Ok(maps.into_iter().collect())
}

/// A map with all entries inserted by the hash of this process.
fn rehashed<E>(
    map: &StreamedMap<E>,
    moment: Moment,
    split_at: usize,
) -> Result<CopyOnWriteStateMap<E>, StateError>
where
    E: Slot,
    E::Key: StateKey,
    E::Namespace: StateKey,
    E::State: StateValue,
{
    let mut rehashed = CopyOnWriteStateMap::<E>::default();
    let writing = Writing { moment, spares: None, split_at };
    for number in 0..map.chains.len() {
        for entry in map.load(number)? {
            let probe = Probe::new(entry.key(), entry.namespace(), map.rules.hasher);
            let state = || entry.state().clone();
            let (_, is_new) = rehashed.entry(&probe, state, writing).map_err(not_loaded)?;
            if !is_new {
                return Err(map.named(twice()));
            }
        }
    }
    Ok(rehashed)
}
