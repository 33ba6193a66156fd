use std::io::Write;

use tempfile::TempDir;

use super::*;
use crate::behaviour::{behaviour_tests, path};

#[cfg(unix)]
mod links;

fn fresh(_case: &str) -> (Arc<dyn Storage>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Arc::new(LocalStorage::open(dir.path()).unwrap()), dir)
}

behaviour_tests!(fresh);

fn all_names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn no_temporary_file_is_left_on_any_way_out() {
    let (storage, dir) = fresh("");
    let file = path("d/file");
    let mut writer = storage.writer(&file).unwrap();
    writer.write_all(&vec![0; 1_000_000]).unwrap();
    assert_eq!(all_names(&dir.path().join("d")).len(), 1, "the temporary file");
    drop(writer);
    storage.writer(&file).unwrap().abort();
    assert_eq!(all_names(&dir.path().join("d")), [""; 0]);
    storage.create(&file, b"x").unwrap();
    storage.create(&file, b"y").unwrap_err();
    storage.writer(&file).unwrap().finish().unwrap_err();
    storage.writer(&path("d/other")).unwrap().finish().unwrap();
    assert_eq!(all_names(&dir.path().join("d")), ["file", "other"]);
}

#[test]
fn leftovers_of_a_crash_are_hidden_and_in_nobodys_way() {
    let (storage, dir) = fresh("");
    for number in 0..2000 {
        // Also the names that this process would choose next.
        let name = format!(".tmp-file-{}-{number}", std::process::id());
        fs::write(dir.path().join(name), "leftover").unwrap();
    }
    storage.create(&path("file"), b"x").unwrap();
    let listed = storage.list(None).unwrap();
    assert_eq!(listed.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["file"]);
    assert_eq!(storage.read_all(&path("file")).unwrap(), "x");
}

#[test]
fn leftovers_in_a_folder_can_be_removed_and_nothing_else_goes() {
    let (storage, dir) = fresh("");
    storage.delete_unfinished(&path("shared")).unwrap();
    storage.create(&path("shared/kept"), b"x").unwrap();
    storage.create(&path("shared/below/kept"), b"x").unwrap();
    for name in ["shared/.tmp-kept-1-1", "shared/below/.tmp-kept-1-1", ".tmp-kept-1-1"] {
        fs::write(dir.path().join(name), "leftover").unwrap();
    }
    fs::create_dir(dir.path().join("shared/.tmp-folder")).unwrap();
    storage.delete_unfinished(&path("shared")).unwrap();
    assert_eq!(all_names(&dir.path().join("shared")), [".tmp-folder", "below", "kept"]);
    assert_eq!(all_names(&dir.path().join("shared/below")), [".tmp-kept-1-1", "kept"]);
    assert_eq!(all_names(dir.path()), [".tmp-kept-1-1", "shared"]);
}

#[test]
fn the_longest_name_fits() {
    let (storage, _keep) = fresh("");
    for name in ["x".repeat(255), "ü".repeat(127)] {
        storage.create(&path(&name), b"x").unwrap();
        assert_eq!(storage.read_all(&path(&name)).unwrap(), "x");
    }
}

#[test]
fn a_second_holder_is_refused_until_the_first_lets_go() {
    let (storage, dir) = fresh("");
    let lock = storage.lock(&path("job/_lock")).unwrap().unwrap();
    let error = storage.lock(&path("job/_lock")).unwrap_err();
    let StorageError::Locked { holder_pid, .. } = &error else { panic!("{error}") };
    assert_eq!(*holder_pid, Some(std::process::id()));
    let expected = format!(
        "file:{}/job/_lock is locked by process {}",
        dir.path().display(),
        std::process::id()
    );
    assert_eq!(error.to_string(), expected);
    drop(lock);
    let _again = storage.lock(&path("job/_lock")).unwrap().unwrap();
}

#[cfg(unix)]
#[test]
fn deleting_a_folder_does_not_follow_a_link_inside_it() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("precious"), "x").unwrap();
    let (storage, dir) = fresh("");
    storage.create(&path("chk-1/file"), b"x").unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join("chk-1/link")).unwrap();
    storage.delete_dir(&path("chk-1")).unwrap();
    assert_eq!(all_names(dir.path()), [""; 0]);
    assert_eq!(all_names(outside.path()), ["precious"]);
}

