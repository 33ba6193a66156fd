//! `CopyOnWriteStateMap`: segments behind `Arc`, grown by linear hashing.
//!
//! The entries of a map lie in *segments*, small hash tables of about 32 KiB; 64 segments form a
//! *chunk*. Both are behind `Arc`. A freeze clones the pointers to the chunks; a later write copies
//! the one chunk (64 pointers) and the one segment that it touches, if the frozen map still shares
//! them. Growth splits one segment at a time, in turn, so no insert ever moves more than that.
//!
//! Invariants:
//! - with `n` segments and `m` the largest power of two at or below `n`, a hash belongs to segment
//!   `b mod 2m` if that is below `n`, else to `b mod m`, where `b` is its bits 24 to 55;
//! - there are `ceil(n / 64)` chunks, and all but the last hold 64 segments;
//! - a segment that a frozen map shares is never written to.
//!
//! Source: Flink `CopyOnWriteStateMap` for what it does; W. Litwin, "Linear Hashing", 1980, for
//! how it grows.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::{Probe, StateMap};
use crate::TableHasher;

/// Segments of a chunk.
const CHUNK_LEN: usize = 64;
/// What a segment should weigh, in bytes of entries.
const SEGMENT_LEN_BYTES: usize = 32 * 1024;

type Slot<K, N, S> = (K, N, S);

/// A hash table with the entries of one segment.
pub(crate) type Segment<K, N, S> = HashTable<Slot<K, N, S>>;

type Chunk<K, N, S> = Vec<Arc<Segment<K, N, S>>>;

/// A hash map that is frozen by cloning pointers.
pub struct CopyOnWriteStateMap<K, N, S> {
    chunks: Vec<Arc<Chunk<K, N, S>>>,
    segment_count: usize,
    /// The largest power of two at or below `segment_count`; 1 when there is none.
    base: usize,
    len: usize,
}

impl<K, N, S> Default for CopyOnWriteStateMap<K, N, S> {
    fn default() -> Self {
        Self { chunks: Vec::new(), segment_count: 0, base: 1, len: 0 }
    }
}

impl<K, N, S> fmt::Debug for CopyOnWriteStateMap<K, N, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CopyOnWriteStateMap({} entries, {} segments)", self.len, self.segment_count)
    }
}

/// A map as it was at a freeze.
#[derive(Debug)]
pub struct CopyOnWriteSnapshot<K, N, S> {
    chunks: Vec<Arc<Chunk<K, N, S>>>,
}

impl<K, N, S> CopyOnWriteSnapshot<K, N, S> {
    /// The segments, in order.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment<K, N, S>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).map(|segment| &**segment)
    }

    /// Goes through all entries, in no order.
    pub fn for_each(&self, mut visit: impl FnMut(&K, &N, &S)) {
        for (key, namespace, state) in self.segments().flatten() {
            visit(key, namespace, state);
        }
    }
}

/// Bits 24 to 55 of a hash: the tables themselves use the lowest and the highest bits.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "32 bits are wanted")]
const fn segment_bits(hash: u64) -> usize {
    (hash >> 24) as u32 as usize
}

impl<K, N, S> CopyOnWriteStateMap<K, N, S> {
    /// Entries per segment beyond which one is split.
    const SPLIT_AT: usize = {
        let entries = SEGMENT_LEN_BYTES / (size_of::<Slot<K, N, S>>() + 1);
        if entries < 16 {
            16
        } else if entries > 4096 {
            4096
        } else {
            entries
        }
    };

    /// Fixes the map as it is now; costs one pointer per 64 segments.
    pub fn freeze(&self) -> CopyOnWriteSnapshot<K, N, S> {
        CopyOnWriteSnapshot { chunks: self.chunks.clone() }
    }

    #[inline]
    fn segment_index(&self, hash: u64) -> usize {
        let bits = segment_bits(hash);
        let index = bits & (2 * self.base - 1);
        std::hint::select_unpredictable(index >= self.segment_count, bits & (self.base - 1), index)
    }

    #[inline]
    fn segment(&self, hash: u64) -> Option<&Segment<K, N, S>> {
        let index = self.segment_index(hash);
        let chunk = self.chunks.get(index / CHUNK_LEN)?;
        chunk.get(index % CHUNK_LEN).map(|segment| &**segment)
    }
}

impl<K: Clone, N: Clone, S: Clone> CopyOnWriteStateMap<K, N, S> {
    #[inline]
    fn slot_mut(&mut self, index: usize) -> Option<&mut Arc<Segment<K, N, S>>> {
        let chunk = self.chunks.get_mut(index / CHUNK_LEN)?;
        Arc::make_mut(chunk).get_mut(index % CHUNK_LEN)
    }

    /// The segment of a hash, copied first if a frozen map shares it.
    #[inline]
    fn segment_mut(&mut self, hash: u64) -> Option<&mut Segment<K, N, S>> {
        let index = self.segment_index(hash);
        self.slot_mut(index).map(Arc::make_mut)
    }

