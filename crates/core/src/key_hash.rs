//! From a key to its key group.
//!
//! Two assigners exist. The *stable* one takes XXH64 (seed 0) of the encoded key; it is the
//! default. The *Flink* one repeats Flink exactly (Java `hashCode`, then murmur), for operators
//! that live inside a Flink job and must agree with it on every key.
//!
//! Invariants: an assigner never changes; its name is stored with the state, and state written
//! with one is never read with another.
//!
//! Source: SPEC 3.2; Flink `MathUtils.murmurHash`.

use std::fmt;

use xxhash_rust::xxh64::xxh64;

use crate::{JavaHash, KeyGroup, MaxParallelism};

/// The 64-bit hash of an encoded key: XXH64 with seed 0.
#[inline]
pub fn stable_hash(encoded_key: &[u8]) -> u64 {
    // Numbers are the keys of many jobs, and each record is hashed at least once.
    match encoded_key.try_into() {
        Ok(eight) => hash_of_eight(eight),
        Err(_) => xxh64(encoded_key, 0),
    }
}

/// XXH64 of eight bytes, without a call, a loop, or a question of how many are left.
///
/// Source: the specification of XXH64, steps 1 (an input of less than 32 bytes), 4, 5 (the one lane
/// of 8 bytes) and 6.
#[inline]
const fn hash_of_eight(bytes: [u8; 8]) -> u64 {
    const PRIME_1: u64 = 0x9e37_79b1_85eb_ca87;
    const PRIME_2: u64 = 0xc2b2_ae3d_27d4_eb4f;
    const PRIME_3: u64 = 0x1656_67b1_9e37_79f9;
    const PRIME_4: u64 = 0x85eb_ca77_c2b2_ae63;
    const PRIME_5: u64 = 0x27d4_eb2f_1656_67c5;
    let lane =
        u64::from_le_bytes(bytes).wrapping_mul(PRIME_2).rotate_left(31).wrapping_mul(PRIME_1);
    let mut hash = PRIME_5.wrapping_add(bytes.len() as u64) ^ lane;
    hash = hash.rotate_left(27).wrapping_mul(PRIME_1).wrapping_add(PRIME_4);
    hash = (hash ^ (hash >> 33)).wrapping_mul(PRIME_2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(PRIME_3);
    hash ^ (hash >> 32)
}

/// The key group of an encoded key: `stable_hash mod max`.
#[inline]
pub fn stable_key_group(encoded_key: &[u8], max: MaxParallelism) -> KeyGroup {
    KeyGroup::of_hash(stable_hash(encoded_key), max)
}

/// The key group of a Java hash code: `murmur mod max`.
#[inline]
pub fn flink_key_group(java_hash: i32, max: MaxParallelism) -> KeyGroup {
    KeyGroup::of_hash(u64::from(flink_murmur(java_hash)), max)
}

/// Flink's murmur hash of a Java hash code; never above `i32::MAX`.
///
/// Source: Flink `MathUtils.murmurHash`.
#[inline]
pub fn flink_murmur(code: i32) -> u32 {
    let mut h = code.cast_unsigned().wrapping_mul(0xcc9e_2d51);
    h = h.rotate_left(15).wrapping_mul(0x1b87_3593);
    h = h.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    h ^= 4;
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    let signed = (h ^ (h >> 16)).cast_signed();
    if signed == i32::MIN { 0 } else { signed.unsigned_abs() }
}

/// Which assigner a state was written with, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AssignerName {
    /// XXH64 of the encoded key.
    Stable,
    /// Java `hashCode` and murmur, as Flink.
    Flink,
}

impl AssignerName {
    /// The stored number (SPEC 3.2).
    pub const fn code(self) -> u8 {
        match self {
            Self::Stable => 1,
            Self::Flink => 2,
        }
    }

    /// The assigner of a stored number; `None` when it is unknown.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Stable),
            2 => Some(Self::Flink),
            _ => None,
        }
    }
}

impl fmt::Display for AssignerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stable => "stable",
            Self::Flink => "flink",
        })
    }
}

/// Assigns keys of one type to key groups.
pub enum KeyGroupAssigner<K> {
    /// XXH64 of the encoded key; works for every key type.
    Stable,
    /// Flink's, given the Java hash code of the key.
    Flink(fn(&K) -> i32),
}

impl<K: JavaHash> KeyGroupAssigner<K> {
    /// The assigner that agrees with Flink on keys of this type.
    pub fn flink() -> Self {
        Self::Flink(K::java_hash)
    }
}

impl<K> KeyGroupAssigner<K> {
    /// The name to store with the state.
    pub const fn name(&self) -> AssignerName {
        match self {
            Self::Stable => AssignerName::Stable,
            Self::Flink(_) => AssignerName::Flink,
        }
    }

    /// The key group of a key whose encoding the caller has at hand.
    #[inline]
    pub fn assign(&self, key: &K, encoded_key: &[u8], max: MaxParallelism) -> KeyGroup {
        match self {
            Self::Stable => stable_key_group(encoded_key, max),
            Self::Flink(java_hash) => flink_key_group(java_hash(key), max),
        }
    }
}

impl<K> Clone for KeyGroupAssigner<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for KeyGroupAssigner<K> {}

impl<K> fmt::Debug for KeyGroupAssigner<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyGroupAssigner::{}", self.name())
    }
}

#[cfg(test)]
mod tests;
