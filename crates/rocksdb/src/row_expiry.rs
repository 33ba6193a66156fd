//! The time to live of a state, for its rows.
//!
//! A row of a state with stamps begins with one, but that of a list has one in front of each element
//! (SPEC 12.4). That much is known of every column, also of one that nobody has registered yet. How
//! long values live is known when the state is registered; nothing expires before.
//!
//! Compactions ignore snapshots of RocksDB, so they could drop what a frozen state has to write. A
//! [`Held`] time keeps them from that: nothing is dropped that had not expired then.
//!
//! Invariants: what cannot be parsed does not expire; the rules of a column are set once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use alluvium_format::CodecError;
use alluvium_format::codec::{Input, stamped_part, take_stamp};
use alluvium_format::keyed::{StateKind, StateMeta};
use alluvium_state::StateTtl;
use alluvium_state::ttl::TtlMoment;

use crate::list_row::put_varint;
use alluvium_format::codec::{Extent, read_count};

/// Where the stamps of a row are.
#[derive(Debug)]
enum Stamps {
    /// One, in front.
    One,
    /// In front of each element of its groups.
    Elements(Extent),
}

/// The time to live of the rows of a column.
#[derive(Debug)]
pub(crate) struct RowExpiry {
    stamps: Stamps,
    ttl: OnceLock<StateTtl>,
    /// Times that are held, and how often.
    held_ms: Mutex<BTreeMap<i64, usize>>,
}

/// What is left of a row without what has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remains {
    All,
    /// What was appended to the buffer.
    Some,
    Nothing,
}

impl RowExpiry {
    /// Of a state whose values have stamps.
    pub(crate) fn of(meta: &StateMeta) -> Result<Option<Arc<Self>>, CodecError> {
        let part = |index: usize| meta.value.children.get(index);
        let stamps = match meta.kind {
            StateKind::Value | StateKind::Reducing | StateKind::Aggregating => {
                stamped_part(&meta.value).map(|_| Stamps::One)
            }
            StateKind::Map | StateKind::SortedMap => {
                part(1).and_then(stamped_part).map(|_| Stamps::One)
            }
            StateKind::List => match part(0).filter(|element| stamped_part(element).is_some()) {
                Some(element) => Some(Stamps::Elements(Extent::of(element)?)),
                None => None,
            },
            // The header has the largest one of its elements.
            StateKind::LongList => part(0).and_then(stamped_part).map(|_| Stamps::One),
            _ => None,
        };
        let expiry = |stamps| {
            let (ttl, held_ms) = (OnceLock::new(), Mutex::default());
            Arc::new(Self { stamps, ttl, held_ms })
        };
        Ok(stamps.map(expiry))
    }

    /// Sets the rules, when the state is registered.
    pub(crate) fn set(&self, ttl: StateTtl) {
        // A state that is registered again keeps its rules.
        let _ = self.ttl.set(ttl);
    }

    /// The rules, once the state is registered.
    pub(crate) fn ttl(&self) -> Option<&StateTtl> {
        self.ttl.get()
    }

