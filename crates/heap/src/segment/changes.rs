//! What changed in a segment since which epoch.
//!
//! Two sets: *recent* are the changes of the epoch of the last write, *older* those of the epochs
//! before it. When a checkpoint is confirmed, what it holds is dropped at the next write that opens
//! an epoch; until then both sets may say more than is needed, never less.
//!
//! Invariants:
//! - every bucket that was inserted into or written to after epoch `floor`, and every entry that
//!   was removed after it, is in one of the sets;
//! - `older` concerns epochs up to `older_last` only, `recent` only later ones.

use crate::moment::{Epoch, Moment};

/// Changed buckets and removed entries.
#[derive(Debug, Clone)]
pub(crate) struct ChangeSet<R> {
    /// One bit per bucket.
    touched: Vec<u64>,
    removed: Vec<R>,
}

impl<R> Default for ChangeSet<R> {
    fn default() -> Self {
        Self { touched: Vec::new(), removed: Vec::new() }
    }
}

impl<R> ChangeSet<R> {
    #[inline]
    fn touch(&mut self, bucket: usize) {
        match self.touched.get_mut(bucket / 64) {
            Some(word) => *word |= 1 << (bucket % 64),
            None => self.grow_and_touch(bucket),
        }
    }

    #[cold]
    fn grow_and_touch(&mut self, bucket: usize) {
        self.touched.resize(bucket / 64 + 1, 0);
        self.touch(bucket);
    }

    fn contains(&self, bucket: usize) -> bool {
        self.touched.get(bucket / 64).is_some_and(|word| word & (1 << (bucket % 64)) != 0)
    }

    fn buckets(&self) -> impl Iterator<Item = usize> {
        self.touched.iter().enumerate().flat_map(|(index, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(index * 64 + bit)
            })
        })
    }

    fn clear(&mut self) {
        self.touched.fill(0);
        self.removed.clear();
    }

    fn merge(&mut self, other: &mut Self) {
        if self.touched.len() < other.touched.len() {
            self.touched.resize(other.touched.len(), 0);
        }
        for (own, others) in self.touched.iter_mut().zip(&other.touched) {
            *own |= others;
        }
        self.removed.append(&mut other.removed);
        other.clear();
    }
}

/// The changes of a segment.
#[derive(Debug, Clone)]
pub(crate) struct Changes<R> {
    floor: Epoch,
    older: ChangeSet<R>,
    older_last: Epoch,
    recent: ChangeSet<R>,
}

impl<R> Changes<R> {
    /// Of a segment that was last written in an epoch and not tracked.
    pub(crate) fn since(floor: Epoch) -> Self {
        let (older, recent) = (ChangeSet::default(), ChangeSet::default());
        Self { floor, older, older_last: floor, recent }
    }

    /// Opens another epoch; `last` is that of the last write.
    pub(crate) fn open_epoch(&mut self, last: Epoch, moment: Moment) {
        match moment.base {
            Some(base) if base >= last => {
                self.older.clear();
                self.recent.clear();
                self.floor = last;
            }
            Some(base) if base >= self.older_last => {
                self.floor = self.older_last;
                std::mem::swap(&mut self.older, &mut self.recent);
                self.recent.clear();
            }
            _ => self.older.merge(&mut self.recent),
        }
        self.older_last = last;
    }

    #[inline]
    pub(crate) fn touch(&mut self, bucket: usize) {
        self.recent.touch(bucket);
    }

    pub(crate) fn remove(&mut self, removed: R) {
        self.recent.removed.push(removed);
    }

    /// How many removed entries are remembered.
    pub(crate) fn removed_count(&self) -> usize {
        self.older.removed.len() + self.recent.removed.len()
    }

    /// Whether all changes after an epoch are known.
    pub(crate) const fn is_known_since(&self, base: Epoch) -> bool {
        self.floor <= base
    }

    /// The buckets that changed after an epoch, each once.
    pub(crate) fn touched_since(&self, base: Epoch) -> impl Iterator<Item = usize> {
        let recent = &self.recent;
        let older = (self.older_last > base).then_some(&self.older).into_iter();
        let older = older.flat_map(ChangeSet::buckets).filter(|bucket| !recent.contains(*bucket));
        recent.buckets().chain(older)
    }

    /// What was removed after an epoch; an entry may come several times, and may be back.
    pub(crate) fn removed_since(&self, base: Epoch) -> impl Iterator<Item = &R> {
        let older = (self.older_last > base).then_some(&self.older).into_iter();
        older.flat_map(|set| &set.removed).chain(&self.recent.removed)
    }

    /// The same changes in a table with other buckets; `moved` are pairs of old and new bucket.
    pub(crate) fn move_buckets(&mut self, moved: &[(usize, usize)]) {
        for set in [&mut self.older, &mut self.recent] {
            let before = std::mem::take(&mut set.touched);
            let before = ChangeSet::<R> { touched: before, removed: Vec::new() };
            for (from, to) in moved {
                if before.contains(*from) {
                    set.touch(*to);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(now: Epoch, base: Option<Epoch>) -> Moment {
        Moment { now, base }
    }

    fn touched(changes: &Changes<u8>, base: Epoch) -> Vec<usize> {
        let mut touched: Vec<usize> = changes.touched_since(base).collect();
        touched.sort_unstable();
        touched
    }

    #[test]
    fn what_a_confirmed_checkpoint_holds_is_dropped() {
        let mut changes = Changes::since(1);
        changes.open_epoch(1, at(2, None));
        changes.touch(3);
        changes.remove(7);
        changes.open_epoch(2, at(3, Some(2)));
        changes.touch(70);
        assert_eq!(touched(&changes, 2), [70]);
        assert_eq!(changes.removed_since(2).count(), 0);
        assert!(changes.is_known_since(2));
        assert!(!changes.is_known_since(1));
    }

    #[test]
    fn what_an_aborted_checkpoint_held_stays() {
        let mut changes = Changes::since(1);
        changes.open_epoch(1, at(2, Some(1)));
        changes.touch(3);
        changes.remove(7);
        changes.open_epoch(2, at(3, Some(1)));
        changes.touch(70);
        changes.touch(3);
        assert_eq!(touched(&changes, 1), [3, 70]);
        assert_eq!(changes.removed_since(1).collect::<Vec<_>>(), [&7]);
    }

    #[test]
    fn a_base_between_the_two_sets_keeps_the_later_one() {
        let mut changes = Changes::since(1);
        changes.open_epoch(1, at(2, Some(1)));
        changes.touch(1);
        changes.open_epoch(2, at(3, Some(1)));
        changes.touch(2);
        changes.open_epoch(3, at(4, Some(2)));
        changes.touch(3);
        assert_eq!(touched(&changes, 2), [2, 3]);
        assert_eq!(touched(&changes, 3), [3]);
        assert!(changes.is_known_since(2));
        assert!(!changes.is_known_since(1));
    }

    #[test]
    fn moved_buckets_keep_their_marks() {
        let mut changes = Changes::<u8>::since(0);
        changes.touch(5);
        changes.open_epoch(1, at(2, Some(0)));
        changes.touch(6);
        changes.move_buckets(&[(4, 90), (5, 91), (6, 92)]);
        assert_eq!(touched(&changes, 0), [91, 92]);
    }
}
