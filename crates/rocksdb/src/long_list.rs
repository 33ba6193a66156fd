//! The rows of a long list: a header, and one for each element.
//!
//! The header has the row key of its pair; that of an element has the position behind it, big endian,
//! and the element is its value. So the header is in front of the elements, which are in their order.
//!
//! Elements with stamps expire one by one, and compactions drop their rows; when the last one has
//! expired the header may go too, before or after them. So there a list is what the rows inside the span
//! of its header give, and rows outside are nothing.
//!
//! Invariants:
//! - a list without elements has no row, and the first is below the next position;
//! - without stamps, there is a row for each position of the header's span, and no other one. What was
//!   removed is outside the span, so nothing that reads elements goes over it;
//! - a position that comes into the span gets its row anew, so what is left outside never comes back.
//!
//! Source: SPEC 12.4.

mod header;

use alluvium_format::CodecError;
use alluvium_format::codec::{Extent, Input, read_count};

pub(crate) use header::{Gaps, Header, Span};

#[cfg(feature = "engine")]
use crate::list_row::{check_empty_items, put_varint};
#[cfg(feature = "engine")]
use crate::store::{Failure, Rows};

const WHAT: &str = "long list";

fn invalid(reason: &'static str) -> CodecError {
    CodecError::Invalid { what: WHAT, offset: 0, reason }
}

/// Appends a position to the prefix of a pair.
pub(crate) fn put_position(position: u64, row: &mut Vec<u8>) {
    row.extend_from_slice(&position.to_be_bytes());
}

/// Gives the rows of a list in a stream to `put`: its elements, then the header. `row` is the prefix
/// of the pair, and is so again when this returns without an error.
pub(crate) fn put_rows<E: From<CodecError>>(
    (element, gaps): (&Extent, Gaps),
    row: &mut Vec<u8>,
    value: &[u8],
    mut put: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut input = Input::new(value);
    let (count, prefix_len) = (read_count(&mut input)?, row.len());
    if count == 0 {
        return Ok(());
    }
    let mut header = Header::empty();
    for position in 0..count {
        put_position(position, row);
        let element = element.take(&mut input)?;
        header.add(element, gaps)?;
        put(row, element)?;
        row.truncate(prefix_len);
    }
    put(row, &header.with_span(Span(0..count)).to_bytes())
}

/// Why the rows of a list cannot be read.
#[cfg(feature = "engine")]
pub(crate) enum Refusal {
    Codec(CodecError),
    Engine(Failure),
}

#[cfg(feature = "engine")]
impl From<CodecError> for Refusal {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}

#[cfg(feature = "engine")]
impl Refusal {
    /// The error of a state; `codec` makes that of bytes.
    pub(crate) fn into_error<E: From<Failure>>(self, codec: impl FnOnce(CodecError) -> E) -> E {
        match self {
            Self::Codec(source) => codec(source),
            Self::Engine(failure) => failure.into(),
        }
    }
}

#[cfg(feature = "engine")]
impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Engine(failure)
    }
}

/// Appends the list whose rows are at hand, as it stands in a stream and without the elements that
/// `keep` says false of, and leaves the rows behind it. Returns how many elements it has; none, and
/// nothing is appended.
#[cfg(feature = "engine")]
pub(crate) fn take_list(
    rows: &mut Rows<'_>,
    (prefix, gaps): (&[u8], Gaps),
    mut keep: impl FnMut(&[u8]) -> Result<bool, CodecError>,
    out: &mut Vec<u8>,
) -> Result<u64, Refusal> {
    let mut left = match rows.row()? {
        Some((row, header)) if row == prefix => {
            let header = Header::of_bytes(header, gaps)?;
            rows.advance();
            header.span
        }
        _ if gaps == Gaps::Expired => Span(0..0),
        _ => return Err(invalid("no header").into()),
    };
    let (mut count, start) = (0, out.len());
    while let Some((row, value)) = rows.row()? {
        let Some(position) = row.strip_prefix(prefix) else { break };
        if left.take(position, gaps)? && keep(value)? {
            out.extend_from_slice(value);
            count += 1;
        }
        rows.advance();
    }
    left.finish(gaps)?;
    check_empty_items(count, out.len() - start)?;
    if count > 0 {
        let mut prefix = Vec::new();
        put_varint(count, &mut prefix);
        out.splice(start..start, prefix);
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_order_of_their_elements() {
        let (mut row, mut rows) = (vec![7], Vec::new());
        let value = [3, 10, 0, 11, 0, 12, 0];
        let header = |span| Header::empty().with_span(Span(span)).to_bytes();
        put_rows((&Extent::Fixed(2), Gaps::Refused), &mut row, &value, |row, value| {
            rows.push((row.to_vec(), value.to_vec()));
            Ok::<_, CodecError>(())
        })
        .unwrap();
        assert_eq!(row, [7]);
        assert_eq!(rows.pop().unwrap(), (vec![7], header(0..3)));
        assert!(rows.is_sorted());
        let range = Span(0..3).rows(&[7]);
        assert!(rows.iter().all(|(row, _)| range.holds_all(row, row)));
        assert!(!range.holds_all(&[7], &[7]), "the header is no element");
        assert_eq!(rows[1], (vec![7, 0, 0, 0, 0, 0, 0, 0, 1], vec![11, 0]));
    }
}
