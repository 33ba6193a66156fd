//! `CopyOnWriteStateMap`: a segmented hash table of (key, namespace, state).
//!
//! On its own, as [`StateMap`], it holds what is put into it. Inside a backend it also records what
//! changed since which checkpoint, and its segments may still lie in a restored stream.
//!
//! Source: Flink `CopyOnWriteStateMap` for what it does.

use std::fmt;
use std::hash::Hash;

use hashbrown::HashTable;

use super::{Probe, StateMap};
use crate::segment::{LoadError, Segment, Writing};
use crate::segmented::SegmentedTable;
use crate::slot::Slot;

/// A hash map that is frozen by cloning pointers; `E` says how its entries lie
/// ([`InlineSlot`](crate::InlineSlot), [`SharedSlot`](crate::SharedSlot)).
#[derive(Clone)]
pub struct CopyOnWriteStateMap<E: Slot>(SegmentedTable<E>);

impl<E: Slot> Default for CopyOnWriteStateMap<E> {
    fn default() -> Self {
        Self(SegmentedTable::default())
    }
}

impl<E: Slot> fmt::Debug for CopyOnWriteStateMap<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let segments = self.0.segments().count();
        write!(f, "CopyOnWriteStateMap({} entries, {segments} segments)", self.0.len())
    }
}

/// A map as it was at a freeze.
#[derive(Debug)]
pub struct CopyOnWriteSnapshot<E: Slot>(CopyOnWriteStateMap<E>);

impl<E: Slot> CopyOnWriteSnapshot<E>
where
    E::Key: Eq + Hash + Clone,
    E::Namespace: Eq + Hash + Clone,
{
    /// Goes through all entries, in no order.
    pub fn for_each(&self, visit: impl FnMut(&E::Key, &E::Namespace, &E::State)) {
        self.0.for_each(visit);
    }
}

/// A map on its own has nothing to load.
fn loaded<T>(result: Result<T, LoadError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => unreachable!("a map on its own has nothing to load: {error}"),
    }
}

impl<E: Slot> CopyOnWriteStateMap<E> {
    /// Fixes the map as it is now; costs one pointer per 16 segments.
    pub fn freeze(&self) -> CopyOnWriteSnapshot<E> {
        CopyOnWriteSnapshot(self.clone())
    }

    pub(crate) fn from_segments(segments: Vec<Segment<E>>) -> Self {
        Self(SegmentedTable::from_segments(segments))
    }

    pub(crate) const fn entry_count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment<E>> {
        self.0.segments()
    }

    /// The segment at a position.
    pub(crate) fn segment(&self, index: usize) -> Option<&Segment<E>> {
        self.0.segment(index)
    }

    /// The table of the segment of a hash.
    #[inline(always)]
    pub(crate) fn table_of(&self, hash: u64) -> Result<Option<&HashTable<E>>, LoadError> {
        self.0.table_of(hash)
    }

    /// The table of the segment of a hash, if there is one that is loaded.
    #[inline(always)]
    pub(crate) fn loaded_table_of(&self, hash: u64) -> Option<&HashTable<E>> {
        self.0.loaded_table_of(hash)
    }

    pub(crate) const fn table_mut(&mut self) -> &mut SegmentedTable<E> {
        &mut self.0
    }
}

impl<E: Slot> CopyOnWriteStateMap<E>
where
    E::Key: Eq + Hash + Clone,
    E::Namespace: Eq + Hash + Clone,
{
    #[inline(always)]
    pub(crate) fn find(
        &self,
        hash: u64,
        key: &E::Key,
        namespace: &E::Namespace,
    ) -> Result<Option<&E::State>, LoadError> {
        let same = |entry: &E| entry.key() == key && entry.namespace() == namespace;
        Ok(self.0.get(hash, same)?.map(E::state))
    }

    /// The state of a pair, made first when there is none; says whether it was.
    #[inline(always)]
    pub(crate) fn entry(
        &mut self,
        probe: &Probe<'_, E::Key, E::Namespace>,
        initial: impl FnOnce() -> E::State,
        writing: Writing<'_, E>,
    ) -> Result<(&mut E::State, bool), LoadError> {
        let same = |entry: &E| entry.key() == probe.key && entry.namespace() == probe.namespace;
        let rehash = |entry: &E| probe.hasher.hash_pair(entry.key(), entry.namespace());
        let make = || E::new(probe.key.clone(), probe.namespace.clone(), initial());
        let (entry, is_new) = self.0.get_or_insert_with(probe.hash, same, make, rehash, writing)?;
        Ok((entry.state_mut(), is_new))
    }

    pub(crate) fn find_mut(
        &mut self,
        probe: &Probe<'_, E::Key, E::Namespace>,
        writing: Writing<'_, E>,
    ) -> Result<Option<&mut E::State>, LoadError> {
        let same = |entry: &E| entry.key() == probe.key && entry.namespace() == probe.namespace;
        Ok(self.0.get_mut(probe.hash, same, writing)?.map(E::state_mut))
    }

    pub(crate) fn delete(
        &mut self,
        probe: &Probe<'_, E::Key, E::Namespace>,
        writing: Writing<'_, E>,
    ) -> Result<bool, LoadError> {
        let same = |entry: &E| entry.key() == probe.key && entry.namespace() == probe.namespace;
        let rehash = |entry: &E| probe.hasher.hash_pair(entry.key(), entry.namespace());
        self.0.remove(probe.hash, same, rehash, writing)
    }

    pub(crate) fn try_for_each<'a>(
        &'a self,
        mut visit: impl FnMut(&'a E::Key, &'a E::Namespace, &'a E::State),
    ) -> Result<(), LoadError> {
        for segment in self.0.segments() {
            for entry in segment.table()? {
                visit(entry.key(), entry.namespace(), entry.state());
            }
        }
        Ok(())
    }
}

impl<E: Slot> StateMap<E::Key, E::Namespace, E::State> for CopyOnWriteStateMap<E>
where
    E::Key: Eq + Hash + Clone,
    E::Namespace: Eq + Hash + Clone,
{
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn get(&self, probe: &Probe<'_, E::Key, E::Namespace>) -> Option<&E::State> {
        loaded(self.find(probe.hash, probe.key, probe.namespace))
    }

    #[inline]
    fn get_or_insert_with(
        &mut self,
        probe: &Probe<'_, E::Key, E::Namespace>,
        initial: impl FnOnce() -> E::State,
    ) -> &mut E::State {
        loaded(self.entry(probe, initial, Writing::ALONE)).0
    }

    #[inline]
    fn get_mut(&mut self, probe: &Probe<'_, E::Key, E::Namespace>) -> Option<&mut E::State> {
        loaded(self.find_mut(probe, Writing::ALONE))
    }

    fn remove(&mut self, probe: &Probe<'_, E::Key, E::Namespace>) {
        loaded(self.delete(probe, Writing::ALONE));
    }

    fn for_each<'a>(&'a self, visit: impl FnMut(&'a E::Key, &'a E::Namespace, &'a E::State))
    where
        E::Key: 'a,
        E::Namespace: 'a,
        E::State: 'a,
    {
        loaded(self.try_for_each(visit));
    }
}
