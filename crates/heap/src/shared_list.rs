//! `SharedList`: the value of list state, cloned without copying its elements.
//!
//! A frozen table shares its lists, so the first append to one afterwards clones it. The newest
//! elements lie in the *tail*, a plain vector. A full tail becomes a *leaf* behind an `Arc`, in the
//! trees of the *spine*. A clone copies the tail and at most 31 pointers per level; a list that never
//! outgrew its tail has nothing else. Taking elements off at either end copies no more than that.
//!
//! Invariants:
//! - the tail is empty only in an empty list, and holds at most [`SharedList::LEAF_LEN`] elements;
//! - a spine is not empty; all its elements are before those of the tail;
//! - what an `Arc` holds is never changed.

mod codec;
mod spine;

pub(crate) use codec::SharedListCodec;

use std::fmt;

use alluvium_state::{Chunk, Elements};

use self::spine::Spine;

/// What a leaf should weigh, in bytes of elements.
const LEAF_LEN_BYTES: usize = 1024;

/// A list that is appended to, and that shares its elements with its clones.
#[derive(Clone)]
pub struct SharedList<T> {
    tail: Vec<T>,
    /// Most lists are short and have none.
    spine: Option<Box<Spine<T>>>,
}

impl<T> SharedList<T> {
    /// Elements of a leaf: a power of two from 8 to 128, about 1 KiB.
    pub const LEAF_LEN: usize = {
        let size = if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
        let fitting = LEAF_LEN_BYTES / size;
        if fitting < 8 {
            8
        } else if fitting > 128 {
            128
        } else {
            1 << fitting.ilog2()
        }
    };

    /// An empty list.
    pub const fn new() -> Self {
        Self { tail: Vec::new(), spine: None }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.spine_len() + self.tail.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.tail.is_empty()
    }

    /// Appends an element.
    #[inline]
    pub fn push(&mut self, element: T) {
        if self.tail.len() >= Self::LEAF_LEN {
            self.tail_to_leaf();
        }
        self.tail.push(element);
    }

    /// The element at a position.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.slice_from(index).first()
    }

    /// All elements, in order.
    pub fn iter(&self) -> Iter<'_, T> {
        self.iter_from(0)
    }

    /// The elements from a position on, in order; none from the end on.
    pub fn iter_from(&self, index: usize) -> Iter<'_, T> {
        let slice = self.slice_from(index);
        Iter { list: self, next_index: index.saturating_add(slice.len()), slice: slice.iter() }
    }

    /// The leaves from a position on, in order, the first one from that position.
    pub(crate) fn slices_from(&self, index: usize) -> impl Iterator<Item = &[T]> {
        let mut next_index = index;
        std::iter::from_fn(move || {
            let slice = self.slice_from(next_index);
            next_index = next_index.saturating_add(slice.len());
            (!slice.is_empty()).then_some(slice)
        })
    }

    /// The only leaf of a short list.
    pub(crate) fn as_slice(&self) -> Option<&[T]> {
        self.spine.is_none().then_some(&self.tail)
    }

    /// Takes elements off the front, all of them when there are no more.
    pub fn remove_front(&mut self, count: usize) {
        if count >= self.len() {
            *self = Self::new();
            return;
        }
        let spine_len = self.spine_len();
        match &mut self.spine {
            Some(spine) if count < spine_len => spine.remove_front(count),
            _ => {
                self.spine = None;
                self.tail.drain(..count - spine_len);
            }
        }
    }

    /// Takes the first element off. In a long list it is copied: clones may share it.
    pub fn pop_front(&mut self) -> Option<T>
    where
        T: Clone,
    {
        if self.spine.is_none() {
            return if self.tail.is_empty() { None } else { Some(self.tail.remove(0)) };
        }
        let first = self.get(0).cloned();
        self.remove_front(1);
        first
    }

    /// Cuts off everything behind the first elements.
    pub fn truncate(&mut self, len: usize)
    where
        T: Clone,
    {
        let spine_len = self.spine_len();
        match (&mut self.spine, len.checked_sub(1)) {
            (_, None) => *self = Self::new(),
            (Some(spine), Some(last)) if last < spine_len => {
                self.tail = spine.cut_after(last);
                if spine.len() == 0 {
                    self.spine = None;
                }
            }
            _ => self.tail.truncate(len - spine_len),
        }
    }

    fn spine_len(&self) -> usize {
        self.spine.as_ref().map_or(0, |spine| spine.len())
    }

    /// The elements from a position to the end of their leaf or of the tail.
    fn slice_from(&self, index: usize) -> &[T] {
        let slice = match &self.spine {
            Some(spine) if index < spine.len() => spine.slice_from(index),
            _ => self.tail.get(index - self.spine_len()..),
        };
        slice.unwrap_or_default()
    }

    #[cold]
    fn tail_to_leaf(&mut self) {
        let spine = self.spine.get_or_insert_with(|| Box::new(Spine::new()));
        spine.push(self.tail.drain(..).collect());
    }
}

impl<T> Default for SharedList<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Extend<T> for SharedList<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        elements.into_iter().for_each(|element| self.push(element));
    }
}

impl<T> FromIterator<T> for SharedList<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut list = Self::new();
        list.extend(elements);
        list
    }
}

impl<T> From<Vec<T>> for SharedList<T> {
    /// A short vector is taken as it is.
    fn from(elements: Vec<T>) -> Self {
        if elements.len() <= Self::LEAF_LEN {
            Self { tail: elements, spine: None }
        } else {
            elements.into_iter().collect()
        }
    }
}

impl<T: PartialEq> PartialEq for SharedList<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other)
    }
}

impl<T: Eq> Eq for SharedList<T> {}

impl<T: fmt::Debug> fmt::Debug for SharedList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<'a, T> IntoIterator for &'a SharedList<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// Elements of a [`SharedList`], in order.
pub struct Iter<'a, T> {
    list: &'a SharedList<T>,
    /// Position of the first element behind `slice`.
    next_index: usize,
    /// What is left of a leaf or of the tail.
    slice: std::slice::Iter<'a, T>,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        if let Some(element) = self.slice.next() {
            return Some(element);
        }
        let slice = self.list.slice_from(self.next_index);
        self.next_index += slice.len();
        self.slice = slice.iter();
        self.slice.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.slice.len() + self.list.len().saturating_sub(self.next_index);
        (left, Some(left))
    }
}

impl<T: fmt::Debug> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.next_index.saturating_sub(self.slice.len());
        f.debug_list().entries(self.list.iter_from(from)).finish()
    }
}

/// The elements from a position on; a short list is read without a detour.
pub(crate) fn elements_from<T>(list: Option<&SharedList<T>>, index: usize) -> Elements<'_, T> {
    let Some(list) = list else { return Elements::of_slice(&[]) };
    match list.as_slice() {
        Some(short) => Elements::of_slice(short.get(index..).unwrap_or_default()),
        None => Elements::of_chunks(
            list.slices_from(index).map(|slice| Ok(Chunk::Borrowed(slice.iter()))),
        ),
    }
}

#[cfg(test)]
mod tests;
