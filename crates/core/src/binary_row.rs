//! Rows of Flink SQL as its keys are: their bytes and their hash.
//!
//! Flink SQL keys a stream by a `BinaryRowData` of the key columns, so a key group there is that of
//! the hash of those bytes. An operator that takes part in such a job makes the same row of the same
//! columns: `KeyGroupAssigner::Flink(|key| BinaryRow::new(&[..]).java_hash())`.
//!
//! Layout: a byte of the row kind (0, insert), a bit for each field that says whether it is null, up to
//! a multiple of 8 bytes; 8 bytes for each field; then what does not fit into 8 bytes, each part filled
//! up with zeros to a multiple of 8. All numbers are little-endian, as Flink has them on the machines
//! that it runs on.
//!
//! Invariants: the length is a multiple of 8, and every byte that no value takes is zero.
//!
//! Source: Flink `BinaryRowData`, `BinaryRowWriter`, `AbstractBinaryWriter`, `MurmurHashUtils`.

use crate::JavaHash;

/// Seed of the hash.
const SEED: u32 = 42;
/// Bits in front of those for nulls.
const HEADER_BITS: usize = 8;
/// Longest text or bytes that lie in the fixed part.
const MAX_IN_PLACE_LEN: usize = 7;
/// Most digits of a decimal that is kept as a 64-bit number.
const MAX_COMPACT_DECIMAL_DIGITS: u8 = 18;
/// Most digits of the fraction of a second that fit into milliseconds.
const MAX_COMPACT_TIMESTAMP_DIGITS: u8 = 3;
/// Bytes of a decimal that is not compact.
const DECIMAL_LEN: usize = 16;

/// A field of a [`BinaryRow`], by its SQL type.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum RowField<'a> {
    /// NULL of any type but a decimal of more than 18 digits and a timestamp of more than 3.
    Null,
    /// BOOLEAN
    Boolean(bool),
    /// TINYINT
    TinyInt(i8),
    /// SMALLINT
    SmallInt(i16),
    /// INT; DATE in days since 1970-01-01; TIME in milliseconds of the day.
    Int(i32),
    /// BIGINT
    BigInt(i64),
    /// FLOAT
    Float(f32),
    /// DOUBLE
    Double(f64),
    /// CHAR, VARCHAR
    Text(&'a str),
    /// BINARY, VARBINARY
    Bytes(&'a [u8]),
    /// DECIMAL, or NULL of one: the number without its point, and the digits of the type.
    Decimal {
        /// The value times ten to the power of the scale.
        unscaled: Option<i128>,
        /// Digits of the type, 1 to 38.
        precision: u8,
    },
    /// TIMESTAMP and `TIMESTAMP_LTZ`, or NULL of one: milliseconds since 1970 and the nanoseconds
    /// beyond them, and the digits of the type.
    Timestamp {
        /// Milliseconds, and nanoseconds within the millisecond, 0 to 999,999.
        time: Option<(i64, u32)>,
        /// Digits of the fraction of a second, 0 to 9.
        precision: u8,
    },
}

/// A row of Flink SQL in binary form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BinaryRow {
    bytes: Vec<u8>,
}

