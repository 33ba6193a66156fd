//! `alluvium bench`: thin, over `alluvium_bench`.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use alluvium_bench::{OptionError, Plan, nexmark, plot, table};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{BenchCheckpointOptions, BenchNexmarkOptions, BenchSubject};
use crate::error::CliError;
use crate::text::print_lines;

pub(crate) fn bench(subject: &BenchSubject) -> Result<(), CliError> {
    match subject {
        BenchSubject::Checkpoint(options) => checkpoint(options),
        BenchSubject::Nexmark(options) => run_nexmark(options),
    }
}

fn checkpoint(options: &BenchCheckpointOptions) -> Result<(), CliError> {
    let plan = Plan::new(options.options()).map_err(|error| usage(&error))?;
    if let Some(path) = &options.plot {
        check_folder_of(path)?;
    }
    let line = Line::new(options.quiet);
    let report = alluvium_bench::checkpoint(&plan, &mut |phase| line.show(phase));
    line.finish();
    let report = report?;
    if options.json {
        print_lines(&report.to_json()?);
    } else {
        print_lines(table::table(&report).trim_end());
    }
    if let Some(path) = &options.plot {
        let svg = plot::svg(&report)?;
        std::fs::write(path, svg).map_err(|source| {
            let what = format!("write {}", path.display());
            CliError::System { what, source }
        })?;
    }
    Ok(())
}

fn run_nexmark(options: &BenchNexmarkOptions) -> Result<(), CliError> {
    let plan = nexmark::Plan::new(options.options()).map_err(|error| usage(&error))?;
    let line = Line::new(options.quiet);
    let report = nexmark::run(&plan, &mut |phase| line.show(phase));
    line.finish();
    let report = report?;
    if options.json {
        print_lines(&report.to_json()?);
    } else {
        print_lines(nexmark::table::table(&report).trim_end());
    }
    Ok(())
}

/// Options of the library have the names of those of the command.
fn usage(error: &OptionError) -> CliError {
    CliError::Usage(format!("--{error}"))
}

/// Nobody measures for half a minute to hear then that the picture has no place.
fn check_folder_of(path: &Path) -> Result<(), CliError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_none_or(Path::is_dir) && !path.is_dir() {
        return Ok(());
    }
    Err(CliError::Usage(format!("--plot {}: a file in a folder that exists", path.display())))
}

/// A line that says what is being done; hidden when standard error is no terminal.
struct Line(ProgressBar);

impl Line {
    fn new(is_quiet: bool) -> Self {
        let bar = if is_quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Self(bar)
    }

    fn show(&self, phase: impl Display) {
        self.0.set_message(phase.to_string());
    }

    fn finish(self) {
        self.0.finish_and_clear();
    }
}
