//! Many freezes while one thread writes as fast as it can.
//!
//! Each write has a number, which decides what it does, so the content at a freeze follows from the
//! number of writes before it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use tempfile::TempDir;

use crate::engine::test_kit::{
    Rows, column_options, delete, engine, imported, made, mixed, put, rows,
};
use crate::engine::{Collected, Column, EngineError, FreezePoint};

const KEYS: u64 = 200_000;
const COLUMNS: u64 = 3;
const FREEZES: u64 = 30;
const WRITES_BETWEEN: u64 = 20_000;
/// While more freezes are not collected, writes go on without a further one.
const MOST_OPEN: u64 = 6;

enum Write {
    Put([u8; 100]),
    Delete,
}

/// What a write does: the column, the key, and how.
fn write(number: u64) -> (u64, [u8; 8], Write) {
    let random = mixed(number);
    let key = (random >> 8) % KEYS;
    let column = key % COLUMNS;
    if random.is_multiple_of(8) {
        return (column, key.to_be_bytes(), Write::Delete);
    }
    let mut value = [b'x'; 100];
    for (part, salt) in value.chunks_exact_mut(8).take(6).zip(0..) {
        part.copy_from_slice(&mixed(number ^ (salt << 40)).to_be_bytes());
    }
    (column, key.to_be_bytes(), Write::Put(value))
}

/// The content after each write.
struct Model {
    newest: Vec<Option<u64>>,
    written: u64,
}

impl Model {
    fn advance(&mut self, to: u64) {
        for number in self.written..to {
            let (_, key, what) = write(number);
            let key = usize::try_from(u64::from_be_bytes(key)).unwrap();
            self.newest[key] = matches!(what, Write::Put(_)).then_some(number);
        }
        self.written = to;
    }

    fn column(&self, column: u64) -> Rows {
        let mut rows = Vec::new();
        for number in self.newest.iter().flatten() {
            if let (its, key, Write::Put(value)) = write(*number)
                && its == column
            {
                rows.push((key.to_vec(), value.to_vec()));
            }
        }
        rows
    }
}

type Results = Vec<(u64, Result<Collected, EngineError>)>;

/// Collects what arrives, after a while; counts what was collected.
fn collect(
    freezes: &Mutex<mpsc::Receiver<(u64, FreezePoint, PathBuf)>>,
    results: &Mutex<Results>,
    longest_delay_ms: u64,
    done: &AtomicU64,
) {
    loop {
        let received = freezes.lock().unwrap().recv();
        let Ok((written, freeze, links)) = received else { return };
        std::thread::sleep(Duration::from_millis(mixed(written) % longest_delay_ms));
        let collected = freeze.collect(&links, |_| true);
        results.lock().unwrap().push((written, collected));
        done.fetch_add(1, Ordering::SeqCst);
    }
}

/// How many freezes were exact and how many failed because of a leak; nothing else may happen.
fn run(gate: bool, longest_delay_ms: u64) -> (usize, usize, u64) {
    let dir = TempDir::new().unwrap();
    let engine = engine(&dir.path().join("db"));
    if !gate {
        engine.state.turn_gate_off();
    }
    let column = |number| Column::create(&engine, number, &column_options(256 << 10)).unwrap();
    let columns = ["a", "b", "c"].map(column);
    let all: Vec<_> = columns.iter().collect();
    let (sender, receiver) = mpsc::channel();
    let (receiver, results) = (Mutex::new(receiver), Mutex::new(Results::new()));
    let done = AtomicU64::new(0);
    let open = |made: u64| made - done.load(Ordering::SeqCst);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| collect(&receiver, &results, longest_delay_ms, &done));
        }
        let mut written = 0;
        let mut write_next = || {
            let (column, key, what) = write(written);
            let column = &columns[usize::try_from(column).unwrap()];
            match what {
                Write::Put(value) => put(column, &key, &value),
                Write::Delete => delete(column, &key),
            }
            written += 1;
            written
        };
        for freeze in 0..FREEZES {
            let mut left = WRITES_BETWEEN / 2 + mixed(freeze) % WRITES_BETWEEN;
            while left > 1 || open(freeze) >= MOST_OPEN {
                write_next();
                left = left.saturating_sub(1);
                if left == 2000 && freeze % 2 == 0 {
                    engine.pre_flush(&all).unwrap();
                }
            }
            let written = write_next();
            let links = made(dir.path().join(format!("links-{written}")));
            sender.send((written, engine.freeze(&all).unwrap(), links)).unwrap();
        }
        while open(FREEZES) > 0 {
            write_next();
        }
        drop(sender);
    });
    engine.check().unwrap();
    let held_back = engine.compactions_held_back();
    drop((columns, engine));

    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(written, _)| *written);
    let mut model = Model { newest: vec![None; usize::try_from(KEYS).unwrap()], written: 0 };
    let (mut exact, mut leaked) = (0, 0);
    for (written, collected) in results {
        model.advance(written);
        match collected {
            Ok(collected) => {
                let copy = dir.path().join(format!("copy-{written}"));
                let columns = imported(&collected, &copy);
                for (column, number) in columns.iter().zip(0..) {
                    assert!(rows(column) == model.column(number), "after {written}: {number}");
                }
                exact += 1;
            }
            Err(EngineError::Leaked { .. }) => leaked += 1,
            Err(error) => panic!("{error}"),
        }
    }
    (exact, leaked, held_back)
}

#[test]
fn every_freeze_is_exact_while_compactions_are_held_back() {
    let (exact, leaked, held_back) = run(true, 150);
    println!("{exact} exact, {leaked} leaked, {held_back} compactions held back");
    assert_eq!((exact, leaked), (usize::try_from(FREEZES).unwrap(), 0));
    assert!(held_back > 0);
}

#[test]
fn without_the_gate_newer_data_leaks_and_is_never_passed_on() {
    let (exact, leaked, held_back) = run(false, 600);
    println!("{exact} exact, {leaked} leaked, {held_back} compactions held back");
    assert_eq!(exact + leaked, usize::try_from(FREEZES).unwrap());
    assert!(leaked > 0);
    assert_eq!(held_back, 0);
}
