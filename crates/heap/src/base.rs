//! What a confirmed checkpoint holds of a backend, for later ones to refer to.
//!
//! Ladder of names: [`Base`] (a checkpoint) > state > key group > map layout > chain > block.
//!
//! Invariants: every block of a base lies in a file that exists as long as that checkpoint is
//! retained; a base is never changed, only replaced.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::SharedFile;
use alluvium_format::keyed::{BlockRef, Chain, MapLayout};

use crate::moment::Epoch;

/// The maps of a state, by the position of their key group in the range of the subtask.
pub(crate) type StateLayout = BTreeMap<usize, Arc<MapLayout>>;

/// The blocks of a checkpoint.
#[derive(Debug, Clone, Default)]
pub(crate) struct Base {
    /// The last epoch that is in it.
    pub(crate) epoch: Epoch,
    /// The files, by the number that blocks give, from 1; `None` where none may be referred to.
    pub(crate) files: Vec<Option<SharedFile>>,
    /// By name of the state.
    pub(crate) states: BTreeMap<String, StateLayout>,
}

impl Base {
    pub(crate) fn file(&self, number: u16) -> Option<&SharedFile> {
        usize::from(number).checked_sub(1).and_then(|at| self.files.get(at))?.as_ref()
    }

    /// The layout of a map.
    pub(crate) fn map(&self, state: &str, group: usize) -> Option<&MapLayout> {
        self.states.get(state)?.get(&group).map(|layout| &**layout)
    }
}

/// Bounds on what an incremental checkpoint may leave lying in old files.
///
/// Source: the same questions are answered by Flink's `ChangelogStateBackend` materialization and
/// by compaction in log-structured stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncrementalOptions {
    /// Longest chain of blocks of a segment, 1 to 255; default 32.
    pub max_chain: u16,
    /// Most files that a checkpoint refers to, at least 1; default 64.
    pub max_files: u16,
    /// How many times the bytes in use all files may have together, in percent; default 200.
    pub max_space_percent: u32,
    /// Bytes beyond that which are left lying in any case; default 1 MiB.
    pub free_waste_bytes: u64,
}

impl IncrementalOptions {
    /// What is used where nothing else is said.
    pub const DEFAULT: Self = Self {
        max_chain: 32,
        max_files: 64,
        max_space_percent: 200,
        free_waste_bytes: 1024 * 1024,
    };

    /// Sets [`max_chain`](Self::max_chain).
    #[must_use]
    pub const fn max_chain(self, max_chain: u16) -> Self {
        Self { max_chain, ..self }
    }

    /// Sets [`max_files`](Self::max_files).
    #[must_use]
    pub const fn max_files(self, max_files: u16) -> Self {
        Self { max_files, ..self }
    }

    /// Sets [`max_space_percent`](Self::max_space_percent).
    #[must_use]
    pub const fn max_space_percent(self, max_space_percent: u32) -> Self {
        Self { max_space_percent, ..self }
    }

    /// Sets [`free_waste_bytes`](Self::free_waste_bytes).
    #[must_use]
    pub const fn free_waste_bytes(self, free_waste_bytes: u64) -> Self {
        Self { free_waste_bytes, ..self }
    }
}

impl Default for IncrementalOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How much of each file of a base a checkpoint would use.
#[derive(Debug)]
pub(crate) struct FileUsage<'b> {
    base: &'b Base,
    live_bytes: Vec<u64>,
    evicted: Vec<bool>,
}

impl<'b> FileUsage<'b> {
    pub(crate) fn new(base: &'b Base) -> Self {
        let count = base.files.len();
        Self { base, live_bytes: vec![0; count], evicted: vec![false; count] }
    }

    pub(crate) const fn base(&self) -> &'b Base {
        self.base
    }

    /// Counts blocks that would be referred to.
    pub(crate) fn add<'a>(&mut self, blocks: impl IntoIterator<Item = &'a BlockRef>) {
        for block in blocks {
            let at = usize::from(block.file).checked_sub(1);
            if let Some(live) = at.and_then(|at| self.live_bytes.get_mut(at)) {
                *live += u64::from(block.block.len_bytes);
            }
        }
    }

    /// Gives up the files of which the least is used, until the bounds hold.
    pub(crate) fn evict(&mut self, options: IncrementalOptions) {
        let mut used: Vec<(usize, u64, u64)> = self
            .base
            .files
            .iter()
            .zip(&self.live_bytes)
            .enumerate()
            .filter(|(_, (_, live))| **live > 0)
            .map(|(at, (file, live))| (at, *live, file.as_ref().map_or(0, |file| file.len_bytes)))
            .collect();
        // The best used first, so that the worst are given up from the end.
        used.sort_by(|a, b| {
            let (of_a, of_b) =
                (u128::from(a.1) * u128::from(b.2), u128::from(b.1) * u128::from(a.2));
            of_b.cmp(&of_a)
        });
        let (mut live, mut total) =
            used.iter().fold((0, 0), |(live, total), (_, l, t)| (live + l, total + t));
        while let Some((at, file_live, file_total)) = used.last() {
            let bound = live.saturating_mul(u64::from(options.max_space_percent)) / 100;
            if total <= bound.saturating_add(options.free_waste_bytes)
                && used.len() <= usize::from(options.max_files)
            {
                break;
            }
            live -= file_live;
            total -= file_total;
            if let Some(evicted) = self.evicted.get_mut(*at) {
                *evicted = true;
            }
            used.pop();
        }
    }

    /// Whether anything is still referred to.
    pub(crate) fn refers(&self) -> bool {
        self.live_bytes.iter().zip(&self.evicted).any(|(live, evicted)| *live > 0 && !evicted)
    }

    /// Whether all blocks may be referred to.
    pub(crate) fn may_refer<'a>(&self, blocks: impl IntoIterator<Item = &'a BlockRef>) -> bool {
        blocks.into_iter().all(|block| {
            let at = usize::from(block.file).checked_sub(1);
            let evicted = at.and_then(|at| self.evicted.get(at)).copied().unwrap_or(true);
            !evicted && self.base.file(block.file).is_some()
        })
    }

    /// The chain of a segment, if there is one that may be referred to.
    pub(crate) fn chain(&self, layout: Option<&'b MapLayout>, number: usize) -> Option<&'b Chain> {
        let Some(MapLayout::Segmented(chains)) = layout else { return None };
        chains.get(number).filter(|chain| !chain.blocks.is_empty() && self.may_refer(&chain.blocks))
    }
}

#[cfg(test)]
mod tests;
