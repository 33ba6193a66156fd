//! Between the rows of a state and its entries in a keyed stream (SPEC 6.4).
//!
//! An entry of a stream is key, namespace and value, one after the other; key and namespace are the
//! row key without its key group. What the value becomes depends on the kind:
//! - value, reducing, aggregating: the row's value, as it is;
//! - list: one group of the row (see [`crate::list_row`]);
//! - long list: a header and a row for each element (see [`crate::long_list`]);
//! - map, sorted map: a row for each user key;
//! - timers: the row has nothing but its key, which is made anew (see [`crate::timer_row`]).
//!
//! Invariants: nothing here needs the types of the job; lists and maps without anything in them
//! have no row.

use std::collections::BTreeSet;
use std::sync::Arc;

use alluvium_format::CodecError;
use alluvium_format::codec::{Ascending, CodecSnapshot, Input, is_ordered};
use alluvium_format::keyed::{StateKind, StateMeta, timer_namespace};

use crate::long_list::{self, Gaps};
use crate::row_expiry::RowExpiry;
use crate::row_key::{RowKeyLayout, RowKeys};
use crate::timer_row::{self, LEAD_LEN_BYTES};
use alluvium_format::codec::{Extent, read_count};

/// What the rows of one state look like.
#[derive(Debug, Clone)]
pub(crate) struct RowFormat {
    pub(crate) keys: RowKeys,
    pub(crate) content: Content,
    /// What expires, if values have stamps; clones share it.
    pub(crate) expiry: Option<Arc<RowExpiry>>,
}

/// In which order the entries of a map come in a stream. Those of rows always come in the order of
/// their user keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MapOrder {
    /// In none.
    Any,
    /// In that of their user keys.
    Sorted,
}

/// What a row holds.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Value,
    /// Groups of elements.
    List(Extent),
    /// An element, or the header of a list.
    LongList(Extent),
    /// The value of one user key; whether the user keys of a stream are in order.
    Map(Extent, Extent, MapOrder),
    /// Nothing: the row key says all of a timer.
    Timer,
}

impl RowFormat {
    /// The rows of a state.
    ///
    /// Errors: [`CodecError::Invalid`] for a codec that nobody knows, or that cannot be that of
    /// this kind of state.
    pub(crate) fn new(
        layout: RowKeyLayout,
        key: &CodecSnapshot,
        meta: &StateMeta,
    ) -> Result<Self, CodecError> {
        let (key, namespace) = (Extent::of(key)?, Extent::of(&meta.namespace)?);
        let value = Extent::of(&meta.value)?;
        let own = timer_namespace(meta).filter(|_| meta.kind == StateKind::Timers);
        let own = own.map(Extent::of).transpose()?;
        let content = match (meta.kind, &value) {
            (StateKind::List, Extent::Vec(element)) => Content::List((**element).clone()),
            (StateKind::LongList, Extent::Vec(element)) => Content::LongList((**element).clone()),
            (StateKind::Map, Extent::Map(key, value)) => {
                Content::Map((**key).clone(), (**value).clone(), MapOrder::Any)
            }
            (StateKind::SortedMap, Extent::Map(key, value))
                if meta.value.children.first().is_some_and(is_ordered) =>
            {
                Content::Map((**key).clone(), (**value).clone(), MapOrder::Sorted)
            }
            (StateKind::Value | StateKind::Reducing | StateKind::Aggregating, _) => Content::Value,
            (StateKind::Timers, _) if own.is_some() => Content::Timer,
            _ => {
                let reason = "not one that this kind of state has";
                return Err(CodecError::Invalid { what: "value codec", offset: 0, reason });
            }
        };
        let lead_len_bytes = if own.is_some() { LEAD_LEN_BYTES } else { 0 };
        let namespace = own.unwrap_or(namespace);
        let keys = RowKeys { layout, lead_len_bytes, key, namespace };
        Ok(Self { keys, content, expiry: RowExpiry::of(meta)? })
    }

    /// Whether each row is a timer.
    pub(crate) const fn is_timers(&self) -> bool {
        matches!(self.content, Content::Timer)
    }

    /// Whether a pair has a row for each user key.
    pub(crate) const fn is_map(&self) -> bool {
        matches!(self.content, Content::Map(..))
    }

    /// Whether a pair has a row for each element, and a header.
    pub(crate) const fn is_long_list(&self) -> bool {
        matches!(self.content, Content::LongList(_))
    }

    /// Whether elements of a long list may have gone by themselves.
    pub(crate) const fn gaps(&self) -> Gaps {
        if self.expiry.is_some() { Gaps::Expired } else { Gaps::Refused }
    }

    /// Appends key and namespace of an entry to a key group, as they stand in its rows.
    ///
    /// Errors: [`CodecError::Invalid`] for a timer of an unknown domain.
    pub(crate) fn put_pair(&self, pair: &[u8], row: &mut Vec<u8>) -> Result<(), CodecError> {
        if self.is_timers() {
            return timer_row::put_row_of_pair(&self.keys.key, pair, row);
        }
        row.extend_from_slice(pair);
        Ok(())
    }

    /// Gives the rows of an entry to `put`. `row` is the prefix of the pair, and is so again when
    /// this returns without an error.
    ///
    /// Errors: [`CodecError::Invalid`] for a user key that comes twice, or in the wrong order in a
    /// sorted map; those of `put`.
    pub(crate) fn put_rows<E: From<CodecError>>(
        &self,
        row: &mut Vec<u8>,
        value: &[u8],
        mut put: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut input = Input::new(value);
        match &self.content {
            Content::List(_) if read_count(&mut input)? == 0 => Ok(()),
            Content::Value | Content::List(_) | Content::Timer => put(row, value),
            Content::LongList(element) => {
                long_list::put_rows((element, self.gaps()), row, value, put)
            }
            Content::Map(keys, values, order) => {
                let prefix_len = row.len();
                let (mut seen, mut ascending) = (BTreeSet::new(), Ascending::default());
                for _ in 0..read_count(&mut input)? {
                    let (what, offset) = ("map", input.offset());
                    let (user_key, user_value) = (keys.take(&mut input)?, values.take(&mut input)?);
                    if *order == MapOrder::Sorted {
                        ascending.check(user_key, offset)?;
                    } else if !seen.insert(user_key) {
                        let reason = "a key comes twice";
                        return Err(CodecError::Invalid { what, offset, reason }.into());
                    }
                    row.extend_from_slice(user_key);
                    put(row, user_value)?;
                    row.truncate(prefix_len);
                }
                Ok(())
            }
        }
    }
}
