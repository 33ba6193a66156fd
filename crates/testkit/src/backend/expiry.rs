//! State with a time to live: what is left of a value when some of its parts have expired.
//!
//! Invariants: a part is kept or not by its stamp alone; a list or a map of which nothing is left is
//! none.

use std::sync::Arc;

use alluvium_format::CodecError;
use alluvium_state::ttl::Stamped;
use alluvium_state::{SortedKey, StateError, StateKey, StateTtl};

use super::row::{Row, Rows};
use super::table::{SortedUserMap, Stored, Table, UserMap};

/// Whether the part with a stamp, in milliseconds, is kept.
pub(super) type Keep<'k> = &'k dyn Fn(i64) -> bool;

/// What is left of a value.
pub(super) type Left<V> = fn(V, Keep<'_>) -> Option<V>;

/// What is left of an encoded value.
type LeftEncoded = Result<Option<Vec<u8>>, CodecError>;

/// [`Left`] of values that are encoded.
pub(super) trait LeftOfBytes: Fn(&[u8], Keep<'_>) -> LeftEncoded + Send + Sync {}

impl<F: Fn(&[u8], Keep<'_>) -> LeftEncoded + Send + Sync> LeftOfBytes for F {}

/// How a registered state expires.
pub(super) struct Expiry {
    pub(super) ttl: StateTtl,
    /// What is left of an encoded value.
    pub(super) left: Box<dyn LeftOfBytes>,
}

pub(super) fn value<T>(value: Stamped<T>, keep: Keep<'_>) -> Option<Stamped<T>> {
    keep(value.stamp_ms).then_some(value)
}

pub(super) fn list<T>(mut list: Vec<Stamped<T>>, keep: Keep<'_>) -> Option<Vec<Stamped<T>>> {
    list.retain(|element| keep(element.stamp_ms));
    (!list.is_empty()).then_some(list)
}

pub(super) fn map<UK: StateKey, UV>(
    mut map: UserMap<UK, Stamped<UV>>,
    keep: Keep<'_>,
) -> Option<UserMap<UK, Stamped<UV>>> {
    map.retain(|_, value| keep(value.stamp_ms));
    (!map.is_empty()).then_some(map)
}

pub(super) fn sorted_map<UK: SortedKey, UV>(
    mut map: SortedUserMap<UK, Stamped<UV>>,
    keep: Keep<'_>,
) -> Option<SortedUserMap<UK, Stamped<UV>>> {
    map.retain(|_, value| keep(value.stamp_ms));
    (!map.is_empty()).then_some(map)
}

impl Table {
    /// The rows of which something is visible.
    pub(super) fn visible_rows(&self) -> Result<Vec<&Row>, StateError> {
        let Some(expiry) = &self.expiry else { return Ok(self.stored.rows.keys().collect()) };
        let moment = expiry.ttl.now();
        let mut visible = Vec::new();
        for (row, bytes) in &*self.stored.rows {
            let left = (expiry.left)(bytes, &|stamp_ms| moment.is_visible(stamp_ms));
            if left.map_err(|source| self.cannot_decode(source))?.is_some() {
                visible.push(row);
            }
        }
        Ok(visible)
    }

    /// The state without what has expired.
    pub(super) fn unexpired(&self) -> Result<Stored, StateError> {
        let expiry = self.expiry.as_ref().filter(|expiry| expiry.ttl.cleans_full_snapshots());
        let Some(expiry) = expiry else { return Ok(self.stored.clone()) };
        let moment = expiry.ttl.now();
        let mut rows = Rows::new();
        for (row, bytes) in &*self.stored.rows {
            let left = (expiry.left)(bytes, &|stamp_ms| !moment.is_expired(stamp_ms));
            if let Some(left) = left.map_err(|source| self.cannot_decode(source))? {
                rows.insert(row.clone(), left);
            }
        }
        Ok(Stored { meta: self.stored.meta.clone(), rows: Arc::new(rows) })
    }
}
