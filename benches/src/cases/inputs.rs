//! Keys and values in the order in which cases use them: shuffled once, by seeds.
//!
//! `benches/flink` draws the same numbers in Java, in the same order.

use super::{LIST_ELEMENTS, MAP_ENTRIES};
use crate::random::Random;

const SETUP_SEED: u64 = 1;
const NEW_SEED: u64 = 2;
const MAP_KEYS_SEED: u64 = 3;
const MAP_VALUES_SEED: u64 = 4;
const VALUES_SEED: u64 = 5;
const CONTENT_SEED: u64 = 6;
/// Values that cases write, before they repeat.
const VALUES: u64 = 1_000_000;

/// What one run of an operation is given. A case uses some of it.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// A key that has state.
    pub key: u64,
    /// A key that has none.
    pub new_key: u64,
    /// A user key.
    pub map_key: u64,
    /// A user value.
    pub map_value: f64,
    /// A value or an element.
    pub value: u64,
}

/// All keys and values.
#[derive(Debug)]
pub struct Inputs {
    /// How many keys have state.
    pub keys: u64,
    setup_keys: Vec<u64>,
    new_keys: Vec<u64>,
    map_keys: Vec<u64>,
    map_values: Vec<f64>,
    values: Vec<u64>,
}

impl Inputs {
    /// For so many keys with state; as many more have none.
    pub fn new(keys: u64) -> Self {
        let mut random = Random::new(MAP_VALUES_SEED);
        Self {
            keys,
            setup_keys: shuffled(0, keys, SETUP_SEED),
            new_keys: shuffled(keys, keys, NEW_SEED),
            map_keys: shuffled(0, MAP_ENTRIES, MAP_KEYS_SEED),
            map_values: (0..MAP_ENTRIES).map(|_| next_f64(&mut random)).collect(),
            values: shuffled(0, VALUES, VALUES_SEED),
        }
    }

    /// Some accesses, from the one with a number on; they repeat when all keys have had their turn.
    pub fn accesses(&self, from: u64, count: u64) -> Vec<Access> {
        (from..from + count)
            .map(|number| Access {
                key: at(&self.setup_keys, number),
                new_key: at(&self.new_keys, number),
                map_key: at(&self.map_keys, number),
                map_value: at(&self.map_values, number),
                value: at(&self.values, number),
            })
            .collect()
    }

    /// The entries that `map_put_all` puts.
    pub fn entries(&self) -> Vec<(u64, f64)> {
        self.map_keys.iter().copied().zip(self.map_values.iter().copied()).collect()
    }

    /// The user keys of each map.
    pub fn map_keys(&self) -> &[u64] {
        &self.map_keys
    }
}

/// What state holds at first, drawn key by key.
#[derive(Debug)]
pub struct Content(Random);

impl Content {
    /// That of the first key comes first.
    #[expect(clippy::new_without_default, reason = "it has a position")]
    pub const fn new() -> Self {
        Self(Random::new(CONTENT_SEED))
    }

    /// The value of the next key.
    pub const fn value(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// The user value of the next user key of a map.
    pub fn user_value(&mut self) -> f64 {
        next_f64(&mut self.0)
    }

    /// The list of the next key.
    pub fn list(&mut self) -> Vec<u64> {
        (0..LIST_ELEMENTS).map(|_| self.0.next_u64()).collect()
    }
}

/// A number, mixed one to one, so that neighbours are far apart.
pub const fn mixed(number: u64) -> u64 {
    Random::new(number).next_u64()
}

fn at<T: Copy + Default>(list: &[T], number: u64) -> T {
    let position = usize::try_from(number % list.len() as u64).unwrap_or_default();
    list.get(position).copied().unwrap_or_default()
}

/// From 0 to below 1, in steps of 2^-53.
fn next_f64(random: &mut Random) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Fisher and Yates.
fn shuffled(first: u64, count: u64, seed: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = (first..first + count).collect();
    let mut random = Random::new(seed);
    for last in (1..numbers.len()).rev() {
        let other = random.below(last as u64 + 1);
        numbers.swap(last, usize::try_from(other).unwrap_or_default());
    }
    numbers
}
