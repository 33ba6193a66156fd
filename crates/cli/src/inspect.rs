//! The commands that look into checkpoints without a job: thin, over `alluvium::inspect`.

use std::time::{Duration, UNIX_EPOCH};

/// Prints a line; a reader that went away is no error.
macro_rules! say {
    ($($line:tt)*) => {
        $crate::text::print_line(&format!($($line)*))
    };
}

/// Prints JSON.
pub(crate) fn say_json(value: &serde_json::Value) {
    crate::text::print_lines(&format!("{value:#}"));
}

mod bar;
pub(crate) mod cat;
pub(crate) mod copy;
pub(crate) mod diff;
pub(crate) mod gc;
mod native;
pub(crate) mod rewrite;
pub(crate) mod show;
pub(crate) mod verify;

pub(crate) use bar::Bar;

pub(crate) use say;

/// Seconds from 1970-01-01 to 10000-01-01 UTC.
const YEAR_10000_S: u64 = 253_402_300_800;

/// A time for people.
pub(crate) fn time(ms: u64) -> String {
    let since = Duration::from_millis(ms);
    match UNIX_EPOCH.checked_add(since) {
        // Beyond the year 9999 there is no such text.
        Some(time) if since.as_secs() < YEAR_10000_S => {
            humantime::format_rfc3339_seconds(time).to_string()
        }
        _ => "-".to_owned(),
    }
}

/// A number of bytes for people.
pub(crate) fn bytes(len_bytes: u64) -> String {
    indicatif::BinaryBytes(len_bytes).to_string()
}
