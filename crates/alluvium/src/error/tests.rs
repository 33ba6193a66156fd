use std::sync::Arc;

use alluvium_coordinator::TaskId;
use alluvium_core::{OperatorUid, SubtaskIndex};
use alluvium_format::CodecError;
use alluvium_storage::Location;

use super::*;

fn restore(source: LoadFailure) -> StateError {
    let (state, stream) = ("count".to_owned(), "file:/chk/shared/a".to_owned());
    StateError::Restore { state, stream, source: Arc::new(source) }
}

#[test]
fn state_that_cannot_be_loaded_is_bad_data_or_an_unavailable_storage() {
    let location = || Location::new("file:/chk", None);
    let lost = StorageError::Io {
        operation: "read",
        location: location(),
        source: Arc::new(std::io::ErrorKind::TimedOut.into()),
    };
    let cut =
        StorageError::Truncated { location: location(), expected_len_bytes: 2, found_len_bytes: 1 };
    let codec = CodecError::TrailingBytes { offset: 1, left: 1 };
    for (failure, expected) in [
        (LoadFailure::Storage(lost), ErrorKind::Unavailable),
        (LoadFailure::Storage(cut), ErrorKind::Data),
        (LoadFailure::Storage(StorageError::NotFound { location: location() }), ErrorKind::Data),
        (LoadFailure::Codec(codec), ErrorKind::Data),
    ] {
        let error = restore(failure);
        assert_eq!(ErrorKind::from(&error), expected, "{error}");
        // A task that meets it fails, but not by its own fault.
        let operator = OperatorUid::new("op").unwrap();
        let task = TaskId { operator, subtask: SubtaskIndex::new(0) };
        let error = JobError::Task { task, source: error.into() };
        assert_eq!(ErrorKind::from(&error), expected, "{error}");
    }
}

#[test]
fn what_the_code_of_a_job_says_is_its_failure() {
    let operator = OperatorUid::new("op").unwrap();
    let task = TaskId { operator, subtask: SubtaskIndex::new(0) };
    for source in ["no such word".into(), StateError::ForeignHandle.into()] {
        let error = JobError::Task { task: task.clone(), source };
        assert_eq!(ErrorKind::from(&error), ErrorKind::Failed, "{error}");
    }
}
