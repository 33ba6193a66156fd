//! When the barriers of all inputs have come, and which inputs must wait meanwhile.
//!
//! Pure: barriers go in, decisions come out.
//!
//! Invariants:
//! - exactly-once: an input whose barrier came is held until those of all others have come;
//! - at-least-once: no input is ever held;
//! - a newer barrier ends an older alignment, and an older one is ignored;
//! - a checkpoint completes at most once.
//!
//! Source: Flink `SingleCheckpointBarrierHandler`, `CheckpointBarrierTracker`.

use alluvium_core::CheckpointId;

/// What a restore promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckpointMode {
    /// Each record has its effect on the state once.
    ExactlyOnce,
    /// Each record has its effect on the state at least once; no input is ever held.
    AtLeastOnce,
}

/// What the arrival of a barrier means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Arrival {
    /// Others are missing.
    Waiting,
    /// It was the last one: take the snapshot now.
    Complete,
    /// It belongs to a checkpoint that is over.
    Ignored,
}

/// Alignment of one task.
#[derive(Debug, Clone)]
pub struct Aligner {
    mode: CheckpointMode,
    arrived: Vec<bool>,
    current: Option<CheckpointId>,
    /// The highest checkpoint that completed, was aborted, or was overtaken.
    over: Option<CheckpointId>,
}

impl Aligner {
    /// Alignment over a number of inputs.
    pub fn new(mode: CheckpointMode, inputs: usize) -> Self {
        Self { mode, arrived: vec![false; inputs], current: None, over: None }
    }

    /// A barrier came from an input.
    pub fn barrier(&mut self, input: usize, checkpoint: CheckpointId) -> Arrival {
        if Some(checkpoint) <= self.over || Some(checkpoint) < self.current {
            return Arrival::Ignored;
        }
        if Some(checkpoint) > self.current {
            self.end_alignment();
            self.current = Some(checkpoint);
        }
        if let Some(arrived) = self.arrived.get_mut(input) {
            *arrived = true;
        }
        if self.arrived.iter().all(|arrived| *arrived) {
            self.end_alignment();
            Arrival::Complete
        } else {
            Arrival::Waiting
        }
    }

    /// The checkpoint will not complete: barriers of it that are still on their way are ignored.
    pub fn abort(&mut self, checkpoint: CheckpointId) {
        if self.current.is_some_and(|current| current <= checkpoint) {
            self.end_alignment();
        }
        self.over = self.over.max(Some(checkpoint));
    }

    /// Whether records of an input must wait.
    pub fn is_held(&self, input: usize) -> bool {
        self.mode == CheckpointMode::ExactlyOnce
            && self.arrived.get(input).is_some_and(|arrived| *arrived)
    }

    fn end_alignment(&mut self) {
        self.over = self.over.max(self.current.take());
        self.arrived.fill(false);
    }
}

#[cfg(test)]
mod tests;
