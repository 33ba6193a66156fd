//! The copy-on-write maps of a table, one per key group, with what belongs to all of them.
//!
//! Invariants: a write goes to a map together with the moment at which it happens.

use std::sync::Arc;

use alluvium_state::StateKey;

use super::{EntryCodec, LoadJob, Shape};
use crate::groups::Groups;
use crate::map::{CopyOnWriteStateMap, Probe};
use crate::moment::Moment;
use crate::segment::{LoadError, Spares, Writing};
use crate::slot::Slot;

/// Copy-on-write maps with what belongs to them.
pub(crate) struct CopyOnWriteTable<E: Slot> {
    pub(crate) groups: Groups<E>,
    pub(super) codec: Arc<dyn EntryCodec<E>>,
    pub(super) spares: Spares<E>,
    pub(super) moment: Moment,
    pub(super) split_at: usize,
}

impl<E: Slot> CopyOnWriteTable<E> {
    pub(super) fn new(shape: Shape, codec: Arc<dyn EntryCodec<E>>) -> Self {
        let (groups, spares) = (Groups::new(shape.key_group_count), Spares::default());
        let split_at = E::SPLIT_AT.min(shape.max_segment_entries);
        Self { groups, codec, spares, moment: Moment::FIRST, split_at }
    }

    pub(crate) const fn split_at(&self) -> usize {
        self.split_at
    }

    #[inline(always)]
    pub(super) fn at(
        &mut self,
        group: usize,
    ) -> Option<(&mut CopyOnWriteStateMap<E>, Writing<'_, E>)> {
        let (moment, split_at) = (self.moment, self.split_at);
        let writing = Writing { moment, spares: Some(&self.spares), split_at };
        self.groups.map_mut(group).map(|map| (map, writing))
    }

    // A closure here would be compiled as a function of its own, and called.
    #[inline(always)]
    pub(super) fn get(
        &self,
        group: usize,
        hash: u64,
        key: &E::Key,
        namespace: &E::Namespace,
    ) -> Result<Option<&E::State>, LoadError>
    where
        E::Key: StateKey,
        E::Namespace: StateKey,
    {
        match self.groups.map(group) {
            Some(map) => map.find(hash, key, namespace),
            None => Ok(None),
        }
    }

    /// The state of a pair, made first when there is none; `None` outside the key groups.
    #[inline(always)]
    pub(super) fn entry(
        &mut self,
        group: usize,
        probe: &Probe<'_, E::Key, E::Namespace>,
        initial: impl FnOnce() -> E::State,
    ) -> Result<Option<&mut E::State>, LoadError>
    where
        E::Key: StateKey,
        E::Namespace: StateKey,
    {
        let Some((map, writing)) = self.at(group) else { return Ok(None) };
        Ok(Some(map.entry(probe, initial, writing)?.0))
    }

    pub(super) fn load_job(&self) -> Option<LoadJob> {
        let maps = self.groups.maps();
        let lazy: Vec<_> = maps
            .flat_map(|(_, map)| map.segments())
            .filter_map(|segment| segment.lazy().cloned())
            .collect();
        if lazy.is_empty() {
            return None;
        }
        Some(Box::new(move |backend| {
            let mut wanted = lazy.into_iter().take_while(|_| backend.strong_count() > 0);
            wanted.try_for_each(|lazy| lazy.table().map(drop))
        }))
    }
}
