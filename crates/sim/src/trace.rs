//! What happened, a line for each step that matters.
//!
//! Invariants: the same seed gives the same bytes; each pick of the schedule is in the last line.

use std::fmt::Write;

use crate::executor::ProcessId;

/// Lines, and a hash of all picks.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    lines: String,
    hash: u64,
    pub(crate) now_us: u64,
}

impl Trace {
    pub(crate) fn line(&mut self, process: ProcessId, text: &str) {
        let (ms, us) = (self.now_us / 1_000, self.now_us % 1_000);
        // Writing to a string does not fail.
        let _ = writeln!(self.lines, "{ms:>7}.{us:03} {process} {text}");
    }

    /// FNV-1a, a number at a time.
    pub(crate) fn mix(&mut self, number: u64) {
        self.hash = (self.hash ^ number).wrapping_mul(0x0000_0100_0000_01b3);
    }

    pub(crate) fn take(&mut self) -> String {
        let hash = self.hash;
        self.line(ProcessId::WORLD, &format!("picks {hash:016x}"));
        std::mem::take(&mut self.lines)
    }
}
