//! What the command line asks for, and how much work that is.

pub(crate) const USAGE: &str = "\
usage: inspector [--quick] [--only <beginning of a figure's name>]

  --quick   1,000 files and 256 MiB, few rounds
  --only    only the figures whose names begin so, such as `verify-speed`";

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Files of one checkpoint.
    pub(crate) files: u16,
    /// Size of another one, in MiB.
    pub(crate) mib: u32,
    /// Rounds, after one that does not count.
    pub(crate) rounds: usize,
}

const FULL: Plan = Plan { files: 10_000, mib: 4_096, rounds: 9 };

const QUICK: Plan = Plan { files: 1_000, mib: 256, rounds: 3 };

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
