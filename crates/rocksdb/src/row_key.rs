//! The layout of a row key: key-group prefix, key, namespace, user key (maps) or position (long
//! lists).
//!
//! Fields in order: key group, big-endian, 1 byte when max parallelism is at most 128, else 2; the
//! encoded key; the encoded namespace; the encoded user key. There are no lengths: codecs are
//! self-delimiting, so a row is taken apart by the extents of key and namespace. Rows of timers have
//! domain and time before the key (see [`crate::timer_row`]).
//!
//! Invariants:
//! - rows of one key group are contiguous, and key groups are in order;
//! - rows of one (key, namespace), a *pair*, are contiguous, and no other row begins as they do;
//! - two different (key, namespace, user key) never give the same row key.
//!
//! Source: Flink `CompositeKeySerializationUtils` for what it is for.

use alluvium_core::{KeyGroup, KeyGroupRange, MaxParallelism};
use alluvium_format::CodecError;
use alluvium_format::codec::Input;

use alluvium_format::codec::Extent;

/// Up to this max parallelism the key group takes one byte.
const ONE_BYTE_UP_TO: u16 = 128;

/// How the row keys of a job begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowKeyLayout {
    max: MaxParallelism,
}

/// A run of rows: from the first key on, up to the end, which is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RowRange {
    pub(crate) first: Vec<u8>,
    /// `None` when the run goes on to the last row.
    pub(crate) end: Option<Vec<u8>>,
}

impl RowKeyLayout {
    pub(crate) const fn new(max: MaxParallelism) -> Self {
        Self { max }
    }

    /// Length of the key-group prefix.
    pub(crate) const fn group_len_bytes(self) -> usize {
        if self.max.get() <= ONE_BYTE_UP_TO { 1 } else { 2 }
    }

    /// Appends what all rows of a key group begin with.
    pub(crate) fn put_key_group(self, key_group: KeyGroup, row: &mut Vec<u8>) {
        self.put_number(key_group.get(), row);
    }

    fn put_number(self, number: u16, row: &mut Vec<u8>) {
        let [high, low] = number.to_be_bytes();
        if self.group_len_bytes() == 2 {
            row.push(high);
        }
        row.push(low);
    }

    /// The rows of some key groups.
    pub(crate) fn rows_of(self, range: KeyGroupRange) -> RowRange {
        let (mut first, mut end) = (Vec::new(), Vec::new());
        self.put_key_group(range.first(), &mut first);
        // At most 128 in one byte, and 32,768 in two.
        self.put_number(range.last().get() + 1, &mut end);
        RowRange { first, end: Some(end) }
    }

    /// The key group of a row.
    ///
    /// Errors: as [`RowKeyLayout::split_key_group`].
    pub(crate) fn key_group_of(self, row: &[u8]) -> Result<KeyGroup, CodecError> {
        Ok(self.split_key_group(row)?.0)
    }

    /// The key group of a row, and what follows it.
    ///
    /// Errors: [`CodecError::Truncated`], [`CodecError::Invalid`].
    pub(crate) fn split_key_group(self, row: &[u8]) -> Result<(KeyGroup, &[u8]), CodecError> {
        let mut input = Input::new(row);
        let what = "key group of a row";
        let number = if self.group_len_bytes() == 1 {
            u16::from(input.u8(what)?)
        } else {
            u16::from_be_bytes(input.array(what)?)
        };
        let reason = "not one of the job";
        let invalid = |_| CodecError::Invalid { what, offset: 0, reason };
        Ok((KeyGroup::new(number, self.max).map_err(invalid)?, input.rest()))
    }
}

impl RowRange {
    /// Whether it holds all rows from one to another.
    pub(crate) fn holds_all(&self, smallest: &[u8], largest: &[u8]) -> bool {
        smallest >= self.first.as_slice()
            && self.end.as_ref().is_none_or(|end| largest < end.as_slice())
    }

    /// All rows that begin with a prefix.
    pub(crate) fn of_prefix(prefix: &[u8]) -> Self {
        Self { first: prefix.to_vec(), end: after_prefix(prefix) }
    }
}

/// The least row after all that begin with a prefix; `None` when there is none, because the prefix
/// has nothing but bytes of 255.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix.get(..=kept)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}

/// How the rows of one state are taken apart.
#[derive(Debug, Clone)]
pub(crate) struct RowKeys {
    pub(crate) layout: RowKeyLayout,
    /// Bytes between key group and key: domain and time of a timer.
    pub(crate) lead_len_bytes: usize,
    pub(crate) key: Extent,
    pub(crate) namespace: Extent,
}

/// The parts of a row key, still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowKeyParts<'a> {
    /// Key group, key and namespace: what all rows of the pair begin with. A timer is a pair.
    pub(crate) prefix: &'a [u8],
    pub(crate) key: &'a [u8],
    pub(crate) namespace: &'a [u8],
    /// The user key of a map, or the position in a long list; empty for other states.
    pub(crate) user_key: &'a [u8],
}

impl RowKeys {
    /// The parts of a row key.
    ///
    /// Errors: [`CodecError`] when it ends inside of one.
    pub(crate) fn split<'a>(&self, row: &'a [u8]) -> Result<RowKeyParts<'a>, CodecError> {
        let mut input = Input::new(row);
        input.take(self.layout.group_len_bytes() as u64, "key group of a row")?;
        input.take(self.lead_len_bytes as u64, "time of a row")?;
        let key = self.key.take(&mut input)?;
        let namespace = self.namespace.take(&mut input)?;
        let user_key = input.rest();
        let prefix = row.get(..row.len() - user_key.len()).unwrap_or_default();
        Ok(RowKeyParts { prefix, key, namespace, user_key })
    }
}

#[cfg(test)]
mod tests;
