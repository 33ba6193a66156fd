use super::*;

#[test]
fn paths_and_file_uris_are_local_folders() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().to_str().unwrap();
    for uri in [text.to_owned(), format!("file:{text}/b"), format!("file://{text}/c d%20?e")] {
        let root = open(&uri).unwrap().root().to_owned();
        let path = uri.trim_start_matches("file://").trim_start_matches("file:");
        assert_eq!(root, format!("file:{path}"));
        assert!(std::path::Path::new(path).is_dir(), "{uri}");
    }
    assert!(matches!(Target::parse("checkpoints/a"), Ok(Target::Local("checkpoints/a"))));
    assert!(matches!(Target::parse("./a:b"), Ok(Target::Local("./a:b"))));
    assert!(matches!(Target::parse("C:/a"), Ok(Target::Local("C:/a"))));
}

#[test]
fn opening_what_should_exist_creates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let uri = format!("file:{}", missing.display());
    let error = open_existing(&uri).unwrap_err();
    assert_eq!(error.to_string(), format!("{uri} does not exist"));
    assert!(!missing.exists());
    open(&uri).unwrap();
    open_existing(&uri).unwrap();
}

#[test]
fn what_is_no_storage_is_refused_with_a_reason() {
    let cases = [
        ("", "cannot use an empty text as a storage: it is empty"),
        ("file:relative", "its path is not absolute: write file:/PATH or a plain path"),
        ("file://host/a", "it names a host: write file:///PATH or a plain path"),
        ("file:", "its path is not absolute"),
        ("memory:", "it names no memory: write memory:NAME"),
        ("memory:/a", "it names no memory: write memory:NAME"),
        ("memory:a/../b", "of its path it holds the component . or .."),
        ("hdfs://node/a", "its scheme hdfs is not among those compiled in: file, memory"),
        ("data:1", "its scheme data is not among those compiled in: file, memory"),
    ];
    for (uri, reason) in cases {
        refused(uri, reason);
    }
}

fn refused(uri: &str, reason: &str) -> String {
    let error = open(uri).unwrap_err();
    assert!(matches!(error, StorageError::BadUri { .. }), "{uri}: {error}");
    let text = error.to_string();
    assert!(text.contains(reason), "{uri}: {text}");
    text
}

#[cfg(feature = "s3")]
mod s3 {
    use super::*;

    #[test]
    fn a_bucket_is_opened_without_being_contacted() {
        let query = "?endpoint=http%3A%2F%2F127.0.0.1%3A1&region=us-east-1&path_style=true";
        for (uri, root) in [
            (format!("s3://bucket{query}"), "s3://bucket"),
            (format!("s3://bucket/{query}"), "s3://bucket"),
            (format!("s3://bucket/a/b/{query}"), "s3://bucket/a/b"),
        ] {
            let storage = open_existing(&uri).unwrap();
            assert_eq!(storage.root(), root);
            assert!(!format!("{storage:?}").contains("127.0.0.1"), "{storage:?}");
        }
    }

    #[test]
    fn bad_buckets_and_queries_are_refused() {
        let cases = [
            ("s3://", "it names no bucket"),
            ("s3:///prefix", "it names no bucket"),
            ("s3://?region=x", "it names no bucket"),
            ("s3:bucket", "it must begin with s3://"),
            ("s3://bucket//a", "of its path it is absolute or holds an empty component"),
            ("s3://bucket/../other", "of its path it holds the component . or .."),
            ("s3://bucket?path_style=maybe", "path_style is neither true nor false"),
            ("s3://bucket?endpoint=%zz", "the value of endpoint is not percent-encoded text"),
            ("s3://bucket?endpoint=%e", "the value of endpoint is not percent-encoded text"),
            ("s3://bucket?endpoint=%ff", "the value of endpoint is not percent-encoded text"),
        ];
        for (uri, reason) in cases {
            refused(uri, reason);
        }
    }

    #[test]
    fn a_uri_with_credentials_is_refused_without_repeating_them() {
        let cases = [
            "s3://AKIA:hunter2@bucket/a",
            "s3://hunter2@bucket/a",
            "s3:hunter2@bucket/a",
            "s3://bucket/a?secret_access_key=hunter2",
            "s3://bucket/a?hunter2",
            "s3://bucket/a?region=x&token=hunter2%zz",
            "s3://bucket/a?endpoint=http://user:hunter2@127.0.0.1:1",
            "s3://bucket/a?path_style=hunter2",
            "other://AKIA:hunter2@bucket/a",
        ];
        for uri in cases {
            let text = refused(uri, "");
            assert!(!text.contains("hunter2") && !text.contains("AKIA"), "{uri}: {text}");
        }
    }
}
