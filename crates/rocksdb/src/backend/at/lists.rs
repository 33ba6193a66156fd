//! Long lists: a row for each element, and one that says where they are.
//!
//! Invariants: an element that cannot be encoded leaves the list as it was; the header is written
//! with the elements, or after what was removed.

use std::ops::Range;

use alluvium_format::CodecError;
use alluvium_format::codec::Codec;
use alluvium_state::{Elements, Ref, StateError, StateId, StateKey, StateValue};

use super::{ElementCodec, RocksDbAt};
use crate::backend::table::{Coded, Table};
use crate::long_list::{Span, put_position};
use crate::store::{Batch, Rows};

/// The elements of some rows.
struct LongElements<'a, T> {
    table: &'a Table,
    codec: &'a dyn Coded<T>,
    rows: Option<Rows<'a>>,
    /// Positions that are still to come.
    left: Span,
    prefix_len: usize,
}

impl<T: StateValue> LongElements<'_, T> {
    fn take(&mut self) -> Result<Option<T>, StateError> {
        let Some(rows) = &mut self.rows else { return Ok(None) };
        let Some((row, value)) = rows.row()? else {
            return self.left.finish().map(|()| None).map_err(self.table.decode_error());
        };
        let position = row.get(self.prefix_len..).unwrap_or_default();
        self.left.take(position).map_err(self.table.decode_error())?;
        let element = self.table.decode(self.codec, value)?;
        rows.advance();
        Ok(Some(element))
    }
}

impl<'a, T: StateValue> Iterator for LongElements<'a, T> {
    type Item = Result<Ref<'a, T>, StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.take();
        if !matches!(element, Ok(Some(_))) {
            self.rows = None;
        }
        element.map(|element| element.map(Ref::Owned)).transpose()
    }
}

impl<K: StateKey, C: Codec<K>, N: StateKey> RocksDbAt<'_, K, C, N> {
    /// The table of a list, if it is a long one.
    pub(super) fn long_list<T: StateValue>(
        &self,
        id: StateId,
    ) -> Result<Option<&Table>, StateError> {
        let table = self.table(id)?;
        table.content::<ElementCodec<T>>()?;
        Ok(table.format.is_long_list().then_some(table))
    }

    /// The positions of the elements; `prefix` is that of the pair.
    fn span(&self, table: &Table, prefix: &[u8]) -> Result<Span, StateError> {
        match self.store().get(&table.column, prefix)? {
            Some(header) => Span::of_bytes(&header).map_err(table.decode_error()),
            None => Ok(Span(0..0)),
        }
    }

    pub(super) fn long_len(&self, table: &Table) -> Result<u64, StateError> {
        self.with_row(table, |prefix| Ok(self.span(table, prefix)?.len()))
    }

    pub(super) fn long_iter<'s, T: StateValue>(
        &'s self,
        table: &'s Table,
        position: u64,
    ) -> Result<Elements<'s, T>, StateError> {
        let codec = &*table.content::<ElementCodec<T>>()?.0;
        let (left, range, prefix_len) = self.with_row(table, |prefix| {
            let Span(Range { start, end }) = self.span(table, prefix)?;
            let wanted = Span(start.saturating_add(position).min(end)..end);
            let range = (wanted.len() > 0).then(|| wanted.rows(prefix));
            Ok((wanted, range, prefix.len()))
        })?;
        let rows = range.map(|range| self.store().rows(&table.column, range)).transpose()?;
        Ok(Elements::new(LongElements { table, codec, rows, left, prefix_len }))
    }

    /// Appends elements to those that are there, or to none.
    pub(super) fn long_append<T: StateValue>(
        &self,
        table: &Table,
        elements: impl Iterator<Item = T>,
        is_kept: bool,
    ) -> Result<(), StateError> {
        let codec = &*table.content::<ElementCodec<T>>()?.0;
        self.with_row(table, |row| {
            let (before, prefix_len) = (self.span(table, row)?, row.len());
            let mut batch = Batch::all_at_once(self.store(), &table.column);
            let mut span = if is_kept { before.clone() } else { Span(0..0) };
            if !is_kept {
                delete_rows(&mut batch, row, before.0)?;
            }
            let mut value = Vec::new();
            for element in elements {
                put_position(span.append().map_err(table.encode_error())?, row);
                value.clear();
                codec.put(&element, &mut value).map_err(table.encode_error())?;
                batch.put(row, &value)?;
                row.truncate(prefix_len);
            }
            finish(batch, row, &span)
        })
    }

    /// Removes the first element.
    pub(super) fn long_pop_front<T: StateValue>(
        &self,
        table: &Table,
    ) -> Result<Option<T>, StateError> {
        let codec = &*table.content::<ElementCodec<T>>()?.0;
        self.with_row(table, |row| {
            let mut span = self.span(table, row)?;
            let Some(position) = span.0.next() else { return Ok(None) };
            let prefix_len = row.len();
            put_position(position, row);
            let first = self.read(table, codec, row)?.ok_or_else(|| {
                let (what, reason) = ("long list", "an element has no row");
                table.decode_error()(CodecError::Invalid { what, offset: 0, reason })
            })?;
            let mut batch = Batch::new(self.store(), &table.column);
            batch.delete(row)?;
            row.truncate(prefix_len);
            finish(batch, row, &span)?;
            Ok(Some(first))
        })
    }

    /// Removes the elements at the ends, but for those that `keep` gives: a part of the positions.
    pub(super) fn long_cut(
        &self,
        table: &Table,
        keep: impl FnOnce(Range<u64>) -> Range<u64>,
    ) -> Result<(), StateError> {
        self.with_row(table, |prefix| {
            let Span(all) = self.span(table, prefix)?;
            let kept = keep(all.clone());
            if kept == all {
                return Ok(self.store().check("cut off a list")?);
            }
            let mut batch = Batch::new(self.store(), &table.column);
            delete_rows(&mut batch, prefix, all.start..kept.start)?;
            delete_rows(&mut batch, prefix, kept.end..all.end)?;
            finish(batch, prefix, &Span(kept))
        })
    }
}

/// Deletes the rows of elements, and leaves `row`, the prefix of the pair, as it was.
fn delete_rows(
    batch: &mut Batch<'_>,
    row: &mut Vec<u8>,
    positions: Range<u64>,
) -> Result<(), StateError> {
    let prefix_len = row.len();
    for position in positions {
        put_position(position, row);
        batch.delete(row)?;
        row.truncate(prefix_len);
    }
    Ok(())
}

/// Writes the header, or deletes it when there are no elements.
fn finish(mut batch: Batch<'_>, prefix: &[u8], span: &Span) -> Result<(), StateError> {
    if span.len() == 0 {
        batch.delete(prefix)?;
    } else {
        batch.put(prefix, &span.to_bytes())?;
    }
    Ok(batch.finish()?)
}
