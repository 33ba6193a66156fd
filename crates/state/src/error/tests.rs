use alluvium_core::StoragePath;
use alluvium_storage::Location;

use super::*;

#[test]
fn state_that_cannot_be_loaded_is_named_with_its_stream_and_the_cause() {
    let path = StoragePath::new("shared/count-0-keyed-1-7").unwrap();
    let location = Location::new("file:/chk/job", Some(&path));
    let storage = StorageError::Truncated {
        location: location.clone(),
        expected_len_bytes: 100,
        found_len_bytes: 70,
    };
    let error = StateError::Restore {
        state: "count".to_owned(),
        stream: location.to_string(),
        source: Arc::new(storage.into()),
    };
    assert_eq!(
        error.to_string(),
        "restored state \"count\" cannot be loaded from file:/chk/job/shared/count-0-keyed-1-7: \
         file:/chk/job/shared/count-0-keyed-1-7 holds 70 bytes where 100 \
         are expected"
    );
    let cause = std::error::Error::source(&error).expect("the cause goes with it");
    assert!(cause.to_string().contains("70 bytes"), "{cause}");
}
