//! What the command line asks for.

use std::path::PathBuf;

pub(crate) const USAGE: &str = "\
usage: plots <results.tsv> <picture.svg> [--only <beginning of a figure's name>]... [--title <text>]

  <results.tsv>  what a bench printed on standard output
  --only         only the figures whose names begin so; may be given several times
  --title        instead of the name of the results";

/// What this process does.
#[derive(Debug)]
pub(crate) enum Run {
    /// It prints how it is used.
    Help,
    /// It draws.
    Draw(Options),
}

/// The arguments.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) results: PathBuf,
    pub(crate) picture: PathBuf,
    pub(crate) only: Vec<String>,
    pub(crate) title: Option<String>,
}

/// Arguments that cannot be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionError {
    #[error("{option} needs a value")]
    NoValue { option: &'static str },
    #[error("unknown argument {argument}")]
    Unknown { argument: String },
    #[error("two files are needed, the results and the picture")]
    Files,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Run, OptionError> {
        let (mut files, mut only, mut title) = (Vec::new(), Vec::new(), None);
        while let Some(argument) = arguments.next() {
            let mut next = |option| arguments.next().ok_or(OptionError::NoValue { option });
            match argument.as_str() {
                "--help" | "-h" => return Ok(Run::Help),
                "--only" => only.push(next("--only")?),
                "--title" => title = Some(next("--title")?),
                option if option.starts_with('-') => return Err(OptionError::Unknown { argument }),
                _ => files.push(PathBuf::from(argument)),
            }
        }
        let Ok([results, picture]) = <[PathBuf; 2]>::try_from(files) else {
            return Err(OptionError::Files);
        };
        Ok(Run::Draw(Self { results, picture, only, title }))
    }
}
