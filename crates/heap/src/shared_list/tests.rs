use alluvium_format::codec::{Codec, Compatibility, DefaultCodec, Input, NumberCodec, VecCodec};
use alluvium_testkit::random::Random;

use super::spine::BRANCH_LEN;
use super::*;
use crate::table::SlotCodec;

type Numbers = SharedList<u64>;

/// Sizes where a leaf or a level fills up, and their neighbours.
fn boundaries(leaf_len: usize) -> Vec<usize> {
    let (branch, second) = (BRANCH_LEN * leaf_len, BRANCH_LEN * BRANCH_LEN * leaf_len);
    let around = [0, leaf_len, 2 * leaf_len, branch, branch + leaf_len, second, second + branch];
    let mut sizes: Vec<_> =
        around.into_iter().flat_map(|size| [size.saturating_sub(1), size, size + 1]).collect();
    sizes.dedup();
    sizes
}

/// The list has these elements, whichever way it is asked.
fn check<T: Clone + PartialEq + fmt::Debug>(list: &SharedList<T>, expected: &[T], seed: u64) {
    assert_eq!(list.len(), expected.len());
    assert_eq!(list.is_empty(), expected.is_empty());
    assert!(list.iter().eq(expected), "{} elements in order", expected.len());
    assert_eq!(list.get(expected.len()), None);
    assert_eq!(list.iter_from(expected.len()).next(), None);
    assert_eq!(list.iter_from(usize::MAX).next(), None);
    let mut random = Random::new(seed);
    for _ in 0..expected.len().min(40) {
        let index = random.index(expected.len());
        assert_eq!(list.get(index), expected.get(index), "at {index} of {}", expected.len());
        let (some, left) = (list.iter_from(index), expected.len() - index);
        assert_eq!(some.size_hint(), (left, Some(left)));
        assert!(some.take(100).eq(expected[index..].iter().take(100)), "from {index}");
    }
}

fn numbers(len: usize) -> Vec<u64> {
    (0..len as u64).collect()
}

#[test]
fn a_leaf_has_about_1_kib_and_8_to_128_elements() {
    assert_eq!(SharedList::<()>::LEAF_LEN, 128);
    assert_eq!(SharedList::<u8>::LEAF_LEN, 128);
    assert_eq!(Numbers::LEAF_LEN, 128);
    assert_eq!(SharedList::<u128>::LEAF_LEN, 64);
    assert_eq!(SharedList::<String>::LEAF_LEN, 32);
    assert_eq!(SharedList::<[u64; 40]>::LEAF_LEN, 8);
}

#[test]
fn a_short_list_weighs_one_word_more_than_a_vector() {
    assert_eq!(size_of::<Numbers>(), size_of::<Vec<u64>>() + size_of::<usize>());
    let vec = numbers(Numbers::LEAF_LEN);
    let taken = vec.as_ptr();
    let list = Numbers::from(vec);
    assert!(list.spine.is_none());
    assert_eq!(list.tail.as_ptr(), taken, "the vector itself");
    assert!(numbers(Numbers::LEAF_LEN).into_iter().collect::<Numbers>().spine.is_none());
}

#[test]
fn elements_come_back_at_every_boundary() {
    for size in boundaries(Numbers::LEAF_LEN) {
        check(&Numbers::from(numbers(size)), &numbers(size), size as u64);
        check(&numbers(size).into_iter().collect::<Numbers>(), &numbers(size), size as u64);
    }
    for size in boundaries(SharedList::<String>::LEAF_LEN) {
        let expected: Vec<_> = (0..size).map(|n| n.to_string()).collect();
        check(&SharedList::from(expected.clone()), &expected, size as u64);
    }
    for size in [0, 1, 64, 65, 5_000] {
        check(&SharedList::from(vec![(); size]), &vec![(); size], 3);
    }
}

#[test]
fn three_levels_hold_more_than_two_million_elements() {
    let size = BRANCH_LEN.pow(3) * Numbers::LEAF_LEN + 1;
    let list: Numbers = (0..size as u64).collect();
    assert_eq!(list.spine.as_ref().unwrap().level_count(), 4);
    assert!(list.iter().copied().eq(0..size as u64));
    for index in (0..size).step_by(997) {
        assert_eq!(list.get(index), Some(&(index as u64)));
    }
}

