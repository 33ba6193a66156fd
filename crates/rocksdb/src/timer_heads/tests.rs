use alluvium_core::MaxParallelism;

use super::*;

fn group(number: u16) -> KeyGroup {
    KeyGroup::new(number, MaxParallelism::new(8).unwrap()).unwrap()
}

fn place(number: usize) -> Vec<u8> {
    (number as u64).to_be_bytes().to_vec()
}

#[test]
fn what_lies_beyond_the_shortest_read_is_left_for_later() {
    let mut heads = TimerHeads::unknown();
    assert_eq!(heads.wanted_after(), Some([].as_slice()));
    assert_eq!(heads.contains(&place(0)), None);
    let mut read = ReadTimers::default();
    for number in [1, 9] {
        read.push(&place(number), group(0));
    }
    read.end_early();
    for number in [2, 4] {
        read.push(&place(number), group(1));
    }
    read.end_early();
    read.push(&place(5), group(2));
    heads.refill(read);
    assert_eq!(heads.first(), Some((place(1).as_slice(), group(0))));
    assert_eq!(heads.contains(&place(4)), Some(true));
    assert_eq!(heads.contains(&place(3)), Some(false));
    assert_eq!(heads.contains(&place(5)), None);
    heads.insert(&place(6), group(1));
    heads.insert(&place(3), group(1));
    for number in [1, 2, 3, 4] {
        assert_eq!(heads.wanted_after(), None);
        heads.remove(&place(number));
    }
    assert_eq!(heads.wanted_after(), Some(place(4).as_slice()));
}

#[test]
fn a_read_that_ends_nowhere_early_brings_all() {
    let mut heads = TimerHeads::unknown();
    heads.refill(ReadTimers::default());
    assert_eq!(heads.wanted_after(), None);
    assert_eq!(heads.contains(&place(7)), Some(false));
}

#[test]
fn too_many_heads_are_forgotten_from_the_end() {
    let mut heads = TimerHeads::of_none();
    for number in (0..=2 * MAX_HEADS).rev() {
        heads.insert(&place(number), group(0));
    }
    assert_eq!(heads.heads.len(), MAX_HEADS);
    assert_eq!(heads.contains(&place(MAX_HEADS - 1)), Some(true));
    assert_eq!(heads.contains(&place(MAX_HEADS)), None);
    for number in 0..MAX_HEADS {
        heads.remove(&place(number));
    }
    assert_eq!(heads.wanted_after(), Some(place(MAX_HEADS - 1).as_slice()));
}
