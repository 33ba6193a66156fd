//! The layout of a row key: key group, length and bytes of the key, length and bytes of the
//! namespace, user key.
//!
//! Flink writes the lengths behind the bytes, and only when both are variable; a row then has to be
//! read from its end. Here they come first, so that a row is read from its start, and always, so
//! that one layout fits all codecs.
//!
//! Source: Flink `CompositeKeySerializationUtils` for what it is for.

use alluvium_core::{KeyGroup, KeyGroupError, MaxParallelism};

/// Longest encoded key or namespace, in bytes.
pub const MAX_PART_LEN_BYTES: usize = 65_535;
/// Up to this max parallelism the key group takes one byte.
const ONE_BYTE_UP_TO: u16 = 128;

/// A row key that cannot be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowKeyError {
    /// A key or namespace is longer than the layout can hold.
    #[error("encoded {part} of {len_bytes} bytes is longer than 65,535 bytes")]
    TooLong {
        /// `key` or `namespace`.
        part: &'static str,
        /// Its length in bytes.
        len_bytes: usize,
    },
    /// The row key ends inside one of its parts.
    #[error("row key of {len_bytes} bytes ends inside its {part}")]
    Truncated {
        /// The part that is cut.
        part: &'static str,
        /// Length of the row key in bytes.
        len_bytes: usize,
    },
    /// The key group is not one of the job's.
    #[error("{0}")]
    KeyGroup(#[from] KeyGroupError),
}

/// The parts of a row key, still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowKeyParts<'a> {
    /// The key group.
    pub key_group: KeyGroup,
    /// The key.
    pub key: &'a [u8],
    /// The namespace.
    pub namespace: &'a [u8],
    /// The user key of a map; empty for other states.
    pub user_key: &'a [u8],
}

/// Makes and reads the row keys of one job.
#[derive(Debug, Clone, Copy)]
pub struct RowKeyLayout {
    max: MaxParallelism,
}

impl RowKeyLayout {
    /// The layout for a max parallelism.
    pub const fn new(max: MaxParallelism) -> Self {
        Self { max }
    }

    /// What all rows of a key group begin with.
    ///
    /// Shape: big-endian, 1 byte when max parallelism is at most 128, else 2.
    pub fn key_group_prefix(self, key_group: KeyGroup) -> Vec<u8> {
        let [high, low] = key_group.get().to_be_bytes();
        if self.max.get() <= ONE_BYTE_UP_TO { vec![low] } else { vec![high, low] }
    }

    /// What all rows of a key and namespace begin with.
    ///
    /// Errors: [`RowKeyError::TooLong`].
    pub fn entry_prefix(
        self,
        key_group: KeyGroup,
        key: &[u8],
        namespace: &[u8],
    ) -> Result<Vec<u8>, RowKeyError> {
        let mut row = self.key_group_prefix(key_group);
        put_part("key", key, &mut row)?;
        put_part("namespace", namespace, &mut row)?;
        Ok(row)
    }

    /// A whole row key.
    ///
    /// Errors: [`RowKeyError::TooLong`].
    pub fn row_key(
        self,
        key_group: KeyGroup,
        key: &[u8],
        namespace: &[u8],
        user_key: &[u8],
    ) -> Result<Vec<u8>, RowKeyError> {
        let mut row = self.entry_prefix(key_group, key, namespace)?;
        row.extend_from_slice(user_key);
        Ok(row)
    }

    /// The parts of a row key.
    ///
    /// Errors: [`RowKeyError::Truncated`], [`RowKeyError::KeyGroup`].
    pub fn split(self, row: &[u8]) -> Result<RowKeyParts<'_>, RowKeyError> {
        let len_bytes = row.len();
        let cut = |part| RowKeyError::Truncated { part, len_bytes };
        let (group, rest) = if self.max.get() <= ONE_BYTE_UP_TO {
            let (low, rest) = row.split_first().ok_or(cut("key group"))?;
            (u16::from(*low), rest)
        } else {
            let (group, rest) = row.split_first_chunk::<2>().ok_or(cut("key group"))?;
            (u16::from_be_bytes(*group), rest)
        };
        let key_group = KeyGroup::new(group, self.max)?;
        let (key, rest) = take_part(rest).ok_or(cut("key"))?;
        let (namespace, user_key) = take_part(rest).ok_or(cut("namespace"))?;
        Ok(RowKeyParts { key_group, key, namespace, user_key })
    }
}

fn put_part(part: &'static str, bytes: &[u8], row: &mut Vec<u8>) -> Result<(), RowKeyError> {
    let len_bytes = bytes.len();
    let len = u16::try_from(len_bytes).map_err(|_| RowKeyError::TooLong { part, len_bytes })?;
    row.extend_from_slice(&len.to_be_bytes());
    row.extend_from_slice(bytes);
    Ok(())
}

fn take_part(row: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = row.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

#[cfg(test)]
mod tests;
