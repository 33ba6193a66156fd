//! What the command line asks for, and how much work that is.

use std::time::Duration;

pub(crate) const USAGE: &str = "\
usage: runtime [--quick] [--only <beginning of a figure's name>]

  --quick   100,000 keys, few rounds
  --only    only the figures whose names begin so, such as `interval-overhead`";

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Keys of the job.
    pub(crate) keys: u64,
    /// Pairs of checkpoints, after one that does not count.
    pub(crate) checkpoints: usize,
    /// Pairs of windows, after one that does not count.
    pub(crate) windows: usize,
    /// How long a window is.
    pub(crate) window: Duration,
}

const FULL: Plan =
    Plan { keys: 1_000_000, checkpoints: 15, windows: 25, window: Duration::from_secs(2) };

const QUICK: Plan =
    Plan { keys: 100_000, checkpoints: 3, windows: 2, window: Duration::from_secs(2) };

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
                "--only" => {
                    options.only = Some(arguments.next().ok_or("--only needs a name")?);
                }
                other => return Err(format!("unknown argument {other}")),
            }
        }
        Ok(options)
    }
}
