//! States with a time to live: their rules, what reads left behind, and which keys are listed.

use std::time::Duration;

use alluvium_format::CodecError;
use alluvium_format::codec::Codec;
use alluvium_state::ttl::{LeftBehind, TtlMoment};
use alluvium_state::{StateError, StateId, StateKey, StateTtl};

use super::RocksDbKeyedStateBackend;
use super::table::Table;
use crate::long_list::{Gaps, Header};
use crate::row_key::{RowKeyParts, RowRange};
use crate::store::{Rows, Store};

/// What RocksDB does with columns that have a filter if nothing else is said.
const DEFAULT_PERIODIC_COMPACTION: Duration = Duration::from_hours(30 * 24);

impl Table {
    /// The time to live of the state, if it has one.
    pub(super) fn ttl(&self) -> Option<&StateTtl> {
        self.format.expiry.as_ref()?.ttl()
    }

    /// Visits each pair of key and namespace that has something visible, once.
    pub(super) fn for_each_visible_pair(
        &self,
        store: &Store,
        range: RowRange,
        mut visit: impl FnMut(RowKeyParts<'_>) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let ttl = self.format.expiry.as_ref().and_then(|expiry| Some((expiry, expiry.ttl()?)));
        let Some((expiry, ttl)) = ttl else { return self.for_each_pair(store, range, visit) };
        let (mut rows, moment) = (store.rows(&self.column, range)?, ttl.now());
        if self.format.is_long_list() {
            return self.for_each_visible_list(
                &mut rows,
                |row| expiry.is_visible(row, &moment),
                visit,
            );
        }
        // The prefix of the last pair that was visited.
        let mut last = Vec::new();
        while let Some((row, value)) = rows.row()? {
            let is_seen = !last.is_empty() && row.starts_with(&last);
            if !is_seen && expiry.is_visible(value, &moment).map_err(self.decode_error())? {
                let parts = self.format.keys.split(row).map_err(self.decode_error())?;
                visit(parts)?;
                last.clear();
                last.extend_from_slice(parts.prefix);
            }
            rows.advance();
        }
        Ok(())
    }

    /// Visits each pair that has a visible element in the span of its header.
    fn for_each_visible_list(
        &self,
        rows: &mut Rows<'_>,
        is_visible: impl Fn(&[u8]) -> Result<bool, CodecError>,
        mut visit: impl FnMut(RowKeyParts<'_>) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let (refused, mut prefix) = (self.decode_error(), Vec::new());
        while let Some((row, value)) = rows.row()? {
            prefix.clear();
            prefix.extend_from_slice(self.format.keys.split(row).map_err(&refused)?.prefix);
            // No element has a larger stamp than the header.
            if row == prefix && is_visible(value).map_err(&refused)? {
                let header = Header::of_bytes(value, Gaps::Expired).map_err(&refused)?;
                let (mut left, mut is_there) = (header.span, false);
                rows.advance();
                while let Some((row, value)) = rows.row()? {
                    let Some(position) = row.strip_prefix(prefix.as_slice()) else { break };
                    is_there = left.take(position, Gaps::Expired).map_err(&refused)?
                        && is_visible(value).map_err(&refused)?;
                    if is_there {
                        break;
                    }
                    rows.advance();
                }
                if is_there {
                    visit(self.format.keys.split(&prefix).map_err(&refused)?)?;
                }
            }
            rows.skip_prefix(&prefix);
        }
        Ok(())
    }
}

impl<K: StateKey, C: Codec<K>> RocksDbKeyedStateBackend<K, C> {
    /// Gives a registered state its rules, and compactions too.
    pub(super) fn set_ttl(&mut self, id: StateId, ttl: StateTtl) -> Result<StateId, StateError> {
        let table = self.table(id)?;
        let Some(expiry) = &table.format.expiry else { return Err(StateError::ForeignHandle) };
        let period = ttl.periodic_compaction().filter(|it| *it != DEFAULT_PERIODIC_COMPACTION);
        if let (None, Some(period)) = (expiry.ttl(), period) {
            // 0 would turn it off.
            let seconds = period.as_secs().max(1).to_string();
            self.store.set_column_option(&table.column, "periodic_compaction_seconds", &seconds)?;
        }
        expiry.set(ttl);
        Ok(id.with_ttl())
    }

    /// The rules of a state at its time.
    pub(super) fn ttl_of(&self, state: StateId) -> Result<TtlMoment, StateError> {
        let ttl = self.table(state)?.ttl().ok_or(StateError::ForeignHandle)?;
        Ok(self.left.time_of(state).map_or_else(|| ttl.now(), |now_ms| ttl.at(now_ms)))
    }

    /// Does what reads have left behind, at the key that they read.
    #[inline]
    pub(super) fn settle(&mut self) -> Result<(), StateError> {
        if self.left.is_empty() {
            return Ok(());
        }
        LeftBehind::settle(self, |backend| &mut backend.left)
    }
}

#[cfg(test)]
mod tests;
