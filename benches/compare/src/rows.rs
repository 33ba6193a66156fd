//! Rows of stores that keep bytes in order: numbers are big endian, so the rows of a key are
//! neighbours, and a prefix of eight bytes is a key.
//!
//! A value has the row `key`; an entry of a map `key, user key`; a piece of a list `key, number of the
//! piece`, whose value is its elements one after the other, little endian. Pieces are numbered in the
//! order in which they were added, over all lists, so an append is one write and no read.

/// A key and what stands behind it.
pub(crate) const PAIR_LEN_BYTES: usize = 16;

/// The row of two numbers.
#[inline]
pub(crate) fn pair(key: u64, second: u64) -> [u8; PAIR_LEN_BYTES] {
    let mut row = [0; PAIR_LEN_BYTES];
    let (front, back) = row.split_at_mut(8);
    front.copy_from_slice(&key.to_be_bytes());
    back.copy_from_slice(&second.to_be_bytes());
    row
}

/// The second number of a row.
#[inline]
pub(crate) fn second(row: &[u8]) -> u64 {
    let back = row.get(8..PAIR_LEN_BYTES).and_then(|back| back.try_into().ok());
    back.map_or(0, u64::from_be_bytes)
}

/// A number in a value of eight bytes.
#[inline]
pub(crate) fn number(value: &[u8]) -> u64 {
    value.try_into().map_or(0, u64::from_le_bytes)
}

/// What an entry of a map adds to the sum of what was read.
#[inline]
pub(crate) const fn entry_sum(user_key: u64, bits: u64) -> u64 {
    user_key.wrapping_add(bits)
}

/// The sum of the elements of a piece of a list.
#[inline]
pub(crate) fn piece_sum(piece: &[u8]) -> u64 {
    piece.chunks_exact(8).map(number).fold(0, u64::wrapping_add)
}

/// Elements one after the other.
pub(crate) fn piece(elements: &[u64]) -> Vec<u8> {
    elements.iter().flat_map(|element| element.to_le_bytes()).collect()
}

/// The sum of some numbers, as all sums of what was read are made.
#[inline]
pub(crate) fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::wrapping_add)
}
