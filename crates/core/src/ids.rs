//! Ids: newtypes, never bare integers or strings.
//!
//! Invariants: a [`JobId`] and an [`OperatorUid`] are safe as one component of a path on every
//! storage; a [`CheckpointId`] is at least 1.

use std::fmt;
use std::sync::Arc;

use crate::IdError;

/// Longest name of a job or an operator, in bytes.
const MAX_NAME_LEN_BYTES: usize = 128;

fn checked_name(what: &'static str, name: &str) -> Result<Arc<str>, IdError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = (1..=MAX_NAME_LEN_BYTES).contains(&name.len());
    if fits && !name.starts_with('.') && name.chars().all(allowed) {
        Ok(Arc::from(name))
    } else {
        Err(IdError::Characters { what, found: name.to_owned() })
    }
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and wraps a name.
            ///
            /// Shape: 1 to 128 bytes of `A-Z a-z 0-9 . _ -`, not starting with a dot.
            /// Errors: [`IdError::Characters`].
            pub fn new(name: &str) -> Result<Self, IdError> {
                checked_name($what, name).map(Self)
            }

            /// The name as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

name_id!(
    /// Names a job; also the name of its folder under the checkpoint root.
    JobId,
    "job id"
);
name_id!(
    /// Names an operator of a job over all its versions; state is found again by it.
    ///
    /// Source: Flink's `uid`.
    OperatorUid,
    "operator uid"
);

/// Number of a checkpoint of one job: 1, 2, 3, ... in the order of triggering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CheckpointId(u64);

impl CheckpointId {
    /// The first checkpoint of a job.
    pub const FIRST: Self = Self(1);

    /// Wraps a number.
    ///
    /// Errors: [`IdError::ZeroCheckpoint`].
    pub const fn new(id: u64) -> Result<Self, IdError> {
        if id == 0 { Err(IdError::ZeroCheckpoint) } else { Ok(Self(id)) }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The id after this one. It stays at `u64::MAX`, which no job reaches.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for CheckpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of one run of a job on its checkpoint root: each start and each restart claims the
/// next one, and the highest claimed one is the only writer (SPEC 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId(u32);

impl AttemptId {
    /// Wraps a number.
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        for bad in ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "ü", "a\0", &"x".repeat(129)] {
            assert!(matches!(JobId::new(bad), Err(IdError::Characters { .. })), "{bad:?}");
        }
        assert_eq!(OperatorUid::new("count.v2_a-b").unwrap().as_str(), "count.v2_a-b");
        assert!(JobId::new(&"x".repeat(128)).is_ok());
    }

    #[test]
    fn checkpoint_ids_start_at_one_and_do_not_wrap() {
        assert_eq!(CheckpointId::new(0), Err(IdError::ZeroCheckpoint));
        assert_eq!(CheckpointId::FIRST.next().get(), 2);
        let last = CheckpointId::new(u64::MAX).unwrap();
        assert_eq!(last.next(), last);
    }
}
