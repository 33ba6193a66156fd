//! When the barriers of all inputs have come, and which inputs must wait meanwhile.
//!
//! Pure: barriers go in, decisions come out.
//!
//! Invariants:
//! - exactly-once: an input whose barrier came is held until those of all others have come;
//! - exactly-once: a newer barrier ends an older alignment, and an older one is ignored;
//! - at-least-once: no input is ever held, so barriers of several checkpoints may be missing at a
//!   time; one that completes does not end those before it;
//! - a checkpoint completes at most once.
//!
//! Source: Flink `SingleCheckpointBarrierHandler`, `CheckpointBarrierTracker`.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::CheckpointId;
use alluvium_core::museum::{self, Mistake};

/// How many checkpoints are waited for at a time where no input is held. Source: Flink
/// `CheckpointBarrierTracker.MAX_CHECKPOINTS_TO_TRACK`.
const MAX_TRACKED: usize = 50;

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
    inputs: usize,
    /// The inputs whose barrier came, by checkpoint; at most one checkpoint in exactly-once.
    arrived: BTreeMap<CheckpointId, BTreeSet<usize>>,
    /// Exactly-once: the highest checkpoint that completed or was overtaken. The barriers of those
    /// up to it have come, or will never come in a way that counts.
    over: Option<CheckpointId>,
    /// The last checkpoints that were aborted or, in at-least-once, have completed.
    ended: BTreeSet<CheckpointId>,
}

impl Aligner {
    /// Alignment over a number of inputs.
    pub fn new(mode: CheckpointMode, inputs: usize) -> Self {
        let (arrived, ended) = (BTreeMap::new(), BTreeSet::new());
        Self { mode, inputs, arrived, over: None, ended }
    }

    /// A barrier came from an input.
    pub fn barrier(&mut self, input: usize, checkpoint: CheckpointId) -> Arrival {
        if self.has_ended(checkpoint) {
            return Arrival::Ignored;
        }
        match self.mode {
            CheckpointMode::ExactlyOnce => match self.arrived.keys().next().copied() {
                Some(newer) if newer > checkpoint => return Arrival::Ignored,
                Some(older) if older < checkpoint => self.end_up_to(older),
                _ => {}
            },
            CheckpointMode::AtLeastOnce => {
                if self.arrived.len() == MAX_TRACKED
                    && !self.arrived.contains_key(&checkpoint)
                    && let Some((oldest, _)) = self.arrived.pop_first()
                {
                    self.forget(oldest);
                }
            }
        }
        let arrived = self.arrived.entry(checkpoint).or_default();
        arrived.insert(input);
        if arrived.len() < self.inputs {
            return Arrival::Waiting;
        }
        match self.mode {
            CheckpointMode::ExactlyOnce => self.end_up_to(checkpoint),
            CheckpointMode::AtLeastOnce => self.forget(checkpoint),
        }
        Arrival::Complete
    }

    /// The checkpoint will not complete: barriers of it that are still on their way are ignored.
    pub fn abort(&mut self, checkpoint: CheckpointId) {
        self.forget(checkpoint);
    }

    /// The inputs whose barrier of a checkpoint has come, as long as others are missing.
    pub(crate) fn arrived(&self, checkpoint: CheckpointId) -> BTreeSet<usize> {
        self.arrived.get(&checkpoint).cloned().unwrap_or_default()
    }

    /// Whether a checkpoint has completed, was overtaken by a newer one, or was aborted.
    pub(crate) fn has_ended(&self, checkpoint: CheckpointId) -> bool {
        Some(checkpoint) <= self.over || self.ended.contains(&checkpoint)
    }

    /// Whether records of an input must wait.
    pub fn is_held(&self, input: usize) -> bool {
        self.mode == CheckpointMode::ExactlyOnce
            && !museum::makes(Mistake::DoesNotHoldInputs)
            && self.arrived.values().any(|arrived| arrived.contains(&input))
    }

    fn end_up_to(&mut self, checkpoint: CheckpointId) {
        self.over = self.over.max(Some(checkpoint));
        self.arrived.retain(|other, _| *other > checkpoint);
    }

    fn forget(&mut self, checkpoint: CheckpointId) {
        self.arrived.remove(&checkpoint);
        self.ended.insert(checkpoint);
        if self.ended.len() > MAX_TRACKED {
            self.ended.pop_first();
        }
    }
}

#[cfg(test)]
mod tests;
