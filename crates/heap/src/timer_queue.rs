//! The timers of one service and time domain, in the order in which they fire.
//!
//! A queue is made of what its table holds and is never stored. It is an ordered set, so that a
//! timer in the middle is deleted as fast as the first one is taken.
//!
//! Invariants:
//! - timers are ordered by time, then by the bytes of encoded key and namespace. Encoded keys never
//!   begin one another, so that is the order of key, then namespace;
//! - key and namespace are kept encoded: without allocation where they are short, as most are.
//!
//! Source: Flink `HeapPriorityQueueSet` for what it is for.

use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Bytes of key and namespace, together, that lie in place.
const MAX_SHORT_LEN_BYTES: usize = 20;

/// A timer in a queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct QueuedTimer {
    pub(crate) time_ms: i64,
    pub(crate) pair: EncodedPair,
}

/// The position of a key group, and encoded key and namespace, one after the other.
#[derive(Debug, Clone)]
pub(crate) enum EncodedPair {
    Short { group: u16, len: u8, bytes: [u8; MAX_SHORT_LEN_BYTES] },
    Long { group: u16, bytes: Box<[u8]> },
}

const _: () = assert!(size_of::<QueuedTimer>() == 32);

impl EncodedPair {
    pub(crate) fn new(group: u16, pair: &[u8]) -> Self {
        let mut bytes = [0; MAX_SHORT_LEN_BYTES];
        match (bytes.get_mut(..pair.len()), u8::try_from(pair.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(pair);
                Self::Short { group, len, bytes }
            }
            _ => Self::Long { group, bytes: pair.into() },
        }
    }

    /// The position of the key group.
    pub(crate) fn group(&self) -> u16 {
        match self {
            Self::Short { group, .. } | Self::Long { group, .. } => *group,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes, .. } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Self::Long { bytes, .. } => bytes,
        }
    }
}

/// Equal keys have one key group, so that does not count.
impl Ord for EncodedPair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl PartialOrd for EncodedPair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for EncodedPair {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for EncodedPair {}

/// Timers in order.
#[derive(Debug, Default)]
pub(crate) struct TimerQueue(BTreeSet<QueuedTimer>);

impl TimerQueue {
    pub(crate) fn of(timers: Vec<QueuedTimer>) -> Self {
        Self(timers.into_iter().collect())
    }

    pub(crate) fn insert(&mut self, timer: QueuedTimer) {
        self.0.insert(timer);
    }

    pub(crate) fn remove(&mut self, timer: &QueuedTimer) {
        self.0.remove(timer);
    }

    /// The timer that fires next.
    pub(crate) fn first(&self) -> Option<&QueuedTimer> {
        self.0.first()
    }

    pub(crate) fn remove_first(&mut self) {
        self.0.pop_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_pairs_are_in_the_order_of_their_bytes() {
        let pairs: [&[u8]; 6] = [b"", &[0; 20], &[0; 21], &[1], &[1; 20], &[1; 40]];
        for (at, bytes) in pairs.iter().enumerate() {
            let pair = EncodedPair::new(7, bytes);
            assert_eq!((pair.bytes(), pair.group()), (*bytes, 7));
            for (other_at, other) in pairs.iter().enumerate() {
                assert_eq!(pair.cmp(&EncodedPair::new(7, other)), at.cmp(&other_at));
            }
        }
    }

    #[test]
    fn earlier_timers_come_first_whatever_their_keys_are() {
        let timer = |time_ms, pair: &[u8]| QueuedTimer { time_ms, pair: EncodedPair::new(0, pair) };
        let mut queue = TimerQueue::of(vec![timer(5, b"a"), timer(-1, b"z"), timer(5, b"")]);
        queue.insert(timer(0, b"m"));
        queue.insert(timer(0, b"m"));
        queue.remove(&timer(5, b""));
        let mut found = Vec::new();
        while let Some(first) = queue.first().cloned() {
            found.push(first);
            queue.remove_first();
        }
        assert_eq!(found, [timer(-1, b"z"), timer(0, b"m"), timer(5, b"a")]);
    }
}
