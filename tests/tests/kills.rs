//! SIGKILL at random moments: the job is resumed each time at a random parallelism, and ends in
//! exactly the right table (exactly-once) or in counts never below it (at-least-once).
//!
//! `ALLUVIUM_KILLS` sets the number of kills per backend and mode (default 6), `ALLUVIUM_SEED` the
//! seed (default 1).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use alluvium_tests::{
    Killed, Random, alluvium, committed_lines, counts_of, expected_table, expected_updates,
    flights_file, number,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_alluvium-under-test");

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

/// A job that is killed again and again.
struct Chain {
    /// One of them is taken for each run: they read each other's checkpoints.
    backends: &'static [&'static str],
    mode: &'static str,
    kills: u64,
    /// Options that each run takes or not.
    extra: Vec<&'static str>,
}

impl Chain {
    fn args(&self, dir: &Path, random: &mut Random) -> Vec<String> {
        let backend = self.backends[random.below(self.backends.len() as u64) as usize];
        let mut args = job(dir, backend, self.mode, 1 + random.below(6));
        for option in &self.extra {
            if random.below(2) == 0 {
                args.extend(option.split(' ').map(str::to_owned));
            }
        }
        args
    }

    /// Kills it, and gives how many runs had come to the end before.
    fn kill_and_resume(&self, random: &mut Random, seed: u64) -> u64 {
        let dir = tempfile::tempdir().unwrap();
        // The whole input takes about as long as all kills together, replays included.
        let rate = (334_264 / (self.kills / 2 + 1)).max(8_000).to_string();
        let mut resumed = 0;
        for _ in 0..self.kills {
            let mut args = self.args(dir.path(), random);
            args.extend(["--rate".to_owned(), rate.clone()]);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let mut command = alluvium(PROGRAM, &args);
            let spawned = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            let mut process = Killed(spawned.unwrap());
            std::thread::sleep(Duration::from_millis(100 + random.below(1_100)));
            if let Some(status) = process.0.try_wait().unwrap() {
                assert!(status.success(), "seed {seed}: the job ended with {status}: {args:?}");
                check(dir.path(), self.mode, seed);
                resumed += 1;
            }
        }
        let args = self.args(dir.path(), random);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let end = alluvium_tests::run(PROGRAM, &args);
        let stderr = alluvium_tests::stderr(&end);
        assert!(end.status.success(), "seed {seed}: {args:?}: {stderr}");
        check(dir.path(), self.mode, seed);
        resumed
    }
}

fn kill_and_resume(backend: &'static [&'static str], mode: &'static str) {
    let (kills, seed) = (number("ALLUVIUM_KILLS", 6), number("ALLUVIUM_SEED", 1));
    println!("{backend:?}, {mode}: {kills} kills, seed {seed}");
    let chain = Chain { backends: backend, mode, kills, extra: Vec::new() };
    let resumed = chain.kill_and_resume(&mut Random::new(seed), seed);
    println!("{backend:?}, {mode}: {kills} kills, {resumed} after the end, result as it must be");
}

/// Whether the command has an option.
fn has_option(option: &str) -> bool {
    let help = alluvium_tests::run(PROGRAM, &["run", "flights", "--help"]);
    String::from_utf8_lossy(&help.stdout).contains(option)
}

/// Jobs of up to ten kills each, with a backend, a mode and options drawn for each; parallelism,
/// options and (where one reads the checkpoints of the other) the backend anew for each run.
#[test]
fn whatever_is_drawn() {
    let (kills, seed) = (number("ALLUVIUM_KILLS", 6), number("ALLUVIUM_SEED", 1));
    let mut random = Random::new(seed ^ 0x6b11);
    let backends: &[&'static [&'static str]] = if cfg!(feature = "rocksdb") {
        &[&["fs", "fs-nested"], &["rocksdb"]]
    } else {
        &[&["fs", "fs-nested"]]
    };
    let mut extra = vec!["--snapshots full"];
    extra.extend(has_option("--unaligned").then_some("--unaligned"));
    let (mut killed, mut jobs, mut resumed, mut exact) = (0, 0, 0, 0);
    let mut of_backend = BTreeMap::<&str, u64>::new();
    while killed < kills {
        let backends = backends[random.below(backends.len() as u64) as usize];
        let mode = if random.below(4) == 0 { "at-least-once" } else { "exactly-once" };
        let kills = (kills - killed).min(10);
        let chain = Chain { backends, mode, kills, extra: extra.clone() };
        resumed += chain.kill_and_resume(&mut random, seed);
        killed += kills;
        jobs += 1;
        exact += u64::from(mode == "exactly-once");
        *of_backend.entry(backends[0]).or_default() += kills;
    }
    println!(
        "{killed} kills over {jobs} jobs ({exact} of them exactly-once) with {extra:?}, by backend \
         {of_backend:?}, {resumed} after the end, results as they must be, seed {seed}"
    );
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
    kill_and_resume(&["fs"], "exactly-once");
}

#[test]
fn fs_at_least_once() {
    kill_and_resume(&["fs"], "at-least-once");
}

#[test]
fn fs_nested_exactly_once() {
    kill_and_resume(&["fs-nested"], "exactly-once");
}

#[test]
fn fs_nested_at_least_once() {
    kill_and_resume(&["fs-nested"], "at-least-once");
}

#[cfg(feature = "rocksdb")]
#[test]
fn rocksdb_exactly_once() {
    kill_and_resume(&["rocksdb"], "exactly-once");
}

#[cfg(feature = "rocksdb")]
#[test]
fn rocksdb_at_least_once() {
    kill_and_resume(&["rocksdb"], "at-least-once");
}
