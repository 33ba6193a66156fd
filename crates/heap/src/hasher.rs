//! The hash of the in-memory tables.
//!
//! Invariants: seeded, so that keys cannot be chosen to collide; the seed of a key group is stored
//! with its state and never changes, so a key stays in its segment over restores. Nothing relies on
//! that alone: whoever uses a stored partition compares it with the hashes of this process.

use std::hash::{Hash, Hasher};

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

/// The part of the hash that is the same in every process.
static SHARED: SharedSeed = SharedSeed::from_u64(0x616c_6c75_7669_756d);

/// Hashes keys and namespaces with one seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableHasher {
    seed: u64,
}

impl TableHasher {
    /// A hasher of a seed.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Its seed.
    pub const fn seed(self) -> u64 {
        self.seed
    }

    /// The hash of one value.
    #[inline]
    pub fn hash<T: Hash + ?Sized>(self, value: &T) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &SHARED);
        value.hash(&mut hasher);
        hasher.finish()
    }

    /// The hash of a key and a namespace together.
    #[inline]
    pub fn hash_pair<K: Hash, N: Hash>(self, key: &K, namespace: &N) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &SHARED);
        key.hash(&mut hasher);
        namespace.hash(&mut hasher);
        hasher.finish()
    }
}
