use super::*;

fn location() -> Location {
    Location::new("s3://bucket/chk", Some(&StoragePath::new("job/_metadata").unwrap()))
}

#[test]
fn a_location_joins_root_and_path_with_one_slash() {
    let path = StoragePath::new("a/b").unwrap();
    for (root, text) in [("file:/", "file:/a/b"), ("memory:m", "memory:m/a/b")] {
        assert_eq!(Location::new(root, Some(&path)).to_string(), text);
        assert_eq!(Location::new(root, None).to_string(), root);
    }
}

#[test]
fn an_answer_of_a_service_is_one_sentence_without_addresses() {
    let answer = opendal::Error::new(
        opendal::ErrorKind::ConfigInvalid,
        r#"S3Error { code: "NoSuchBucket", message: "No such bucket.", resource: "", id: "9" }"#,
    )
    .with_context("uri", "https://host/bucket?sig=hunter2");
    let error = StorageError::remote("write", location(), &answer);
    let expected = "cannot write s3://bucket/chk/job/_metadata: No such bucket (NoSuchBucket)";
    assert_eq!(error.to_string(), expected);
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[test]
fn a_web_page_for_an_answer_is_cut() {
    let page = format!("<html>\n{}", "<p>".repeat(1000));
    let answer = opendal::Error::new(opendal::ErrorKind::Unexpected, page).set_temporary();
    let StorageError::Remote { source, .. } = StorageError::remote("read", location(), &answer)
    else {
        panic!("not remote")
    };
    let text = source.to_string();
    assert!(text.starts_with("Unexpected: <html> <p>"), "{text}");
    assert_eq!(text.chars().count(), MAX_CAUSE_CHARS);
    assert!(source.is_temporary());
}

#[test]
fn what_callers_ask_for_has_a_variant_of_its_own() {
    let remote = |kind| StorageError::remote("write", location(), &opendal::Error::new(kind, ""));
    let lost = remote(opendal::ErrorKind::ConditionNotMatch);
    assert!(matches!(lost, StorageError::AlreadyExists { .. }), "{lost}");
    let missing = remote(opendal::ErrorKind::NotFound);
    assert!(matches!(missing, StorageError::NotFound { .. }), "{missing}");
    let local = |kind: io::ErrorKind| StorageError::io("write", location(), kind.into());
    let missing = local(io::ErrorKind::NotFound);
    assert!(matches!(missing, StorageError::NotFound { .. }), "{missing}");
    let full = local(io::ErrorKind::StorageFull);
    assert!(matches!(full, StorageError::Io { .. }), "{full}");
}

#[test]
fn an_error_goes_through_write_and_comes_out_again() {
    let carried = StorageError::AlreadyExists { location: location() }.into_write();
    assert_eq!(carried.kind(), io::ErrorKind::AlreadyExists);
    let back = StorageError::from_write(carried, location());
    assert!(matches!(back, StorageError::AlreadyExists { .. }), "{back}");
    let foreign = StorageError::from_write(io::ErrorKind::StorageFull.into(), location());
    assert_eq!(foreign.to_string(), "cannot write s3://bucket/chk/job/_metadata: no storage space");
}

#[test]
fn sizes_are_named_as_people_name_them() {
    let names = [0, 1, 1 << 20, (5 << 20) + 1, 5 << 20].map(size_name);
    assert_eq!(names, ["0 bytes", "1 bytes", "1 MiB", "5242881 bytes", "5 MiB"]);
}
