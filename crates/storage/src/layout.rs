//! The one path builder: every name below a job's checkpoint root is made here (SPEC 2).
//!
//! ```text
//! <root>/<job>/_lock
//!              attempts/<attempt, 10 decimal digits>
//!              chk-<n>/_metadata
//!                      <uid>-<subtask>-<keyed|operator>-<attempt>
//!              shared/<uid>-<subtask>-keyed-<attempt>-<n>
//!                     <uid>-<subtask>-sst-<attempt>-<n>-<number>
//!              taskowned/<uid>/<subtask>-<attempt>-<number>
//! <target>/savepoint-<job>-<12 hex digits>/_metadata
//!                                          the same file names, without folders
//! ```
//!
//! Invariants: different arguments give different paths; every path is relative to the job's
//! folder, so the folder can be moved. What is in `shared/` may outlive the checkpoint that wrote
//! it, because later ones refer to it.

use alluvium_core::museum::{self, Mistake};
use alluvium_core::{AttemptId, CheckpointId, JobId, OperatorUid, StoragePath, SubtaskIndex};

const CHECKPOINT_PREFIX: &str = "chk-";
const SHARED_DIR: &str = "shared";
/// Digits of the largest attempt number, so that names sort like numbers.
const ATTEMPT_DIGITS: usize = 10;

/// Which state of a subtask a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StateFileKind {
    /// Keyed state.
    Keyed,
    /// Operator state.
    Operator,
}

impl StateFileKind {
    /// The word in the file's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keyed => "keyed",
            Self::Operator => "operator",
        }
    }
}

/// Names of the files and folders of one job. Source: SPEC 2.
#[derive(Debug, Clone, Copy)]
pub struct JobLayout;

impl JobLayout {
    /// The folder of a job below the checkpoint root: `<job>`.
    pub fn job_dir(job: &JobId) -> StoragePath {
        valid(job.as_str())
    }

    /// The folder of a checkpoint: `chk-<n>`.
    pub fn checkpoint_dir(checkpoint: CheckpointId) -> StoragePath {
        valid(&format!("{CHECKPOINT_PREFIX}{checkpoint}"))
    }

    /// The file whose creation completes a checkpoint: `chk-<n>/_metadata`.
    pub fn metadata(checkpoint: CheckpointId) -> StoragePath {
        valid(&format!("{CHECKPOINT_PREFIX}{checkpoint}/_metadata"))
    }

    /// The folder of a savepoint below the target that was asked for:
    /// `savepoint-<job>-<12 hexadecimal digits of the number>`.
    pub fn savepoint_dir(job: &JobId, number: u64) -> StoragePath {
        valid(&format!("savepoint-{job}-{:012x}", number & 0xffff_ffff_ffff))
    }

    /// The file whose creation completes a savepoint, below its folder: `_metadata`.
    pub fn savepoint_metadata() -> StoragePath {
        valid("_metadata")
    }

    /// A state file that belongs to one checkpoint: `chk-<n>/<uid>-<subtask>-<kind>-<attempt>`.
    pub fn state_file(
        checkpoint: CheckpointId,
        operator: &OperatorUid,
        subtask: SubtaskIndex,
        kind: StateFileKind,
        attempt: AttemptId,
    ) -> StoragePath {
        let (mut subtask, kind) = (subtask.get(), kind.as_str());
        if museum::makes(Mistake::SharesFileNames) {
            subtask = 0;
        }
        valid(&format!("{CHECKPOINT_PREFIX}{checkpoint}/{operator}-{subtask}-{kind}-{attempt}"))
    }

    /// A keyed state file that later checkpoints may refer to too:
    /// `shared/<uid>-<subtask>-keyed-<attempt>-<n>`, where `n` is the checkpoint that writes it.
    pub fn shared_state_file(
        checkpoint: CheckpointId,
        operator: &OperatorUid,
        subtask: SubtaskIndex,
        attempt: AttemptId,
    ) -> StoragePath {
        let (subtask, kind) = (subtask.get(), StateFileKind::Keyed.as_str());
        valid(&format!("{SHARED_DIR}/{operator}-{subtask}-{kind}-{attempt}-{checkpoint}"))
    }