    /// Keeps compactions from dropping what has not expired at a time.
    pub(crate) fn hold(self: &Arc<Self>, moment: TtlMoment) -> Held {
        *self.held().entry(moment.now_ms()).or_default() += 1;
        Held { expiry: Arc::clone(self), moment }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<i64, usize>> {
        self.held_ms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules for a compaction that begins now; `None` when it drops nothing.
    pub(crate) fn for_compaction(&self) -> Option<TtlMoment> {
        let ttl = self.ttl().filter(|ttl| ttl.periodic_compaction().is_some())?;
        let now_ms = ttl.clock().now_ms();
        let held_ms = self.held().keys().next().copied();
        Some(ttl.at(held_ms.map_or(now_ms, |held_ms| held_ms.min(now_ms))))
    }

    /// Whether something of a row is visible.
    pub(crate) fn is_visible(&self, value: &[u8], moment: &TtlMoment) -> Result<bool, CodecError> {
        let mut is_visible = false;
        self.for_each_part(value, |stamp_ms, _| is_visible |= moment.is_visible(stamp_ms))?;
        Ok(is_visible)
    }

    /// What is left of a row. If that is less than all, it is appended to `left`.
    pub(crate) fn remains(
        &self,
        value: &[u8],
        moment: &TtlMoment,
        left: &mut Vec<u8>,
    ) -> Result<Remains, CodecError> {
        let (mut elements, mut count, mut expired) = (Vec::new(), 0_u64, 0_u64);
        self.for_each_part(value, |stamp_ms, part| {
            if moment.is_expired(stamp_ms) {
                expired += 1;
            } else {
                elements.extend_from_slice(part);
                count += 1;
            }
        })?;
        if expired == 0 {
            return Ok(Remains::All);
        }
        if count == 0 {
            return Ok(Remains::Nothing);
        }
        put_varint(count, left);
        left.extend_from_slice(&elements);
        Ok(Remains::Some)
    }

    /// Visits the value, or each element, with its stamp.
    fn for_each_part<'v>(
        &self,
        value: &'v [u8],
        mut visit: impl FnMut(i64, &'v [u8]),
    ) -> Result<(), CodecError> {
        let mut input = Input::new(value);
        let Stamps::Elements(element) = &self.stamps else {
            visit(take_stamp(&mut input)?, value);
            return Ok(());
        };
        while !input.is_empty() {
            for _ in 0..read_count(&mut input)? {
                let bytes = element.take(&mut input)?;
                visit(take_stamp(&mut Input::new(bytes))?, bytes);
            }
        }
        Ok(())
    }
}

/// A time from which on a compaction drops nothing that has expired since.
#[derive(Debug)]
pub(crate) struct Held {
    expiry: Arc<RowExpiry>,
    moment: TtlMoment,
}

impl Held {
    /// What is left of a row at that time, as [`RowExpiry::remains`].
    pub(crate) fn remains(&self, value: &[u8], left: &mut Vec<u8>) -> Result<Remains, CodecError> {
        self.expiry.remains(value, &self.moment, left)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.expiry.held();
        if let Some(count) = held.get_mut(&self.moment.now_ms()) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.moment.now_ms());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use alluvium_format::codec::{Codec, NumberCodec, Stamped, TtlCodec, UnitCodec, VecCodec};
    use alluvium_state::Clock;

    use super::*;
    use crate::list_row::put_group;

    fn expiry(kind: StateKind) -> Arc<RowExpiry> {
        let stamped = TtlCodec { value: NumberCodec::<u8>::default(), first_stamp_ms: 0 };
        let value = match kind {
            StateKind::List => Codec::<Vec<Stamped<u8>>>::snapshot(&VecCodec(stamped)),
            _ => stamped.snapshot(),
        };
        let meta = StateMeta { name: "s".to_owned(), kind, namespace: UnitCodec.snapshot(), value };
        let expiry = RowExpiry::of(&meta).unwrap().unwrap();
        expiry.set(StateTtl::new(Duration::from_millis(10), Clock::new(|| 100)));
        expiry
    }

    fn group(stamps_ms: &[i64]) -> Vec<u8> {
        let mut row = Vec::new();
        put_group(stamps_ms.iter(), &mut row, |stamp_ms, out| {
            out.extend_from_slice(&stamp_ms.to_le_bytes());
            out.push(7);
            Ok::<_, CodecError>(())
        })
        .unwrap();
        row
    }

    #[test]
    fn elements_expire_one_by_one() {
        let list = expiry(StateKind::List);
        let moment = list.for_compaction().unwrap();
        let row = [group(&[90, 91]), group(&[5, 95, 4])].concat();
        let mut left = Vec::new();
        assert_eq!(list.remains(&row, &moment, &mut left).unwrap(), Remains::Some);
        assert_eq!(left, group(&[91, 95]));
        assert_eq!(list.remains(&left, &moment, &mut Vec::new()).unwrap(), Remains::All);
        let old = group(&[1, 2]);
        assert_eq!(list.remains(&old, &moment, &mut Vec::new()).unwrap(), Remains::Nothing);
        assert!(list.remains(&row[..row.len() - 1], &moment, &mut left).is_err());
    }

    #[test]
    fn what_is_held_is_not_dropped() {
        let value = expiry(StateKind::Value);
        let now_ms = || value.for_compaction().unwrap().now_ms();
        let held = value.hold(value.ttl().unwrap().at(50));
        let again = value.hold(value.ttl().unwrap().at(50));
        let later = value.hold(value.ttl().unwrap().at(200));
        assert_eq!(now_ms(), 50);
        drop(held);
        assert_eq!(now_ms(), 50);
        drop(again);
        assert_eq!(now_ms(), 100);
        drop(later);
        assert_eq!(now_ms(), 100);
    }

    #[test]
    fn states_without_stamps_and_cut_rows_do_not_expire() {
        let (namespace, value) = (UnitCodec.snapshot(), NumberCodec::<u8>::default().snapshot());
        let meta = StateMeta { name: "s".to_owned(), kind: StateKind::Value, namespace, value };
        assert!(RowExpiry::of(&meta).unwrap().is_none());
        let one = expiry(StateKind::Value);
        let moment = one.for_compaction().unwrap();
        assert!(one.remains(&[0; 7], &moment, &mut Vec::new()).is_err());
        assert_eq!(one.remains(&[0; 9], &moment, &mut Vec::new()).unwrap(), Remains::Nothing);
    }
}
