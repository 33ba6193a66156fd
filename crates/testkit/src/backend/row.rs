//! Rows: the entries of a state, encoded.
//!
//! Invariants: rows of timers are in the order in which they fire: domain, time, key, namespace.
//! Rows of other states have no order that anybody relies on.

use std::collections::BTreeMap;

use alluvium_core::KeyGroup;
use alluvium_format::CodecError;
use alluvium_format::codec::{Codec, DefaultCodec, Input};
use alluvium_format::keyed::{StateKind, TimeDomain};
use alluvium_state::EncodedEntry;

/// Where an entry is found. The order of the fields is the order of the rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    /// Code of the domain, and time in milliseconds, of a timer.
    pub(super) timer: Option<(u8, i64)>,
    /// The encoded key.
    pub(super) key: Vec<u8>,
    /// The encoded namespace of the job.
    pub(super) namespace: Vec<u8>,
    /// The key group of the key.
    pub(super) key_group: KeyGroup,
}

/// The entries of a state; a value is encoded whole, and that of a timer is empty.
pub(super) type Rows = BTreeMap<Row, Vec<u8>>;

impl Row {
    /// The row of an entry of a stream.
    ///
    /// Errors: [`CodecError::Invalid`] for the timer of a domain that nobody knows, if there are to
    /// be none.
    pub(super) fn of_entry(
        kind: StateKind,
        key_group: KeyGroup,
        entry: &EncodedEntry<'_>,
        accept_any_domain: bool,
    ) -> Result<Self, CodecError> {
        let mut namespace = Input::new(entry.namespace());
        let mut timer = None;
        if kind == StateKind::Timers {
            let (code, time_ms): (u8, i64) = DefaultCodec.decode(&mut namespace)?;
            if TimeDomain::from_code(code).is_none() && !accept_any_domain {
                let (what, reason) = ("timer", "of a domain that nobody knows");
                return Err(CodecError::Invalid { what, offset: 0, reason });
            }
            timer = Some((code, time_ms));
        }
        let (key, namespace) = (entry.key().to_vec(), namespace.rest().to_vec());
        Ok(Self { timer, key, namespace, key_group })
    }

    /// Appends key and namespace as they stand in a stream.
    pub(super) fn put_pair(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(&self.key);
        if let Some(timer) = &self.timer {
            DefaultCodec.encode(timer, out)?;
        }
        out.extend_from_slice(&self.namespace);
        Ok(())
    }
}
