//! What is wrong, and where.

use std::fmt::{self, Display};

use alluvium_format::FormatError;
use alluvium_state::RestoreError;
use alluvium_storage::StorageError;

use crate::InspectError;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// A checkpoint cannot be restored.
    Damage,
    /// Nothing is lost.
    Warning,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file, with its root; or a stream inside a metadata file.
    pub file: String,
    /// Where in the file, in bytes, if it is at one place.
    pub offset: Option<u64>,
    /// What is wrong there.
    pub what: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// The checkpoints that need the file.
    pub checkpoints: Vec<String>,
}

/// In one line.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, what, expected, found, .. } = self;
        f.write_str(file)?;
        if let Some(offset) = offset {
            write!(f, " at offset {offset}")?;
        }
        write!(f, ": {what}: expected {expected}, found {found}")
    }
}

impl Finding {
    pub(crate) fn damage(file: String, what: &str) -> Self {
        Self {
            severity: Severity::Damage,
            file,
            offset: None,
            what: what.to_owned(),
            expected: String::new(),
            found: String::new(),
            checkpoints: Vec::new(),
        }
    }

    pub(crate) fn expected(self, expected: impl Display, found: impl Display) -> Self {
        let (expected, found) = (format!("{expected}"), format!("{found}"));
        Self { expected, found, ..self }
    }

    pub(crate) fn at(self, offset: u64) -> Self {
        Self { offset: Some(offset), ..self }
    }

    pub(crate) fn needed_by(self, checkpoint: &str) -> Self {
        Self { checkpoints: vec![checkpoint.to_owned()], ..self }
    }

    /// Makes one finding of those that say the same for several checkpoints; equal ones lie side by side.
    pub(crate) fn merge(findings: &mut Vec<Self>) {
        findings.dedup_by(|next, first| {
            let checkpoints = std::mem::take(&mut next.checkpoints);
            let bare = Self { checkpoints: first.checkpoints.clone(), ..next.clone() };
            if bare != *first {
                next.checkpoints = checkpoints;
                return false;
            }
            let new = checkpoints.into_iter().filter(|name| !bare.checkpoints.contains(name));
            first.checkpoints.extend(new);
            true
        });
    }

    /// What is wrong with a metadata file.
    pub(crate) fn of_metadata(file: String, error: &InspectError) -> Self {
        match error {
            InspectError::NotACheckpoint { .. } => {
                Self::damage(file, "the file").expected("to be there", "nothing")
            }
            InspectError::Metadata { location, source } => {
                Self::of_format(location.clone(), source)
            }
            InspectError::Misplaced { location, what, expected, found } => {
                Self::damage(location.clone(), what).expected(expected, found)
            }
            InspectError::Stream(error) => Self::of_stream(file, error),
            other => Self::damage(file, "metadata").expected("to be readable", other),
        }
    }

    /// What is wrong with a stream or a file.
    pub(crate) fn of_stream(file: String, error: &RestoreError) -> Self {
        match error {
            RestoreError::Storage(error) => Self::of_storage(file, error),
            RestoreError::Damaged { stream, source } => Self::of_format(stream.clone(), source),
            RestoreError::Mismatch { stream, what, expected, found } => {
                Self::damage(stream.clone(), what).expected(expected, found)
            }
            other => Self::damage(file, "stream").expected("one that can be restored", other),
        }
    }

    fn of_storage(file: String, error: &StorageError) -> Self {
        match error {
            StorageError::NotFound { .. } => {
                Self::damage(file, "the file").expected("to be there", "nothing")
            }
            StorageError::Truncated {
                expected_len_bytes: expected,
                found_len_bytes: found,
                ..
            } => {
                let expected_text = format!("{expected} bytes");
                let finding = Self::damage(file, "length of the file");
                finding.expected(expected_text, format!("{found} bytes")).at(*expected.min(found))
            }
            StorageError::SealMismatch { expected, found, .. } => {
                let finding = Self::damage(file, "seal, the last four bytes");
                finding.expected(format!("{expected:08x}"), format!("{found:08x}"))
            }
            StorageError::OutsideRoot { .. } => Self::damage(file, "the way to the file")
                .expected("inside the folder", "a symbolic link that leads out of it"),
            other => Self::damage(file, "the file").expected("to be readable", other),
        }
    }

    pub(crate) fn of_format(file: String, error: &FormatError) -> Self {
        match error {
            FormatError::Truncated { what, expected_len_bytes, found_len_bytes } => {
                let finding = Self::damage(file, what).at(*found_len_bytes);
                let found = format!("{found_len_bytes} bytes");
                finding.expected(format!("{expected_len_bytes} bytes or more"), found)
            }
            FormatError::Magic { found } => {
                let found = u64::from_be_bytes(*found);
                let finding = Self::damage(file, "magic");
                finding.expected("414c4c555649554d", format!("{found:016x}")).at(0)
            }
            FormatError::Checksum { what, offset, expected, found } => {
                let finding = Self::damage(file, &format!("checksum of {what}")).at(*offset);
                finding.expected(format!("{expected:08x}"), format!("{found:08x}"))
            }
            FormatError::Kind { expected, found } => {
                Self::damage(file, "kind").expected(expected, format!("kind {found}")).at(8)
            }
            FormatError::Malformed { what, offset, reason } => {
                Self::damage(file, what).expected("what SPEC.md says", reason).at(*offset)
            }
            FormatError::Codec { what, offset, source } => {
                Self::damage(file, what).expected("what SPEC.md says", source).at(*offset)
            }
            FormatError::Limit { what, found, limit } => {
                Self::damage(file, what).expected(format!("at most {limit}"), found)
            }
            other => Self::damage(file, "stream").expected("one that this version reads", other),
        }
    }
}

pub(crate) fn is_damage_of_stream(error: &RestoreError) -> bool {
    match error {
        RestoreError::Storage(error) => matches!(
            error,
            StorageError::NotFound { .. }
                | StorageError::Truncated { .. }
                | StorageError::SealMismatch { .. }
                | StorageError::OutsideRoot { .. }
        ),
        RestoreError::Damaged { source, .. } => !matches!(source, FormatError::Read(_)),
        _ => true,
    }
}
