//! A subtask with one value state, used as an engine uses it: key groups are known.

use std::fmt;

use alluvium::core::{KeyGroupAssigner, KeyedStateHandle, OperatorUid, Parallelism, SubtaskIndex};
use alluvium::format::codec::DefaultCodec;
use alluvium::state::{
    KeyedBackendSpec, KeyedStateBackend, StateBackend, StateError, ValueState, ValueStateDescriptor,
};
use alluvium::storage::HandleReader;
use bytes::Bytes;

use crate::error::BenchError;
use crate::plan::Plan;
use crate::values;
use crate::workload::{Access, Keys, spread};

/// Name of the operator.
const UID: &str = "bench";
/// Name of the state.
const STATE: &str = "value";

/// One subtask and the handle of its state.
pub(crate) struct Subtask<B: StateBackend> {
    pub(crate) keyed: B::Keyed<u64, DefaultCodec>,
    values: ValueState<Bytes>,
}

impl<B: StateBackend> Subtask<B> {
    /// Opens a subtask of a parallelism, from handles or empty, and registers its state.
    ///
    /// Errors: [`BenchError::Restore`], [`BenchError::State`].
    pub(crate) fn open(
        backend: &B,
        plan: &Plan,
        (index, parallelism): (SubtaskIndex, Parallelism),
        from: &[KeyedStateHandle],
        reader: &HandleReader,
    ) -> Result<Self, BenchError> {
        let spec = KeyedBackendSpec {
            uid: OperatorUid::new(UID)?,
            subtask: index,
            parallelism,
            key: DefaultCodec,
            assigner: KeyGroupAssigner::<u64>::Stable,
            hash_seed: plan.options().seed,
        };
        let mut keyed = backend.open(spec, from, reader).map_err(|source| BenchError::Restore {
            parallelism: u32::from(parallelism.get()),
            source: Box::new(source),
        })?;
        let values = keyed.value_state(ValueStateDescriptor::<Bytes>::new(STATE))?;
        Ok(Self { keyed, values })
    }

    /// Gives a key its first value.
    pub(crate) fn insert(&mut self, access: &Access, len_bytes: usize) -> Result<(), StateError> {
        let mut at = self.keyed.at_key_group(access.group, &access.key, &())?;
        self.values.set(&mut at, values::initial(access.key, len_bytes))
    }

    /// Reads the value of a key, changes it and writes it.
    #[inline]
    pub(crate) fn update(&mut self, access: &Access) -> Result<(), StateError> {
        let mut at = self.keyed.at_key_group(access.group, &access.key, &())?;
        self.values.update(&mut at, |value| *value = values::updated(value))
    }

    /// How often the value of a key was updated; `None` if it has none.
    pub(crate) fn read(&mut self, access: &Access) -> Result<Option<u64>, StateError> {
        let at = self.keyed.at_key_group(access.group, &access.key, &())?;
        Ok(self.values.get(&at)?.map(|value| values::updates_of(&value)))
    }

    /// What all keys of this subtask hold.
    ///
    /// Errors: [`BenchError::State`]; [`BenchError::Wrong`] if there are entries of other keys.
    pub(crate) fn content(&mut self, keys: Keys) -> Result<Content, BenchError> {
        let range = self.keyed.key_groups();
        let mut content = Content::default();
        for access in keys.iter().filter(|access| range.contains(access.group)) {
            let at = self.keyed.at_key_group(access.group, &access.key, &())?;
            if let Some(value) = self.values.get(&at)? {
                content.add(access.key, &value);
            }
        }
        let entries = self.keyed.entry_count()? as u64;
        if entries == content.keys {
            return Ok(content);
        }
        Err(BenchError::Wrong {
            what: "entries of the state",
            expected: content.keys.to_string(),
            found: entries.to_string(),
        })
    }
}

impl<B: StateBackend> fmt::Debug for Subtask<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subtask(key groups {})", self.keyed.key_groups())
    }
}

/// What some keys hold, in no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Content {
    /// How many have a value.
    pub(crate) keys: u64,
    /// How often all of them were updated.
    pub(crate) updates: u64,
    /// The sum of a checksum of each key and its value.
    pub(crate) digest: u64,
}

impl Content {
    pub(crate) fn add(&mut self, key: u64, value: &[u8]) {
        self.keys += 1;
        self.updates = self.updates.wrapping_add(values::updates_of(value));
        let checksum = u64::from(crc32fast::hash(value));
        self.digest = self.digest.wrapping_add(spread(key ^ spread(checksum)));
    }

    /// This, and what other keys hold.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            keys: self.keys + other.keys,
            updates: self.updates.wrapping_add(other.updates),
            digest: self.digest.wrapping_add(other.digest),
        }
    }

    /// Errors: [`BenchError::Wrong`] if this is not what was expected.
    pub(crate) fn check(self, what: &'static str, expected: Self) -> Result<(), BenchError> {
        if self == expected {
            return Ok(());
        }
        let (expected, found) = (expected.to_string(), self.to_string());
        Err(BenchError::Wrong { what, expected, found })
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keys, updates, digest } = self;
        write!(f, "{keys} keys with {updates} updates and digest {digest:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tells_values_and_keys_apart_and_not_their_order() {
        let content = |entries: &[(u64, &[u8])]| {
            let mut content = Content::default();
            for (key, value) in entries {
                content.add(*key, value);
            }
            content
        };
        let (one, two) = (1_u64.to_le_bytes(), 2_u64.to_le_bytes());
        let both = content(&[(1, &one), (2, &two)]);
        assert_eq!(both, content(&[(2, &two), (1, &one)]));
        assert_eq!(both, content(&[(2, &two)]).and(content(&[(1, &one)])));
        assert_eq!((both.keys, both.updates), (2, 3));
        let exchanged = content(&[(1, &two), (2, &one)]);
        assert_ne!(both.digest, exchanged.digest);
        let error = exchanged.check("what was restored", both).unwrap_err().to_string();
        assert!(error.starts_with("what was restored: expected 2 keys with 3 updates"), "{error}");
        both.check("what was restored", both).unwrap();
    }
}
