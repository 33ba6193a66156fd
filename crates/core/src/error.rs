//! What can be wrong with a value given to a constructor of this crate.

/// A key-group number, range or parallelism outside its domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyGroupError {
    /// Max parallelism must lie in `1..=32768`.
    #[error("max parallelism {found} is outside 1..=32768")]
    MaxParallelism {
        /// The value that was given.
        found: u64,
    },
    /// Parallelism must lie in `1..=max_parallelism`.
    #[error("parallelism {found} is outside 1..={max} (max parallelism)")]
    Parallelism {
        /// The value that was given.
        found: u64,
        /// The max parallelism it was checked against.
        max: u32,
    },
    /// A subtask index must lie in `0..parallelism`.
    #[error("subtask index {found} is outside 0..{parallelism} (parallelism)")]
    SubtaskIndex {
        /// The value that was given.
        found: u32,
        /// The parallelism it was checked against.
        parallelism: u32,
    },
    /// A key group must lie in `0..max_parallelism`.
    #[error("key group {found} is outside 0..{max} (max parallelism)")]
    KeyGroup {
        /// The value that was given.
        found: u32,
        /// The max parallelism it was checked against.
        max: u32,
    },
    /// A range must not end before it starts.
    #[error("key-group range {first}..={last} ends before it starts")]
    EmptyRange {
        /// The first key group that was given.
        first: u16,
        /// The last key group that was given.
        last: u16,
    },
}

/// A name that cannot be used as an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// Ids become names of files, so only a small alphabet is allowed.
    #[error(
        "{what} {found:?} is not a valid id: use 1 to 128 of the characters A-Z a-z 0-9 . _ - \
         and do not start with a dot"
    )]
    Characters {
        /// What the id stands for, such as `job id`.
        what: &'static str,
        /// The name that was given.
        found: String,
    },
    /// Checkpoint ids start at 1.
    #[error("checkpoint id 0 is not valid: ids start at 1")]
    ZeroCheckpoint,
}

/// A relative path that would leave its root or that some storage cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {found:?} is not allowed: {reason}")]
pub struct PathError {
    /// The path that was given.
    pub found: String,
    /// The rule that it breaks.
    pub reason: &'static str,
}
