//! The hash of the in-memory tables.
//!
//! Invariants: seeded by the caller, so that keys cannot be chosen to collide; it decides nothing
//! that is stored.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

/// Hashes keys and namespaces with one seed.
#[derive(Debug, Clone)]
pub struct TableHasher {
    seed: u64,
    shared: Arc<SharedSeed>,
}

impl TableHasher {
    /// A hasher of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, shared: Arc::new(SharedSeed::from_u64(seed)) }
    }

    /// The hash of one value.
    #[inline]
    pub fn hash<T: Hash + ?Sized>(&self, value: &T) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        value.hash(&mut hasher);
        hasher.finish()
    }

    /// The hash of a key and a namespace together.
    #[inline]
    pub fn hash_pair<K: Hash, N: Hash>(&self, key: &K, namespace: &N) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        key.hash(&mut hasher);
        namespace.hash(&mut hasher);
        hasher.finish()
    }
}
