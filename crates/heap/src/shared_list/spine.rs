//! Everything of a list before its tail: full leaves, in trees.
//!
//! At the back, levels of trees grow like the digits of a counter to the base 32: 32 leaves become a
//! branch, 32 branches a branch of the next level. What is taken off at the front breaks trees up:
//! of each branch on the way to the first leaf, the nodes that are left are a *part*, which shares
//! the branch. So is what is left of a branch when the list is cut off at its end.
//!
//! Ladder of names: spine > part or level > node (leaf or branch) > element.
//!
//! Invariants:
//! - elements are in the order of the parts, the last one first, then of the levels, the highest
//!   first; the levels of parts only grow in that order;
//! - a leaf holds exactly [`SharedList::LEAF_LEN`] elements, a branch exactly 32 nodes of the level
//!   below, a level at most 31 nodes, a part 1 to 32;
//! - what an `Arc` holds is never changed.

use std::ops::Range;

use triomphe::Arc;

use super::SharedList;

/// Nodes of a branch.
pub(super) const BRANCH_LEN: usize = 32;

/// The leaves of a list.
#[derive(Clone)]
pub(super) struct Spine<T> {
    /// Number of elements of all leaves.
    len: usize,
    /// Elements of the first leaf that were taken off.
    taken: usize,
    /// What is left of branches at the front, the first one at the end.
    parts: Vec<Part<T>>,
    /// Level 0 has the leaves.
    levels: Vec<Vec<Node<T>>>,
}

/// Some nodes of a branch.
struct Part<T> {
    /// Level of the nodes; 0 for leaves.
    level: usize,
    nodes: Arc<[Node<T>]>,
    left: Range<usize>,
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

impl<T> Clone for Part<T> {
    fn clone(&self) -> Self {
        Self { level: self.level, nodes: Arc::clone(&self.nodes), left: self.left.clone() }
    }
}

/// Leaves below a node.
const fn leaves_of(level: usize) -> usize {
    // More levels than these hold more leaves than there are addresses.
    if level < 12 { 1 << (5 * level) } else { usize::MAX }
}

impl<T> Spine<T> {
    const LEAF_LEN: usize = SharedList::<T>::LEAF_LEN;

    pub(super) const fn new() -> Self {
        Self { len: 0, taken: 0, parts: Vec::new(), levels: Vec::new() }
    }

    /// How many elements there are.
    pub(super) const fn len(&self) -> usize {
        self.len - self.taken
    }

    /// Adds a leaf and carries full levels upwards.
    pub(super) fn push(&mut self, leaf: Arc<[T]>) {
        self.len += leaf.len();
        let mut node = Node::Leaf(leaf);
        for level in &mut self.levels {
            level.push(node);
            if level.len() < BRANCH_LEN {
                return;
            }
            node = Node::Branch(level.drain(..).collect());
        }
        self.levels.push(vec![node]);
    }

    /// The elements from a position to the end of their leaf.
    pub(super) fn slice_from(&self, index: usize) -> Option<&[T]> {
        let index = index + self.taken;
        self.leaf(index / Self::LEAF_LEN)?.get(index % Self::LEAF_LEN..)
    }

    fn leaf(&self, leaf: usize) -> Option<&[T]> {
        let mut index = leaf;
        for part in self.parts.iter().rev() {
            let leaves = leaves_of(part.level);
            match part.nodes.get(part.left.clone())?.get(index / leaves) {
                Some(node) => return node.leaf_of(index % leaves, leaves),
                None => index -= part.left.len() * leaves,
            }
        }
        for (level, nodes) in self.levels.iter().enumerate().rev() {
            let leaves = leaves_of(level);
            match nodes.get(index / leaves) {
                Some(node) => return node.leaf_of(index % leaves, leaves),
                None => index -= nodes.len() * leaves,
            }
        }
        None
    }

    /// Takes elements off the front, of which there are more.
    pub(super) fn remove_front(&mut self, count: usize) {
        let taken = self.taken + count;
        let leaves = taken / Self::LEAF_LEN;
        self.taken = taken % Self::LEAF_LEN;
        self.len -= leaves * Self::LEAF_LEN;
        self.drop_leaves(leaves);
    }

