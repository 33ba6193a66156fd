//! SIGKILL at random moments: the job is resumed each time at a random parallelism, and ends in
//! exactly the right table (exactly-once) or in counts never below it (at-least-once).
//!
//! `ALLUVIUM_KILLS` sets the number of kills per backend and mode (default 6), `ALLUVIUM_SEED` the
//! seed (default 1).

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use alluvium_tests::{
    Killed, Random, alluvium, committed_lines, counts_of, expected_table, expected_updates,
    flights_file,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_alluvium-under-test");

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

fn job(dir: &Path, backend: &str, mode: &str, parallelism: u64) -> Vec<String> {
    let path = |name: &str| dir.join(name).display().to_string();
    let input = flights_file().display().to_string();
    let parallelism = parallelism.to_string();
    let local_dir = path("local");
    let local = ["--local-dir", local_dir.as_str(), "--rocksdb-memory", "64MiB"];
    [
        ["run", "flights", "--quiet", "--restore", "latest", "--interval", "60ms"].as_slice(),
        &["--backend", backend, "--mode", mode, "--parallelism", &parallelism, "--retain", "3"],
        if backend == "rocksdb" { &local } else { &[] },
        &["--input", &input, "--output", &path("output")],
        &["--checkpoints", &path("checkpoints")],
    ]
    .concat()
    .into_iter()
    .map(str::to_owned)
    .collect()
}

fn kill_and_resume(backend: &str, mode: &str) {
    let (kills, seed) = (number("ALLUVIUM_KILLS", 6), number("ALLUVIUM_SEED", 1));
    println!("{backend}, {mode}: {kills} kills, seed {seed}");
    let mut random = Random::new(seed);
    let dir = tempfile::tempdir().unwrap();
    // The whole input takes about as long as all kills together, replays included.
    let rate = (334_264 / (kills / 2 + 1)).max(8_000).to_string();
    let (mut killed, mut resumed) = (0, 0);
    while killed < kills {
        let parallelism = 1 + random.below(6);
        let mut args = job(dir.path(), backend, mode, parallelism);
        args.extend(["--rate".to_owned(), rate.clone()]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut process = Killed(
            alluvium(PROGRAM, &args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(),
        );
        std::thread::sleep(Duration::from_millis(100 + random.below(1_100)));
        if let Some(status) = process.0.try_wait().unwrap() {
            assert!(status.success(), "seed {seed}: the job ended with {status}");
            check(dir.path(), mode, seed);
            resumed += 1;
        }
        drop(process);
        killed += 1;
    }
    let args = job(dir.path(), backend, mode, 1 + random.below(6));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let end = alluvium_tests::run(PROGRAM, &args);
    assert!(end.status.success(), "seed {seed}: {}", alluvium_tests::stderr(&end));
    check(dir.path(), mode, seed);
    println!("{backend}, {mode}: {killed} kills, {resumed} after the end, result as it must be");
}

fn check(dir: &Path, mode: &str, seed: u64) {
    let table = std::fs::read_to_string(dir.join("output/table.csv")).unwrap();
    if mode == "exactly-once" {
        assert!(table == expected_table(), "seed {seed}: the table differs");
        let lines = committed_lines(&dir.join("output"));
        assert_eq!(lines.len(), expected_updates().len(), "seed {seed}: committed lines");
        assert!(lines == expected_updates(), "seed {seed}: the committed lines differ");
        return;
    }
    let (found, expected) = (counts_of(&table), counts_of(expected_table()));
    assert!(found.keys().eq(expected.keys()), "seed {seed}: the aircraft differ");
    for (tailnum, count) in &expected {
        let found = found[tailnum];
        assert!(found >= *count, "seed {seed}: {tailnum} has {found} of {count}");
    }
}

#[test]
fn fs_exactly_once() {
    kill_and_resume("fs", "exactly-once");
}

#[test]
fn fs_at_least_once() {
    kill_and_resume("fs", "at-least-once");
}

#[test]
fn fs_nested_exactly_once() {
    kill_and_resume("fs-nested", "exactly-once");
}

#[test]
fn fs_nested_at_least_once() {
    kill_and_resume("fs-nested", "at-least-once");
}

#[cfg(feature = "rocksdb")]
#[test]
fn rocksdb_exactly_once() {
    kill_and_resume("rocksdb", "exactly-once");
}

#[cfg(feature = "rocksdb")]
#[test]
fn rocksdb_at_least_once() {
    kill_and_resume("rocksdb", "at-least-once");
}
