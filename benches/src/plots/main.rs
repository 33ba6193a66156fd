//! Draws the results of a bench.
//!
//! `make bench-plots` does it for all results in `benches/results`.

mod options;

use std::path::PathBuf;
use std::process::ExitCode;

use alluvium_benches::plot::{PlotError, svg};
use alluvium_benches::results::{Results, ResultsError};

use crate::options::{Options, Run, USAGE};

/// A picture that was not written.
#[derive(Debug, thiserror::Error)]
enum RunError {
    /// The results cannot be read.
    #[error("{0}")]
    Results(#[from] ResultsError),
    /// They cannot be drawn.
    #[error("{path}: {source}")]
    Plot {
        /// The results.
        path: PathBuf,
        /// Why.
        #[source]
        source: PlotError,
    },
    /// The system refused.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The picture.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Run::Draw(options)) => options,
        Ok(Run::Help) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprintln!("error: {wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match draw(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn draw(options: Options) -> Result<(), RunError> {
    let Options { results: from, picture, only, title } = options;
    let title = title.unwrap_or_else(|| {
        let name = from.file_stem().unwrap_or_default().to_string_lossy();
        format!("Results of the bench {name}")
    });
    let results = Results::read(&from)?.only(&only);
    let svg = svg(&title, &results).map_err(|source| RunError::Plot { path: from, source })?;
    std::fs::write(&picture, svg).map_err(|source| RunError::Write { path: picture, source })
}
