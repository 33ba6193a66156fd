//! How long a freeze stops the task; printed, not asserted.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::engine::Column;
use crate::engine::test_kit::{column_options, engine, made, mixed, put};

const MIB: u64 = 1 << 20;
const VALUE_LEN: usize = 100;

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn now() -> Instant {
    Instant::now()
}

/// The sorted times of `rounds` freezes and collects, with so much dirty in so many columns.
fn measure(columns: u64, dirty_bytes: u64, rounds: u64) -> (Vec<Duration>, Vec<Duration>) {
    let dir = TempDir::new().unwrap();
    let engine = engine(&dir.path().join("db"));
    let column = |_| Column::create(&engine, "state", &column_options(256 << 20)).unwrap();
    let columns: Vec<_> = (0..columns).map(column).collect();
    let all: Vec<_> = columns.iter().collect();
    let (mut freezes, mut collects) = (Vec::new(), Vec::new());
    let mut number = 0;
    let mut write = |bytes: u64| {
        for _ in 0..bytes / (VALUE_LEN as u64 + 8) {
            number += 1;
            let column = &columns[usize::try_from(number).unwrap() % columns.len()];
            put(column, &(mixed(number) % 500_000).to_be_bytes(), &[b'x'; VALUE_LEN]);
        }
    };
    for round in 0..rounds {
        write(dirty_bytes);
        let links = made(dir.path().join(format!("links-{round}")));
        let begin = now();
        let freeze = engine.freeze(&all).unwrap();
        freezes.push(begin.elapsed());
        std::thread::scope(|scope| {
            let collecting = scope.spawn(|| {
                let begin = now();
                freeze.collect(&links, |_| true).unwrap();
                begin.elapsed()
            });
            while !collecting.is_finished() {
                write(10_000);
            }
            collects.push(collecting.join().unwrap());
        });
    }
    freezes.sort();
    collects.sort();
    (freezes, collects)
}

#[test]
fn latency_of_a_freeze() {
    let rounds = std::env::var("ALLUVIUM_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    for (columns, dirty) in [(3, 1), (3, 4), (3, 16), (3, 64), (1, 4), (10, 4), (40, 4)] {
        let (freezes, collects) = measure(columns, dirty * MIB, rounds);
        let at = |times: &[Duration], percent: usize| times[(times.len() - 1) * percent / 100];
        println!(
            "{columns:>2} columns, {dirty:>2} MiB dirty: freeze p50 {:?} p99 {:?}, collect p50 {:?} p99 {:?}",
            at(&freezes, 50),
            at(&freezes, 99),
            at(&collects, 50),
            at(&collects, 99),
        );
    }
}
