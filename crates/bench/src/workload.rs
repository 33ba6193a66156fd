//! Which keys are updated: seeded, and the same on every machine.
//!
//! Between two checkpoints updates go to the keys of a *window*, whose size is the change rate. With
//! each checkpoint the window moves on, so in time it meets all keys; so do the hottest ones, unless
//! the window is all keys. Neighbours in the window are far apart in every other order.
//!
//! Invariants: different numbers have different keys; no key outside of the window is drawn, and those
//! that were drawn since the last checkpoint are counted, each once.
//!
//! Source: rank `r` is drawn with a probability in proportion to `1 / r^skew`, by `rand_distr::Zipf`.

use alluvium::core::{KeyGroup, KeyGroupAssigner, MaxParallelism};
use rand_distr::{Distribution, StandardUniform, Zipf};
use rand_pcg::Pcg64Mcg;

use crate::options::OptionError;

/// A key, and its key group, as an engine has them when a record has been routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) key: u64,
    pub(crate) group: KeyGroup,
}

/// The keys of the operator, by their numbers from 0 on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys {
    count: u64,
    max_parallelism: MaxParallelism,
}

impl Keys {
    pub(crate) const fn new(count: u64, max_parallelism: MaxParallelism) -> Self {
        Self { count, max_parallelism }
    }

    /// The key with a number.
    #[inline]
    pub(crate) fn access(self, number: u64) -> Access {
        let key = spread(number);
        let assigner = KeyGroupAssigner::Stable;
        Access { key, group: assigner.assign(&key, &key.to_le_bytes(), self.max_parallelism) }
    }

    /// All keys.
    pub(crate) fn iter(self) -> impl Iterator<Item = Access> {
        (0..self.count).map(move |number| self.access(number))
    }
}

/// A one-to-one function whose values look random.
///
/// Source: G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
pub(crate) const fn spread(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Draws keys.
#[derive(Debug)]
pub(crate) struct Workload {
    keys: Keys,
    /// Number of the first key of the window.
    first: u64,
    window: u64,
    ranks: Ranks,
    random: Pcg64Mcg,
    /// A bit for each key of the window.
    drawn: Vec<u64>,
    drawn_count: u64,
}

#[derive(Debug)]
enum Ranks {
    Uniform,
    Zipf(Zipf<f64>),
}

impl Workload {
    /// Draws from a window of so many keys, of which there is at least one.
    ///
    /// Errors: [`OptionError::OutOfRange`] for a skew that is no number from 0 on.
    pub(crate) fn new(keys: Keys, window: u64, skew: f64, seed: u64) -> Result<Self, OptionError> {
        let ranks = if skew == 0.0 {
            Ranks::Uniform
        } else {
            let zipf = Zipf::new(window as f64, skew);
            Ranks::Zipf(zipf.map_err(|_| OptionError::OutOfRange {
                option: "skew",
                value: skew.to_string(),
                allowed: "an exponent from 0 to 10 is needed",
            })?)
        };
        let random = Pcg64Mcg::new(u128::from(seed) << 64 | u128::from(spread(seed)));
        Ok(Self { keys, first: 0, window, ranks, random, drawn: Vec::new(), drawn_count: 0 })
    }

    /// Makes room for what is counted, so that it is not taken later.
    pub(crate) fn prepare(&mut self) {
        let words = usize::try_from(self.window.div_ceil(64)).unwrap_or(usize::MAX);
        self.drawn.resize(words, u64::MAX);
        self.drawn.fill(0);
    }

    /// Draws so many keys, in place of those that are there.
    pub(crate) fn draw(&mut self, count: usize, into: &mut Vec<Access>) {
        into.clear();
        for _ in 0..count {
            let rank = self.rank();
            self.count(rank);
            into.push(self.keys.access((self.first + rank) % self.keys.count));
        }
    }

    /// A checkpoint begins: the window moves on. Gives how many keys were drawn since the last one.
    pub(crate) fn move_on(&mut self) -> u64 {
        self.first = (self.first + self.window) % self.keys.count;
        self.drawn.fill(0);
        std::mem::take(&mut self.drawn_count)
    }

    /// A place in the window, from 0 on.
    fn rank(&mut self) -> u64 {
        match self.ranks {
            Ranks::Uniform => {
                let word: u64 = StandardUniform.sample(&mut self.random);
                scaled(word, self.window)
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a whole number from 1 to the size of the window"
            )]
            Ranks::Zipf(zipf) => (zipf.sample(&mut self.random) as u64 - 1).min(self.window - 1),
        }
    }

    fn count(&mut self, rank: u64) {
        let word = usize::try_from(rank / 64).ok().and_then(|at| self.drawn.get_mut(at));
        if let Some(word) = word {
            let bit = 1 << (rank % 64);
            self.drawn_count += u64::from(*word & bit == 0);
            *word |= bit;
        }
    }
}

/// A random word as a number below a bound; for bounds far below 2^64 each is as likely.
const fn scaled(word: u64, below: u64) -> u64 {
    ((word as u128 * below as u128) >> 64) as u64
}

#[cfg(test)]
mod tests;