    fn push_segment(&mut self, segment: Segment<K, N, S>) {
        if self.segment_count.is_multiple_of(CHUNK_LEN) {
            self.chunks.push(Arc::new(Vec::with_capacity(1)));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            Arc::make_mut(chunk).push(Arc::new(segment));
        }
        self.segment_count += 1;
        if self.segment_count == 2 * self.base {
            self.base *= 2;
        }
    }
}

impl<K: Eq + Hash + Clone, N: Eq + Hash + Clone, S: Clone> CopyOnWriteStateMap<K, N, S> {
    /// Splits the next segment in turn: its entries go to itself and to a segment at the end.
    #[cold]
    fn split(&mut self, hasher: &TableHasher) {
        let (next, new) = (self.segment_count - self.base, self.segment_count);
        let mask = 2 * self.base - 1;
        let rehash = |(key, namespace, _): &Slot<K, N, S>| hasher.hash_pair(key, namespace);
        let moves = |slot: &Slot<K, N, S>| segment_bits(rehash(slot)) & mask == new;
        let Some(segment) = self.slot_mut(next) else { return };
        let leaving = segment.iter().filter(|slot| moves(slot)).count();
        let mut stay = HashTable::with_capacity(segment.len() - leaving);
        let mut leave = HashTable::with_capacity(leaving);
        let mut place = |slot: Slot<K, N, S>| {
            let target = if moves(&slot) { &mut leave } else { &mut stay };
            target.insert_unique(rehash(&slot), slot, rehash);
        };
        match Arc::get_mut(segment) {
            Some(own) => std::mem::take(own).into_iter().for_each(&mut place),
            None => segment.iter().cloned().for_each(&mut place),
        }
        *segment = Arc::new(stay);
        self.push_segment(leave);
    }

    /// Makes the first segment, so that every hash has one.
    #[inline]
    fn grow_from_nothing(&mut self) {
        if self.segment_count == 0 {
            self.push_segment(HashTable::new());
        }
    }
}

impl<K: Eq + Hash + Clone, N: Eq + Hash + Clone, S: Clone> StateMap<K, N, S>
    for CopyOnWriteStateMap<K, N, S>
{
    fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn get(&self, probe: Probe<'_, K, N>) -> Option<&S> {
        let same =
            |(key, namespace, _): &Slot<K, N, S>| key == probe.key && namespace == probe.namespace;
        self.segment(probe.hash)?.find(probe.hash, same).map(|(_, _, state)| state)
    }

    #[inline]
    fn get_or_insert_with(
        &mut self,
        probe: Probe<'_, K, N>,
        initial: impl FnOnce() -> S,
    ) -> &mut S {
        self.grow_from_nothing();
        if self.len >= self.segment_count.saturating_mul(Self::SPLIT_AT) {
            self.split(probe.hasher);
        }
        let same =
            |(key, namespace, _): &Slot<K, N, S>| key == probe.key && namespace == probe.namespace;
        let rehash = |(key, namespace, _): &Slot<K, N, S>| probe.hasher.hash_pair(key, namespace);
        let index = self.segment_index(probe.hash);
        let Some(slot) = self
            .chunks
            .get_mut(index / CHUNK_LEN)
            .and_then(|chunk| Arc::make_mut(chunk).get_mut(index % CHUNK_LEN))
        else {
            unreachable!("segment {index} of {} has no slot", self.segment_count)
        };
        let entry = match Arc::make_mut(slot).entry(probe.hash, same, rehash) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => {
                self.len += 1;
                entry.insert((probe.key.clone(), probe.namespace.clone(), initial()))
            }
        };
        &mut entry.into_mut().2
    }

    #[inline]
    fn get_mut(&mut self, probe: Probe<'_, K, N>) -> Option<&mut S> {
        let same =
            |(key, namespace, _): &Slot<K, N, S>| key == probe.key && namespace == probe.namespace;
        self.segment_mut(probe.hash)?.find_mut(probe.hash, same).map(|(_, _, state)| state)
    }

    fn remove(&mut self, probe: Probe<'_, K, N>) {
        // Looking first keeps a miss from copying a shared segment.
        if self.get(probe).is_none() {
            return;
        }
        let same =
            |(key, namespace, _): &Slot<K, N, S>| key == probe.key && namespace == probe.namespace;
        if let Some(segment) = self.segment_mut(probe.hash)
            && let Ok(entry) = segment.find_entry(probe.hash, same)
        {
            entry.remove();
            self.len -= 1;
        }
    }

    fn for_each<'a>(&'a self, mut visit: impl FnMut(&'a K, &'a N, &'a S))
    where
        K: 'a,
        N: 'a,
        S: 'a,
    {
        for (key, namespace, state) in
            self.chunks.iter().flat_map(|chunk| chunk.iter()).flat_map(|segment| segment.iter())
        {
            visit(key, namespace, state);
        }
    }
}
