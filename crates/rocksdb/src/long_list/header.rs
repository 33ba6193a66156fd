//! The row in front of the elements of a long list: where they are.
//!
//! Fields of its value in order: the largest stamp of the elements (`i64`, where they have stamps),
//! position of the first element, position behind the last one (`u64` each, little endian).
//!
//! Invariants:
//! - a header has elements: the first position is below the next one;
//! - no stamp in the span is above that of the header, so a list of which the header has expired has
//!   no element that has not.

use std::ops::Range;

use alluvium_format::CodecError;
use alluvium_format::codec::{Input, take_stamp};

use super::{WHAT, invalid, put_position};
use crate::row_key::RowRange;

/// Length of a position in a row key.
const POSITION_LEN_BYTES: usize = 8;

/// Whether every position of a list has a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// Each has one, and there is a header.
    Refused,
    /// Elements have stamps: some may have gone, and the header with all of them.
    Expired,
}

/// The positions of the elements of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Range<u64>);

impl Span {
    /// How many positions there are.
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

    /// Takes off the position of a row, and those before it where there may be gaps; `position` is
    /// what its key has behind the prefix of its pair. False for a row outside the span, which is left
    /// of a list that has expired.
    ///
    /// Errors: [`CodecError::Invalid`].
    pub(crate) fn take(&mut self, position: &[u8], gaps: Gaps) -> Result<bool, CodecError> {
        let position: [u8; POSITION_LEN_BYTES] =
            position.try_into().map_err(|_| invalid("a row without a position"))?;
        let position = u64::from_be_bytes(position);
        match gaps {
            Gaps::Refused if self.0.next() == Some(position) => Ok(true),
            Gaps::Refused => Err(invalid("a row at another position than the next one")),
            Gaps::Expired if self.0.contains(&position) => {
                self.0.start = position.saturating_add(1);
                Ok(true)
            }
            Gaps::Expired => Ok(false),
        }
    }

    /// All positions must have been taken off, unless there may be gaps.
    ///
    /// Errors: [`CodecError::Invalid`].
    pub(crate) fn finish(&self, gaps: Gaps) -> Result<(), CodecError> {
        if self.len() == 0 || gaps == Gaps::Expired {
            return Ok(());
        }
        Err(invalid("fewer rows than the header says"))
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

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) span: Span,
    /// The largest stamp of its elements, if they have stamps and there are any.
    newest_ms: Option<i64>,
}

impl Header {
    /// Of a list without elements, which has none.
    pub(crate) const fn empty() -> Self {
        Self { span: Span(0..0), newest_ms: None }
    }

    /// The same with a part of its positions.
    pub(crate) const fn with_span(self, span: Span) -> Self {
        Self { span, ..self }
    }

    /// Takes account of an encoded element.
    ///
    /// Errors: [`CodecError`] where it has no stamp.
    pub(crate) fn add(&mut self, element: &[u8], gaps: Gaps) -> Result<(), CodecError> {
        if gaps == Gaps::Expired {
            let stamp_ms = take_stamp(&mut Input::new(element))?;
            self.newest_ms = self.newest_ms.max(Some(stamp_ms));
        }
        Ok(())
    }

    /// Takes account of an element that stays where it is.
    ///
    /// Errors: as [`Header::add`].
    pub(crate) fn keep(&mut self, position: u64, element: &[u8]) -> Result<(), CodecError> {
        let start = if self.span.len() == 0 { position } else { self.span.0.start };
        self.span = Span(start..position.saturating_add(1));
        self.add(element, Gaps::Expired)
    }

    /// Its value.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let stamp = self.newest_ms.map(i64::to_le_bytes);
        let Range { start, end } = self.span.0;
        let positions = [start.to_le_bytes(), end.to_le_bytes()];
        stamp.into_iter().chain(positions).flatten().collect()
    }

    /// Reads its value.
    ///
    /// Errors: [`CodecError`].
    pub(crate) fn of_bytes(bytes: &[u8], gaps: Gaps) -> Result<Self, CodecError> {
        let mut input = Input::new(bytes);
        let newest_ms = match gaps {
            Gaps::Refused => None,
            Gaps::Expired => Some(take_stamp(&mut input)?),
        };
        let span = input.u64(WHAT)?..input.u64(WHAT)?;
        input.finish()?;
        if span.is_empty() {
            return Err(invalid("a header without elements"));
        }
        Ok(Self { span: Span(span), newest_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(span: Range<u64>) -> Header {
        Header::empty().with_span(Span(span))
    }

    #[test]
    fn headers_come_back_and_empty_ones_are_refused() {
        let header = of(5..0x0102);
        let bytes = header.to_bytes();
        assert_eq!(bytes, [5, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Header::of_bytes(&bytes, Gaps::Refused).unwrap(), header);
        for start in [5, 6] {
            let wrong = of(Range { start, end: 5 }).to_bytes();
            let error = Header::of_bytes(&wrong, Gaps::Refused).unwrap_err();
            assert!(matches!(error, CodecError::Invalid { what: "long list", .. }), "{error}");
        }
        let read = |bytes: &[u8], gaps| Header::of_bytes(bytes, gaps);
        assert!(matches!(read(&[0; 15], Gaps::Refused), Err(CodecError::Truncated { .. })));
        assert!(matches!(read(&[1; 17], Gaps::Refused), Err(CodecError::TrailingBytes { .. })));
        assert!(matches!(read(&bytes, Gaps::Expired), Err(CodecError::Truncated { .. })));
        let mut last = Span(0..u64::MAX);
        assert!(matches!(last.append(), Err(CodecError::Invalid { .. })));
    }

    #[test]
    fn a_header_has_the_largest_stamp_of_its_elements() {
        let mut header = Header::empty();
        for (position, stamp_ms) in [(3, -7_i64), (5, 1_000), (6, 20)] {
            header.keep(position, &[&stamp_ms.to_le_bytes()[..], &[9]].concat()).unwrap();
        }
        let mut bytes = vec![0xe8, 3, 0, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(&of(3..7).to_bytes());
        assert_eq!(header.to_bytes(), bytes);
        assert_eq!(Header::of_bytes(&bytes, Gaps::Expired).unwrap(), header);
        assert!(header.add(&[0; 7], Gaps::Expired).is_err());
        assert_eq!(of(3..7).newest_ms, None);
    }

    #[test]
    fn positions_are_passed_over_only_where_elements_expire() {
        let row = |position: u64| position.to_be_bytes();
        let mut span = Span(2..6);
        assert!(span.take(&row(1), Gaps::Refused).is_err());
        let mut span_with_gaps = Span(2..6);
        let mut take = |position| span_with_gaps.take(&row(position), Gaps::Expired).unwrap();
        assert_eq!([1, 2, 4, 4, 5, 6].map(&mut take), [false, true, true, false, true, false]);
        assert!(Span(2..6).take(&[0; 7], Gaps::Expired).is_err());
        assert!(Span(2..6).finish(Gaps::Refused).is_err());
        Span(2..6).finish(Gaps::Expired).unwrap();
    }
}
