//! The rows of a long list: a header, and one for each element.
//!
//! Fields of the header's value in order: position of the first element, position behind the last
//! one (`u64` each, little endian). It has the row key of its pair; that of an element has the
//! position behind it, big endian, and the element is its value. So the header is in front of the
//! elements, which are in their order.
//!
//! Invariants:
//! - a list without elements has no row, and the first is below the next position;
//! - there is a row for each position of the header's span, and no other one. What was removed is
//!   outside the span, so nothing that reads elements goes over it.
//!
//! Source: SPEC 12.4.

use std::ops::Range;

use alluvium_format::CodecError;
use alluvium_format::codec::Input;

use crate::list_row::{check_empty_items, put_varint};
use crate::row_key::RowRange;
use crate::store::{Failure, Rows};
use alluvium_format::codec::{Extent, read_count};

/// Length of a position in a row key.
const POSITION_LEN_BYTES: usize = 8;

const WHAT: &str = "long list";

fn invalid(reason: &'static str) -> CodecError {
    CodecError::Invalid { what: WHAT, offset: 0, reason }
}

/// The positions of the elements of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Range<u64>);

impl Span {
    /// How many elements there are.
    pub(crate) fn len(&self) -> u64 {
        self.0.end.saturating_sub(self.0.start)
    }

    /// Takes the position behind the last element for another one.
    ///
    /// Errors: [`CodecError::Invalid`] when there is none.
    pub(crate) fn append(&mut self) -> Result<u64, CodecError> {
        let position = self.0.end;
        self.0.end = position.checked_add(1).ok_or_else(|| invalid("positions are used up"))?;
        Ok(position)
    }

    /// The value of a header.
    pub(crate) fn to_bytes(&self) -> [u8; 16] {
        let both = u128::from(self.0.start) | u128::from(self.0.end) << 64;
        both.to_le_bytes()
    }

    /// Reads the value of a header.
    ///
    /// Errors: [`CodecError`].
    pub(crate) fn of_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut input = Input::new(bytes);
        let span = input.u64(WHAT)?..input.u64(WHAT)?;
        input.finish()?;
        if span.is_empty() {
            return Err(invalid("a header without elements"));
        }
        Ok(Self(span))
    }

    /// Takes the first position off, which must be that of a row; `position` is what its key has
    /// behind the prefix of its pair.
    ///
    /// Errors: [`CodecError::Invalid`].
    pub(crate) fn take(&mut self, position: &[u8]) -> Result<(), CodecError> {
        let position: [u8; POSITION_LEN_BYTES] =
            position.try_into().map_err(|_| invalid("a row without a position"))?;
        if self.0.next() == Some(u64::from_be_bytes(position)) {
            Ok(())
        } else {
            Err(invalid("a row at another position than the next one"))
        }
    }

    /// All positions must have been taken off.
    ///
    /// Errors: [`CodecError::Invalid`].
    pub(crate) fn finish(&self) -> Result<(), CodecError> {
        if self.len() == 0 { Ok(()) } else { Err(invalid("fewer rows than the header says")) }
    }

    /// The rows of these elements, behind the prefix of their pair.
    pub(crate) fn rows(&self, prefix: &[u8]) -> RowRange {
        let row = |position| {
            let mut row = prefix.to_vec();
            put_position(position, &mut row);
            row
        };
        RowRange { first: row(self.0.start), end: Some(row(self.0.end)) }
    }
}

/// Appends a position to the prefix of a pair.
pub(crate) fn put_position(position: u64, row: &mut Vec<u8>) {
    row.extend_from_slice(&position.to_be_bytes());
}

/// Gives the rows of a list in a stream to `put`: its elements, then the header. `row` is the prefix
/// of the pair, and is so again when this returns without an error.
pub(crate) fn put_rows<E: From<CodecError>>(
    element: &Extent,
    row: &mut Vec<u8>,
    value: &[u8],
    mut put: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut input = Input::new(value);
    let (count, prefix_len) = (read_count(&mut input)?, row.len());
    if count == 0 {
        return Ok(());
    }
    for position in 0..count {
        put_position(position, row);
        put(row, element.take(&mut input)?)?;
        row.truncate(prefix_len);
    }
    put(row, &Span(0..count).to_bytes())
}

/// Why the rows of a list cannot be read.
pub(crate) enum Refusal {
    Codec(CodecError),
    Engine(Failure),
}

impl From<CodecError> for Refusal {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}

impl Refusal {
    /// The error of a state; `codec` makes that of bytes.
    pub(crate) fn into_error<E: From<Failure>>(self, codec: impl FnOnce(CodecError) -> E) -> E {
        match self {
            Self::Codec(source) => codec(source),
            Self::Engine(failure) => failure.into(),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Engine(failure)
    }
}

/// Appends the list whose header is at hand, as it stands in a stream, and leaves the rows behind it.
pub(crate) fn take_list(
    rows: &mut Rows<'_>,
    prefix: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let mut left = match rows.row()? {
        Some((row, header)) if row == prefix => Span::of_bytes(header)?,
        _ => return Err(invalid("no header").into()),
    };
    let count = left.len();
    put_varint(count, out);
    let start = out.len();
    rows.advance();
    while let Some((row, value)) = rows.row()? {
        let Some(position) = row.strip_prefix(prefix) else { break };
        left.take(position)?;
        out.extend_from_slice(value);
        rows.advance();
    }
    left.finish()?;
    Ok(check_empty_items(count, out.len() - start)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_and_empty_ones_are_refused() {
        let span = Span(5..0x0102);
        assert_eq!(span.to_bytes(), [5, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Span::of_bytes(&span.to_bytes()).unwrap(), span);
        for start in [5, 6] {
            let wrong = Span(Range { start, end: 5 });
            let error = Span::of_bytes(&wrong.to_bytes()).unwrap_err();
            assert!(matches!(error, CodecError::Invalid { what: "long list", .. }), "{error}");
        }
        assert!(matches!(Span::of_bytes(&[0; 15]), Err(CodecError::Truncated { .. })));
        assert!(matches!(Span::of_bytes(&[1; 17]), Err(CodecError::TrailingBytes { .. })));
        let mut last = Span(0..u64::MAX);
        assert!(matches!(last.append(), Err(CodecError::Invalid { .. })));
    }

    #[test]
    fn rows_are_in_the_order_of_their_elements() {
        let (mut row, mut rows) = (vec![7], Vec::new());
        let value = [3, 10, 0, 11, 0, 12, 0];
        put_rows(&Extent::Fixed(2), &mut row, &value, |row, value| {
            rows.push((row.to_vec(), value.to_vec()));
            Ok::<_, CodecError>(())
        })
        .unwrap();
        assert_eq!(row, [7]);
        assert_eq!(rows.pop().unwrap(), (vec![7], Span(0..3).to_bytes().to_vec()));
        assert!(rows.is_sorted());
        let range = Span(0..3).rows(&[7]);
        assert!(rows.iter().all(|(row, _)| range.holds_all(row, row)));
        assert!(!range.holds_all(&[7], &[7]), "the header is no element");
        assert_eq!(rows[1], (vec![7, 0, 0, 0, 0, 0, 0, 0, 1], vec![11, 0]));
    }
}
