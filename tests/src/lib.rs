//! What the tests of the whole share: the command as a process, the flights data, a seeded
//! generator, simulated jobs.

pub mod corruption;
pub mod golden;
#[cfg(feature = "power-cuts")]
pub mod power_cut;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, OnceLock};

use alluvium::fs::FsStateBackend;
use alluvium::heap::{HeapStateBackend, StateMapKind};
use alluvium_cli::jobs::flights::{Departures, table_of};
use alluvium_sim::{Outcome, Threads, simulate};

/// The top of the repository.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The flights data, compressed.
pub fn flights_file() -> PathBuf {
    top().join("data/flights.csv.zst")
}

/// The departures, read once per process.
pub fn departures() -> Arc<Departures> {
    static DEPARTURES: OnceLock<Arc<Departures>> = OnceLock::new();
    Arc::clone(DEPARTURES.get_or_init(|| Arc::new(Departures::read(&[flights_file()]).unwrap())))
}

/// The right table, computed straight from the departures.
pub fn expected_table() -> &'static str {
    static TABLE: OnceLock<String> = OnceLock::new();
    TABLE.get_or_init(|| table_of(&departures()))
}

/// A small generator of reproducible numbers (xorshift64*).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % bound
    }
}

/// The command with arguments.
pub fn alluvium(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the command to its end.
pub fn run(program: &str, args: &[&str]) -> Output {
    alluvium(program, args).output().unwrap()
}

/// What a process said on standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A process that is killed when the test ends, however it ends.
#[derive(Debug)]
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All part files of an exactly-once sink, their lines in one sorted list.
pub fn committed_lines(output: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(output.join("updates")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("part-") {
            lines.extend(std::fs::read_to_string(&path).unwrap().lines().map(str::to_owned));
        }
    }
    lines.sort_unstable();
    lines
}

/// The lines that the sink of the flights job must commit, sorted.
pub fn expected_updates() -> &'static [String] {
    static LINES: OnceLock<Vec<String>> = OnceLock::new();
    LINES.get_or_init(|| {
        let mut counts = std::collections::HashMap::<&str, u64>::new();
        let departures = departures();
        let mut lines: Vec<String> = departures
            .flights
            .iter()
            .map(|flight| {
                let count = counts.entry(&flight.tailnum).or_default();
                *count += 1;
                format!("{},{count},{}", flight.tailnum, flight.dest)
            })
            .collect();
        lines.sort_unstable();
        lines
    })
}

/// The `flights` column of a table, by tail number.
pub fn counts_of(table: &str) -> std::collections::BTreeMap<String, u64> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        (fields[0].to_owned(), fields[1].parse().unwrap())
    };
    table.lines().skip(1).map(row).collect()
}

/// A number from the environment.
pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// Plays a seed. Each has its backend; segments are small, so that there are many.
pub fn play(seed: u64, threads: &Threads) -> Outcome {
    let heap = |map| HeapStateBackend::new(map).max_segment_entries(4);
    let fs = |map| FsStateBackend::new(map).max_segment_entries(4);
    match seed % 4 {
        0 => simulate(seed, heap(StateMapKind::CopyOnWrite), threads),
        1 => simulate(seed, heap(StateMapKind::Nested), threads),
        2 => simulate(seed, fs(StateMapKind::CopyOnWrite), threads),
        _ => simulate(seed, fs(StateMapKind::Nested), threads),
    }
}