#[test]
fn random_pushes_and_clones_match_a_vector_and_clones_stay_what_they_were() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let sizes = boundaries(Numbers::LEAF_LEN);
        let start = *random.pick(&sizes);
        let (mut list, mut model) = (Numbers::from(numbers(start)), numbers(start));
        let mut clones: Vec<(Numbers, Vec<u64>)> = Vec::new();
        for _ in 0..60 {
            match random.below(6) {
                0..2 => {
                    let element = random.next_u64();
                    list.push(element);
                    model.push(element);
                }
                2 => {
                    let most = *random.pick(&[3, 64, 65, 128, 2_100]);
                    let more: Vec<_> = (0..random.index(most)).map(|_| random.next_u64()).collect();
                    list.extend(more.iter().copied());
                    model.extend(more);
                }
                3 => clones.push((list.clone(), model.clone())),
                // The clone goes on, and what it was cloned from stays.
                4 => {
                    let clone = list.clone();
                    clones.push((std::mem::replace(&mut list, clone), model.clone()));
                }
                _ if !clones.is_empty() => {
                    let (other, expected) = clones.swap_remove(random.index(clones.len()));
                    check(&other, &expected, seed);
                    if random.one_in(3) {
                        (list, model) = (other, expected);
                    }
                }
                _ => {}
            }
        }
        check(&list, &model, seed);
        for (clone, expected) in clones {
            check(&clone, &expected, seed);
        }
    }
}

#[test]
fn both_ends_are_cut_at_every_boundary() {
    for size in boundaries(Numbers::LEAF_LEN) {
        let list = Numbers::from(numbers(size));
        for cut in boundaries(Numbers::LEAF_LEN).into_iter().filter(|cut| *cut <= size + 1) {
            let (mut front, mut end) = (list.clone(), list.clone());
            front.remove_front(cut);
            check(&front, &numbers(size)[cut.min(size)..], cut as u64);
            end.truncate(cut);
            check(&end, &numbers(size)[..cut.min(size)], cut as u64);
        }
        assert_eq!(list, Numbers::from(numbers(size)));
    }
}

#[test]
fn a_queue_of_any_length_gives_elements_in_their_order() {
    for start in [0, 1, 64, 65, 2_048, 2_049, 70_000] {
        let mut list = Numbers::from(numbers(start));
        let mut next = start as u64;
        for expected in 0..start as u64 + 3_000 {
            if next < expected + 1 || !expected.is_multiple_of(3) {
                list.push(next);
                next += 1;
            }
            assert_eq!(list.pop_front(), Some(expected));
            assert_eq!(list.len() as u64, next - expected - 1);
        }
        list.remove_front(list.len());
        assert_eq!((list.pop_front(), list.spine.is_none()), (None, true));
    }
}

#[test]
fn random_cuts_and_clones_match_a_vector_and_clones_stay_what_they_were() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let start = *random.pick(&[0, 70, 2_100, 70_000]);
        let (mut list, mut model) = (Numbers::from(numbers(start)), numbers(start));
        let mut clones: Vec<(Numbers, Vec<u64>)> = Vec::new();
        for _ in 0..80 {
            let most = *random.pick(&[2, 65, 2_100, 40_000]);
            let count = random.index(most);
            match random.below(5) {
                0 => {
                    list.remove_front(count);
                    model.drain(..count.min(model.len()));
                }
                1 => {
                    let len = model.len().saturating_sub(count);
                    list.truncate(len);
                    model.truncate(len);
                    list.truncate(usize::MAX);
                }
                2 => {
                    let first = (!model.is_empty()).then(|| model.remove(0));
                    assert_eq!(list.pop_front(), first, "seed {seed}");
                }
                3 => clones.push((list.clone(), model.clone())),
                _ => {
                    let more: Vec<_> = (0..count).map(|_| random.next_u64()).collect();
                    list.extend(more.iter().copied());
                    model.extend(more);
                }
            }
            assert_eq!((list.len(), list.get(0)), (model.len(), model.first()), "seed {seed}");
            assert_eq!(list.tail.is_empty(), list.is_empty());
        }
        clones.push((list, model));
        for (clone, expected) in clones {
            check(&clone, &expected, seed);
        }
    }
}

