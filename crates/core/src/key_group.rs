//! Key groups, ranges of them, and who owns what at which parallelism.
//!
//! Invariants:
//! - `1 <= parallelism <= max parallelism <= 32768`;
//! - the ranges of all subtasks tile `0..max_parallelism` without gap or overlap;
//! - `owner_of` and `of_subtask` agree.
//!
//! Source: SPEC 3; Flink `KeyGroupRangeAssignment`.

use std::fmt;

use crate::KeyGroupError;

/// Upper bound of max parallelism: 2^15, so that a key group fits two bytes with a bit to spare.
pub const MAX_KEY_GROUPS: u32 = 1 << 15;

/// Number of key groups of a job; fixed for the life of its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MaxParallelism(u16);

impl MaxParallelism {
    /// Checks and wraps a number.
    ///
    /// Errors: [`KeyGroupError::MaxParallelism`] outside `1..=32768`.
    pub fn new(max: u32) -> Result<Self, KeyGroupError> {
        let found = u64::from(max);
        match u16::try_from(max) {
            Ok(valid) if (1..=MAX_KEY_GROUPS).contains(&max) => Ok(Self(valid)),
            _ => Err(KeyGroupError::MaxParallelism { found }),
        }
    }

    /// What a job gets that sets none: 1.5 times the parallelism, rounded up to a power of two,
    /// at least 128 and at most 32768.
    ///
    /// Errors: [`KeyGroupError::Parallelism`] outside `1..=32768`.
    /// Source: Flink `KeyGroupRangeAssignment.computeDefaultMaxParallelism`.
    pub fn default_for(parallelism: u32) -> Result<Self, KeyGroupError> {
        if !(1..=MAX_KEY_GROUPS).contains(&parallelism) {
            let found = u64::from(parallelism);
            return Err(KeyGroupError::Parallelism { found, max: MAX_KEY_GROUPS });
        }
        let wanted = (parallelism + parallelism / 2).next_power_of_two();
        Self::new(wanted.clamp(128, MAX_KEY_GROUPS))
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// All key groups, as one range.
    pub const fn all_key_groups(self) -> KeyGroupRange {
        KeyGroupRange { first: 0, last: self.0 - 1 }
    }
}

impl fmt::Display for MaxParallelism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of subtasks of an operator, checked against the max parallelism that it carries along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Parallelism {
    subtasks: u16,
    max: MaxParallelism,
}

impl Parallelism {
    /// Checks and wraps a number.
    ///
    /// Errors: [`KeyGroupError::Parallelism`] outside `1..=max`.
    pub fn new(parallelism: u32, max: MaxParallelism) -> Result<Self, KeyGroupError> {
        match u16::try_from(parallelism) {
            Ok(subtasks) if (1..=max.0).contains(&subtasks) => Ok(Self { subtasks, max }),
            _ => Err(KeyGroupError::Parallelism {
                found: u64::from(parallelism),
                max: u32::from(max.0),
            }),
        }
    }

    /// The number of subtasks.
    pub const fn get(self) -> u16 {
        self.subtasks
    }

    /// The number of key groups that the subtasks share.
    pub const fn max(self) -> MaxParallelism {
        self.max
    }

    /// The subtasks in order.
    pub fn subtasks(self) -> impl Iterator<Item = SubtaskIndex> {
        (0..self.subtasks).map(SubtaskIndex)
    }

    /// The subtask that owns a key group: `group * parallelism / max`.
    ///
    /// A group at or beyond max parallelism counts as the last one.
    #[expect(clippy::cast_possible_truncation, reason = "below parallelism, which is a u16")]
    pub fn owner_of(self, group: KeyGroup) -> SubtaskIndex {
        let (max, subtasks) = (u32::from(self.max.0), u32::from(self.subtasks));
        let group = u32::from(group.0).min(max - 1);
        SubtaskIndex((group * subtasks / max) as u16)
    }
}

impl fmt::Display for Parallelism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.subtasks.fmt(f)
    }
}

