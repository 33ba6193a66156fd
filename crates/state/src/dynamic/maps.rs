//! Maps and sorted maps.
//!
//! What a map can do, a sorted one can: only what needs an order is for sorted maps alone. Their user keys
//! are in the order of their bytes, which is that of the values by the contract of ordered codecs.

use std::ops::Bound;

use super::adapter::{Adapter, AnyMap, Handle, Part, bytes_of};
use super::{DynAt, DynState, Encoded};
use crate::{KeyedStateBackend, Ref, ScanOrder, StateError};

/// An encoded user key and its encoded value.
pub type DynEntry = (Vec<u8>, Vec<u8>);

/// Both ends of a range of encoded user keys.
pub type DynRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// What a [`DynKeyedState`](super::DynKeyedState) does with maps; errors are said there.
pub trait DynMaps {
    /// The value of a user key, of a map of either kind.
    fn map_get(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        user_key: &[u8],
    ) -> Result<Option<Vec<u8>>, StateError>;

    /// Sets the value of a user key, of a map of either kind.
    fn map_put(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        user_key: &[u8],
        value: &[u8],
    ) -> Result<(), StateError>;

    /// Removes a user key, of a map of either kind.
    fn map_remove(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        user_key: &[u8],
    ) -> Result<(), StateError>;

    /// The user keys and their values: in ascending order of a sorted map, in no order of another.
    fn map_entries(&mut self, state: DynState, at: DynAt<'_>) -> Result<Vec<DynEntry>, StateError>;

    /// The entries of a sorted map whose user keys lie in a range, at most `limit` of them. A range
    /// whose start is above its end has none.
    fn sorted_map_range(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        range: DynRange<'_>,
        order: ScanOrder,
        limit: usize,
    ) -> Result<Vec<DynEntry>, StateError>;

    /// The entry of a sorted map with the least user key.
    fn sorted_map_first(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
    ) -> Result<Option<DynEntry>, StateError> {
        let all = (Bound::Unbounded, Bound::Unbounded);
        Ok(self.sorted_map_range(state, at, all, ScanOrder::Ascending, 1)?.pop())
    }

    /// The entry of a sorted map with the greatest user key.
    fn sorted_map_last(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
    ) -> Result<Option<DynEntry>, StateError> {
        let all = (Bound::Unbounded, Bound::Unbounded);
        Ok(self.sorted_map_range(state, at, all, ScanOrder::Descending, 1)?.pop())
    }

    /// Removes the entry of a sorted map with the least user key and gives it.
    fn sorted_map_pop_first(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
    ) -> Result<Option<DynEntry>, StateError>;

    /// Removes the entry of a sorted map with the greatest user key and gives it.
    fn sorted_map_pop_last(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
    ) -> Result<Option<DynEntry>, StateError>;
}

impl<B: KeyedStateBackend<Key = Encoded>> DynMaps for Adapter<B> {
    fn map_get(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        user_key: &[u8],
    ) -> Result<Option<Vec<u8>>, StateError> {
        let ((map, keys, _), at) = self.open(state, at, Handle::map)?;
        let user_key = keys.user_key(user_key)?;
        Ok(bytes_of(match map {
            AnyMap::Unordered(map) => map.get(&at, &user_key)?,
            AnyMap::Sorted(map) => map.get(&at, &user_key)?,
        }))
    }

    fn map_put(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        user_key: &[u8],
        value: &[u8],
    ) -> Result<(), StateError> {
        let ((map, keys, values), mut at) = self.open(state, at, Handle::map)?;
        let (user_key, value) = (keys.user_key(user_key)?, values.value(value)?);
        match map {
            AnyMap::Unordered(map) => map.put(&mut at, user_key, value),
            AnyMap::Sorted(map) => map.put(&mut at, user_key, value),
        }
    }

    fn map_remove(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        user_key: &[u8],
    ) -> Result<(), StateError> {
        let ((map, keys, _), mut at) = self.open(state, at, Handle::map)?;
        let user_key = keys.user_key(user_key)?;
        match map {
            AnyMap::Unordered(map) => map.remove(&mut at, &user_key),
            AnyMap::Sorted(map) => map.remove(&mut at, &user_key),
        }
    }

    fn map_entries(&mut self, state: DynState, at: DynAt<'_>) -> Result<Vec<DynEntry>, StateError> {
        let ((map, ..), at) = self.open(state, at, Handle::map)?;
        let entries = match map {
            AnyMap::Unordered(map) => map.entries(&at)?,
            AnyMap::Sorted(map) => map.entries(&at)?,
        };
        all_bytes_of(entries)
    }

    fn sorted_map_range(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
        (start, end): DynRange<'_>,
        order: ScanOrder,
        limit: usize,
    ) -> Result<Vec<DynEntry>, StateError> {
        let ((map, keys), at) = self.open(state, at, Handle::sorted_map)?;
        let range = (bound_of(keys, start)?, bound_of(keys, end)?);
        let entries = match order {
            ScanOrder::Ascending => map.range(&at, range)?,
            ScanOrder::Descending => map.range_rev(&at, range)?,
        };
        all_bytes_of(entries.take(limit))
    }

    fn sorted_map_pop_first(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
    ) -> Result<Option<DynEntry>, StateError> {
        let ((map, _), mut at) = self.open(state, at, Handle::sorted_map)?;
        Ok(map.pop_first(&mut at)?.map(|(key, value)| (key.0, value.0)))
    }

    fn sorted_map_pop_last(
        &mut self,
        state: DynState,
        at: DynAt<'_>,
    ) -> Result<Option<DynEntry>, StateError> {
        let ((map, _), mut at) = self.open(state, at, Handle::sorted_map)?;
        Ok(map.pop_last(&mut at)?.map(|(key, value)| (key.0, value.0)))
    }
}

fn bound_of(keys: &Part, bound: Bound<&[u8]>) -> Result<Bound<Encoded>, StateError> {
    Ok(match bound {
        Bound::Included(user_key) => Bound::Included(keys.user_key(user_key)?),
        Bound::Excluded(user_key) => Bound::Excluded(keys.user_key(user_key)?),
        Bound::Unbounded => Bound::Unbounded,
    })
}

fn all_bytes_of<'a>(
    entries: impl Iterator<Item = Result<(Ref<'a, Encoded>, Ref<'a, Encoded>), StateError>>,
) -> Result<Vec<DynEntry>, StateError> {
    let owned = entries.map(|entry| {
        let (user_key, value) = entry?;
        Ok((user_key.into_owned().0, value.into_owned().0))
    });
    owned.collect()
}