impl BinaryRow {
    /// The row of some fields.
    pub fn new(fields: &[RowField<'_>]) -> Self {
        let null_bits_len = (fields.len() + 63 + HEADER_BITS) / 64 * 8;
        let mut row = Self { bytes: vec![0; null_bits_len + 8 * fields.len()] };
        for (position, field) in fields.iter().enumerate() {
            let word = row.word_of(*field);
            if field.is_null() {
                row.set_null(position);
            }
            row.put(null_bits_len + 8 * position, word.to_le_bytes());
        }
        row
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The 8 bytes of a field; what does not fit is appended.
    fn word_of(&mut self, field: RowField<'_>) -> u64 {
        match field {
            RowField::Null => 0,
            RowField::Boolean(value) => u64::from(value),
            RowField::TinyInt(value) => u64::from(value.cast_unsigned()),
            RowField::SmallInt(value) => u64::from(value.cast_unsigned()),
            RowField::Int(value) => u64::from(value.cast_unsigned()),
            RowField::BigInt(value) => value.cast_unsigned(),
            RowField::Float(value) => u64::from(value.to_bits()),
            RowField::Double(value) => value.to_bits(),
            RowField::Text(text) => self.word_of_bytes(text.as_bytes()),
            RowField::Bytes(bytes) => self.word_of_bytes(bytes),
            RowField::Decimal { unscaled, precision } => {
                if precision <= MAX_COMPACT_DECIMAL_DIGITS {
                    return low_word(unscaled.unwrap_or(0));
                }
                let digits = unscaled.map_or([0; DECIMAL_LEN], i128::to_be_bytes);
                let bytes = if unscaled.is_some() { shortest(&digits) } else { &[] };
                self.append(bytes, DECIMAL_LEN, bytes.len() as u64)
            }
            RowField::Timestamp { time, precision } => {
                let (millis, nanos) = time.unwrap_or((0, 0));
                if precision <= MAX_COMPACT_TIMESTAMP_DIGITS {
                    return millis.cast_unsigned();
                }
                self.append(&millis.to_le_bytes(), size_of::<i64>(), u64::from(nanos))
            }
        }
    }

    fn word_of_bytes(&mut self, bytes: &[u8]) -> u64 {
        if bytes.len() > MAX_IN_PLACE_LEN {
            return self.append(bytes, bytes.len().next_multiple_of(8), bytes.len() as u64);
        }
        let mut word = [0; 8];
        word.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        let length = (bytes.len() as u64 | 0x80) << 56;
        u64::from_le_bytes(word) | length
    }

    /// Appends bytes, filled up to a length; gives where they begin, and a number, as one word.
    fn append(&mut self, bytes: &[u8], filled_len: usize, number: u64) -> u64 {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(offset + filled_len, 0);
        (offset as u64) << 32 | number
    }

    fn set_null(&mut self, position: usize) {
        let bit = position + HEADER_BITS;
        if let Some(byte) = self.bytes.get_mut(bit / 8) {
            *byte |= 1 << (bit % 8);
        }
    }

    fn put(&mut self, offset: usize, word: [u8; 8]) {
        if let Some(place) = self.bytes.get_mut(offset..offset + word.len()) {
            place.copy_from_slice(&word);
        }
    }
}

impl RowField<'_> {
    const fn is_null(self) -> bool {
        matches!(
            self,
            Self::Null | Self::Decimal { unscaled: None, .. } | Self::Timestamp { time: None, .. }
        )
    }
}

/// Murmur3 of 32 bits over all bytes, with seed 42.
impl JavaHash for BinaryRow {
    fn java_hash(&self) -> i32 {
        let (words, _) = self.bytes.as_chunks::<4>();
        let hash = words.iter().fold(SEED, |hash, word| {
            let word = u32::from_le_bytes(*word).wrapping_mul(0xcc9e_2d51).rotate_left(15);
            let hash = hash ^ word.wrapping_mul(0x1b87_3593);
            hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
        });
        let mut hash = hash ^ low_half(self.bytes.len());
        hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
        hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
        (hash ^ (hash >> 16)).cast_signed()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "such a decimal fits, as in Java")]
const fn low_word(unscaled: i128) -> u64 {
    unscaled.cast_unsigned() as u64
}

#[expect(clippy::cast_possible_truncation, reason = "rows of Flink have less than 2^31 bytes")]
const fn low_half(len: usize) -> u32 {
    len as u32
}

/// A big-endian number without the bytes that its sign makes superfluous, as `BigInteger` writes it.
fn shortest(bytes: &[u8; DECIMAL_LEN]) -> &[u8] {
    let mut rest: &[u8] = bytes;
    while let [first, next @ ..] = rest {
        let is_superfluous = match (first, next.first()) {
            (0, Some(second)) => second & 0x80 == 0,
            (0xff, Some(second)) => second & 0x80 != 0,
            _ => false,
        };
        if !is_superfluous {
            break;
        }
        rest = next;
    }
    rest
}

#[cfg(test)]
mod tests;
