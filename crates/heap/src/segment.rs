//! A segment: the small hash table that is copied on write, written as blocks and loaded as one.
//!
//! Roles: `table` holds the entries; `changes` says which of them a delta block must hold; `lazy`
//! stands for entries that still lie in a restored stream.
//!
//! Invariants:
//! - while `lazy` is there, `table` is empty, and nothing was written since the restore, whose
//!   epoch is 0; writes come in later ones;
//! - buckets move only in [`Segment::rebuild`], which moves the marks of `changes` along;
//! - a segment that a frozen table shares is never written to.

mod changes;
mod lazy;

pub(crate) use changes::Changes;
pub(crate) use lazy::{LazySegment, LoadError, SegmentSource};

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;
use triomphe::Arc;

use crate::moment::{Epoch, Moment};
use crate::slot::Entry;
use crate::sync::point;

/// Tables that are kept for reuse, at most.
const SPARE_TABLES: usize = 64;

/// Entries that are moved for each new one, at most, on average.
const MOVED_PER_ENTRY: usize = 64;

/// Tables of segments that nobody needs any more, on their way back to the writer.
///
/// The snapshot job gives them, the task takes them; neither ever waits for the other.
#[derive(Debug)]
pub(crate) struct Spares<E> {
    sender: SyncSender<HashTable<E>>,
    receiver: Receiver<HashTable<E>>,
}

/// The giving end of [`Spares`].
pub(crate) type SpareSender<E> = SyncSender<HashTable<E>>;

impl<E> Default for Spares<E> {
    fn default() -> Self {
        let (sender, receiver) = sync_channel(SPARE_TABLES);
        Self { sender, receiver }
    }
}

impl<E> Spares<E> {
    pub(crate) fn sender(&self) -> SpareSender<E> {
        self.sender.clone()
    }
}

/// What a write brings along.
#[derive(Debug)]
pub(crate) struct Writing<'a, E> {
    pub(crate) moment: Moment,
    pub(crate) spares: Option<&'a Spares<E>>,
    /// Entries per segment, on average, beyond which one is split.
    pub(crate) split_at: usize,
}

impl<E: Entry> Writing<'static, E> {
    /// A write to a table that belongs to no backend.
    pub(crate) const ALONE: Self =
        Self { moment: Moment::UNTRACKED, spares: None, split_at: E::SPLIT_AT };
}

impl<E> Clone for Writing<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Writing<'_, E> {}

/// The entries of one segment.
pub(crate) struct Segment<E: Entry> {
    table: HashTable<E>,
    changes: Option<Box<Changes<E::Removed>>>,
    lazy: Option<Arc<LazySegment<E>>>,
    /// Epoch of the last write.
    written: Epoch,
    /// Epoch since which the segment holds this part of the hashes.
    born: Epoch,
}

impl<E: Entry> fmt::Debug for Segment<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({} entries, written in epoch {})", self.len(), self.written)
    }
}

impl<E: Entry> Segment<E> {
    /// A segment that begins now.
    pub(crate) fn new(table: HashTable<E>, now: Epoch) -> Self {
        Self { table, changes: None, lazy: None, written: now, born: now }
    }

    /// A restored segment. It is in every checkpoint that was frozen in epoch `born` or later, as
    /// it is in the stream that it comes from.
    pub(crate) fn restored(table: HashTable<E>, born: Epoch) -> Self {
        Self { table, changes: None, lazy: None, written: 0, born }
    }

    /// A restored segment that is not loaded.
    pub(crate) fn lazily_restored(lazy: LazySegment<E>, born: Epoch) -> Self {
        Self { lazy: Some(Arc::new(lazy)), ..Self::restored(HashTable::new(), born) }
    }

    /// The entries, loaded first if they are not.
    #[inline(always)]
    pub(crate) fn table(&self) -> Result<&HashTable<E>, LoadError> {
        match &self.lazy {
            None => Ok(&self.table),
            Some(lazy) => lazy.table(),
        }
    }

    /// The entries, if they are loaded.
    #[inline]
    pub(crate) fn loaded(&self) -> Option<&HashTable<E>> {
        self.lazy.as_ref().map_or(Some(&self.table), |lazy| lazy.loaded())
    }

    /// What still has to be loaded.
    pub(crate) fn lazy(&self) -> Option<&Arc<LazySegment<E>>> {
        self.lazy.as_ref()
    }

    /// Number of entries; loads nothing.
    pub(crate) fn len(&self) -> usize {
        self.lazy.as_ref().map_or(self.table.len(), |lazy| lazy.entry_count())
    }

    pub(crate) const fn written(&self) -> Epoch {
        self.written
    }

    pub(crate) const fn born(&self) -> Epoch {
        self.born
    }

    /// The changes since a base, if all of them are known.
    pub(crate) fn changes_since(&self, base: Epoch) -> Option<&Changes<E::Removed>> {
        self.changes.as_deref().filter(|changes| changes.is_known_since(base))
    }