/// Index of a subtask of an operator, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubtaskIndex(u16);

impl SubtaskIndex {
    /// Wraps an index.
    pub const fn new(index: u16) -> Self {
        Self(index)
    }

    /// The index.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for SubtaskIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One key group: the unit in which keyed state is moved between subtasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyGroup(u16);

impl KeyGroup {
    /// Checks and wraps a number.
    ///
    /// Errors: [`KeyGroupError::KeyGroup`] at or beyond max parallelism.
    pub fn new(group: u16, max: MaxParallelism) -> Result<Self, KeyGroupError> {
        if group < max.0 {
            Ok(Self(group))
        } else {
            Err(KeyGroupError::KeyGroup { found: u32::from(group), max: u32::from(max.0) })
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The key group of a hash: `hash mod max`.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below a u16")]
    pub(crate) const fn of_hash(hash: u64, max: MaxParallelism) -> Self {
        let max = max.0 as u64;
        // Most jobs have a power of two, and a division takes as long as the hash.
        Self(if max.is_power_of_two() { hash & (max - 1) } else { hash % max } as u16)
    }
}

impl fmt::Display for KeyGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A contiguous, never empty run of key groups, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyGroupRange {
    first: u16,
    last: u16,
}

impl KeyGroupRange {
    /// Checks and wraps both ends.
    ///
    /// Errors: [`KeyGroupError::EmptyRange`]; [`KeyGroupError::KeyGroup`] at or beyond max
    /// parallelism.
    pub fn new(first: u16, last: u16, max: MaxParallelism) -> Result<Self, KeyGroupError> {
        if first > last {
            return Err(KeyGroupError::EmptyRange { first, last });
        }
        KeyGroup::new(last, max)?;
        Ok(Self { first, last })
    }

    /// The range of one subtask: `ceil(i * max / p)..=((i + 1) * max - 1) / p`.
    ///
    /// Errors: [`KeyGroupError::SubtaskIndex`].
    #[expect(clippy::cast_possible_truncation, reason = "both ends are below max, a u16")]
    pub fn of_subtask(
        subtask: SubtaskIndex,
        parallelism: Parallelism,
    ) -> Result<Self, KeyGroupError> {
        let (i, p) = (u32::from(subtask.0), u32::from(parallelism.subtasks));
        if i >= p {
            return Err(KeyGroupError::SubtaskIndex { found: i, parallelism: p });
        }
        let max = u32::from(parallelism.max.0);
        let first = (i * max).div_ceil(p);
        let last = ((i + 1) * max - 1) / p;
        Ok(Self { first: first as u16, last: last as u16 })
    }

    /// The first key group.
    pub const fn first(self) -> KeyGroup {
        KeyGroup(self.first)
    }

    /// The last key group.
    pub const fn last(self) -> KeyGroup {
        KeyGroup(self.last)
    }

    /// How many key groups it holds; at least 1.
    pub const fn count(self) -> u16 {
        self.last - self.first + 1
    }

    /// Whether a key group lies inside.
    pub const fn contains(self, group: KeyGroup) -> bool {
        self.first <= group.0 && group.0 <= self.last
    }

    /// Position of a key group within the range, from 0; `None` outside.
    pub const fn index_of(self, group: KeyGroup) -> Option<usize> {
        if self.contains(group) { Some((group.0 - self.first) as usize) } else { None }
    }

    /// Position of a key group within the range, from 0; outside, a number that is at least
    /// [`Self::count`].
    #[inline]
    pub const fn offset_of(self, group: KeyGroup) -> usize {
        group.0.wrapping_sub(self.first) as usize
    }

    /// The key groups that both ranges hold; `None` when there is none.
    pub fn intersection(self, other: Self) -> Option<Self> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (first <= last).then_some(Self { first, last })
    }

    /// The key groups in order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = KeyGroup> + ExactSizeIterator {
        (0..self.count()).map(move |i| KeyGroup(self.first + i))
    }
}

impl fmt::Display for KeyGroupRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests;
