//! `SharedList`: the value of list state, cloned without copying its elements.
//!
//! A frozen table shares its lists, so the first append to one afterwards clones it. The newest
//! elements lie in the *tail*, a plain vector. A full tail becomes a *leaf* behind an `Arc`; 32
//! leaves become a *branch*, 32 branches a branch of the next level, like the digits of a counter
//! to the base 32. A clone copies the tail and at most 31 pointers per level; a list that never
//! outgrew its tail has nothing else.
//!
//! Ladder of names: list > level > node (leaf or branch) > element.
//!
//! Invariants:
//! - the tail is empty only in an empty list, and holds at most [`SharedList::LEAF_LEN`] elements;
//! - a leaf holds exactly that many, a branch exactly 32 nodes of the level below, a level at most
//!   31 nodes; elements are in the order of the levels, the highest first, then the tail;
//! - what an `Arc` holds is never changed.

mod codec;

pub(crate) use codec::SharedListCodec;

use std::fmt;

use triomphe::Arc;

/// Nodes of a branch.
const BRANCH_LEN: usize = 32;
/// What a leaf should weigh, in bytes of elements.
const LEAF_LEN_BYTES: usize = 512;

/// A list that is appended to, and that shares its elements with its clones.
#[derive(Clone)]
pub struct SharedList<T> {
    tail: Vec<T>,
    /// Most lists are short and have none.
    spine: Option<Box<Spine<T>>>,
}

/// Everything before the tail.
#[derive(Clone)]
struct Spine<T> {
    /// Number of elements below all nodes.
    len: usize,
    /// Level 0 has the leaves.
    levels: Vec<Vec<Node<T>>>,
}

enum Node<T> {
    Leaf(Arc<[T]>),
    Branch(Arc<[Node<T>]>),
}

impl<T> Clone for Node<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Leaf(elements) => Self::Leaf(Arc::clone(elements)),
            Self::Branch(nodes) => Self::Branch(Arc::clone(nodes)),
        }
    }
}

impl<T> SharedList<T> {
    /// Elements of a leaf: a power of two from 8 to 64, about 512 bytes.
    pub const LEAF_LEN: usize = {
        let size = if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
        let fitting = LEAF_LEN_BYTES / size;
        if fitting < 8 {
            8
        } else if fitting > 64 {
            64
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

    fn spine_len(&self) -> usize {
        self.spine.as_ref().map_or(0, |spine| spine.len)
    }

    /// The elements from a position to the end of their leaf or of the tail.
    fn slice_from(&self, index: usize) -> &[T] {
        let slice = match &self.spine {
            Some(spine) if index < spine.len => {
                spine.leaf_of(index).and_then(|leaf| leaf.get(index % Self::LEAF_LEN..))
            }
            _ => self.tail.get(index - self.spine_len()..),
        };
        slice.unwrap_or_default()
    }

    #[cold]
    fn tail_to_leaf(&mut self) {
        let spine =
            self.spine.get_or_insert_with(|| Box::new(Spine { len: 0, levels: Vec::new() }));
        spine.len += self.tail.len();
        spine.push(Node::Leaf(self.tail.drain(..).collect()));
    }
}

impl<T> Spine<T> {
    /// Adds a leaf and carries full levels upwards.
    fn push(&mut self, leaf: Node<T>) {
        let mut node = leaf;
        for level in &mut self.levels {
            level.push(node);
            if level.len() < BRANCH_LEN {
                return;
            }
            node = Node::Branch(level.drain(..).collect());
        }
        self.levels.push(vec![node]);
    }

    /// The leaf with the element at a position.
    fn leaf_of(&self, index: usize) -> Option<&[T]> {
        let mut index = index / SharedList::<T>::LEAF_LEN;
        let mut node_len = BRANCH_LEN.pow(u32::try_from(self.levels.len()).ok()?);
        for level in self.levels.iter().rev() {
            node_len /= BRANCH_LEN;
            match level.get(index / node_len) {
                Some(node) => return node.leaf_of(index % node_len, node_len),
                None => index -= level.len() * node_len,
            }
        }
        None
    }
}

impl<T> Node<T> {
    /// The leaf at a position among the `len` leaves of this node.
    fn leaf_of(&self, index: usize, len: usize) -> Option<&[T]> {
        let (mut node, mut index, mut len) = (self, index, len);
        loop {
            match node {
                Self::Leaf(elements) => return Some(elements),
                Self::Branch(nodes) => {
                    len /= BRANCH_LEN;
                    node = nodes.get(index / len)?;
                    index %= len;
                }
            }
        }
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

#[cfg(test)]
mod tests;
