//! What the command line asks for, and how much work that is.

use alluvium_benches::cases::KEYS;

pub(crate) const USAGE: &str = "\
usage: alluvium-compare [--quick] [--only <beginning of a figure's name>]

  --quick  little data, few rounds
  --only   only the figures whose names begin so, such as `map_get` or `value_get/redb`";

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Keys that have state before an operation is measured.
    pub(crate) keys: u64,
    /// Rounds that count, after one that does not.
    pub(crate) rounds: usize,
    /// Operations of a turn.
    pub(crate) operations: u64,
    /// Freezes of a turn.
    pub(crate) freezes: u32,
    /// Updates before each freeze.
    pub(crate) updates_before_freeze: u64,
    /// Updates after a freeze, and before what is made durable.
    pub(crate) few_updates: u64,
}

const FULL: Plan = Plan {
    keys: KEYS,
    rounds: 7,
    operations: 500_000,
    freezes: 50,
    updates_before_freeze: 2_000,
    few_updates: 20_000,
};

const QUICK: Plan = Plan {
    keys: 20_000,
    rounds: 3,
    operations: 20_000,
    freezes: 10,
    updates_before_freeze: 500,
    few_updates: 2_000,
};

/// The arguments.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) plan: Plan,
    pub(crate) only: Option<String>,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { plan: FULL, only: None };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.plan = QUICK,
                "--only" => options.only = Some(arguments.next().ok_or("--only needs a name")?),
                other => return Err(format!("unknown argument {other}")),
            }
        }
        Ok(options)
    }
}
