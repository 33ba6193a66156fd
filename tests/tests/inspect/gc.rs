//! `alluvium gc`: what nobody refers to goes, and nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{alluvium, cases, code, copied, name_of, stdout};
use alluvium::storage::{JobLayout, LocalStorage, Storage};
use alluvium_tests::golden::files;
use alluvium_tests::stderr;

fn job(dir: &Path) -> PathBuf {
    let case = cases().into_iter().find(|case| name_of(case) == "heap-incremental").unwrap();
    copied(&case, dir);
    dir.join("job")
}

fn names(dir: &Path) -> BTreeSet<String> {
    files(dir).iter().map(|it| it.strip_prefix(dir).unwrap().display().to_string()).collect()
}

fn put(path: PathBuf) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, b"left").unwrap();
}

/// What killed runs leave, and what looks like it and is something else.
fn litter(job: &Path) -> BTreeSet<String> {
    let left =
        ["shared/operator-9-keyed-3-9", "chk-2/old", "chk-3/operator-7-operator-3", "chk-9/begun"];
    left.iter().for_each(|name| put(job.join(name)));
    for name in [
        "taskowned/sink/0-1-1",
        "attempts/0000000003",
        "notes.txt",
        "savepoint-job-000000000001/operator-0-keyed-3",
        "chk-07/theirs",
        "shared/below/theirs",
    ] {
        put(job.join(name));
    }
    left.into_iter().map(str::to_owned).collect()
}

#[test]
fn orphans_go_and_everything_else_stays() {
    let dir = tempfile::tempdir().unwrap();
    let job = job(dir.path());
    let left = litter(&job);
    let before = names(&job);
    let uri = dir.path().to_str().unwrap();
    let text = stdout(&["gc", uri, "--dry-run"]);
    assert_eq!(names(&job), before, "a dry run changes nothing");
    for name in &left {
        assert!(text.contains(&format!("would remove file:{}/{name} (4 bytes)", job.display())));
    }
    assert!(text.contains("would remove 4 files"), "{text}");
    let json = stdout(&["gc", uri, "--json"]);
    assert!(json.contains("\"bytes\": 16"), "{json}");
    let expected: BTreeSet<String> =
        before.difference(&left).cloned().chain(["_lock".to_owned()]).collect();
    assert_eq!(names(&job), expected);
    assert!(!job.join("chk-9").exists(), "a folder that is empty goes");
    assert!(stdout(&["verify", job.to_str().unwrap()]).contains("sound"));
    assert!(stdout(&["gc", uri]).contains("removed 0 files"));
}

/// A name that is not UTF-8 is shown by no listing: a folder with nothing else in it looks empty.
#[cfg(target_os = "linux")]
#[test]
fn what_no_listing_shows_stays() {
    use std::os::unix::ffi::OsStrExt;

    let dir = tempfile::tempdir().unwrap();
    let job = job(dir.path());
    put(job.join("chk-9/begun"));
    let theirs = job.join("chk-9").join(std::ffi::OsStr::from_bytes(b"theirs-\xff"));
    std::fs::write(&theirs, b"x").unwrap();
    assert!(stdout(&["gc", job.to_str().unwrap()]).contains("chk-9/begun"));
    assert!(theirs.exists() && !job.join("chk-9/begun").exists());
    // Nor does a job take it away when it starts.
    put(job.join("chk-9/begun"));
    let root = alluvium::storage::open(dir.path().to_str().unwrap()).unwrap();
    let id = alluvium::core::JobId::new("job").unwrap();
    drop(alluvium::runtime::CheckpointStore::open_exclusive(&*root, id).unwrap());
    assert!(theirs.exists() && !job.join("chk-9/begun").exists());
}

#[test]
fn nothing_goes_while_a_job_runs() {
    let dir = tempfile::tempdir().unwrap();
    let job = job(dir.path());
    let storage = LocalStorage::open(&job).unwrap();
    let lock = storage.lock(&JobLayout::lock()).unwrap();
    litter(&job);
    let before = names(&job);
    for args in
        [["gc", job.to_str().unwrap(), "--dry-run"].as_slice(), &["gc", job.to_str().unwrap()]]
    {
        let output = alluvium(args);
        assert_eq!(code(&output), 5, "{}", stderr(&output));
        assert!(stderr(&output).contains("_lock is locked by process"), "{}", stderr(&output));
    }
    assert_eq!(names(&job), before);
    drop(lock);
    stdout(&["gc", job.to_str().unwrap()]);
    assert!(names(&job).len() < before.len());
}

