//! The entries of maps, sorted or not: a row for each user key, in the order of the encoded keys.

use std::ops::Bound;

use alluvium_format::codec::Codec;
use alluvium_state::{
    Entries, ScanOrder, SortedKey, StateError, StateId, StateKey, StateValue, check_key_len,
    is_empty_range,
};

use super::iterate::MapEntries;
use super::{EntryCodecs, RocksDbAt};
use crate::backend::table::Coded;
use crate::backend::with_buffer;
use crate::row_key::RowRange;
use crate::store::Batch;

impl<K: StateKey, C: Codec<K>, N: StateKey> RocksDbAt<'_, K, C, N> {
    /// Runs `body` with the row of a user key.
    fn with_entry_row<UK: StateKey, R>(
        &self,
        table: &super::Table,
        codecs: &EntryCodecs<UK, impl Sized>,
        user_key: &UK,
        body: impl FnOnce(&[u8]) -> Result<R, StateError>,
    ) -> Result<R, StateError> {
        self.with_row(table, |row| {
            let before = row.len();
            put_user_key(&*codecs.keys, user_key, row)?;
            check_key_len("user key", row.len() - before)?;
            body(row)
        })
    }

    pub(super) fn entry_get<UK: StateKey, UV: StateValue>(
        &self,
        id: StateId,
        user_key: &UK,
    ) -> Result<Option<UV>, StateError> {
        let table = self.table(id)?;
        let codecs = table.content::<EntryCodecs<UK, UV>>()?;
        self.with_entry_row(table, codecs, user_key, |row| self.read(table, &*codecs.values, row))
    }

    pub(super) fn entry_put<UK: StateKey, UV: StateValue>(
        &self,
        id: StateId,
        user_key: &UK,
        value: &UV,
    ) -> Result<(), StateError> {
        let table = self.table(id)?;
        let codecs = table.content::<EntryCodecs<UK, UV>>()?;
        self.with_entry_row(table, codecs, user_key, |row| {
            self.write(table, &*codecs.values, row, value)
        })
    }

    /// Writes many rows at once.
    pub(super) fn entries_put<UK: StateKey, UV: StateValue>(
        &self,
        id: StateId,
        entries: impl Iterator<Item = (UK, UV)>,
    ) -> Result<(), StateError> {
        let table = self.table(id)?;
        let codecs = table.content::<EntryCodecs<UK, UV>>()?;
        let mut batch = Batch::new(self.store(), &table.column);
        self.with_row(table, |row| {
            let prefix_len = row.len();
            with_buffer(&self.backend.scratch.value, |bytes| {
                for (user_key, value) in entries {
                    row.truncate(prefix_len);
                    put_user_key(&*codecs.keys, &user_key, row)?;
                    check_key_len("user key", row.len() - prefix_len)?;
                    bytes.clear();
                    codecs.values.put(&value, bytes).map_err(table.encode_error())?;
                    batch.put(row, bytes)?;
                }
                Ok(batch.finish()?)
            })
        })
    }

    pub(super) fn entry_update<UK: StateKey, UV: StateValue, R>(
        &self,
        id: StateId,
        user_key: &UK,
        initial: impl FnOnce() -> UV,
        change: impl FnOnce(&mut UV) -> R,
    ) -> Result<R, StateError> {
        let table = self.table(id)?;
        let codecs = table.content::<EntryCodecs<UK, UV>>()?;
        self.with_entry_row(table, codecs, user_key, |row| {
            let mut value = self.read(table, &*codecs.values, row)?.unwrap_or_else(initial);
            let result = change(&mut value);
            self.write(table, &*codecs.values, row, &value)?;
            Ok(result)
        })
    }

    pub(super) fn entry_remove<UK: StateKey, UV: StateValue>(
        &self,
        id: StateId,
        user_key: &UK,
    ) -> Result<(), StateError> {
        let table = self.table(id)?;
        let codecs = table.content::<EntryCodecs<UK, UV>>()?;
        self.with_entry_row(table, codecs, user_key, |row| {
            Ok(self.store().delete(&table.column, row)?)
        })
    }

    /// All entries, in the order of their rows.
    pub(super) fn all_entries<UK: StateKey, UV: StateValue>(
        &self,
        id: StateId,
    ) -> Result<Entries<'_, UK, UV>, StateError> {
        let table = self.table(id)?;
        let codecs = table.content::<EntryCodecs<UK, UV>>()?;
        let (range, prefix_len) =
            self.with_row(table, |row| Ok((RowRange::of_prefix(row), row.len())))?;
        let rows = self.store().rows(&table.column, range)?;
        Ok(Entries::new(MapEntries::new(table, codecs, rows, prefix_len)))
    }

    /// The entries of a range of user keys whose codec keeps their order.
    pub(super) fn entry_range<UK: SortedKey, UV: StateValue>(
        &self,
        id: StateId,
        range: (Bound<&UK>, Bound<&UK>),
        order: ScanOrder,
    ) -> Result<Entries<'_, UK, UV>, StateError> {
        let table = self.table(id)?;
        let codecs = table.content::<EntryCodecs<UK, UV>>()?;
        if is_empty_range(range) {
            self.store().check("go through rows")?;
            return Ok(Entries::of_slice(&[]));
        }
        let (rows, prefix_len) =
            self.with_row(table, |row| Ok((rows_of_range(&*codecs.keys, row, range)?, row.len())))?;
        let rows = self.store().scan(&table.column, rows, order)?;
        Ok(Entries::new(MapEntries::new(table, codecs, rows, prefix_len)))
    }
}

fn put_user_key<UK>(
    codec: &dyn Coded<UK>,
    user_key: &UK,
    row: &mut Vec<u8>,
) -> Result<(), StateError> {
    codec.put(user_key, row).map_err(|source| StateError::Key { source })
}

/// The rows of a range of user keys, behind the prefix of their pair.
///
/// No encoded user key begins with another one, so the least row after that of a key is the same
/// with a byte of 0 behind it.
fn rows_of_range<UK>(
    codec: &dyn Coded<UK>,
    prefix: &[u8],
    (start, end): (Bound<&UK>, Bound<&UK>),
) -> Result<RowRange, StateError> {
    let row_of = |user_key: &UK, is_after: bool| {
        let mut row = prefix.to_vec();
        put_user_key(codec, user_key, &mut row)?;
        row.extend(is_after.then_some(0));
        Ok::<_, StateError>(row)
    };
    let mut rows = RowRange::of_prefix(prefix);
    match start {
        Bound::Included(user_key) => rows.first = row_of(user_key, false)?,
        Bound::Excluded(user_key) => rows.first = row_of(user_key, true)?,
        Bound::Unbounded => {}
    }
    match end {
        Bound::Included(user_key) => rows.end = Some(row_of(user_key, true)?),
        Bound::Excluded(user_key) => rows.end = Some(row_of(user_key, false)?),
        Bound::Unbounded => {}
    }
    Ok(rows)
}