/// 1. `list` does not show a name that is not UTF-8, nor an unfinished file, so a folder looks empty;
/// 2. whoever removes it with all that is in it removes what a person has put there.
#[cfg(unix)]
#[test]
fn a_folder_that_only_looks_empty_stays() {
    use std::os::unix::ffi::OsStrExt;

    let (storage, dir) = fresh("");
    for name in [&b"not-\xff-utf-8"[..], b".tmp-file-1-1"] {
        let folder = dir.path().join("chk-1");
        fs::create_dir(&folder).unwrap();
        let file = folder.join(std::ffi::OsStr::from_bytes(name));
        fs::write(&file, "x").unwrap();
        assert_eq!(storage.list(Some(&path("chk-1"))).unwrap(), []);
        storage.delete_empty_dir(&path("chk-1")).unwrap();
        assert!(file.exists(), "{}", file.display());
        fs::remove_file(&file).unwrap();
        storage.delete_empty_dir(&path("chk-1")).unwrap();
        assert_eq!(all_names(dir.path()), [""; 0]);
    }
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
    storage.delete_empty_dir(&path("link")).unwrap();
    assert_eq!(all_names(dir.path()), ["link"]);
    fs::create_dir(outside.path().join("empty")).unwrap();
    let error = storage.delete_empty_dir(&path("link/empty")).unwrap_err();
    assert!(matches!(error, StorageError::OutsideRoot { .. }), "{error}");
    assert_eq!(all_names(outside.path()), ["empty"]);
}

#[cfg(unix)]
#[test]
fn a_link_that_leaves_the_root_cannot_be_deleted_through() {
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("chk-1")).unwrap();
    fs::write(outside.path().join("chk-1/precious"), "x").unwrap();
    let (storage, dir) = fresh("");
    std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
    for error in [
        storage.delete_dir(&path("link/chk-1")).unwrap_err(),
        storage.delete(&path("link/chk-1/precious")).unwrap_err(),
    ] {
        assert!(matches!(error, StorageError::OutsideRoot { .. }), "{error}");
    }
    assert_eq!(all_names(&outside.path().join("chk-1")), ["precious"]);
    storage.delete_dir(&path("link")).unwrap();
    assert_eq!(all_names(dir.path()), [""; 0], "the link itself goes");
    assert_eq!(all_names(&outside.path().join("chk-1")), ["precious"]);
}

#[test]
fn a_file_where_a_folder_is_needed_is_one_clear_error() {
    let (storage, dir) = fresh("");
    let root = dir.path().display();
    storage.create(&path("file"), b"x").unwrap();
    for error in [
        storage.create(&path("file/chk-1/a"), b"y").unwrap_err(),
        storage.writer(&path("file/chk-1/a")).map(drop).unwrap_err(),
    ] {
        let expected = format!(
            "cannot create file:{root}/file/chk-1/a: {root}/file is a file where a folder is needed"
        );
        assert_eq!(error.to_string(), expected);
    }
    let error = LocalStorage::open(dir.path().join("file/sub")).unwrap_err();
    assert!(matches!(error, StorageError::NotADirectory { .. }), "{error}");
    let error = LocalStorage::open_existing(dir.path().join("file")).unwrap_err();
    assert!(matches!(error, StorageError::NotADirectory { .. }), "{error}");
}

#[test]
fn room_that_nobody_has_is_an_error() {
    for len_bytes in [1 << 62, u64::MAX / 2, u64::MAX] {
        let error = buffer(len_bytes).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory, "{len_bytes}");
    }
    assert_eq!(buffer(1_000).unwrap().capacity(), 1_000);
}

#[test]
fn a_mapped_file_outlives_its_deletion() {
    let (storage, _keep) = fresh("");
    let body: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    storage.create(&path("file"), &body).unwrap();
    let mapped = storage.map(&path("file")).unwrap();
    assert_eq!(mapped, storage.read_all(&path("file")).unwrap());
    storage.delete(&path("file")).unwrap();
    assert_eq!(mapped, body);
}

#[test]
fn opening_creates_missing_folders_and_opening_existing_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b/c");
    let error = LocalStorage::open_existing(&deep).unwrap_err();
    assert!(matches!(error, StorageError::NotFound { .. }), "{error}");
    assert_eq!(all_names(dir.path()), [""; 0]);
    assert_eq!(LocalStorage::open(&deep).unwrap().root(), format!("file:{}", deep.display()));
    LocalStorage::open_existing(&deep).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named_in_the_error() {
    let location = Location::new("file:/chk", Some(&path("wordcount/chk-3/_metadata")));
    let error = StorageError::io("write", location, io::Error::from_raw_os_error(28));
    assert_eq!(
        error.to_string(),
        "cannot write file:/chk/wordcount/chk-3/_metadata: no space left on device (os error 28)"
    );
}

#[cfg(unix)]
#[test]
fn a_way_that_leaves_the_root_is_told_from_one_that_does_not() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("precious"), "x").unwrap();
    let (storage, dir) = fresh("");
    storage.create(&path("chk-1/file"), b"x").unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("chk-1"), dir.path().join("chk-2")).unwrap();
    for inside in ["chk-1", "chk-1/file", "chk-2/file", "absent", "absent/file"] {
        storage.check_inside(&path(inside)).unwrap();
    }
    for leaves in ["link", "link/precious"] {
        let error = storage.check_inside(&path(leaves)).unwrap_err();
        assert!(matches!(error, StorageError::OutsideRoot { operation: "read", .. }), "{error}");
    }
}
