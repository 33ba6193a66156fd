use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn keys(count: u64) -> Keys {
    Keys::new(count, MaxParallelism::new(128).unwrap())
}

fn workload(count: u64, window: u64, skew: f64, seed: u64) -> Workload {
    let mut workload = Workload::new(keys(count), window, skew, seed).unwrap();
    workload.prepare();
    workload
}

/// How often each key was drawn, most often first.
fn shares(workload: &mut Workload, draws: usize) -> Vec<f64> {
    let mut block = Vec::new();
    workload.draw(draws, &mut block);
    let mut counts = BTreeMap::<u64, u64>::new();
    for access in &block {
        *counts.entry(access.key).or_default() += 1;
    }
    let mut counts: Vec<u64> = counts.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts.into_iter().map(|count| count as f64 / draws as f64).collect()
}

#[test]
fn without_skew_each_key_is_as_likely() {
    let shares = shares(&mut workload(1_000, 100, 0.0, 7), 100_000);
    assert_eq!(shares.len(), 100);
    assert!(shares[0] < 0.0125, "{}", shares[0]);
    assert!(shares[99] > 0.0075, "{}", shares[99]);
}

#[test]
fn with_skew_the_shares_are_those_of_zipf() {
    for skew in [0.5, 0.99, 1.0, 1.5] {
        let window = 1_000;
        let shares = shares(&mut workload(10_000, window, skew, 7), 400_000);
        let whole: f64 = (1..=window).map(|rank| (rank as f64).powf(-skew)).sum();
        // The hottest keys are drawn often enough to tell.
        for (rank, found) in (1_u32..=5).zip(shares) {
            let expected = f64::from(rank).powf(-skew) / whole;
            assert!((found / expected - 1.0).abs() < 0.1, "{skew}, {rank}: {found}, {expected}");
        }
    }
}

#[test]
fn the_same_seed_draws_the_same_keys() {
    let draw = |seed| {
        let mut block = Vec::new();
        workload(5_000, 500, 1.1, seed).draw(1_000, &mut block);
        block
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn only_keys_of_the_window_are_drawn_and_counted_once() {
    for skew in [0.0, 1.2] {
        let mut workload = workload(1_000, 30, skew, 3);
        let mut block = Vec::new();
        let mut met = BTreeSet::<u64>::new();
        for _ in 0..34 {
            workload.draw(1_000, &mut block);
            let distinct: BTreeSet<u64> = block.iter().map(|access| access.key).collect();
            assert!(distinct.len() <= 30);
            met.extend(&distinct);
            assert_eq!(workload.move_on(), distinct.len() as u64);
            assert_eq!(workload.move_on(), 0, "nothing was drawn in between");
            workload.first = (workload.first + 1_000 - 30) % 1_000;
        }
        // Thirty-four windows of thirty are more than all keys.
        assert!(skew > 0.0 || met.len() == 1_000, "{}", met.len());
    }
}

#[test]
fn keys_are_distinct_and_know_their_key_group() {
    let keys = keys(10_000);
    let all: Vec<Access> = keys.iter().collect();
    assert_eq!(all.iter().map(|it| it.key).collect::<BTreeSet<_>>().len(), 10_000);
    let groups: BTreeSet<u16> = all.iter().map(|access| access.group.get()).collect();
    assert_eq!(groups.len(), 128, "ten thousand keys meet every key group");
    for access in all {
        let assigner = KeyGroupAssigner::Stable;
        let key = access.key.to_le_bytes();
        assert_eq!(assigner.assign(&access.key, &key, keys.max_parallelism), access.group);
    }
}