#[test]
fn nothing_goes_while_references_are_not_known() {
    for (name, bytes) in [("chk-4/_metadata", &b"damaged"[..]), ("moved-3/_metadata", b"damaged")] {
        let dir = tempfile::tempdir().unwrap();
        let job = job(dir.path());
        litter(&job);
        put(job.join(name));
        std::fs::write(job.join(name), bytes).unwrap();
        let before = names(&job);
        let output = alluvium(&["gc", job.to_str().unwrap(), "--dry-run"]);
        assert_eq!(code(&output), 3, "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains(name), "{}", stderr(&output));
        assert!(!alluvium(&["gc", job.to_str().unwrap()]).status.success());
        let after: BTreeSet<_> = names(&job).into_iter().filter(|it| it != "_lock").collect();
        assert_eq!(after, before);
    }
}

/// A person has renamed the folder of a checkpoint to keep it: what it refers to is still needed.
#[test]
fn a_checkpoint_that_was_renamed_keeps_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let job = job(dir.path());
    std::fs::rename(job.join("chk-3"), job.join("kept")).unwrap();
    put(job.join("shared/operator-9-keyed-3-9"));
    let shared = names(&job.join("shared"));
    stdout(&["gc", job.to_str().unwrap()]);
    let mut after = names(&job.join("shared"));
    after.insert("operator-9-keyed-3-9".to_owned());
    assert_eq!(after, shared);
}

/// One job of several runs, and the metadata of another one is damaged: the others are cleaned up.
#[test]
fn what_keeps_one_job_keeps_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let case = cases().into_iter().find(|case| name_of(case) == "heap-incremental").unwrap();
    for name in ["a-first", "b-runs", "c-damaged", "d-last"] {
        let other = tempfile::tempdir().unwrap();
        copied(&case, other.path());
        std::fs::rename(other.path().join("job"), dir.path().join(name)).unwrap();
        put(dir.path().join(name).join("shared/left"));
    }
    put(dir.path().join("c-damaged/chk-4/_metadata"));
    let running = LocalStorage::open(dir.path().join("b-runs")).unwrap();
    let _lock = running.lock(&JobLayout::lock()).unwrap();
    let uri = dir.path().to_str().unwrap();
    let dry = alluvium(&["gc", uri, "--dry-run", "--json"]);
    let json = String::from_utf8_lossy(&dry.stdout).into_owned();
    assert_eq!(code(&dry), 5, "the first refusal is that of the command");
    assert_eq!(json.matches("\"refused\": null").count(), 2, "{json}");
    assert!(json.contains("b-runs/_lock is locked by process"), "{json}");
    let output = alluvium(&["gc", uri]);
    let (text, errors) = (String::from_utf8_lossy(&output.stdout).into_owned(), stderr(&output));
    assert_eq!(code(&output), 5, "{errors}");
    for (name, is_clean) in
        [("a-first", true), ("b-runs", false), ("c-damaged", false), ("d-last", true)]
    {
        assert_eq!(dir.path().join(name).join("shared/left").exists(), !is_clean, "{name}");
        let said = format!("{name}: removed 1 files with 4 B");
        assert_eq!(text.contains(&said), is_clean, "{name}: {text}");
        assert_eq!(text.contains(&format!("{name}: not cleaned up")), !is_clean, "{text}");
    }
    assert!(errors.contains("b-runs/_lock") && errors.contains("c-damaged"), "{errors}");
}

#[cfg(unix)]
#[test]
fn a_link_goes_and_not_what_it_leads_to() {
    let dir = tempfile::tempdir().unwrap();
    let job = job(dir.path());
    let outside = dir.path().join("precious");
    std::fs::write(&outside, b"x").unwrap();
    std::os::unix::fs::symlink(&outside, job.join("shared/link")).unwrap();
    stdout(&["gc", job.to_str().unwrap()]);
    assert!(outside.exists() && !job.join("shared/link").exists());
}

#[test]
fn what_is_no_job_is_refused() {
    let case = cases().into_iter().find(|case| name_of(case) == "heap-native-savepoint").unwrap();
    let output = alluvium(&["gc", case.to_str().unwrap()]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("neither the folder of a job"), "{}", stderr(&output));
}
