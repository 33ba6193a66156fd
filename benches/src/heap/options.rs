//! What the command line asks for, and how much work that is.

use alluvium_benches::process;

use crate::child::Task;

pub(crate) const USAGE: &str = "\
usage: heap [--quick] [--only <beginning of a figure's name>]

  --quick   100,000 and 1,000,000 entries only, few rounds
  --only    only the figures whose names begin so, such as `get-over-hashbrown/5m`";

/// A number of entries and what it is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) name: &'static str,
    pub(crate) count: u64,
}

pub(crate) const SMALLEST: Size = Size { name: "100k", count: 100_000 };
pub(crate) const SMALL: Size = Size { name: "1m", count: 1_000_000 };
pub(crate) const MEDIUM: Size = Size { name: "5m", count: 5_000_000 };
pub(crate) const LARGEST: Size = Size { name: "10m", count: 10_000_000 };

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Numbers of entries.
    pub(crate) sizes: &'static [Size],
    /// The size whose figures have bars; the largest of a quick run stands in for it.
    pub(crate) main_size: Size,
    /// Rounds of comparisons, after one that does not count.
    pub(crate) rounds: usize,
    /// Rounds of what takes seconds.
    pub(crate) long_rounds: usize,
    /// Random accesses of a round.
    pub(crate) accesses: usize,
    /// Freezes whose times are sorted.
    pub(crate) freezes: usize,
    /// How long writes are watched after a freeze, in milliseconds.
    pub(crate) watched_ms: u64,
}

const FULL: Plan = Plan {
    sizes: &[SMALLEST, SMALL, MEDIUM, LARGEST],
    main_size: MEDIUM,
    rounds: 9,
    long_rounds: 7,
    accesses: 1_000_000,
    freezes: 200,
    watched_ms: 1_000,
};

const QUICK: Plan = Plan {
    sizes: &[SMALLEST, SMALL],
    main_size: SMALL,
    rounds: 3,
    long_rounds: 3,
    accesses: 200_000,
    freezes: 50,
    watched_ms: 200,
};

/// The arguments.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) plan: Plan,
    pub(crate) only: Option<String>,
    /// Set when this process measures its own memory for another one.
    pub(crate) child: Option<Task>,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { plan: FULL, only: None, child: None };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.plan = QUICK,
                "--only" => {
                    options.only = Some(arguments.next().ok_or("--only needs a name")?);
                }
                process::CHILD => {
                    let task = arguments.by_ref().collect::<Vec<_>>();
                    options.child = Some(Task::parse(&task)?);
                }
                other => return Err(format!("unknown argument {other}")),
            }
        }
        Ok(options)
    }
}
