//! Symbolic links and what is no file: nothing outside the root is read, listed or made.

use std::os::unix::fs::symlink;

use super::*;

/// A root with links that lead out of it, and the folder where they lead.
fn with_links() -> (Arc<dyn Storage>, TempDir, TempDir) {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let (storage, dir) = fresh("");
    storage.create(&path("shared/own"), b"own").unwrap();
    symlink(outside.path().join("secret"), dir.path().join("shared/file")).unwrap();
    symlink(outside.path(), dir.path().join("folder")).unwrap();
    symlink("../..", dir.path().join("shared/up")).unwrap();
    symlink(outside.path().join("missing"), dir.path().join("_lock")).unwrap();
    (storage, dir, outside)
}

#[track_caller]
fn outside<T: std::fmt::Debug>(outcome: Result<T, StorageError>, operation: &str) {
    let error = outcome.unwrap_err();
    assert!(matches!(error, StorageError::OutsideRoot { .. }), "{error}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot {operation} file:")), "{text}");
}

#[test]
fn links_that_lead_out_of_the_root_are_refused() {
    let (storage, dir, folder) = with_links();
    for name in ["shared/file", "folder/secret"] {
        outside(storage.read_all(&path(name)), "read");
        outside(storage.read(&path(name), 0..1), "read");
        outside(storage.map(&path(name)), "map");
        outside(storage.map_guarded(&path(name)).map(drop), "map");
        outside(storage.len_bytes(&path(name)), "measure");
        assert_eq!(storage.local_path(&path(name)), None);
        outside(storage.rename(&path(name), &path("taken")), "rename");
    }
    outside(storage.list(Some(&path("folder"))), "list");
    outside(storage.list(Some(&path("shared/up"))), "list");
    outside(storage.create(&path("folder/new"), b"x"), "write");
    outside(storage.create(&path("folder/deeper/new"), b"x"), "write");
    outside(storage.writer(&path("shared/up/new")).map(drop), "write");
    outside(storage.replace(&path("folder/secret"), b"x"), "write");
    outside(storage.rename(&path("shared/own"), &path("folder/own")), "rename");
    outside(storage.lock(&path("folder/_lock")).map(drop), "lock");
    outside(storage.lock(&path("_lock")).map(drop), "lock");
    assert_eq!(all_names(folder.path()), ["secret"]);
    assert_eq!(all_names(&dir.path().join("shared")), ["file", "own", "up"]);
}

#[test]
fn links_that_stay_inside_are_followed() {
    let (storage, dir, _outside) = with_links();
    symlink("own", dir.path().join("shared/link")).unwrap();
    symlink("shared", dir.path().join("same")).unwrap();
    assert_eq!(storage.read_all(&path("same/link")).unwrap(), "own");
    assert_eq!(storage.len_bytes(&path("shared/link")).unwrap(), 3);
    storage.create(&path("same/new"), b"x").unwrap();
    assert_eq!(storage.read_all(&path("shared/new")).unwrap(), "x");
}

/// Links in a circle, a link to nothing, a folder, a socket: none of them is a file, and none is waited for.
#[test]
fn what_is_no_file_is_not_read() {
    let (storage, dir, _outside) = with_links();
    symlink("two", dir.path().join("one")).unwrap();
    symlink("one", dir.path().join("two")).unwrap();
    let error = storage.read_all(&path("one")).unwrap_err();
    assert!(matches!(error, StorageError::Io { .. }), "{error}");
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    for name in ["_lock", "shared", "socket", "shared/own/below"] {
        let error = storage.read_all(&path(name)).unwrap_err();
        assert!(matches!(error, StorageError::NotFound { .. }), "{name}: {error}");
    }
}
