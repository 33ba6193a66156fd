//! The row of a list: groups of elements, one after the other.
//!
//! Fields of a group in order: varint count, that many elements. Appending merges one group; the
//! merge operator makes one group of all that it merges into a row and leaves the row in front of it
//! as it is, so that lists which were appended to one by one are not read one by one. A list in a
//! snapshot is one group (SPEC 5.2, `vec`), so a snapshot joins the groups, and a row may also be
//! written as it stands there.
//!
//! Invariants: element boundaries are unambiguous, also for elements without bytes; a row has at
//! least one element.

use alluvium_format::CodecError;
use alluvium_format::codec::{CodecSnapshot, Input};
#[cfg(feature = "engine")]
use rocksdb::{MergeOperands, Options};

use alluvium_format::codec::{Extent, MAX_EMPTY_ITEMS, read_count};

/// Name of the merge operator; RocksDB stores it.
#[cfg(feature = "engine")]
const MERGE_OPERATOR: &str = "alluvium.list";

/// The elements of a list with a value codec; `None` if nobody knows it.
pub(crate) fn element_of(list: &CodecSnapshot) -> Option<Extent> {
    match Extent::of(list) {
        Ok(Extent::Vec(element)) => Some(*element),
        _ => None,
    }
}

/// Makes a column append what is merged into a row.
#[cfg(feature = "engine")]
pub(crate) fn set_list_merge(element: Option<Extent>, options: &mut Options) {
    let append = move |_: &[u8], row: Option<&[u8]>, operands: &MergeOperands| {
        Some(append(element.as_ref(), row.unwrap_or_default(), operands))
    };
    options.set_merge_operator_associative(MERGE_OPERATOR, append);
}

/// The row with all operands behind it as one group; as they are, when they cannot be joined: those
/// who read the row will say why.
pub(crate) fn append<'o>(
    element: Option<&Extent>,
    row: &[u8],
    operands: impl IntoIterator<Item = &'o [u8]> + Clone,
) -> Vec<u8> {
    let operands_len: usize = operands.clone().into_iter().map(<[u8]>::len).sum();
    let mut appended = Vec::with_capacity(row.len() + operands_len);
    appended.extend_from_slice(row);
    let join = |element, out: &mut Vec<u8>| {
        let mut joined = Joined::default();
        operands.clone().into_iter().try_for_each(|operand| joined.add(element, operand))?;
        joined.put(out)
    };
    if element.is_none_or(|element| join(element, &mut appended).is_err()) {
        appended.truncate(row.len());
        operands.into_iter().for_each(|operand| appended.extend_from_slice(operand));
    }
    appended
}

/// Groups on their way into one.
#[derive(Default)]
struct Joined {
    count: u64,
    elements: Vec<u8>,
}

impl Joined {
    /// Adds the elements of some groups.
    fn add(&mut self, element: &Extent, groups: &[u8]) -> Result<(), CodecError> {
        let mut input = Input::new(groups);
        while !input.is_empty() {
            let count = read_count(&mut input)?;
            self.elements.extend_from_slice(element.take_many(count, &mut input)?);
            self.count = self.count.saturating_add(count);
        }
        Ok(())
    }

    /// Appends the group.
    ///
    /// Errors: [`CodecError::TooLarge`] for more elements without bytes than a reader takes.
    fn put(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let start = out.len();
        put_varint(self.count, out);
        out.extend_from_slice(&self.elements);
        check_empty_items(self.count, out.len() - start)
    }
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
    let mut input = Input::new(row);
    let count = read_count(&mut input)?;
    element.take_many(count, &mut input)?;
    if input.is_empty() {
        out.extend_from_slice(row);
        return Ok(());
    }
    let mut joined = Joined::default();
    joined.add(element, row)?;
    joined.put(out)
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
    fn what_is_merged_becomes_one_group_behind_the_row() {
        let (row, operands) = (group(&[1]), [group(&[2]), [group(&[3]), group(&[4, 5])].concat()]);
        let operands = operands.each_ref().map(Vec::as_slice);
        let appended = append(Some(&Extent::Fixed(2)), &row, operands);
        assert_eq!(appended, [group(&[1]), group(&[2, 3, 4, 5])].concat());
        assert_eq!(append(Some(&Extent::Fixed(2)), &[], operands), group(&[2, 3, 4, 5]));
        let as_they_are = [row.as_slice(), &operands.concat()].concat();
        assert_eq!(append(None, &row, operands), as_they_are);
        assert_eq!(append(Some(&Extent::Framed), &row, operands), as_they_are);
    }

    #[test]
    fn too_many_elements_without_bytes_stay_in_their_groups() {
        let many = [0x80, 0x80, 4];
        assert_eq!(append(Some(&Extent::Fixed(0)), &[], [many.as_slice(); 2]), many.repeat(2));
        assert_eq!(append(Some(&Extent::Fixed(0)), &[], [[2].as_slice(), &[5]]), [7]);
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
