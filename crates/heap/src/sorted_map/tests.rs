use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use alluvium_format::codec::{DefaultCodec, DefaultOrderedCodec};
use alluvium_testkit::random::Random;

use super::*;

thread_local! {
    /// How many values were cloned on this thread.
    static CLONES: Cell<usize> = const { Cell::new(0) };
}

#[derive(Debug, PartialEq)]
struct Counted(u64);

impl Clone for Counted {
    fn clone(&self) -> Self {
        CLONES.set(CLONES.get() + 1);
        Self(self.0)
    }
}

/// A key that counts how often it is compared.
#[derive(Debug, Clone, Eq)]
struct Compared(u32);

thread_local! {
    static COMPARISONS: Cell<usize> = const { Cell::new(0) };
}

impl PartialEq for Compared {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl PartialOrd for Compared {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Compared {
    fn cmp(&self, other: &Self) -> Ordering {
        COMPARISONS.set(COMPARISONS.get() + 1);
        self.0.cmp(&other.0)
    }
}

impl Hash for Compared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

const LARGE: u32 = 200_000;

#[test]
fn a_write_after_a_clone_copies_one_value_at_most() {
    let mut map = SortedUserMap::default();
    (0..LARGE).for_each(|key| map.insert(key, Counted(0)));
    for key in [0, LARGE / 2, LARGE - 1] {
        let frozen = map.clone();
        CLONES.set(0);
        map.update(key, || Counted(0), |value| value.0 += 1);
        assert!(CLONES.get() <= 1, "{} values were copied", CLONES.get());
        map.insert(LARGE + key, Counted(7));
        map.remove(&(key / 3));
        assert!(CLONES.get() <= 1, "{} values were copied", CLONES.get());
        assert_eq!(frozen.0.size(), map.0.size());
        assert!(frozen.contains(&(key / 3)));
        assert!(!map.contains(&(key / 3)));
    }
}

#[test]
fn ends_and_ranges_are_found_in_a_few_comparisons() {
    let mut map = SortedUserMap::default();
    (0..LARGE).for_each(|key| map.insert(Compared(key), ()));
    let (from, to) = (Compared(LARGE / 2), Compared(LARGE - 10));
    let ranges = [
        (Bound::Unbounded, Bound::Unbounded),
        (Bound::Included(&from), Bound::Unbounded),
        (Bound::Excluded(&from), Bound::Excluded(&to)),
    ];
    for range in ranges {
        for order in [ScanOrder::Ascending, ScanOrder::Descending] {
            COMPARISONS.set(0);
            assert_eq!(map.range(range, order).take(3).count(), 3);
            assert!(COMPARISONS.get() < 200, "{} comparisons", COMPARISONS.get());
        }
    }
}

#[test]
fn random_changes_and_clones_match_a_map_of_std() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let (mut map, mut model) = (SortedUserMap::default(), BTreeMap::new());
        let mut clones: Vec<(SortedUserMap<i64, u64>, BTreeMap<i64, u64>)> = Vec::new();
        let keys = *random.pick(&[3, 20, 400]);
        for _ in 0..600 {
            let key = i64::try_from(random.below(keys)).unwrap() - 5;
            let value = random.next_u64();
            match random.below(8) {
                0..3 => {
                    map.insert(key, value);
                    model.insert(key, value);
                }
                3 => {
                    map.update(key, || 5, |it| *it = it.wrapping_add(value));
                    let it = model.entry(key).or_insert(5);
                    *it = it.wrapping_add(value);
                }
                4..6 => {
                    map.remove(&key);
                    model.remove(&key);
                }
                6 => clones.push((map.clone(), model.clone())),
                _ => {
                    let end = key + i64::try_from(random.below(12)).unwrap() - 2;
                    let range = (Bound::Excluded(&key), Bound::Included(&end));
                    let found: Vec<_> = map.range(range, ScanOrder::Descending).collect();
                    let expected = model.iter().filter(|(it, _)| **it > key && **it <= end);
                    assert_eq!(found, expected.rev().collect::<Vec<_>>(), "seed {seed}");
                }
            }
        }
        clones.push((map, model));
        for (map, model) in clones {
            let all = (Bound::Unbounded, Bound::Unbounded);
            assert!(map.range(all, ScanOrder::Ascending).eq(&model), "seed {seed}");
            assert_eq!(map.is_empty(), model.is_empty());
        }
    }
}

#[test]
fn the_bytes_are_those_of_a_map_in_the_order_of_encoded_keys() {
    let codec = SortedMapCodec(MapCodec { keys: DefaultOrderedCodec, values: DefaultCodec });
    let mut map = SortedUserMap::default();
    for key in [3_i32, -7, 0, i32::MIN, 512] {
        map.insert(key, key.unsigned_abs());
    }
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    codec.encode(&map, &mut bytes).unwrap();
    let model: BTreeMap<i32, u32> = map.0.iter().map(|(key, value)| (*key, *value)).collect();
    Codec::<BTreeMap<i32, u32>>::encode(&codec.0, &model, &mut expected).unwrap();
    assert_eq!(bytes, expected);
    let decoded: SortedUserMap<i32, u32> = codec.decode(&mut Input::new(&bytes)).unwrap();
    assert!(decoded.0.iter().eq(map.0.iter()));
    // The first two entries change places.
    bytes[1..17].rotate_left(8);
    let swapped: Result<SortedUserMap<i32, u32>, _> = codec.decode(&mut Input::new(&bytes));
    assert!(matches!(swapped.err(), Some(CodecError::Invalid { what: "sorted map", .. })));
}
