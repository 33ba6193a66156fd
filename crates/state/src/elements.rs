//! The elements of a list, or the keys or values of a map, one after the other.
//!
//! Roles: a backend gives [`Chunk`]s, each of elements that lie together; [`Elements`] gives their
//! elements. Only the next chunk is asked for through a trait object, so an element costs what it
//! costs in a slice.
//!
//! Invariants: after an error, and after the end, there is nothing more.

use std::{fmt, slice, vec};

use crate::{Ref, StateError};

/// Elements that follow one another.
#[derive(Debug)]
pub enum Chunk<'a, T> {
    /// Elements as they lie in memory.
    Borrowed(slice::Iter<'a, T>),
    /// Elements that had to be decoded.
    Owned(vec::IntoIter<T>),
    /// One element, if it has not been taken.
    Single(Option<Ref<'a, T>>),
}

impl<'a, T> Chunk<'a, T> {
    #[inline]
    fn next(&mut self) -> Option<Ref<'a, T>> {
        match self {
            Self::Borrowed(elements) => elements.next().map(Ref::Borrowed),
            Self::Owned(elements) => elements.next().map(Ref::Owned),
            Self::Single(element) => element.take(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Borrowed(elements) => elements.len(),
            Self::Owned(elements) => elements.len(),
            Self::Single(element) => usize::from(element.is_some()),
        }
    }
}

type Chunks<'a, T> = dyn Iterator<Item = Result<Chunk<'a, T>, StateError>> + 'a;

/// Elements of a list, or keys or values of a map: an iterator over
/// `Result<Ref<T>, StateError>`.
pub struct Elements<'a, T> {
    chunk: Chunk<'a, T>,
    /// What comes after the chunk at hand.
    rest: Option<Box<Chunks<'a, T>>>,
    /// What comes after everything else.
    error: Option<StateError>,
}

impl<'a, T> Elements<'a, T> {
    /// Elements that lie in memory.
    #[inline]
    pub fn of_slice(elements: &'a [T]) -> Self {
        Self { chunk: Chunk::Borrowed(elements.iter()), rest: None, error: None }
    }

    /// Elements that come chunk by chunk.
    pub fn of_chunks(chunks: impl Iterator<Item = Result<Chunk<'a, T>, StateError>> + 'a) -> Self {
        Self { rest: Some(Box::new(chunks)), ..Self::of_slice(&[]) }
    }

    /// Elements that come one at a time.
    pub fn new(elements: impl Iterator<Item = Result<Ref<'a, T>, StateError>> + 'a) -> Self {
        Self::of_chunks(elements.map(|element| Ok(Chunk::Single(Some(element?)))))
    }

    /// Gets the next chunk; whether there is one.
    // Gives no result: a place for one would have an address, and `next` would go through it.
    #[inline(never)]
    fn next_chunk(&mut self) -> bool {
        match self.rest.as_mut().and_then(Iterator::next) {
            Some(Ok(chunk)) => {
                self.chunk = chunk;
                true
            }
            end => {
                self.error = end.and_then(Result::err);
                self.rest = None;
                false
            }
        }
    }
}

impl<'a, T> Iterator for Elements<'a, T> {
    type Item = Result<Ref<'a, T>, StateError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(element) = self.chunk.next() {
                return Some(Ok(element));
            }
            if self.rest.is_none() || !self.next_chunk() {
                return self.error.take().map(Err);
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let at_hand = self.chunk.len();
        (at_hand, self.rest.is_none().then(|| at_hand + usize::from(self.error.is_some())))
    }
}

impl<T> fmt::Debug for Elements<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Elements({} at hand)", self.chunk.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(elements: Elements<'_, u32>) -> Vec<Option<u32>> {
        elements.map(|element| element.ok().map(|element| *element)).collect()
    }

    #[test]
    fn chunks_are_read_one_after_the_other_and_nothing_after_an_error() {
        let borrowed = [1, 2];
        let chunks = || {
            vec![
                Ok(Chunk::Borrowed(borrowed.iter())),
                Ok(Chunk::Owned(Vec::new().into_iter())),
                Ok(Chunk::Owned(vec![3].into_iter())),
            ]
        };
        assert_eq!(taken(Elements::of_chunks(chunks().into_iter())), [Some(1), Some(2), Some(3)]);
        let mut broken = chunks();
        broken.insert(1, Err(StateError::ForeignHandle));
        let found = taken(Elements::of_chunks(broken.into_iter()));
        assert_eq!(found, [Some(1), Some(2), None]);
    }

    #[test]
    fn single_elements_end_at_an_error() {
        let elements = [Ok(Ref::Owned(1)), Err(StateError::ForeignHandle), Ok(Ref::Owned(2))];
        assert_eq!(taken(Elements::new(elements.into_iter())), [Some(1), None]);
        assert_eq!(taken(Elements::of_slice(&[7, 8])), [Some(7), Some(8)]);
        assert_eq!(Elements::of_slice(&[7, 8]).size_hint(), (2, Some(2)));
    }
}
