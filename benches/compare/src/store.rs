//! What a store is asked to do, many operations at a time.
//!
//! A store gets all operations of a turn at once, so one that has transactions runs them in one. It
//! does them in their order, one after the other. Reads give the sum of what was read, absent ones
//! nothing.

/// A value for each key.
pub(crate) trait Values {
    fn get(&self, keys: impl Iterator<Item = u64>) -> u64;
    fn set(&mut self, pairs: impl Iterator<Item = (u64, u64)>);
    fn remove(&mut self, keys: impl Iterator<Item = u64>);
}

/// A map from user keys to user values for each key. Names of entries are keys and user keys.
pub(crate) trait Maps {
    /// User values as bits.
    fn get(&self, entries: impl Iterator<Item = (u64, u64)>) -> u64;
    /// All entries of each key, as [`entry_sum`](crate::rows::entry_sum) adds them.
    fn iterate(&self, keys: impl Iterator<Item = u64>) -> u64;
    fn put(&mut self, entries: impl Iterator<Item = ((u64, u64), f64)>);
    /// A key whose last entry goes has no map any more.
    fn remove(&mut self, entries: impl Iterator<Item = (u64, u64)>);
}

/// A list for each key.
pub(crate) trait Lists {
    /// All elements of each key.
    fn iterate(&self, keys: impl Iterator<Item = u64>) -> u64;
    /// An element at the end of the list of each key.
    fn append(&mut self, elements: impl Iterator<Item = (u64, u64)>);
    /// Lists for keys that have none.
    fn fill(&mut self, lists: impl Iterator<Item = (u64, Vec<u64>)>);
}

/// A store whose values can be fixed as they are while writes go on.
pub(crate) trait Fixable: Values {
    type Fixed: 'static;
    /// What the values are now, until it is dropped.
    fn fix(&self) -> Self::Fixed;
    fn get_fixed(fixed: &Self::Fixed, keys: impl Iterator<Item = u64>) -> u64;
}

/// A store that can make its values durable.
pub(crate) trait Durable: Values + Sized {
    /// Returns when all values would be there after the power was cut.
    fn secure(&mut self);
    /// Drops what the one before the last call of `secure` may have kept.
    fn forget(&mut self);
    /// A store of its own that has what the last `secure` made durable, read from disk.
    fn reopened(&self) -> Self;
}
