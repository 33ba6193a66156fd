//! Long lists: a row for each element, and one that says where they are.
//!
//! Invariants: an element that cannot be encoded leaves the list as it was; the header is written
//! with the elements, or after what was removed.

use std::ops::Range;

use alluvium_format::CodecError;
use alluvium_format::codec::Codec;
use alluvium_state::ttl::Verdict;
use alluvium_state::{Elements, Ref, StateError, StateId, StateKey, StateValue};

use super::{ElementCodec, RocksDbAt};
use crate::backend::table::{Coded, Table};
use crate::long_list::{Gaps, Header, Span, put_position};
use crate::store::{Batch, Rows};

/// The elements of some rows.
struct LongElements<'a, T> {
    table: &'a Table,
    codec: &'a dyn Coded<T>,
    rows: Option<Rows<'a>>,
    /// Positions that are still to come.
    left: Span,
    gaps: Gaps,
    prefix_len: usize,
}

impl<T: StateValue> LongElements<'_, T> {
    fn take(&mut self) -> Result<Option<T>, StateError> {
        let Some(rows) = &mut self.rows else { return Ok(None) };
        let Some((row, value)) = rows.row()? else {
            return self.left.finish(self.gaps).map(|()| None).map_err(self.table.decode_error());
        };
        let position = row.get(self.prefix_len..).unwrap_or_default();
        self.left.take(position, self.gaps).map_err(self.table.decode_error())?;
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

    /// The same, if its elements are where their positions say: none goes by itself.
    pub(super) fn queue<T: StateValue>(&self, id: StateId) -> Result<Option<&Table>, StateError> {
        let table = self.long_list::<T>(id)?;
        Ok(table.filter(|table| table.format.gaps() == Gaps::Refused))
    }

    /// What the header says; `prefix` is that of the pair.
    fn header(&self, table: &Table, prefix: &[u8]) -> Result<Header, StateError> {
        match self.store().get(&table.column, prefix)? {
            Some(header) => {
                Header::of_bytes(&header, table.format.gaps()).map_err(table.decode_error())
            }
            None => Ok(Header::empty()),
        }
    }

    pub(super) fn long_len(&self, table: &Table) -> Result<u64, StateError> {
        self.with_row(table, |prefix| Ok(self.header(table, prefix)?.span.len()))
    }

    pub(super) fn long_iter<'s, T: StateValue>(
        &'s self,
        table: &'s Table,
        position: u64,
    ) -> Result<Elements<'s, T>, StateError> {
        let codec = &*table.content::<ElementCodec<T>>()?.0;
        let (left, range, prefix_len) = self.with_row(table, |prefix| {
            let Span(Range { start, end }) = self.header(table, prefix)?.span;
            let wanted = Span(start.saturating_add(position).min(end)..end);
            let range = (wanted.len() > 0).then(|| wanted.rows(prefix));
            Ok((wanted, range, prefix.len()))
        })?;
        let rows = range.map(|range| self.store().rows(&table.column, range)).transpose()?;
        let gaps = table.format.gaps();
        Ok(Elements::new(LongElements { table, codec, rows, left, gaps, prefix_len }))
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
            let (mut header, prefix_len) = (self.header(table, row)?, row.len());
            let mut batch = Batch::all_at_once(self.store(), &table.column);
            if !is_kept {
                delete_rows(&mut batch, row, header.span.0)?;
                header = Header::empty();
            }
            let (mut value, gaps) = (Vec::new(), table.format.gaps());
            for element in elements {
                put_position(header.span.append().map_err(table.encode_error())?, row);
                value.clear();
                codec.put(&element, &mut value).map_err(table.encode_error())?;
                header.add(&value, gaps).map_err(table.encode_error())?;
                batch.put(row, &value)?;
                row.truncate(prefix_len);
            }
            finish(batch, row, &header)
        })
    }

    /// Removes the first element.
    pub(super) fn long_pop_front<T: StateValue>(
        &self,
        table: &Table,
    ) -> Result<Option<T>, StateError> {
        let codec = &*table.content::<ElementCodec<T>>()?.0;
        self.with_row(table, |row| {
            let mut header = self.header(table, row)?;
            let Some(position) = header.span.0.next() else { return Ok(None) };
            let prefix_len = row.len();
            put_position(position, row);
            let first = self.read(table, codec, row)?.ok_or_else(|| {
                let (what, reason) = ("long list", "an element has no row");
                table.decode_error()(CodecError::Invalid { what, offset: 0, reason })
            })?;
            let mut batch = Batch::new(self.store(), &table.column);
            batch.delete(row)?;
            row.truncate(prefix_len);
            finish(batch, row, &header)?;
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
            let header = self.header(table, prefix)?;
            let all = header.span.0.clone();
            let kept = keep(all.clone());
            if kept == all {
                return Ok(self.store().check("cut off a list")?);
            }
            let mut batch = Batch::new(self.store(), &table.column);
            delete_rows(&mut batch, prefix, all.start..kept.start)?;
            delete_rows(&mut batch, prefix, kept.end..all.end)?;
            finish(batch, prefix, &header.with_span(Span(kept)))
        })
    }

    /// Removes elements with stamps from the front while `goes` says so.
    pub(super) fn long_remove_while<T: StateValue>(
        &self,
        table: &Table,
        mut goes: impl FnMut(&T) -> bool,
    ) -> Result<(), StateError> {
        let codec = &*table.content::<ElementCodec<T>>()?.0;
        let mut first_kept = None;
        self.with_row(table, |prefix| {
            let header = self.header(table, prefix)?;
            let (mut left, gaps) = (header.span.clone(), table.format.gaps());
            let mut rows = self.store().rows(&table.column, left.rows(prefix))?;
            while let Some((row, value)) = rows.row()? {
                let before = left.0.start;
                let position = row.get(prefix.len()..).unwrap_or_default();
                left.take(position, gaps).map_err(table.decode_error())?;
                if !goes(&table.decode(codec, value)?) {
                    first_kept = Some(before);
                    break;
                }
                rows.advance();
            }
            let start = first_kept.unwrap_or(header.span.0.end);
            if start == header.span.0.start {
                return Ok(self.store().check("cut off a list")?);
            }
            let mut batch = Batch::new(self.store(), &table.column);
            delete_rows(&mut batch, prefix, header.span.0.start..start)?;
            let span = Span(start..header.span.0.end);
            finish(batch, prefix, &header.with_span(span))
        })
    }

    /// Lets `keep` change or remove elements with stamps; what goes leaves gaps.
    pub(super) fn long_retain<T: StateValue>(
        &self,
        table: &Table,
        mut keep: impl FnMut(&mut T) -> Verdict,
    ) -> Result<(), StateError> {
        let codec = &*table.content::<ElementCodec<T>>()?.0;
        self.with_row(table, |prefix| {
            let mut left = self.header(table, prefix)?.span;
            let mut rows = self.store().rows(&table.column, left.rows(prefix))?;
            let mut batch = Batch::all_at_once(self.store(), &table.column);
            let (mut kept, mut is_changed, mut changed) = (Header::empty(), false, Vec::new());
            while let Some((row, value)) = rows.row()? {
                let position = row.get(prefix.len()..).unwrap_or_default();
                left.take(position, table.format.gaps()).map_err(table.decode_error())?;
                // That of this row: the next one is behind it.
                let position = left.0.start.saturating_sub(1);
                let mut element = table.decode(codec, value)?;
                let verdict = keep(&mut element);
                is_changed |= verdict != Verdict::Unchanged;
                match verdict {
                    Verdict::Unchanged => kept.keep(position, value),
                    Verdict::Changed => {
                        changed.clear();
                        codec.put(&element, &mut changed).map_err(table.encode_error())?;
                        batch.put(row, &changed)?;
                        kept.keep(position, &changed)
                    }
                    Verdict::Removed => {
                        batch.delete(row)?;
                        Ok(())
                    }
                }
                .map_err(table.encode_error())?;
                rows.advance();
            }
            if is_changed { finish(batch, prefix, &kept) } else { Ok(()) }
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
fn finish(mut batch: Batch<'_>, prefix: &[u8], header: &Header) -> Result<(), StateError> {
    if header.span.len() == 0 {
        batch.delete(prefix)?;
    } else {
        batch.put(prefix, &header.to_bytes())?;
    }
    Ok(batch.finish()?)
}
