//! A line that shows how far long work is.

use std::io::IsTerminal;
use std::time::Duration;

use alluvium::inspect::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// Counts bytes; hidden when standard error is no terminal, or when nobody wants to see it.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(is_quiet: bool) -> Self {
        let bar = if is_quiet { ProgressBar::hidden() } else { ProgressBar::new(0) };
        let template = "{bar:40} {binary_bytes} of {binary_total_bytes} ({binary_bytes_per_sec})";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Counts rows; hidden where they can be seen themselves, and when standard error is no terminal.
    pub(crate) fn of_rows() -> Self {
        if std::io::stdout().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} rows ({per_sec})") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Removes the line, and says how long it was there.
    pub(crate) fn finish(self) -> Duration {
        let took = self.0.elapsed();
        self.0.finish_and_clear();
        took
    }
}

impl Progress for Bar {
    fn expect(&self, len_bytes: u64) {
        self.0.inc_length(len_bytes);
    }

    fn advance(&self, len_bytes: u64) {
        self.0.inc(len_bytes);
    }
}
