//! Elements of a list, decoded some at a time, and entries of a map, decoded one at a time.
//!
//! Invariants: after an error there is nothing more.

use alluvium_format::CodecError;
use alluvium_format::codec::Input;
use alluvium_state::{Chunk, Ref, StateError, StateKey, StateValue};
use rocksdb::DBPinnableSlice;

use crate::backend::table::{Coded, Entries, Table};
use crate::store::Rows;

/// Elements that are decoded at a time: one call through the codec's trait object for all of them.
const CHUNK: usize = 128;

/// The elements of a row.
pub(super) struct ListChunks<'a, T> {
    table: &'a Table,
    codec: &'a dyn Coded<T>,
    row: Option<DBPinnableSlice<'a>>,
    offset: usize,
    /// Elements of the group at hand that are not decoded.
    left: u64,
    /// What comes after the elements in front of it.
    error: Option<CodecError>,
}

impl<'a, T: StateValue> ListChunks<'a, T> {
    pub(super) const fn new(
        table: &'a Table,
        codec: &'a dyn Coded<T>,
        row: Option<DBPinnableSlice<'a>>,
    ) -> Self {
        Self { table, codec, row, offset: 0, left: 0, error: None }
    }

    /// Decodes more elements if there are any, from as many groups as it takes.
    fn decode(&mut self, elements: &mut Vec<T>) -> Result<(), CodecError> {
        let rest = self.row.as_ref().and_then(|row| row.get(self.offset..)).unwrap_or_default();
        let mut input = Input::new(rest);
        elements.reserve(CHUNK.min(rest.len()));
        self.codec.take_groups(&mut self.left, CHUNK, &mut input, elements)?;
        self.offset += input.offset();
        Ok(())
    }
}

impl<'a, T: StateValue> Iterator for ListChunks<'a, T> {
    type Item = Result<Chunk<'a, T>, StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.error.is_none() && self.row.is_some() {
            let mut elements = Vec::new();
            self.error = self.decode(&mut elements).err();
            if !elements.is_empty() {
                return Some(Ok(Chunk::Owned(elements.into_iter())));
            }
        }
        self.row = None;
        self.error.take().map(|error| Err(self.table.decode_error()(error)))
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
