//! The row of a list: groups of elements, one after the other.
//!
//! Fields of a group in order: varint count, that many elements. Appending merges one group; the
//! merge operator concatenates. A list in a snapshot is one group (SPEC 5.2, `vec`), so a snapshot
//! joins the groups, and a row may also be written as it stands there.
//!
//! Invariants: element boundaries are unambiguous, also for elements without bytes; a row has at
//! least one element.

use alluvium_format::CodecError;
use alluvium_format::codec::Input;
use rocksdb::{MergeOperands, Options};

use crate::extent::{Extent, MAX_EMPTY_ITEMS, read_count};

/// Name of the merge operator; RocksDB stores it.
const MERGE_OPERATOR: &str = "alluvium.list";

/// Makes a column concatenate what is merged into a row.
pub(crate) fn set_list_merge(options: &mut Options) {
    options.set_merge_operator_associative(MERGE_OPERATOR, concatenate);
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a merge function")]
fn concatenate(_: &[u8], existing: Option<&[u8]>, operands: &MergeOperands) -> Option<Vec<u8>> {
    let existing = existing.unwrap_or_default();
    let len = existing.len() + operands.iter().map(<[u8]>::len).sum::<usize>();
    let mut row = Vec::with_capacity(len);
    row.extend_from_slice(existing);
    operands.iter().for_each(|operand| row.extend_from_slice(operand));
    Some(row)
}

/// Appends a varint (SPEC 1.2).
pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Appends a group of which the elements are counted while they are written; nothing when there
/// are none.
pub(crate) fn put_group<T, E>(
    elements: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    mut encode: impl FnMut(T, &mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    // Most groups are short, so one byte is kept free for the count; longer ones are moved up.
    out.push(0);
    let mut count = 0_u64;
    for element in elements {
        encode(element, out)?;
        count += 1;
    }
    match (u8::try_from(count), out.get_mut(start)) {
        (Ok(0), _) => out.truncate(start),
        (Ok(short @ ..0x80), Some(place)) => *place = short,
        _ => {
            let mut prefix = Vec::new();
            put_varint(count, &mut prefix);
            out.splice(start..=start, prefix);
        }
    }
    Ok(())
}

/// Appends all groups of a row as one.
///
/// Errors: [`CodecError`]; [`CodecError::TooLarge`] for more elements without bytes than a reader
/// takes.
pub(crate) fn join_groups(
    element: &Extent,
    row: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let (mut input, mut total, mut groups) = (Input::new(row), 0_u64, 0_u64);
    while !input.is_empty() {
        let count = read_count(&mut input)?;
        element.take_many(count, &mut input)?;
        total = total.saturating_add(count);
        groups += 1;
    }
    if groups == 1 {
        out.extend_from_slice(row);
        return Ok(());
    }
    let start = out.len();
    put_varint(total, out);
    let mut input = Input::new(row);
    while !input.is_empty() {
        let count = read_count(&mut input)?;
        out.extend_from_slice(element.take_many(count, &mut input)?);
    }
    check_empty_items(total, out.len() - start)
}

/// Refuses more items without bytes than a reader takes.
pub(crate) fn check_empty_items(count: u64, len_bytes: usize) -> Result<(), CodecError> {
    let (what, limit) = ("number of items without bytes", MAX_EMPTY_ITEMS);
    if count > len_bytes as u64 && count > limit {
        return Err(CodecError::TooLarge { what, found: count, limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(elements: &[u16]) -> Vec<u8> {
        let mut out = Vec::new();
        put_group(elements.iter(), &mut out, |element, out| {
            out.extend_from_slice(&element.to_le_bytes());
            Ok::<_, CodecError>(())
        })
        .unwrap();
        out
    }

    #[test]
    fn groups_are_joined_into_one() {
        let element = Extent::Fixed(2);
        let mut joined = Vec::new();
        join_groups(&element, &[group(&[1, 2]), group(&[3])].concat(), &mut joined).unwrap();
        assert_eq!(joined, group(&[1, 2, 3]));
        let long: Vec<u16> = (0..300).collect();
        joined.clear();
        join_groups(&element, &[group(&long), group(&long)].concat(), &mut joined).unwrap();
        assert_eq!(joined, group(&[long.as_slice(), &long].concat()));
        assert_eq!(group(&[]), [0_u8; 0]);
        assert!(join_groups(&element, &[3, 1, 0], &mut joined).is_err());
    }

    #[test]
    fn elements_without_bytes_are_counted() {
        let mut joined = Vec::new();
        join_groups(&Extent::Fixed(0), &[2, 1, 4], &mut joined).unwrap();
        assert_eq!(joined, [7]);
        let many = [0x80, 0x80, 4].repeat(2);
        assert!(join_groups(&Extent::Fixed(0), &many, &mut joined).is_err());
    }
}