    /// The segment of a slot, copied first if a frozen table shares it, ready to be written to.
    #[inline(always)]
    pub(crate) fn for_writing<'a>(
        slot: &'a mut Arc<Self>,
        writing: Writing<'_, E>,
    ) -> Result<&'a mut Self, LoadError> {
        if !slot.is_unique() {
            point();
            let own = Arc::new(slot.copy(writing)?);
            point();
            *slot = own;
        }
        point();
        let Some(segment) = Arc::get_mut(slot) else { unreachable!("it was just found unshared") };
        // A segment that is not loaded was last written in epoch 0, which is over.
        if segment.written != writing.moment.now {
            segment.open_epoch(writing.moment)?;
        }
        Ok(segment)
    }

    #[cold]
    fn copy(&self, writing: Writing<'_, E>) -> Result<Self, LoadError> {
        let source = self.table()?;
        point();
        let spare = writing.spares.and_then(|spares| spares.receiver.try_recv().ok());
        point();
        let table = match spare {
            Some(mut spare) => {
                spare.clone_from(source);
                spare
            }
            None => source.clone(),
        };
        let (written, born) = (self.written, self.born);
        Ok(Self { table, changes: self.changes.clone(), lazy: None, written, born })
    }

    #[cold]
    fn open_epoch(&mut self, moment: Moment) -> Result<(), LoadError> {
        if let Some(lazy) = &self.lazy {
            lazy.table()?;
            point();
        }
        if let Some(lazy) = self.lazy.take() {
            self.table = LazySegment::into_table(lazy)?;
        }
        if self.written != moment.now {
            match &mut self.changes {
                Some(changes) => changes.open_epoch(self.written, moment),
                none => *none = Some(Box::new(Changes::since(self.written))),
            }
            self.written = moment.now;
        }
        Ok(())
    }

    /// The entry of a hash, inserted first when there is none; says whether it was.
    #[inline(always)]
    pub(crate) fn get_or_insert_with(
        &mut self,
        hash: u64,
        same: impl Fn(&E) -> bool,
        make: impl FnOnce() -> E,
        rehash: impl Fn(&E) -> u64,
    ) -> (&mut E, bool) {
        if self.changes.is_some() && self.table.len() == self.table.capacity() {
            // What follows would move buckets, and know nothing of their marks.
            // Some are left free, or entries that come and go would move all others each time.
            let len = self.table.len();
            self.rebuild((len + len / MOVED_PER_ENTRY + 1).max(3), &rehash);
        }
        let (entry, is_new) = match self.table.entry(hash, same, rehash) {
            TableEntry::Occupied(entry) => (entry, false),
            TableEntry::Vacant(entry) => (entry.insert(make()), true),
        };
        if let Some(changes) = &mut self.changes {
            changes.touch(entry.bucket_index());
        }
        (entry.into_mut(), is_new)
    }

    /// The entry of a hash, to be changed.
    pub(crate) fn get_mut(&mut self, hash: u64, same: impl Fn(&E) -> bool) -> Option<&mut E> {
        let bucket = self.table.find_bucket_index(hash, same)?;
        if let Some(changes) = &mut self.changes {
            changes.touch(bucket);
        }
        self.table.get_bucket_mut(bucket)
    }

    /// Removes the entry of a hash and says whether there was one.
    pub(crate) fn remove(
        &mut self,
        hash: u64,
        same: impl Fn(&E) -> bool,
        rehash: impl Fn(&E) -> u64,
    ) -> bool {
        let Ok(found) = self.table.find_entry(hash, same) else { return false };
        let (entry, _) = found.remove();
        if let Some(changes) = &mut self.changes {
            changes.remove(entry.into_removed());
            // Many removals cost more than a full block would: let the next one be full.
            if changes.removed_count() > self.table.len() + SPARE_TABLES {
                self.changes = None;
                self.born = self.written;
            }
        }
        if self.table.len() * 8 < self.table.num_buckets() && self.table.num_buckets() > 16 {
            self.rebuild(self.table.len(), rehash);
        }
        true
    }

    /// Moves all entries into a table of another capacity.
    #[cold]
    fn rebuild(&mut self, capacity: usize, rehash: impl Fn(&E) -> u64) {
        let Some(changes) = &mut self.changes else {
            if capacity > self.table.len() {
                self.table.reserve(capacity - self.table.len(), rehash);
            } else {
                self.table.shrink_to(capacity, rehash);
            }
            return;
        };
        let mut table = HashTable::with_capacity(capacity);
        let mut moved = Vec::with_capacity(self.table.len());
        for from in self.table.iter_buckets() {
            let Some(entry) = self.table.get_bucket(from) else { continue };
            let to = table.insert_unique(rehash(entry), entry.clone(), &rehash).bucket_index();
            moved.push((from, to));
        }
        changes.move_buckets(&moved);
        self.table = table;
    }

    /// Takes the entries out, or copies them where they are shared.
    pub(crate) fn drain(slot: &mut Arc<Self>) -> Result<HashTable<E>, LoadError> {
        slot.table()?;
        point();
        match Arc::get_mut(slot) {
            Some(Self { lazy: None, table, .. }) => Ok(std::mem::take(table)),
            _ => slot.table().cloned(),
        }
    }

    /// Gives the memory of a segment back that nobody else shares any more.
    pub(crate) fn recycle(slot: &mut Arc<Self>, spares: &SpareSender<E>) {
        if let Some(segment) = Arc::get_mut(slot)
            && segment.table.num_buckets() > 16
        {
            point();
            let mut table = std::mem::take(&mut segment.table);
            table.clear();
            point();
            // A full channel has enough of them.
            let _ = spares.try_send(table);
        }
    }
}
