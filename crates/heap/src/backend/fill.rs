//! From restored blocks to the maps of a table.
//!
//! Copy-on-write maps take the segments of the stream over as they are, loaded now (on all threads)
//! or when they are first touched. Where the hash of this process parts keys otherwise than the
//! writer's did, and for nested maps, every entry is inserted anew.
//!
//! Invariants: that keys are parted as in the stream is tried on one segment before it is relied
//! on, and checked of every entry that is loaded.

use std::sync::Arc;

use alluvium_core::{KeyGroup, KeyGroupAssigner, KeyGroupRange, MaxParallelism};
use alluvium_format::CodecError;
use alluvium_format::keyed::{BlockRef, Chain, MapLayout};
use alluvium_state::{StateError, StateKey, StateValue};
use rayon::prelude::*;

use crate::TableHasher;
use crate::groups::Groups;
use crate::map::{CopyOnWriteStateMap, NestedStateMap, Probe, StateMap};
use crate::moment::Moment;
use crate::segment::{LazySegment, Segment, SegmentSource, Writing};
use crate::segmented::Partition;
use crate::slot::{InlineSlot, Slot};
use crate::table::{
    CopyOnWriteTable, EntryReader, LoadRules, RawTable, Refusal, StreamedMap, not_loaded,
};

/// What the maps of one state are filled from.
pub(super) struct Filling<'r, K> {
    pub(super) state: Arc<str>,
    pub(super) raw: &'r RawTable,
    pub(super) key_groups: KeyGroupRange,
    pub(super) hashers: &'r [TableHasher],
    pub(super) assigner: KeyGroupAssigner<K>,
    pub(super) max_parallelism: MaxParallelism,
    pub(super) is_lazy: bool,
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
    /// Fills copy-on-write maps and says whether they are parted as in the stream.
    pub(super) fn fill<E>(
        &self,
        table: &mut CopyOnWriteTable<E>,
        reader: &Arc<dyn EntryReader<E>>,
    ) -> Result<bool, StateError>
    where
        E: Slot<Key = K>,
        E::Namespace: StateKey,
        E::State: StateValue,
    {
        let is_segmented =
            self.raw.maps.values().all(|map| matches!(&*map.layout, MapLayout::Segmented(_)));
        let mut maps = self.streamed(reader, is_segmented);
        let is_parted = is_segmented && is_parted_alike(&maps)?;
        for (_, map) in &mut maps {
            map.is_parted = is_parted;
        }
        let (split_at, groups) = (table.split_at(), &mut table.groups);
        if !is_parted {
            maps.par_iter()
                .map(|(group, map)| Ok((*group, rehashed(map, split_at)?)))
                .collect::<Result<Vec<_>, StateError>>()?
                .into_iter()
                .for_each(|(group, map)| put(groups, group, map));
        } else if self.is_lazy {
            for (group, map) in maps {
                put(groups, group, CopyOnWriteStateMap::from_segments(lazy_segments(map)));
            }
        } else {
            for (group, segments) in loaded(&maps)? {
                put(groups, group, CopyOnWriteStateMap::from_segments(segments));
            }
        }
        Ok(is_parted)
    }

    /// Fills nested maps; says that they are not parted.
    pub(super) fn fill_nested<N: StateKey, S: StateValue>(
        &self,
        nested: &mut [NestedStateMap<K, N, S>],
        reader: &Arc<dyn EntryReader<InlineSlot<K, N, S>>>,
    ) -> Result<bool, StateError> {
        for (group, map) in self.streamed(reader, false) {
            let Some(nested) = nested.get_mut(group) else { continue };
            for number in 0..map.chains.len() {
                for entry in map.load(number)? {
                    let probe = Probe::new(entry.key(), entry.namespace(), map.rules.hasher);
                    if !nested.insert(probe, entry.state().clone()) {
                        return Err(map.named(twice()));
                    }
                }
            }
        }
        Ok(false)
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
            let chains = chains_of(&map.layout);
            let rules = LoadRules {
                hasher: *self.hashers.get(*group)?,
                key_group: *key_groups.get(*group)?,
                assigner: self.assigner,
                max_parallelism: self.max_parallelism,
                partition: Partition::new(chains.len()),
            };
            let (state, streams) = (Arc::clone(&self.state), Arc::clone(&self.raw.streams));
            let reader = Arc::clone(reader);
            Some((*group, StreamedMap { state, streams, chains, reader, rules, is_parted }))
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

/// Tries one segment of a map that has several.
fn is_parted_alike<E: Slot>(maps: &[(usize, StreamedMap<E>)]) -> Result<bool, StateError> {
    let parted = maps.iter().find(|(_, map)| map.chains.len() > 1);
    let Some((_, map)) = parted else { return Ok(true) };
    let Some(number) = map.chains.iter().position(|chain| !chain.blocks.is_empty()) else {
        return Ok(true);
    };
    match map.load_segment(number) {
        Ok(_) => Ok(true),
        Err(Refusal::Segment) => Ok(false),
        Err(refusal) => Err(map.named(refusal)),
    }
}

fn lazy_segments<E: Slot>(map: StreamedMap<E>) -> Vec<Segment<E>>
where
    E::Key: Send + Sync,
{
    let counts: Vec<u32> = map.chains.iter().map(|chain| chain.entry_count).collect();
    let source: Arc<dyn SegmentSource<E>> = Arc::new(map);
    let segment = |(number, count)| {
        if count == 0 {
            return Segment::new(hashbrown::HashTable::new(), 0);
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Segment::restored(LazySegment::new(Arc::clone(&source), number, count))
    };
    counts.into_iter().enumerate().map(segment).collect()
}

/// The position of a key group, and the segments of its map.
type GroupSegments<E> = (usize, Vec<Segment<E>>);

/// Loads all segments on all threads.
fn loaded<E: Slot>(maps: &[(usize, StreamedMap<E>)]) -> Result<Vec<GroupSegments<E>>, StateError>
where
    E::Key: Send + Sync,
{
    let load = |(group, map): &(usize, StreamedMap<E>)| {
        let segment = |number| Ok(Segment::new(map.load(number)?, 0));
        let numbers = (0..map.chains.len()).into_par_iter();
        Ok((*group, numbers.map(segment).collect::<Result<Vec<_>, StateError>>()?))
    };
    maps.par_iter().map(load).collect()
}

/// A map with all entries inserted by the hash of this process.
fn rehashed<E>(map: &StreamedMap<E>, split_at: usize) -> Result<CopyOnWriteStateMap<E>, StateError>
where
    E: Slot,
    E::Key: StateKey,
    E::Namespace: StateKey,
    E::State: StateValue,
{
    let mut rehashed = CopyOnWriteStateMap::<E>::default();
    let writing = Writing { moment: Moment::FIRST, spares: None, split_at };
    for number in 0..map.chains.len() {
        for entry in map.load(number)? {
            let probe = Probe::new(entry.key(), entry.namespace(), map.rules.hasher);
            let state = || entry.state().clone();
            let (_, is_new) = rehashed.entry(probe, state, writing).map_err(not_loaded)?;
            if !is_new {
                return Err(map.named(twice()));
            }
        }
    }
    Ok(rehashed)
}
