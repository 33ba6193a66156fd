//! Clean-up while a job works: a few entries are looked at with each key that is opened, round and
//! round through all key groups, so idle keys are cleaned up too.
//!
//! Invariants: a step looks at a bounded number of entries and places; what is not loaded is passed
//! over; what is removed is marked as changed, like any removal.

use alluvium_state::ttl::TtlMoment;
use alluvium_state::{StateKey, StateValue};
use hashbrown::HashTable;

use super::{Maps, StateTable};
use crate::TableHasher;
use crate::expiry::{Expiry, Remains};
use crate::map::{CopyOnWriteStateMap, Probe};
use crate::segment::LoadError;
use crate::slot::Slot;

/// Places without an entry that are passed over for each entry, at most, on average.
const PLACES_PER_ENTRY: u32 = 16;

/// What lies at a place of a map.
pub(crate) enum Spot<'m, K, N, S> {
    Entry(&'m K, &'m N, &'m S),
    Vacant,
    /// Behind the last bucket of a part, or in one that is not loaded.
    EndOfPart,
    /// Behind the last part.
    EndOfMap,
}

/// The next place: position of the key group, part of its map, bucket of that.
#[derive(Debug, Default)]
pub(super) struct Place {
    group: usize,
    part: usize,
    bucket: usize,
}

/// A state of which something has expired.
struct Found<K, N, S> {
    group: usize,
    key: K,
    namespace: N,
    remains: Remains<S>,
}

impl<E: Slot> CopyOnWriteStateMap<E> {
    /// Its parts are its segments.
    fn spot(&self, part: usize, bucket: usize) -> Spot<'_, E::Key, E::Namespace, E::State> {
        let Some(segment) = self.segment(part) else { return Spot::EndOfMap };
        spot_of(segment.loaded(), bucket, |entry| {
            Spot::Entry(entry.key(), entry.namespace(), entry.state())
        })
    }
}

/// What lies in a bucket of a table; without one the part ends at once.
pub(crate) fn spot_of<'m, E, K, N, S>(
    table: Option<&'m HashTable<E>>,
    bucket: usize,
    entry: impl FnOnce(&'m E) -> Spot<'m, K, N, S>,
) -> Spot<'m, K, N, S> {
    match table.filter(|table| bucket < table.num_buckets()) {
        Some(table) => table.get_bucket(bucket).map_or(Spot::Vacant, entry),
        None => Spot::EndOfPart,
    }
}

impl<K: StateKey, N: StateKey, S: StateValue> Maps<K, N, S> {
    fn group_count(&self) -> usize {
        match self {
            Self::Inline(table) => table.groups.count(),
            Self::Shared(table) => table.groups.count(),
            Self::Nested(maps, _) => maps.len(),
        }
    }

    fn spot(&self, place: &Place) -> Spot<'_, K, N, S> {
        let Place { group, part, bucket } = *place;
        let spot = match self {
            Self::Inline(table) => table.groups.map(group).map(|map| map.spot(part, bucket)),
            Self::Shared(table) => table.groups.map(group).map(|map| map.spot(part, bucket)),
            Self::Nested(maps, _) => maps.get(group).map(|map| map.spot(part, bucket)),
        };
        spot.unwrap_or(Spot::EndOfMap)
    }

    /// Looks at some entries from a place on, and leaves it behind them.
    fn expired(
        &self,
        place: &mut Place,
        expiry: &dyn Expiry<S>,
        moment: &TtlMoment,
    ) -> Vec<Found<K, N, S>> {
        let (mut found, mut looked_at) = (Vec::new(), 0_usize);
        let entries = expiry.ttl().incremental_entries();
        let enough = usize::try_from(entries).unwrap_or(usize::MAX);
        for _ in 0..entries.saturating_mul(PLACES_PER_ENTRY) {
            match self.spot(place) {
                Spot::Entry(key, namespace, state) => {
                    let (remains, count) = expiry.sweep(state, moment);
                    looked_at = looked_at.saturating_add(count);
                    if !matches!(remains, Remains::All) {
                        let (key, namespace) = (key.clone(), namespace.clone());
                        found.push(Found { group: place.group, key, namespace, remains });
                    }
                    place.bucket += 1;
                }
                Spot::Vacant => place.bucket += 1,
                Spot::EndOfPart => (place.part, place.bucket) = (place.part + 1, 0),
                Spot::EndOfMap if place.group + 1 < self.group_count() => {
                    *place = Place { group: place.group + 1, part: 0, bucket: 0 };
                }
                Spot::EndOfMap => *place = Place::default(),
            }
            if looked_at >= enough {
                break;
            }
        }
        found
    }
}

impl<K: StateKey, N: StateKey, S: StateValue> StateTable<K, N, S> {
    /// Looks at the next entries and removes what has expired of them.
    pub(super) fn sweep_next(&mut self, hashers: &[TableHasher]) -> Result<(), LoadError> {
        let Some(expiry) = self.expiry.clone() else { return Ok(()) };
        let moment = expiry.ttl().now();
        let mut place = std::mem::take(&mut self.place);
        let found = self.maps.expired(&mut place, &*expiry, &moment);
        self.place = place;
        for Found { group, key, namespace, remains } in found {
            let Some(hasher) = hashers.get(group) else { continue };
            let probe = Probe::new(&key, &namespace, *hasher);
            match remains {
                Remains::All => {}
                Remains::Nothing => self.remove(group, &probe)?,
                Remains::Some(left) => {
                    if let Some(state) = self.get_mut(group, &probe)? {
                        *state = left;
                    }
                }
            }
        }
        Ok(())
    }
}