    /// An SST file that later checkpoints may refer to too:
    /// `shared/<uid>-<subtask>-sst-<attempt>-<n>-<number>`, where `n` is the checkpoint that writes
    /// it and `number` is one that the subtask gives only once in it.
    pub fn shared_sst_file(
        checkpoint: CheckpointId,
        operator: &OperatorUid,
        subtask: SubtaskIndex,
        attempt: AttemptId,
        number: u32,
    ) -> StoragePath {
        let subtask = subtask.get();
        valid(&format!("{SHARED_DIR}/{operator}-{subtask}-sst-{attempt}-{checkpoint}-{number}"))
    }

    /// Whether a file has the name of an SST file that a checkpoint has written: for people, who
    /// want to know what a checkpoint has added. No decision may hang on it.
    pub fn is_sst_file_of(
        path: &StoragePath,
        checkpoint: CheckpointId,
        attempt: AttemptId,
    ) -> bool {
        let end = format!("-sst-{attempt}-{checkpoint}");
        let name = path.as_str().strip_prefix(SHARED_DIR).and_then(|rest| rest.strip_prefix('/'));
        let parts = name.and_then(|name| name.rsplit_once('-'));
        parts.is_some_and(|(written, number)| {
            written.ends_with(&end) && number.chars().all(|c| c.is_ascii_digit())
        })
    }

    /// The claim of an attempt: `attempts/<attempt>`, 10 decimal digits.
    pub fn attempt(attempt: AttemptId) -> StoragePath {
        valid(&format!("attempts/{:0ATTEMPT_DIGITS$}", attempt.get()))
    }

    /// The folder of the claims: `attempts`.
    pub fn attempts_dir() -> StoragePath {
        valid("attempts")
    }

    /// The lock file of the running job: `_lock`.
    pub fn lock() -> StoragePath {
        valid("_lock")
    }

    /// The folder of files that several checkpoints refer to: `shared`.
    pub fn shared_dir() -> StoragePath {
        valid(SHARED_DIR)
    }

    /// The folder of the files that an operator owns: `taskowned/<uid>`.
    pub fn task_owned_dir(operator: &OperatorUid) -> StoragePath {
        valid(&format!("taskowned/{operator}"))
    }

    /// A file that an operator owns: `taskowned/<uid>/<subtask>-<attempt>-<number>`, where `number` is
    /// one that the subtask gives only once in the attempt.
    pub fn task_owned_file(
        operator: &OperatorUid,
        subtask: SubtaskIndex,
        attempt: AttemptId,
        number: u64,
    ) -> StoragePath {
        let subtask = subtask.get();
        valid(&format!("taskowned/{operator}/{subtask}-{attempt}-{number}"))
    }

    /// The attempt in the name of a file that an operator owns; `None` for any name that
    /// [`JobLayout::task_owned_file`] does not make.
    pub fn parse_task_owned_file(name: &str) -> Option<AttemptId> {
        let mut parts = name.split('-');
        let numbers = [parts.next()?, parts.next()?, parts.next()?];
        let is_number =
            |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let [_, attempt, _] = numbers;
        let is_one = parts.next().is_none() && numbers.iter().all(is_number);
        if is_one { attempt.parse().ok().map(AttemptId::new) } else { None }
    }

    /// Reads the name of a checkpoint's folder; `None` for any name that
    /// [`JobLayout::checkpoint_dir`] does not make.
    pub fn parse_checkpoint_dir(name: &str) -> Option<CheckpointId> {
        let digits = name.strip_prefix(CHECKPOINT_PREFIX)?;
        let is_canonical = !digits.starts_with('0') && digits.chars().all(|c| c.is_ascii_digit());
        let number = if is_canonical {
            digits.parse().ok()?
        } else {
            return None;
        };
        CheckpointId::new(number).ok()
    }

    /// Reads the name of a claim; `None` for any name that [`JobLayout::attempt`] does not make.
    pub fn parse_attempt(name: &str) -> Option<AttemptId> {
        let is_canonical = name.len() == ATTEMPT_DIGITS && name.chars().all(|c| c.is_ascii_digit());
        if is_canonical { name.parse().ok().map(AttemptId::new) } else { None }
    }
}

/// Wraps a path that is made of valid parts.
///
/// Ids use the characters `A-Z a-z 0-9 . _ -`, do not start with a dot and have at most 128 bytes,
/// so with the numbers added a component stays below 255 bytes and a path below 1,024.
fn valid(path: &str) -> StoragePath {
    match StoragePath::new(path) {
        Ok(path) => path,
        Err(error) => unreachable!("a path of valid ids is valid: {error}"),
    }
}

#[cfg(test)]
mod tests;
