//! Seeded random numbers, the same on every machine.
//!
//! Invariants: the numbers depend on the seed alone; they are for tests, not for secrets.
//!
//! Source: G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", 2014
//! (`SplitMix64`).

/// A `SplitMix64` generator.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator of a seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below a limit; small limits are hit evenly enough for tests.
    ///
    /// Panics: when the limit is 0.
    pub const fn below(&mut self, limit: u64) -> u64 {
        assert!(limit > 0, "no number is below 0");
        self.next_u64() % limit
    }

    /// A position below a length.
    ///
    /// Panics: when the length is 0.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    /// True once in `out_of` times on average.
    ///
    /// Panics: when `out_of` is 0.
    pub const fn one_in(&mut self, out_of: u64) -> bool {
        self.below(out_of) == 0
    }

    /// One of some items.
    ///
    /// Panics: when there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let index = self.index(items.len());
        items.get(index).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_paper_and_of_the_seed_alone() {
        let mut zero = Random::new(0);
        let expected = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f];
        assert_eq!(expected.map(|_| zero.next_u64()), expected);

        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..100).map(|_| random.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn every_item_is_picked_and_nothing_else() {
        let mut random = Random::new(1);
        let mut seen = [0; 5];
        for _ in 0..1_000 {
            seen[*random.pick(&[0, 1, 2, 3, 4])] += 1;
            assert!(random.below(3) < 3);
        }
        assert!(seen.iter().all(|times| *times > 100), "{seen:?}");
    }
}
