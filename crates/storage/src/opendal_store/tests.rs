use super::*;
use crate::behaviour::path;

mod memory {
    use std::sync::Arc;

    use crate::Storage;
    use crate::behaviour::behaviour_tests;

    fn fresh(case: &str) -> (Arc<dyn Storage>, ()) {
        (crate::open(&format!("memory:behaviour-{case}")).unwrap(), ())
    }

    behaviour_tests!(fresh);
}

/// Needs a server at `ALLUVIUM_S3_ENDPOINT` with the bucket `alluvium-test`, and keys in
/// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. Every run uses keys of its own.
#[cfg(feature = "s3-server-tests")]
mod s3 {
    use std::env;
    use std::sync::Arc;

    use crate::behaviour::{behaviour_tests, path};
    use crate::{Storage, StorageError};

    /// Removes what a test has written.
    struct Cleanup(Arc<dyn Storage>, String);

    impl Drop for Cleanup {
        fn drop(&mut self) {
            let _ = self.0.delete_dir(&path(&self.1));
        }
    }

    fn fresh(case: &str) -> (Arc<dyn Storage>, Cleanup) {
        let endpoint = env::var("ALLUVIUM_S3_ENDPOINT").expect("ALLUVIUM_S3_ENDPOINT is not set");
        let query = format!("endpoint={endpoint}&region=us-east-1");
        let bucket = crate::open(&format!("s3://alluvium-test?{query}")).unwrap();
        let folder = format!("run-{}-{case}", std::process::id());
        let storage = crate::open(&format!("s3://alluvium-test/{folder}?{query}")).unwrap();
        bucket.delete_dir(&path(&folder)).unwrap();
        (storage, Cleanup(bucket, folder))
    }

    behaviour_tests!(fresh);

    #[test]
    fn the_root_names_no_endpoint() {
        let (storage, cleanup) = fresh("root");
        assert_eq!(storage.root(), format!("s3://alluvium-test/{}", cleanup.1));
    }

    #[test]
    fn a_dead_server_is_one_sentence() {
        let uri = "s3://bucket/p?endpoint=http://127.0.0.1:1&region=us-east-1";
        let error = crate::open(uri).unwrap().create(&path("file"), b"x").unwrap_err();
        let StorageError::Remote { source, .. } = &error else { panic!("{error}") };
        assert!(source.is_temporary(), "{error}");
        let text = error.to_string().to_lowercase();
        assert!(text.starts_with("cannot create s3://bucket/p/file: "), "{text}");
        assert!(text.contains("connection refused"), "{text}");
        assert!(!text.contains('\n') && !text.contains("127.0.0.1"), "{text}");
    }

    #[test]
    fn a_missing_bucket_is_named() {
        let endpoint = env::var("ALLUVIUM_S3_ENDPOINT").expect("ALLUVIUM_S3_ENDPOINT is not set");
        let uri = format!("s3://no-such-bucket?endpoint={endpoint}&region=us-east-1");
        let error = crate::open(&uri).unwrap().create(&path("file"), b"x").unwrap_err();
        let expected = "cannot create s3://no-such-bucket/file: \
                        The specified bucket does not exist (NoSuchBucket)";
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_memory_of_the_same_name_is_the_same_store() {
    let first = crate::open("memory:shared-name").unwrap();
    first.create(&path("job/file"), b"x").unwrap();
    assert_eq!(first.root(), "memory:shared-name");
    let again = crate::open_existing("memory:shared-name/job").unwrap();
    assert_eq!(again.root(), "memory:shared-name/job");
    assert_eq!(again.read_all(&path("file")).unwrap(), "x");
    let other = crate::open("memory:other-name").unwrap();
    assert_eq!(other.list(None).unwrap(), []);
}

#[test]
fn memory_has_no_locks() {
    let storage = crate::open("memory:no-locks").unwrap();
    assert!(storage.lock(&path("_lock")).unwrap().is_none());
}

#[test]
fn names_that_the_service_would_fold_into_one_are_refused() {
    let storage = crate::open("memory:spaces").unwrap();
    for name in [" a", "a "] {
        let error = storage.create(&path(name), b"x").unwrap_err();
        assert!(matches!(error, StorageError::Unsupported { .. }), "{error}");
    }
}

#[test]
fn a_call_from_async_code_is_answered() {
    let storage = crate::open("memory:from-async").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let found = runtime.block_on(async {
        storage.create(&path("file"), b"x").unwrap();
        storage.read_all(&path("file")).unwrap()
    });
    assert_eq!(found, "x");
}
