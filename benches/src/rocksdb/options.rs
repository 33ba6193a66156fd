//! What the command line asks for, and how much work that is.

use alluvium_benches::process;

use crate::child::Task;
use crate::soak::Soak;

pub(crate) const USAGE: &str = "\
usage: rocksdb [--quick] [--only <beginning of a figure's name>]
       rocksdb --soak <minutes> --state-gib <GiB>

  --quick      little data, few rounds
  --only       only the figures whose names begin so, such as `value-get`; those that begin with
               `option` run only when they are asked for
  --soak       keyed updates and checkpoints for so many minutes
  --state-gib  with so much state (default 20)";

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Rounds of comparisons, after one that does not count.
    pub(crate) rounds: usize,
    /// Rounds of what takes seconds.
    pub(crate) long_rounds: usize,
    /// Random accesses of a round.
    pub(crate) accesses: usize,
    /// Freezes of 1, 4, 16 and 64 MiB whose times are sorted.
    pub(crate) freezes: [usize; 4],
    /// Rows that are rescaled.
    pub(crate) rescaled_rows: u64,
    /// Budgets of memory, in MiB, under load.
    pub(crate) budgets_mib: &'static [u64],
}

const FULL: Plan = Plan {
    rounds: 9,
    long_rounds: 5,
    accesses: 500_000,
    freezes: [200; 4],
    rescaled_rows: 2_000_000,
    budgets_mib: &[128, 512],
};

const QUICK: Plan = Plan {
    rounds: 3,
    long_rounds: 2,
    accesses: 100_000,
    freezes: [100, 50, 20, 10],
    rescaled_rows: 500_000,
    budgets_mib: &[128],
};

/// What this process does.
#[derive(Debug)]
pub(crate) enum Run {
    Figures,
    /// It measures its own memory for another one.
    Child(Task),
    Soak(Soak),
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
        let mut options = Self { plan: FULL, only: None, run: Run::Figures };
        let (mut minutes, mut state_gib) = (None, 20);
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let next = arguments.next().and_then(|word| word.parse::<u64>().ok());
                next.ok_or_else(|| format!("{argument} needs a number"))
            };
            match argument.as_str() {
                "--quick" => options.plan = QUICK,
                "--only" => {
                    options.only = Some(arguments.next().ok_or("--only needs a name")?);
                }
                "--soak" => minutes = Some(number()?),
                "--state-gib" => state_gib = number()?,
                process::CHILD => {
                    let task = arguments.by_ref().collect::<Vec<_>>();
                    options.run = Run::Child(Task::parse(&task)?);
                }
                other => return Err(format!("unknown argument {other}")),
            }
        }
        if let Some(minutes) = minutes {
            options.run = Run::Soak(Soak { minutes, state_gib });
        }
        Ok(options)
    }
}
