//! A map of a few entries: they lie one after the other, and a byte of each hash says where to look.
//!
//! The bytes lie beside the pointer to the entries, so a key that is there costs one access to memory
//! behind that pointer, and one that is not costs none. A hash table has two: its control bytes, and
//! the entry.
//!
//! Invariants: the tag of each entry is at its position, the least significant byte first; the bytes
//! behind the last one are zero; there are at most [`MAX_TINY_LEN`] entries, with different keys.

/// Most entries of a tiny map: the bytes of its tags.
pub(super) const MAX_TINY_LEN: usize = 16;

const ONES: u128 = u128::from_le_bytes([1; MAX_TINY_LEN]);

/// Entries, found by hash and comparison.
#[derive(Debug, Clone)]
pub(crate) struct TinyMap<E> {
    /// Two halves, as a whole would be aligned to 16 bytes.
    tags: [u64; 2],
    entries: Vec<E>,
}

impl<E> TinyMap<E> {
    pub(super) const fn new() -> Self {
        Self { tags: [0; 2], entries: Vec::new() }
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no room for another entry.
    pub(super) const fn is_full(&self) -> bool {
        self.entries.len() >= MAX_TINY_LEN
    }

    pub(super) fn entries(&self) -> &[E] {
        &self.entries
    }

    pub(super) fn into_entries(self) -> Vec<E> {
        self.entries
    }

    /// The position of an entry.
    #[inline]
    pub(super) fn find(&self, hash: u64, same: impl Fn(&E) -> bool) -> Option<usize> {
        let mut candidates = self.candidates(hash);
        while candidates != 0 {
            let position = (candidates.trailing_zeros() / 8) as usize;
            if self.entries.get(position).is_some_and(&same) {
                return Some(position);
            }
            candidates &= candidates - 1;
        }
        None
    }

    /// The highest bit of each byte that may be the tag of this hash. A borrow can set the one above a
    /// tag that is right, so each has to be compared.
    #[inline]
    fn candidates(&self, hash: u64) -> u128 {
        let different = self.all_tags() ^ (ONES * u128::from(tag_of(hash)));
        different.wrapping_sub(ONES) & !different & (ONES << 7)
    }

    #[inline]
    pub(super) fn get(&self, position: usize) -> Option<&E> {
        self.entries.get(position)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, position: usize) -> Option<&mut E> {
        self.entries.get_mut(position)
    }

    /// Adds an entry that is not there, if there is room, and gives its position.
    #[inline]
    pub(super) fn push(&mut self, hash: u64, entry: E) -> usize {
        let position = self.entries.len();
        self.entries.push(entry);
        self.set_tags(self.all_tags() | (u128::from(tag_of(hash)) << (8 * position)));
        position
    }

    /// Removes an entry; the last one takes its place.
    pub(super) fn remove(&mut self, position: usize) {
        let Some(last) = self.entries.len().checked_sub(1).filter(|last| position <= *last) else {
            return;
        };
        self.entries.swap_remove(position);
        let tags = self.all_tags();
        let moved = (tags >> (8 * last)) & 0xff;
        let others = tags & !(0xff << (8 * position)) & !(0xff << (8 * last));
        let moved = if position == last { 0 } else { moved << (8 * position) };
        self.set_tags(others | moved);
    }

    #[inline]
    fn all_tags(&self) -> u128 {
        let [low, high] = self.tags;
        u128::from(low) | (u128::from(high) << 64)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a number")]
    fn set_tags(&mut self, tags: u128) {
        self.tags = [tags as u64, (tags >> 64) as u64];
    }
}

#[inline]
const fn tag_of(hash: u64) -> u8 {
    (hash >> 56) as u8
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Hashes with few different tags, 0 and 255 among them, and neighbours.
    fn hash_of(key: u8) -> u64 {
        let tag = [0, 1, 2, 254, 255].get(usize::from(key % 5)).copied().unwrap_or(0_u64);
        (tag << 56) | u64::from(key)
    }

    proptest! {
        #[test]
        fn it_is_the_map_that_it_should_be(
            changes in proptest::collection::vec((any::<bool>(), 0..24_u8, any::<u16>()), 0..200),
        ) {
            let (mut tiny, mut model) = (TinyMap::new(), BTreeMap::new());
            for (is_put, key, value) in changes {
                let (hash, same) = (hash_of(key), |entry: &(u8, u16)| entry.0 == key);
                let found = tiny.find(hash, same);
                prop_assert_eq!(found.and_then(|at| tiny.get(at)).map(|it| it.1), model.get(&key).copied());
                match found {
                    Some(at) if is_put => {
                        tiny.get_mut(at).unwrap().1 = value;
                        model.insert(key, value);
                    }
                    Some(at) => {
                        tiny.remove(at);
                        model.remove(&key);
                    }
                    None if is_put && !tiny.is_full() => {
                        prop_assert_eq!(tiny.push(hash, (key, value)), model.len());
                        model.insert(key, value);
                    }
                    None => {}
                }
                prop_assert_eq!(tiny.len(), model.len());
                prop_assert_eq!(tiny.is_full(), model.len() == MAX_TINY_LEN);
                let mut entries = tiny.entries().to_vec();
                entries.sort_unstable();
                prop_assert_eq!(entries, model.iter().map(|(key, value)| (*key, *value)).collect::<Vec<_>>());
                let behind = tiny.all_tags().checked_shr(8 * u32::try_from(tiny.len()).unwrap());
                prop_assert_eq!(behind.unwrap_or(0), 0);
            }
        }
    }

    #[test]
    fn removing_what_is_not_there_changes_nothing() {
        let mut tiny = TinyMap::new();
        tiny.remove(0);
        tiny.push(hash_of(4), 4_u8);
        tiny.remove(1);
        assert_eq!(tiny.into_entries(), [4]);
    }
}