    fn drop_leaves(&mut self, count: usize) {
        let mut count = count;
        while count > 0 {
            let Some(mut part) = self.parts.pop().or_else(|| self.take_highest_level()) else {
                return;
            };
            let leaves = leaves_of(part.level);
            let whole = part.left.len().min(count / leaves);
            part.left.start += whole;
            count -= whole * leaves;
            if part.left.is_empty() {
                continue;
            }
            if count == 0 {
                self.parts.push(part);
                return;
            }
            // The rest lies in the first node that is left, which is a branch.
            let node = part.nodes.get(part.left.start).cloned();
            part.left.start += 1;
            let level = part.level;
            if !part.left.is_empty() {
                self.parts.push(part);
            }
            if let (Some(Node::Branch(nodes)), Some(level)) = (node, level.checked_sub(1)) {
                self.parts.push(Part { level, nodes, left: 0..BRANCH_LEN });
            }
        }
    }

    /// Makes a part of the highest level.
    fn take_highest_level(&mut self) -> Option<Part<T>> {
        while let Some(nodes) = self.levels.pop() {
            if !nodes.is_empty() {
                let (level, left) = (self.levels.len(), 0..nodes.len());
                return Some(Part { level, nodes: nodes.into_iter().collect(), left });
            }
        }
        None
    }

    /// Cuts off the leaf of an element and everything behind it, and gives what was left in that leaf
    /// up to the element.
    pub(super) fn cut_after(&mut self, index: usize) -> Vec<T>
    where
        T: Clone,
    {
        let index = index + self.taken;
        let (leaf, last) = (index / Self::LEAF_LEN, index % Self::LEAF_LEN);
        let from = if leaf == 0 { std::mem::take(&mut self.taken) } else { 0 };
        self.len = leaf * Self::LEAF_LEN;
        let elements = self.cut(leaf);
        let kept = elements.as_deref().and_then(|elements| elements.get(from..=last));
        kept.unwrap_or_default().to_vec()
    }

    /// Cuts off everything from a leaf on, and gives the leaf.
    fn cut(&mut self, leaf: usize) -> Option<Arc<[T]>> {
        let mut index = leaf;
        for place in (0..self.parts.len()).rev() {
            let part = self.parts.get_mut(place)?;
            let leaves = leaves_of(part.level);
            let whole = index / leaves;
            if whole < part.left.len() {
                part.left.end = part.left.start + whole;
                let (level, node) = (part.level, part.nodes.get(part.left.end)?.clone());
                // The part stays if it has nodes, the ones behind it go.
                let gone = if whole == 0 { place + 1 } else { place };
                self.parts.drain(..gone);
                self.levels.clear();
                return self.split(node, level, index % leaves);
            }
            index -= part.left.len() * leaves;
        }
        for level in (0..self.levels.len()).rev() {
            let nodes = self.levels.get_mut(level)?;
            let leaves = leaves_of(level);
            let whole = index / leaves;
            if let Some(node) = nodes.get(whole).cloned() {
                nodes.truncate(whole);
                self.levels.iter_mut().take(level).for_each(Vec::clear);
                return self.split(node, level, index % leaves);
            }
            index -= nodes.len() * leaves;
        }
        None
    }

    /// Keeps what is before a leaf of a node in the levels, and gives the leaf.
    fn split(&mut self, node: Node<T>, level: usize, leaf: usize) -> Option<Arc<[T]>> {
        let (mut node, mut level, mut index) = (node, level, leaf);
        if self.levels.len() < level {
            self.levels.resize_with(level, Vec::new);
        }
        loop {
            match node {
                Node::Leaf(elements) => return Some(elements),
                Node::Branch(nodes) => {
                    level = level.checked_sub(1)?;
                    let leaves = leaves_of(level);
                    let whole = index / leaves;
                    index %= leaves;
                    *self.levels.get_mut(level)? = nodes.get(..whole)?.to_vec();
                    node = nodes.get(whole)?.clone();
                }
            }
        }
    }

    /// How many pointers a clone copies.
    #[cfg(test)]
    pub(super) fn pointers(&self) -> usize {
        self.parts.len() + self.levels.iter().map(Vec::len).sum::<usize>()
    }

    #[cfg(test)]
    pub(super) fn level_count(&self) -> usize {
        self.levels.len()
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
