//! A hash table in segments, grown and shrunk by linear hashing, frozen by cloning pointers.
//!
//! 16 segments form a *chunk*. Segments and chunks are behind `Arc`. A clone of the table clones
//! the pointers to the chunks; a later write copies the one chunk (16 pointers) and the one segment
//! that it touches, if the clone still shares them. Growth splits one segment at a time, in turn,
//! and shrinking merges one, so no write ever moves more than that.
//!
//! Invariants:
//! - with `n` segments and `m` the largest power of two at or below `n`, a hash belongs to segment
//!   `b mod 2m` if that is below `n`, else to `b mod m`, where `b` is its bits 24 to 55;
//! - there are `ceil(n / 16)` chunks, and segment `i` is at place `i mod 16` of chunk `i / 16`;
//! - a table without entries has no segments.
//!
//! Source: W. Litwin, "Linear Hashing", 1980.

use std::fmt;

use hashbrown::HashTable;
use triomphe::Arc;

use crate::segment::{LoadError, Segment, Writing};
use crate::slot::Entry;
use crate::sync::point;

/// Segments of a chunk.
const CHUNK_LEN: usize = 16;
/// A table is merged when its segments are this much emptier than when they are split.
const MERGE_BELOW: usize = 4;

type Chunk<E> = Arc<[Option<Arc<Segment<E>>>; CHUNK_LEN]>;

/// Which segment a hash belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Partition {
    count: usize,
    /// Twice the largest power of two at or below `count`, less one; 1 when there is none.
    mask: usize,
}

impl Partition {
    /// Of a number of segments.
    pub(crate) const fn new(count: usize) -> Self {
        let base = if count == 0 { 1 } else { 1 << count.ilog2() };
        Self { count, mask: 2 * base - 1 }
    }

    /// The largest power of two at or below the number of segments.
    const fn base(self) -> usize {
        self.mask.div_ceil(2)
    }

    /// The segment of a hash.
    #[inline(always)]
    pub(crate) fn segment_of(self, hash: u64) -> usize {
        let bits = segment_bits(hash);
        let index = bits & self.mask;
        std::hint::select_unpredictable(index >= self.count, index & (self.mask >> 1), index)
    }
}

/// Bits 24 to 55 of a hash: the tables themselves use the lowest and the highest bits.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "32 bits are wanted")]
const fn segment_bits(hash: u64) -> usize {
    (hash >> 24) as u32 as usize
}

/// A hash table that is cloned by cloning pointers.
///
/// Aligned so that finding a segment touches one cache line of it.
#[repr(align(64))]
pub(crate) struct SegmentedTable<E: Entry> {
    chunks: Vec<Chunk<E>>,
    partition: Partition,
    len: usize,
    /// Number of entries at which the next insert splits a segment.
    grow_at: usize,
}

impl<E: Entry> fmt::Debug for SegmentedTable<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentedTable({} entries, {} segments)", self.len, self.partition.count)
    }
}

impl<E: Entry> Default for SegmentedTable<E> {
    fn default() -> Self {
        Self { chunks: Vec::new(), partition: Partition::new(0), len: 0, grow_at: 0 }
    }
}

impl<E: Entry> Clone for SegmentedTable<E> {
    fn clone(&self) -> Self {
        let Self { partition, len, grow_at, .. } = *self;
        Self { chunks: self.chunks.clone(), partition, len, grow_at }
    }
}

/// The segment at an index, ready to be written to.
#[inline(always)]
fn segment_for_writing<'a, E: Entry>(
    chunks: &'a mut [Chunk<E>],
    index: usize,
    writing: Writing<'_, E>,
) -> Result<&'a mut Segment<E>, LoadError> {
    Segment::for_writing(slot_of(chunks, index), writing)
}

#[inline(always)]
fn slot_of<E: Entry>(chunks: &mut [Chunk<E>], index: usize) -> &mut Arc<Segment<E>> {
    point();
    let chunk = chunks.get_mut(index / CHUNK_LEN);
    let slot = chunk.and_then(|chunk| Arc::make_mut(chunk).get_mut(index % CHUNK_LEN)?.as_mut());
    let Some(slot) = slot else { unreachable!("every hash has a segment, and {index} has none") };
    slot
}

