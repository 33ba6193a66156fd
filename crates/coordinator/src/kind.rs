//! What a checkpoint is for.

use std::fmt;

/// What a checkpoint is for, which decides where it goes, who owns it and what follows it.
///
/// Source: Flink `SnapshotType`, `CheckpointType`, `SavepointType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckpointKind {
    /// A checkpoint as the job is configured.
    Checkpoint,
    /// A checkpoint that builds on no earlier one; later ones may build on it.
    FullCheckpoint,
    /// The last checkpoint of a job whose sources have all ended.
    Final,
    /// A savepoint: self-contained, owned by whoever asked for it, never deleted by the job once it
    /// is complete. It neither subsumes checkpoints nor does a restart use it, and tasks do not hear
    /// of its completion, so sinks commit nothing because of it.
    Savepoint(SavepointFormat),
    /// A savepoint with which the job ends: nothing is triggered after it, and sinks commit what it
    /// holds.
    StopWithSavepoint {
        /// How it is written.
        format: SavepointFormat,
        /// Whether event time goes to its end first, as if all input had ended: for a job that will
        /// not go on.
        drain: bool,
    },
}

/// How a savepoint is written.
///
/// Source: Flink `SavepointFormatType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SavepointFormat {
    /// The same bytes whatever backend writes them; every backend restores them.
    #[default]
    Canonical,
    /// As the backend stores its state: faster, and restored by backends that read this format.
    Native,
}

impl fmt::Display for SavepointFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Canonical => "canonical",
            Self::Native => "native",
        })
    }
}

impl CheckpointKind {
    /// The format of a savepoint; `None` for a checkpoint.
    pub const fn savepoint(self) -> Option<SavepointFormat> {
        match self {
            Self::Savepoint(format) | Self::StopWithSavepoint { format, .. } => Some(format),
            Self::Checkpoint | Self::FullCheckpoint | Self::Final => None,
        }
    }

    /// Whether it is a savepoint, with or without an end of the job.
    pub const fn is_savepoint(self) -> bool {
        self.savepoint().is_some()
    }

    /// Whether the job ends when it is complete.
    pub const fn ends_job(self) -> bool {
        matches!(self, Self::Final | Self::StopWithSavepoint { .. })
    }

    /// Whether tasks hear of its completion, and what they hold back is committed.
    pub const fn is_announced(self) -> bool {
        !matches!(self, Self::Savepoint(_))
    }

    /// Whether a request for `other` is served by this as well: both are checkpoints, and this one
    /// is at least what the other wants.
    pub(crate) const fn serves(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Checkpoint | Self::FullCheckpoint | Self::Final, Self::Checkpoint)
                | (Self::FullCheckpoint, Self::FullCheckpoint)
                | (Self::Final, Self::Final)
        )
    }

    /// Requests of the highest urgency go first, and of these the oldest.
    pub(crate) const fn urgency(self) -> u8 {
        match self {
            Self::StopWithSavepoint { .. } => 4,
            Self::Savepoint(_) => 3,
            Self::Final => 2,
            Self::FullCheckpoint => 1,
            Self::Checkpoint => 0,
        }
    }
}

impl fmt::Display for CheckpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::FullCheckpoint => f.write_str("full checkpoint"),
            Self::Final => f.write_str("final checkpoint"),
            Self::Savepoint(format) => write!(f, "{format} savepoint"),
            Self::StopWithSavepoint { format, .. } => write!(f, "stop with {format} savepoint"),
        }
    }
}
