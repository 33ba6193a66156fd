//! Options of the coordinator.

/// Options of the coordinator; they hold for one run of a job.
///
/// Source: Flink `CheckpointCoordinatorConfiguration`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct CoordinatorConfig {
    /// See [`interval_ms`](Self::interval_ms()).
    pub interval_ms: Option<u64>,
    /// See [`min_pause_ms`](Self::min_pause_ms()).
    pub min_pause_ms: u64,
    /// See [`timeout_ms`](Self::timeout_ms()).
    pub timeout_ms: u64,
    /// See [`retained`](Self::retained()).
    pub retained: usize,
    /// See [`tolerable_failed_checkpoints`](Self::tolerable_failed_checkpoints()).
    pub tolerable_failed_checkpoints: u32,
    /// See [`max_concurrent`](Self::max_concurrent()).
    pub max_concurrent: usize,
    /// See [`unaligned`](Self::unaligned()).
    pub unaligned: bool,
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        Self {
            interval_ms: None,
            min_pause_ms: 0,
            timeout_ms: 600_000,
            retained: 1,
            tolerable_failed_checkpoints: 0,
            max_concurrent: 1,
            unaligned: false,
        }
    }
}

impl CoordinatorConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Time from one trigger to the next, at least 1; `None` triggers only on request.
    /// Default: `None`.
    pub fn interval_ms(mut self, interval_ms: Option<u64>) -> Self {
        self.interval_ms = interval_ms;
        self
    }

    /// Shortest time between the end of one checkpoint and the next trigger. A final checkpoint
    /// does not wait for it.
    /// Default: 0.
    pub fn min_pause_ms(mut self, min_pause_ms: u64) -> Self {
        self.min_pause_ms = min_pause_ms;
        self
    }

    /// Time from trigger to last acknowledgement after which a checkpoint expires, at least 1.
    /// Default: 600,000 (10 minutes).
    pub fn timeout_ms(mut self, timeout_ms: u64) -> Self {
        self.timeout_ms = timeout_ms;
        self
    }

    /// How many completed checkpoints are kept, at least 1.
    /// Default: 1.
    pub fn retained(mut self, retained: usize) -> Self {
        self.retained = retained;
        self
    }

    /// How many checkpoints in a row may fail before the job does. Which failures count:
    /// [`AbortReason::counts`](crate::AbortReason::counts). Savepoints never do.
    /// Default: 0.
    pub fn tolerable_failed_checkpoints(mut self, tolerable: u32) -> Self {
        self.tolerable_failed_checkpoints = tolerable;
        self
    }

    /// How many checkpoints may be under way at a time, at least 1. A minimum pause makes it 1, and
    /// so do unaligned checkpoints. Savepoints do not count unless checkpoints are unaligned.
    /// Default: 1.
    pub fn max_concurrent(mut self, max_concurrent: usize) -> Self {
        self.max_concurrent = max_concurrent;
        self
    }

    /// Whether barriers may overtake records. Savepoints then wait for the checkpoint that is under
    /// way, since their barriers could not pass one that holds records back.
    /// Default: false.
    pub fn unaligned(mut self, unaligned: bool) -> Self {
        self.unaligned = unaligned;
        self
    }

    /// Whether barriers may overtake records.
    pub const fn is_unaligned(&self) -> bool {
        self.unaligned
    }

    /// How many checkpoints may be under way with these options.
    pub fn effective_max_concurrent(&self) -> usize {
        if self.unaligned || self.min_pause_ms > 0 { 1 } else { self.max_concurrent }
    }
}
