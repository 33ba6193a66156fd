//! The job that is simulated: clicks of users, counted, listed, and put into windows.
//!
//! Ladder of names: split (what one source reads, in order) > position > click. Each click has an
//! id; the operator adds it to the list of its user, counts it, and puts out a line with both. A
//! window of event time puts out its count when it ends. Each user is reminded of once, by the
//! clock. The [`Shape`] of the job says over which edges all that goes, and whether every subtask is
//! told notes besides.
//!
//! Invariants: what a click is depends on the input and its position alone.

mod graph;
mod notes;
mod operator;
mod splits;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_runtime::{KeyedRecord, TaskError};
use alluvium_storage::Storage;

pub(crate) use self::graph::{Shape, SubtaskEnd, Widths};
pub(crate) use self::operator::UserState;
use crate::chaos::Fault;
use crate::host::SimHost;

/// Length of a window in milliseconds of event time.
pub(crate) const WINDOW_MS: i64 = 50;
/// Event time between two clicks of a split, in milliseconds.
const STEP_MS: i64 = 5;
/// Clicks come this much out of order, at most.
const DISORDER_MS: i64 = 17;
/// Clicks of a split are numbered from a multiple of this.
const SPLIT_IDS: u64 = 1_000_000;

/// How much there is to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input {
    pub(crate) seed: u64,
    pub(crate) splits: u64,
    /// Clicks of each split.
    pub(crate) clicks: u64,
    pub(crate) users: u64,
    /// Notes that every subtask is told, where the job has them.
    pub(crate) notes: u64,
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Click {
    pub(crate) id: u64,
    pub(crate) user: u64,
    pub(crate) time_ms: i64,
}

impl KeyedRecord for Click {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.user
    }
}

impl Input {
    pub(crate) fn click(&self, split: u64, position: u64) -> Click {
        let id = split * SPLIT_IDS + position;
        let mixed = (id ^ self.seed << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let late_ms = i64::try_from(mixed / self.users).unwrap_or(0) % (DISORDER_MS + 1);
        let time_ms = Self::time_ms(position) - late_ms;
        Click { id, user: mixed % self.users, time_ms }
    }

    /// Event time of a position, before disorder.
    fn time_ms(position: u64) -> i64 {
        i64::try_from(position).unwrap_or(i64::MAX / STEP_MS) * STEP_MS
    }

    /// All clicks, split by split.
    pub(crate) fn all(self) -> impl Iterator<Item = Click> {
        let positions = (0..self.splits).flat_map(move |it| (0..self.clicks).map(move |n| (it, n)));
        positions.map(move |(split, position)| self.click(split, position))
    }
}

/// The window that a click belongs to: its beginning in milliseconds.
pub(crate) const fn window_of(time_ms: i64) -> i64 {
    time_ms.div_euclid(WINDOW_MS) * WINDOW_MS
}

/// Calls of user functions that fail, over all attempts and processes.
#[derive(Debug, Default)]
pub(crate) struct Mishaps {
    calls: AtomicU64,
    fail_at: BTreeSet<u64>,
}

impl Mishaps {
    pub(crate) fn new(fail_at: BTreeSet<u64>) -> Self {
        Self { calls: AtomicU64::new(0), fail_at }
    }

    /// Counts a call, and fails or panics if it is its turn.
    fn call(&self, host: &SimHost, what: &str) -> Result<(), TaskError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        if !self.fail_at.contains(&number) || !host.has_chaos() {
            return Ok(());
        }
        let fault = if number.is_multiple_of(2) { Fault::TaskPanics } else { Fault::TaskFails };
        host.count(fault);
        host.trace(&format!("{fault}: {what}"));
        if fault == Fault::TaskPanics {
            // A panic like any other, but for the message that the hook would print.
            std::panic::resume_unwind(Box::new(format!("a deliberate panic: {what}")));
        }
        Err(format!("a deliberate failure: {what}").into())
    }
}

/// Makes the instances of one process.
pub(crate) struct ClickJob {
    pub(crate) shape: Shape,
    pub(crate) widths: Widths,
    pub(crate) input: Input,
    pub(crate) mishaps: Arc<Mishaps>,
    pub(crate) host: SimHost,
    pub(crate) output: Arc<dyn Storage>,
}
