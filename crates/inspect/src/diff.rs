//! What changed from one checkpoint to another.
//!
//! Ladder of names: [`diff`] > [`OperatorDiff`] > [`StateDiff`] (one state in one key group).
//!
//! Blocks that both refer to are not read: their entries are equal. Of the others, the segments of both
//! sides are read in turn, and what has not met its counterpart yet is kept.
//!
//! Invariants:
//! - entries that are kept are those of one state in one key group at most; where both sides part keys in
//!   the same way, which is so within a job, those of one segment;
//! - what one side has and the other one has not been read is not taken for a difference: damage leaves out
//!   key groups of a state, or the operator state of an operator, and nothing else.

mod maps;
mod operators;

use std::collections::BTreeSet;

use alluvium_core::{KeyGroup, OperatorState, OperatorUid, SharedFile};

use crate::{Checkpoint, InspectError, Progress};

/// Two checkpoints.
#[derive(Debug, Clone, Default)]
pub struct Diff {
    /// The operators of both, in the order of the second.
    pub operators: Vec<OperatorDiff>,
    /// Files that both need.
    pub shared_files: u64,
    /// Bytes of the files that both need.
    pub shared_bytes: u64,
    /// Bytes that the first needs.
    pub left_bytes: u64,
    /// Bytes that the second needs.
    pub right_bytes: u64,
    /// What could not be read, in sentences: what lies there was not compared.
    pub unread: Vec<String>,
}

/// An operator of both, or of one.
#[derive(Debug, Clone)]
pub struct OperatorDiff {
    /// Its uid.
    pub uid: OperatorUid,
    /// Its parallelism in each, if it is there.
    pub parallelism: [Option<u16>; 2],
    /// Bytes of the files that both need for it.
    pub shared_bytes: u64,
    /// Its states, by name and key group.
    pub states: Vec<StateDiff>,
}

/// Entries of a state in a key group, or items of operator state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDiff {
    /// The state.
    pub state: String,
    /// The key group; `None` of operator state.
    pub key_group: Option<KeyGroup>,
    /// In the second and not in the first.
    pub added: u64,
    /// In the first and not in the second.
    pub removed: u64,
    /// In both, with other values.
    pub changed: u64,
    /// In both.
    pub unchanged: u64,
    /// Bytes of the blocks that both refer to.
    pub shared_bytes: u64,
}

impl StateDiff {
    fn new(state: &str, key_group: Option<KeyGroup>) -> Self {
        let state = state.to_owned();
        let (added, removed, changed, unchanged, shared_bytes) = (0, 0, 0, 0, 0);
        Self { state, key_group, added, removed, changed, unchanged, shared_bytes }
    }

    /// Whether anything is different.
    pub const fn is_different(&self) -> bool {
        self.added > 0 || self.removed > 0 || self.changed > 0
    }
}

/// Compares two checkpoints: what became of the first in the second.
///
/// Damage is no error: see [`Diff::unread`].
///
/// Errors: [`InspectError::NotComparable`] when they have other key groups, or other codecs of keys or
/// namespaces; [`InspectError::NeedsRocksDb`]; [`InspectError::Stream`] of a storage that does not answer.
pub fn diff(
    left: &Checkpoint,
    right: &Checkpoint,
    progress: &dyn Progress,
) -> Result<Diff, InspectError> {
    let (before, after) = (left.metadata(), right.metadata());
    for (what, left, right) in [
        (
            "the max parallelism",
            before.properties.max_parallelism.to_string(),
            after.properties.max_parallelism.to_string(),
        ),
        (
            "the assigner of keys",
            before.properties.assigner.to_string(),
            after.properties.assigner.to_string(),
        ),
    ] {
        if left != right {
            return Err(InspectError::NotComparable { what, left, right });
        }
    }
    let (left_files, right_files) = (files(before.operators.iter()), files(after.operators.iter()));
    let shared: Vec<_> = left_files.intersection(&right_files).collect();
    let mut found = Diff {
        operators: Vec::new(),
        shared_files: shared.len() as u64,
        shared_bytes: sum(shared.into_iter()),
        left_bytes: sum(left_files.iter()),
        right_bytes: sum(right_files.iter()),
        unread: Vec::new(),
    };
    let mut unread = Unread::default();
    let of = |operators: &[OperatorState], uid: &OperatorUid| {
        operators.iter().position(|operator| operator.uid == *uid)
    };
    let uids = after.operators.iter().map(|operator| &operator.uid);
    let gone = before.operators.iter().map(|operator| &operator.uid);
    let gone = gone.filter(|uid| of(&after.operators, uid).is_none());
    for uid in uids.chain(gone) {
        let of = |operators: &'_ [OperatorState]| {
            of(operators, uid).and_then(|place| operators.get(place).cloned())
        };
        let sides = [of(&before.operators), of(&after.operators)];
        let operator = operators::diff(uid, [left, right], &sides, progress, &mut unread)?;
        found.operators.push(operator);
    }
    Ok(Diff { unread: unread.0, ..found })
}

/// What could not be read; each thing once, although several states may need it.
#[derive(Default)]
struct Unread(Vec<String>);

impl Unread {
    /// `None` of what is damaged; anything else that is wrong ends the work.
    fn note<T>(&mut self, read: Result<T, InspectError>) -> Result<Option<T>, InspectError> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) if error.is_damage() => {
                let said = error.to_string();
                if !self.0.contains(&said) {
                    self.0.push(said);
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The files of some operators: streams, and what they refer to.
fn files<'o>(operators: impl Iterator<Item = &'o OperatorState>) -> BTreeSet<SharedFile> {
    let mut files = BTreeSet::new();
    for subtask in operators.flat_map(|operator| &operator.subtasks) {
        files.extend(subtask.shared_files().cloned());
        files.extend(subtask.streams().filter_map(|stream| {
            let path = stream.file()?.clone();
            Some(SharedFile { path, len_bytes: stream.len_bytes, seal: stream.seal })
        }));
    }
    files
}

fn sum<'f>(files: impl Iterator<Item = &'f SharedFile>) -> u64 {
    files.fold(0, |sum: u64, file| sum.saturating_add(file.len_bytes))
}
