//! What the command line asks for, and how much work that is.

use std::time::Duration;

use alluvium_benches::cases::{KEYS, RESCALED_KEYS, RESCALED_KEYS_ON_DISK};
use alluvium_benches::process;

use crate::field::Java;

pub(crate) const USAGE: &str = "\
usage: flink --java <program> --class-path <jars> [--quick] [--only <beginning of a figure's name>]

  --java        the program `java`
  --class-path  the jars of Flink and the compiled harness
  --quick       little data, few rounds
  --only        only the figures whose names begin so, such as `flink-operations/heap`

`make bench-flink` gives the first two.";

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Keys that have state before an operation is measured.
    pub(crate) keys: u64,
    /// Rounds of operations and operations of a round, in memory and in RocksDB.
    pub(crate) heap: Rounds,
    pub(crate) rocksdb: Rounds,
    /// Entries of a snapshot.
    pub(crate) snapshot_keys: u64,
    /// Entries that are restored and rescaled, in memory and in RocksDB.
    pub(crate) rescaled_keys: u64,
    pub(crate) rescaled_keys_on_disk: u64,
    /// Rounds of what takes seconds, and those that do not count before them.
    pub(crate) long_rounds: usize,
    pub(crate) long_warm_ups: usize,
    /// Different words.
    pub(crate) words: u64,
    /// A job counts words so long before it is measured, and while it is.
    pub(crate) word_warm_up: Duration,
    pub(crate) word_window: Duration,
    pub(crate) word_rounds: usize,
}

/// How often a case runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounds {
    /// Operations of a round.
    pub(crate) operations: u64,
    /// Runs that do not count, so that the JVM has compiled what is measured.
    pub(crate) warm_ups: usize,
    /// Rounds that count, after one that does not.
    pub(crate) counted: usize,
}

const FULL: Plan = Plan {
    keys: KEYS,
    heap: Rounds { operations: 500_000, warm_ups: 7, counted: 9 },
    rocksdb: Rounds { operations: 200_000, warm_ups: 2, counted: 5 },
    snapshot_keys: 5_000_000,
    rescaled_keys: RESCALED_KEYS,
    rescaled_keys_on_disk: RESCALED_KEYS_ON_DISK,
    long_rounds: 7,
    long_warm_ups: 3,
    words: 100_000,
    word_warm_up: Duration::from_secs(5),
    word_window: Duration::from_secs(10),
    word_rounds: 5,
};

const QUICK: Plan = Plan {
    keys: 50_000,
    heap: Rounds { operations: 50_000, warm_ups: 7, counted: 3 },
    rocksdb: Rounds { operations: 20_000, warm_ups: 2, counted: 3 },
    snapshot_keys: 500_000,
    rescaled_keys: 125_000,
    rescaled_keys_on_disk: 100_000,
    long_rounds: 3,
    long_warm_ups: 1,
    words: 100_000,
    word_warm_up: Duration::from_secs(2),
    word_window: Duration::from_secs(3),
    word_rounds: 2,
};

/// What this process does.
#[derive(Debug)]
pub(crate) enum Run {
    /// It asks contenders, of which some are Java programs.
    Figures(Java),
    /// It is a contender.
    Child(Vec<String>),
}

/// The arguments.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) plan: Plan,
    pub(crate) only: Option<String>,
    pub(crate) run: Run,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut plan, mut only, mut program, mut class_path) = (FULL, None, None, None);
        while let Some(argument) = arguments.next() {
            let mut next = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--quick" => plan = QUICK,
                "--only" => only = Some(next()?),
                "--java" => program = Some(next()?),
                "--class-path" => class_path = Some(next()?),
                process::CHILD => {
                    let task = arguments.by_ref().collect();
                    return Ok(Self { plan, only, run: Run::Child(task) });
                }
                other => return Err(format!("unknown argument {other}")),
            }
        }
        let program = program.ok_or("--java is missing")?;
        let class_path = class_path.ok_or("--class-path is missing")?;
        Ok(Self { plan, only, run: Run::Figures(Java { program, class_path }) })
    }
}
