//! The maps of a table, one per key group, frozen by cloning a pointer per 64 key groups.
//!
//! Invariants: a block is there once a map of it has been written to; blocks that a frozen table
//! shares are never written to.

use triomphe::Arc;

use crate::map::CopyOnWriteStateMap;
use crate::slot::Slot;
use crate::sync::point;

/// Key groups of a block.
const BLOCK_LEN: usize = 64;

type Block<E> = Arc<[CopyOnWriteStateMap<E>; BLOCK_LEN]>;

/// Maps by the position of their key group in the range of the subtask.
#[derive(Clone)]
pub(crate) struct Groups<E: Slot> {
    blocks: Vec<Option<Block<E>>>,
    count: usize,
}

impl<E: Slot> Groups<E> {
    /// Empty maps for a number of key groups.
    pub(crate) fn new(count: usize) -> Self {
        Self { blocks: vec![None; count.div_ceil(BLOCK_LEN)], count }
    }

    /// How many key groups there are.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// The map of a key group; `None` outside the range, and where nothing was ever written.
    #[inline(always)]
    pub(crate) fn map(&self, group: usize) -> Option<&CopyOnWriteStateMap<E>> {
        self.blocks.get(group / BLOCK_LEN)?.as_ref()?.get(group % BLOCK_LEN)
    }

    /// The map of a key group, to be written to; `None` outside the range.
    #[inline(always)]
    pub(crate) fn map_mut(&mut self, group: usize) -> Option<&mut CopyOnWriteStateMap<E>> {
        if group >= self.count {
            return None;
        }
        let block = self.blocks.get_mut(group / BLOCK_LEN)?.get_or_insert_with(empty_block);
        point();
        if !block.is_unique() {
            *block = copy_of(block);
        }
        Arc::get_mut(block)?.get_mut(group % BLOCK_LEN)
    }

    /// All maps that are there, with the position of their key group.
    pub(crate) fn maps(&self) -> impl Iterator<Item = (usize, &CopyOnWriteStateMap<E>)> {
        let blocks = self.blocks.iter().enumerate();
        blocks.flat_map(|(index, block)| {
            let maps = block.iter().flat_map(|block| block.iter()).enumerate();
            maps.map(move |(at, map)| (index * BLOCK_LEN + at, map))
        })
    }

    /// The map of a key group if nobody else shares it, to be taken apart.
    pub(crate) fn unshared(&mut self, group: usize) -> Option<&mut CopyOnWriteStateMap<E>> {
        let block = self.blocks.get_mut(group / BLOCK_LEN)?.as_mut()?;
        point();
        Arc::get_mut(block)?.get_mut(group % BLOCK_LEN)
    }
}

// Blocks are made on the stack, of which those who never make one should not take so much.
#[cold]
#[inline(never)]
fn copy_of<E: Slot>(block: &Block<E>) -> Block<E> {
    Arc::new((**block).clone())
}

#[cold]
#[inline(never)]
fn empty_block<E: Slot>() -> Block<E> {
    Arc::new(std::array::from_fn(|_| CopyOnWriteStateMap::default()))
}
