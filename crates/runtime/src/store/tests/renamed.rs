//! Checkpoints whose folders a person has renamed, to keep them or to have them out of the way.

use super::*;

/// A job with checkpoints 5 and 6, of which 5 is renamed. Each has a file of its own in `shared/`.
fn with_renamed(name: &str) -> Folder {
    let folder = Folder::new();
    let store = folder.open();
    let attempt = store.claim_attempt().unwrap();
    for file in ["shared/five", "shared/six", "chk-5/five", "shared/nobody"] {
        folder.write(file);
    }
    store.commit(&needing(5, attempt, "shared/five", "chk-5/five")).unwrap();
    store.commit(&needing(6, attempt, "shared/six", "shared/six")).unwrap();
    let job = folder.dir.path().join("job");
    std::fs::rename(job.join("chk-5"), job.join(name)).unwrap();
    folder
}

/// 1. A person renames `chk-5` to keep it, and starts the job again;
/// 2. the job sees `chk-6` alone, and removes what that one does not need;
/// 3. `alluvium gc` would have kept all of it.
#[test]
fn what_they_refer_to_is_no_leftover() {
    for name in ["kept", "chk-5.old", "chk-05"] {
        let folder = with_renamed(name);
        let store = folder.open();
        assert_eq!(folder.names("shared"), ["five", "six"], "{name}");
        assert_eq!(folder.names(name), ["_metadata", "five"]);
        // Nor does it go when the job needs it no more.
        let spared = store.needed_by_others(&store.list().unwrap()).unwrap();
        let path = |path: &str| StoragePath::new(path).unwrap();
        assert!(spared.contains(&path("shared/five")), "{name}: {spared:?}");
        assert!(!spared.contains(&path("shared/six")), "{name}: {spared:?}");
    }
}

/// Renaming a damaged checkpoint does not say what it refers to.
#[test]
fn a_damaged_one_still_keeps_everything() {
    let folder = with_renamed("chk-5.bad");
    folder.write("chk-5.bad/_metadata");
    let store = folder.open();
    assert_eq!(folder.names("shared"), ["five", "nobody", "six"]);
    let spared = store.needed_by_others(&store.list().unwrap()).unwrap();
    let spared: Vec<_> = spared.iter().map(StoragePath::as_str).collect();
    assert_eq!(spared, ["shared/five", "shared/nobody", "shared/six"]);
}

/// A run without locks notes leftovers, and removes them later.
#[test]
fn they_are_not_noted_either() {
    let folder = with_renamed("kept");
    let root = open(folder.dir.path().to_str().unwrap()).unwrap();
    let store = CheckpointStore::open(&*root, job()).unwrap();
    let noted = store.note_leftovers(&store.list().unwrap()).unwrap();
    let noted: Vec<_> = noted.iter().map(StoragePath::as_str).collect();
    assert_eq!(noted, ["shared/nobody"]);
}