#[test]
fn a_list_that_was_cut_shares_the_rest_and_is_cloned_in_no_time() {
    let list = Numbers::from(numbers(200_000));
    let mut cut = list.clone();
    cut.remove_front(70_001);
    cut.truncate(90_000);
    for index in [0, 1_000, 65_536, 89_000] {
        let (one, other) = (cut.get(index).unwrap(), list.get(index + 70_001).unwrap());
        assert!(std::ptr::eq(one, other), "at {index}");
    }
    let pointers = cut.spine.as_ref().unwrap().pointers();
    assert!(pointers < 5 * BRANCH_LEN, "{pointers} pointers to clone");
}

#[test]
fn a_clone_shares_all_but_the_tail() {
    let size = 200_000;
    let list = Numbers::from(numbers(size));
    let mut clone = list.clone();
    clone.push(1);
    let last_shared = list.len() - list.tail.len() - 1;
    for index in [0, 2_048, 65_536, 131_072, last_shared] {
        assert!(std::ptr::eq(list.get(index).unwrap(), clone.get(index).unwrap()), "at {index}");
    }
    let nodes = list.spine.as_ref().unwrap().pointers();
    assert!(nodes < 3 * BRANCH_LEN, "{nodes} pointers to clone");
    assert_eq!((list.len(), clone.len()), (size, size + 1));
}

#[test]
fn lists_are_equal_by_their_elements_and_print_like_vectors() {
    let mut list = Numbers::from(numbers(70));
    assert_eq!(list, numbers(70).into_iter().collect());
    assert_ne!(list, Numbers::from(numbers(71)));
    list.push(1);
    assert_ne!(list, Numbers::from(numbers(71)));
    assert_eq!(format!("{:?}", Numbers::from(vec![1, 2])), "[1, 2]");
    let mut iter = list.iter();
    iter.by_ref().take(69).for_each(drop);
    assert_eq!(format!("{iter:?}"), "[69, 1]");
    assert!(Numbers::default().is_empty());
}

#[test]
fn a_list_of_millions_is_dropped_on_a_small_stack() {
    let drop_it = || drop((0..5_000_000_u64).collect::<Numbers>());
    let thread = std::thread::Builder::new().stack_size(64 * 1024).spawn(drop_it).unwrap();
    thread.join().unwrap();
}

#[test]
fn the_bytes_are_those_of_a_vector() {
    let codec = SharedListCodec(VecCodec(DefaultCodec));
    assert_eq!(SlotCodec::<Numbers>::snapshot(&codec), Codec::<Vec<u64>>::snapshot(&codec.0));
    for size in boundaries(Numbers::LEAF_LEN) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        codec.encode(&Numbers::from(numbers(size)), &mut bytes).unwrap();
        codec.0.encode(&numbers(size), &mut expected).unwrap();
        assert!(bytes == expected, "{size} elements");
        let mut input = Input::new(&bytes);
        let list: Numbers = codec.decode(&mut input).unwrap();
        assert!(input.is_empty());
        check(&list, &numbers(size), 1);
    }
    let cut: Result<Numbers, _> = codec.decode(&mut Input::new(&[2, 0, 0, 0, 0, 0, 0, 0, 0]));
    assert!(cut.is_err());
}

#[test]
fn elements_of_a_narrower_type_are_read_after_migration() {
    let mut bytes = Vec::new();
    let stored = VecCodec(NumberCodec::<u16>::default());
    stored.encode(&vec![7; 300], &mut bytes).unwrap();
    let codec = SharedListCodec(VecCodec(NumberCodec::<u64>::default()));
    assert!(matches!(codec.resolve(&SlotCodec::snapshot(&codec)), Compatibility::AsIs));
    let Compatibility::AfterMigration(decoder) = codec.resolve(&stored.snapshot()) else {
        panic!("u16 becomes u64");
    };
    let list: Numbers = decoder.decode_value(&mut Input::new(&bytes)).unwrap();
    assert_eq!(list, Numbers::from(vec![7; 300]));
    let wider = VecCodec(NumberCodec::<u128>::default()).snapshot();
    assert!(matches!(codec.resolve(&wider), Compatibility::Incompatible { .. }));
}
