//! The earliest timers of a service and time domain, over all key groups.
//!
//! Rows of timers are ordered within a key group only, so what fires next would have to be looked
//! for in each of them. The *heads* are all timers up to a *horizon*, kept in memory; when they are
//! used up, the next ones are read, some from each key group.
//!
//! Shape: a timer is its *place*: time as in its row, encoded key, encoded namespace. The order of
//! places is that of firing.
//!
//! Invariants:
//! - every timer whose place is not beyond the horizon is among the heads, and no other is;
//! - there are at most twice [`MAX_HEADS`] heads, and those that one read brings.
//!
//! Source: Flink `RocksDBCachingPriorityQueueSet`, one for each key group there.

use std::collections::BTreeMap;

use alluvium_core::KeyGroup;

/// Heads that are kept when there are twice as many.
const MAX_HEADS: usize = 4096;
/// Fewest timers that are read from a key group at a time.
const MIN_READ: usize = 8;

/// Up to where the heads are known.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Horizon {
    /// Up to a place and with it; the empty one is before all.
    UpTo(Vec<u8>),
    /// There are no other timers.
    All,
}

/// The earliest timers.
#[derive(Debug)]
pub(crate) struct TimerHeads {
    heads: BTreeMap<Vec<u8>, KeyGroup>,
    horizon: Horizon,
}

impl TimerHeads {
    /// Heads of timers that nobody has looked at.
    pub(crate) const fn unknown() -> Self {
        Self { heads: BTreeMap::new(), horizon: Horizon::UpTo(Vec::new()) }
    }

    /// Heads where there is no timer.
    pub(crate) const fn of_none() -> Self {
        Self { heads: BTreeMap::new(), horizon: Horizon::All }
    }

    /// Whether a timer is there; `None` beyond the horizon.
    pub(crate) fn contains(&self, place: &[u8]) -> Option<bool> {
        self.is_known(place).then(|| self.heads.contains_key(place))
    }

    /// Notes a timer that was registered.
    pub(crate) fn insert(&mut self, place: &[u8], key_group: KeyGroup) {
        if !self.is_known(place) {
            return;
        }
        self.heads.insert(place.to_vec(), key_group);
        if self.heads.len() > 2 * MAX_HEADS {
            self.forget_later();
        }
    }

    /// Notes a timer that was deleted.
    pub(crate) fn remove(&mut self, place: &[u8]) {
        self.heads.remove(place);
    }

    /// The timer that fires next, if it is known.
    pub(crate) fn first(&self) -> Option<(&[u8], KeyGroup)> {
        self.heads.first_key_value().map(|(place, key_group)| (place.as_slice(), *key_group))
    }

    /// The place beyond which others must be read first; `None` when the first head, or that there
    /// is none, is known.
    pub(crate) fn wanted_after(&self) -> Option<&[u8]> {
        match &self.horizon {
            Horizon::UpTo(place) if self.heads.is_empty() => Some(place),
            _ => None,
        }
    }

    /// How many timers are to be read from each of some key groups.
    pub(crate) fn read_len(key_group_count: usize) -> usize {
        (MAX_HEADS / key_group_count.max(1)).max(MIN_READ)
    }

    /// Takes what was read from behind the horizon.
    pub(crate) fn refill(&mut self, read: ReadTimers) {
        let ReadTimers { timers, complete_to } = read;
        self.heads.extend(timers);
        match complete_to {
            None => self.horizon = Horizon::All,
            Some(place) => {
                let mut beyond = self.heads.split_off(&place);
                self.heads.extend(beyond.remove_entry(&place));
                self.horizon = Horizon::UpTo(place);
            }
        }
    }

    fn is_known(&self, place: &[u8]) -> bool {
        match &self.horizon {
            Horizon::UpTo(horizon) => place <= horizon.as_slice(),
            Horizon::All => true,
        }
    }

    fn forget_later(&mut self) {
        let Some(first_forgotten) = self.heads.keys().nth(MAX_HEADS).cloned() else { return };
        drop(self.heads.split_off(&first_forgotten));
        if let Some((last, _)) = self.heads.last_key_value() {
            self.horizon = Horizon::UpTo(last.clone());
        }
    }
}

/// Timers that were read from the key groups, from each its first ones beyond the horizon.
#[derive(Debug, Default)]
pub(crate) struct ReadTimers {
    timers: Vec<(Vec<u8>, KeyGroup)>,
    /// No timer up to here is missing; `None` when there are no others at all.
    complete_to: Option<Vec<u8>>,
}

impl ReadTimers {
    pub(crate) fn push(&mut self, place: &[u8], key_group: KeyGroup) {
        self.timers.push((place.to_vec(), key_group));
    }

    /// The key group of the last timer may have others behind it.
    pub(crate) fn end_early(&mut self) {
        let Some((last, _)) = self.timers.last() else { return };
        if self.complete_to.as_ref().is_none_or(|place| last < place) {
            self.complete_to = Some(last.clone());
        }
    }
}

#[cfg(test)]
mod tests;
