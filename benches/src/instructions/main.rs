//! Operations whose instructions are counted: `make bench-check`.
//!
//! `instructions --list` prints the names; `instructions NAME` sets everything up, runs the operation a
//! fixed number of times inside [`counted`], and prints that number. A tool that counts the instructions
//! of that function alone then knows what one operation costs, on a busy machine as on an idle one.
//!
//! Invariants: seeds, sizes and numbers of operations are constants; only [`counted`] is counted.

mod heap;
mod protocol;

use std::process::ExitCode;

/// Runs what is counted. Its name is what the counting tool is told to look for.
#[inline(never)]
pub(crate) fn counted(body: &mut dyn FnMut()) {
    body();
}

/// An operation: its name, and what runs it and says how often.
type Operation = (&'static str, fn() -> u64);

const OPERATIONS: [Operation; 12] = [
    ("heap-value-get", heap::value_get),
    ("heap-value-update", heap::value_update),
    ("heap-value-set-new", heap::value_set_new),
    ("heap-value-get-string", heap::value_get_string),
    ("heap-list-add", heap::list_add),
    ("heap-list-get", heap::list_get),
    ("heap-map-get", heap::map_get),
    ("heap-map-put", heap::map_put),
    ("heap-timer", heap::timer),
    ("heap-snapshot-entry", heap::snapshot_entry),
    ("heap-delta-entry", heap::delta_entry),
    ("checkpoint-of-100-tasks", protocol::checkpoint),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--list"] => {
            for (name, _) in OPERATIONS {
                println!("{name}");
            }
            ExitCode::SUCCESS
        }
        [name] if OPERATIONS.iter().any(|operation| operation.0 == *name) => {
            for (_, run) in OPERATIONS.iter().filter(|operation| operation.0 == *name) {
                println!("{}", run());
            }
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: instructions --list | <name>");
            ExitCode::from(2)
        }
    }
}
