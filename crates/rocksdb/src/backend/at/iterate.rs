//! Elements of a list and entries of a map, decoded one at a time.
//!
//! Invariants: after an error there is nothing more.

use alluvium_format::CodecError;
use alluvium_format::codec::Input;
use alluvium_state::{Ref, StateError, StateKey, StateValue};
use rocksdb::DBPinnableSlice;

use crate::backend::table::{Coded, Entries, Table};
use crate::extent::read_count;
use crate::store::Rows;

/// The elements of a row.
pub(super) struct ListElements<'a, T> {
    table: &'a Table,
    codec: &'a dyn Coded<T>,
    row: Option<DBPinnableSlice<'a>>,
    offset: usize,
    /// Elements of the group at hand that are to come.
    left: u64,
}

impl<'a, T: StateValue> ListElements<'a, T> {
    pub(super) fn new(
        table: &'a Table,
        codec: &'a dyn Coded<T>,
        row: Option<DBPinnableSlice<'a>>,
    ) -> Self {
        Self { table, codec, row, offset: 0, left: 0 }
    }

    fn take(&mut self) -> Option<Result<T, CodecError>> {
        let rest = self.row.as_ref()?.get(self.offset..)?;
        let mut input = Input::new(rest);
        while self.left == 0 {
            if input.is_empty() {
                return None;
            }
            match read_count(&mut input) {
                Ok(count) => self.left = count,
                Err(error) => return Some(Err(error)),
            }
        }
        let element = self.codec.take(&mut input);
        self.left -= 1;
        self.offset += input.offset();
        Some(element)
    }
}

impl<'a, T: StateValue> Iterator for ListElements<'a, T> {
    type Item = Result<Ref<'a, T>, StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.take();
        if !matches!(element, Some(Ok(_))) {
            self.row = None;
        }
        element.map(|element| element.map(Ref::Owned).map_err(self.table.decode_error()))
    }
}

/// The entries of a range of rows.
pub(super) struct MapEntries<'a, UK, UV> {
    table: &'a Table,
    codecs: &'a Entries<UK, UV>,
    rows: Option<Rows<'a>>,
    prefix_len: usize,
}

impl<'a, UK: StateKey, UV: StateValue> MapEntries<'a, UK, UV> {
    pub(super) const fn new(
        table: &'a Table,
        codecs: &'a Entries<UK, UV>,
        rows: Rows<'a>,
        prefix_len: usize,
    ) -> Self {
        Self { table, codecs, rows: Some(rows), prefix_len }
    }

    fn take(&mut self) -> Result<Option<(UK, UV)>, StateError> {
        let Some(rows) = &mut self.rows else { return Ok(None) };
        let Some((row, value)) = rows.row()? else { return Ok(None) };
        let user_key = row.get(self.prefix_len..).unwrap_or_default();
        let user_key = self.table.decode(&*self.codecs.keys, user_key)?;
        let value = self.table.decode(&*self.codecs.values, value)?;
        rows.advance();
        Ok(Some((user_key, value)))
    }
}

impl<'a, UK: StateKey, UV: StateValue> Iterator for MapEntries<'a, UK, UV> {
    type Item = Result<(Ref<'a, UK>, Ref<'a, UV>), StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.take();
        if !matches!(entry, Ok(Some(_))) {
            self.rows = None;
        }
        let owned = |(key, value)| (Ref::Owned(key), Ref::Owned(value));
        entry.map(|entry| entry.map(owned)).transpose()
    }
}
