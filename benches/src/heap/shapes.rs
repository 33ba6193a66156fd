//! What keys and values look like, and random accesses to them.

use std::hash::Hash;

use alluvium_core::{KeyGroup, KeyGroupAssigner};
use alluvium_format::codec::{Codec, DefaultCodec, HasCodec};
use alluvium_heap::{InlineSlot, SharedSlot, Slot};
use alluvium_state::{StateKey, StateValue};

use crate::random::Random;
use crate::setup;

/// A type of keys and a type of values.
pub(crate) trait Shape: Copy + Send + Sync + 'static {
    const NAME: &'static str;
    type Key: StateKey + HasCodec + Hash;
    type Value: StateValue;
    type ValueCodec: Codec<Self::Value> + Default;
    /// How entries lie in a copy-on-write map.
    type Slot: Slot<Key = Self::Key, Namespace = (), State = Self::Value>;

    /// The key with a number; different numbers give different keys.
    fn key(number: u64) -> Self::Key;
    /// The value that a key gets first.
    fn value(number: u64) -> Self::Value;
    /// Changes a value in place.
    fn change(value: &mut Self::Value);
    /// A number that depends on the value's bytes.
    fn digest(value: &Self::Value) -> u64;
}

/// Mixes a number, one to one, so that neighbours are far apart.
fn mixed(number: u64) -> u64 {
    Random::new(number).next_u64()
}

/// `u64` to `u64`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers;

impl Shape for Numbers {
    const NAME: &'static str = "u64-u64";
    type Key = u64;
    type Value = u64;
    type ValueCodec = DefaultCodec;
    type Slot = InlineSlot<u64, (), u64>;

    fn key(number: u64) -> u64 {
        mixed(number)
    }

    fn value(number: u64) -> u64 {
        number
    }

    #[inline]
    fn change(value: &mut u64) {
        *value = value.wrapping_add(1);
    }

    #[inline]
    fn digest(value: &u64) -> u64 {
        *value
    }
}

/// `u64` to 128 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wide;

impl Shape for Wide {
    const NAME: &'static str = "u64-bytes128";
    type Key = u64;
    type Value = [u8; 128];
    type ValueCodec = DefaultCodec;
    type Slot = InlineSlot<u64, (), [u8; 128]>;

    fn key(number: u64) -> u64 {
        mixed(number)
    }

    fn value(number: u64) -> Self::Value {
        let mut value = [3; 128];
        value[..8].copy_from_slice(&number.to_le_bytes());
        value
    }

    #[inline]
    fn change(value: &mut Self::Value) {
        value[0] = value[0].wrapping_add(1);
    }

    #[inline]
    fn digest(value: &Self::Value) -> u64 {
        u64::from(value[0])
    }
}

/// `String` to `String`: 20 and 24 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Texts;

impl Shape for Texts {
    const NAME: &'static str = "string-string";
    type Key = String;
    type Value = String;
    type ValueCodec = DefaultCodec;
    type Slot = SharedSlot<String, (), String>;

    fn key(number: u64) -> String {
        format!("key {:016x}", mixed(number))
    }

    fn value(number: u64) -> String {
        format!("value {number:016}.0")
    }

    /// The last byte is another one afterwards.
    #[inline]
    fn change(value: &mut String) {
        let last = value.pop().unwrap_or('0');
        value.push(if last == '0' { '1' } else { '0' });
    }

    #[inline]
    fn digest(value: &String) -> u64 {
        value.bytes().next_back().map_or(0, u64::from)
    }
}

/// What happens to the entry of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Get,
    Update,
    Remove,
}

/// One random access: the record, routed to its key group already.
#[derive(Debug)]
pub(crate) struct Access<S: Shape> {
    pub(crate) key: S::Key,
    pub(crate) group: KeyGroup,
    /// Only the mix looks at it.
    pub(crate) act: Act,
}

/// The access to the key with a number.
pub(crate) fn access_to<S: Shape>(number: u64, act: Act) -> Access<S> {
    let key = S::key(number);
    let group = key_group_of(&key);
    Access { key, group, act }
}

/// Accesses to uniformly random keys: 45 % gets, 45 % updates, 10 % deletes.
pub(crate) fn random_accesses<S: Shape>(count: usize, keys: u64, seed: u64) -> Vec<Access<S>> {
    let mut random = Random::new(seed);
    let mut access = || {
        let number = random.below(keys);
        let act = match random.below(100) {
            0..10 => Act::Remove,
            10..55 => Act::Get,
            _ => Act::Update,
        };
        access_to(number, act)
    };
    (0..count).map(|_| access()).collect()
}

fn key_group_of<K: HasCodec>(key: &K) -> KeyGroup {
    let mut encoded = Vec::new();
    DefaultCodec.encode(key, &mut encoded).expect("keys can be encoded");
    KeyGroupAssigner::Stable.assign(key, &encoded, setup::max_parallelism(setup::KEY_GROUPS))
}