impl<E: Entry> SegmentedTable<E> {
    /// A table of restored segments.
    pub(crate) fn from_segments(segments: Vec<Segment<E>>) -> Self {
        let len = segments.iter().map(Segment::len).sum();
        let partition = Partition::new(segments.len());
        let mut segments = segments.into_iter().map(Arc::new);
        let chunk = |_| Arc::new(std::array::from_fn(|_| segments.next()));
        let chunks = (0..partition.count.div_ceil(CHUNK_LEN)).map(chunk).collect();
        // The first insert finds out how large segments may be.
        Self { chunks, partition, len, grow_at: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    #[cfg(test)]
    pub(crate) const fn partition(&self) -> Partition {
        self.partition
    }

    /// The segments, in order.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment<E>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().flatten()).map(|segment| &**segment)
    }

    /// The segment at a position.
    pub(crate) fn segment(&self, index: usize) -> Option<&Segment<E>> {
        self.chunks.get(index / CHUNK_LEN)?.get(index % CHUNK_LEN)?.as_deref()
    }

    /// The segments that nobody else shares, to be taken apart.
    pub(crate) fn unshared_slots(&mut self) -> impl Iterator<Item = &mut Arc<Segment<E>>> {
        self.chunks.iter_mut().filter_map(Arc::get_mut).flatten().flatten()
    }

    /// The entry of a hash.
    #[inline(always)]
    pub(crate) fn get(
        &self,
        hash: u64,
        same: impl Fn(&E) -> bool,
    ) -> Result<Option<&E>, LoadError> {
        Ok(self.table_of(hash)?.and_then(|table| table.find(hash, same)))
    }

    /// The table of the segment of a hash; `None` where there is no segment.
    #[inline(always)]
    pub(crate) fn table_of(&self, hash: u64) -> Result<Option<&HashTable<E>>, LoadError> {
        let index = self.partition.segment_of(hash);
        let chunk = self.chunks.get(index / CHUNK_LEN);
        match chunk.and_then(|chunk| chunk.get(index % CHUNK_LEN)) {
            Some(Some(segment)) => segment.table().map(Some),
            _ => Ok(None),
        }
    }

    /// The table of the segment of a hash, if there is one that is loaded.
    #[inline(always)]
    pub(crate) fn loaded_table_of(&self, hash: u64) -> Option<&HashTable<E>> {
        let index = self.partition.segment_of(hash);
        let chunk = self.chunks.get(index / CHUNK_LEN)?;
        chunk.get(index % CHUNK_LEN)?.as_ref()?.loaded()
    }

    /// The entry of a hash, inserted first when there is none; says whether it was.
    #[inline(always)]
    pub(crate) fn get_or_insert_with(
        &mut self,
        hash: u64,
        same: impl Fn(&E) -> bool,
        make: impl FnOnce() -> E,
        rehash: impl Fn(&E) -> u64,
        writing: Writing<'_, E>,
    ) -> Result<(&mut E, bool), LoadError> {
        if self.len >= self.grow_at {
            self.grow(&rehash, writing)?;
        }
        let index = self.partition.segment_of(hash);
        let segment = segment_for_writing(&mut self.chunks, index, writing)?;
        let (entry, is_new) = segment.get_or_insert_with(hash, same, make, rehash);
        self.len += usize::from(is_new);
        Ok((entry, is_new))
    }

    /// The entry of a hash, to be changed, if there is one.
    pub(crate) fn get_mut(
        &mut self,
        hash: u64,
        same: impl Fn(&E) -> bool,
        writing: Writing<'_, E>,
    ) -> Result<Option<&mut E>, LoadError> {
        // Looking first keeps a miss from copying a shared segment, or from being noted as a write.
        let index = self.partition.segment_of(hash);
        if !self.is_written_in(index, writing) && self.get(hash, &same)?.is_none() {
            return Ok(None);
        }
        let segment = segment_for_writing(&mut self.chunks, index, writing)?;
        Ok(segment.get_mut(hash, same))
    }

    /// Whether a segment belongs to this table alone, and has been written to in this epoch.
    #[inline]
    fn is_written_in(&self, index: usize, writing: Writing<'_, E>) -> bool {
        let chunk = self.chunks.get(index / CHUNK_LEN).filter(|chunk| chunk.is_unique());
        let segment = chunk.and_then(|chunk| chunk.get(index % CHUNK_LEN)?.as_ref());
        segment.is_some_and(|it| it.is_unique() && it.written() == writing.moment.now)
    }

    /// Removes the entry of a hash and says whether there was one.
    pub(crate) fn remove(
        &mut self,
        hash: u64,
        same: impl Fn(&E) -> bool,
        rehash: impl Fn(&E) -> u64,
        writing: Writing<'_, E>,
    ) -> Result<bool, LoadError> {
        let index = self.partition.segment_of(hash);
        if !self.is_written_in(index, writing) && self.get(hash, &same)?.is_none() {
            return Ok(false);
        }
        let segment = segment_for_writing(&mut self.chunks, index, writing)?;
        if !segment.remove(hash, same, &rehash) {
            return Ok(false);
        }
        self.len -= 1;
        if self.len == 0 {
            *self = Self::default();
        } else if self.partition.count > 1
            && self.len < self.partition.count * writing.split_at / MERGE_BELOW
        {
            self.merge_last(&rehash, writing)?;
        }
        Ok(true)
    }

    /// Makes the first segment, or splits the next one in turn: its entries go to itself and to a
    /// segment at the end.
    #[cold]
    fn grow(
        &mut self,
        rehash: &impl Fn(&E) -> u64,
        writing: Writing<'_, E>,
    ) -> Result<(), LoadError> {
        let now = writing.moment.now;
        let grow_at = |count: usize| count.saturating_mul(writing.split_at);
        self.grow_at = grow_at(self.partition.count);
        if self.len < self.grow_at {
            return Ok(());
        }
        self.grow_at = grow_at(self.partition.count + 1);
        if self.partition.count == 0 {
            self.push(Segment::new(HashTable::new(), now));
            return Ok(());
        }
        let grown = Partition::new(self.partition.count + 1);
        let slot = slot_of(&mut self.chunks, self.partition.count - self.partition.base());
        let entries = Segment::drain(slot)?;
        let moves = |entry: &E| grown.segment_of(rehash(entry)) == self.partition.count;
        let leaving = entries.iter().filter(|entry| moves(entry)).count();
        let mut stay = HashTable::with_capacity(entries.len() - leaving);
        let mut leave = HashTable::with_capacity(leaving);
        for entry in entries {
            let target = if moves(&entry) { &mut leave } else { &mut stay };
            target.insert_unique(rehash(&entry), entry, rehash);
        }
        *slot = Arc::new(Segment::new(stay, now));
        self.push(Segment::new(leave, now));
        Ok(())
    }

    fn push(&mut self, segment: Segment<E>) {
        let mut segment = Some(Arc::new(segment));
        let count = self.partition.count;
        match self.chunks.get_mut(count / CHUNK_LEN) {
            Some(chunk) => {
                if let Some(slot) = Arc::make_mut(chunk).get_mut(count % CHUNK_LEN) {
                    *slot = segment;
                }
            }
            None => self.chunks.push(Arc::new(std::array::from_fn(|_| segment.take()))),
        }
        self.partition = Partition::new(count + 1);
    }

    /// Undoes the last split: the entries of the last segment go back to where they came from.
    #[cold]
    fn merge_last(
        &mut self,
        rehash: &impl Fn(&E) -> u64,
        writing: Writing<'_, E>,
    ) -> Result<(), LoadError> {
        let last = self.partition.count - 1;
        let shrunk = Partition::new(last);
        // Loading may fail, so both are loaded before anything changes.
        for index in [last, last - shrunk.base()] {
            slot_of(&mut self.chunks, index).table()?;
        }
        let leave = Segment::drain(slot_of(&mut self.chunks, last))?;
        let target = slot_of(&mut self.chunks, last - shrunk.base());
        let mut stay = Segment::drain(target)?;
        stay.reserve(leave.len(), rehash);
        for entry in leave {
            stay.insert_unique(rehash(&entry), entry, rehash);
        }
        *target = Arc::new(Segment::new(stay, writing.moment.now));
        self.chunks.truncate(last.div_ceil(CHUNK_LEN));
        let chunk = self.chunks.get_mut(last / CHUNK_LEN);
        if let Some(slot) = chunk.and_then(|chunk| Arc::make_mut(chunk).get_mut(last % CHUNK_LEN)) {
            *slot = None;
        }
        self.partition = shrunk;
        self.grow_at = last.saturating_mul(writing.split_at);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
