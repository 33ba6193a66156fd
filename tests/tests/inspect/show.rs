//! `alluvium show`: from the metadata alone.

use super::{alluvium, cases, checkpoint_of, code, name_of, stdout};
use alluvium_tests::stderr;

#[test]
fn every_golden_case_says_what_it_holds() {
    for case in cases() {
        let checkpoint = checkpoint_of(&case);
        let (text, json) =
            (stdout(&["show", &checkpoint]), stdout(&["show", &checkpoint, "--json"]));
        let name = name_of(&case);
        let is_savepoint = name.contains("savepoint");
        let first = if is_savepoint { "savepoint " } else { "checkpoint " };
        assert!(text.starts_with(first), "{name}: {text}");
        let assigner = if text.contains("assigner flink") { "flink" } else { "stable" };
        for part in [
            format!("\"is_savepoint\": {is_savepoint}"),
            format!("\"assigner\": \"{assigner}\""),
            "\"job\": \"job\"".to_owned(),
            "\"max_parallelism\": 4".to_owned(),
            "\"keyed_subtasks\": 2".to_owned(),
            "\"operator_subtasks\": 2".to_owned(),
        ] {
            assert!(json.contains(&part), "{name}: {part} in {json}");
        }
        let shares = matches!(name, "heap-incremental" | "heap-flink-incremental" | "heap-types")
            || name.starts_with("rocksdb") && !name.contains("canonical");
        assert_eq!(!json.contains("\"shared_files\": 0,"), shares, "{name}: {json}");
        assert_eq!(json.contains("\"inlined\": 4,"), name == "heap-inlined", "{name}: {json}");
        let groups = stdout(&["show", &checkpoint, "--key-groups"]);
        assert!(groups.contains("0..=1") && groups.contains("2..=3"), "{name}: {groups}");
        let states = stdout(&["show", &checkpoint, "--states"]);
        let key = if name == "heap-types" { "i64" } else { "string" };
        let timers = format!("key {key}, namespace tuple<u8, i64, unit>, value unit");
        for part in [timers.as_str(), "item tuple<u16, bytes>"] {
            assert!(states.contains(part), "{name}: {part} in {states}");
        }
        let states = stdout(&["show", &checkpoint, "--states", "--json"]);
        assert!(states.contains("\"kind\": \"sorted map\""), "{name}: {states}");
        let groups = stdout(&["show", &checkpoint, "--key-groups", "--json"]);
        assert!(groups.contains("\"subtasks\""), "{name}: {groups}");
    }
}

/// Of a checkpoint whose state files are gone, everything that the metadata says is still there.
#[test]
fn no_state_file_is_read() {
    let case = cases().into_iter().find(|case| name_of(case) == "heap-incremental").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("job/chk-3");
    std::fs::create_dir_all(&copy).unwrap();
    std::fs::copy(case.join("job/chk-3/_metadata"), copy.join("_metadata")).unwrap();
    let of = |path: String| stdout(&["show", &path]).lines().skip(1).collect::<String>();
    assert_eq!(of(copy.display().to_string()), of(checkpoint_of(&case)));
}

#[test]
fn what_is_no_checkpoint_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().display();
    let output = alluvium(&["show", &format!("{root}/chk-1")]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("holds no _metadata"), "{}", stderr(&output));
    let output = alluvium(&["show", &format!("{root}/absent")]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    std::fs::create_dir(dir.path().join("chk-1")).unwrap();
    std::fs::write(dir.path().join("chk-1/_metadata"), vec![0; 100]).unwrap();
    let output = alluvium(&["show", &format!("{root}/chk-1")]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(stderr(&output).contains("chk-1/_metadata: offset 0"), "{}", stderr(&output));
}

/// The metadata of chk-3 in the folder of chk-4 is not that of checkpoint 4.
#[test]
fn metadata_of_another_checkpoint_is_refused() {
    let case = cases().into_iter().find(|case| name_of(case) == "heap-incremental").unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("chk-4")).unwrap();
    std::fs::copy(case.join("job/chk-3/_metadata"), dir.path().join("chk-4/_metadata")).unwrap();
    let output = alluvium(&["show", &format!("{}/chk-4", dir.path().display())]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(stderr(&output).contains("checkpoint 4 expected, 3 found"), "{}", stderr(&output));
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_out_of_the_folder_is_refused() {
    let case = cases().into_iter().find(|case| name_of(case) == "heap-incremental").unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(case.join("job/chk-3"), dir.path().join("chk-3")).unwrap();
    let output = alluvium(&["show", &format!("{}/chk-3", dir.path().display())]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("symbolic link"), "{}", stderr(&output));
}

#[test]
fn a_list_is_also_json() {
    let case = cases().into_iter().find(|case| name_of(case) == "heap-incremental").unwrap();
    let json = stdout(&["list", case.to_str().unwrap(), "--json"]);
    for part in ["\"job\": \"job\"", "\"checkpoint\": 3", "\"status\": \"complete\""] {
        assert!(json.contains(part), "{part} in {json}");
    }
}

/// Somebody who names a folder too far up is told what it is.
#[test]
fn a_folder_of_checkpoints_is_told_from_a_checkpoint() {
    let case = cases().into_iter().find(|case| name_of(case) == "heap-incremental").unwrap();
    let root = case.display();
    for (uri, part) in [
        (format!("{root}"), format!("it is a checkpoint root: alluvium list file:{root} says")),
        (format!("{root}/job"), "it is the folder of a job: name a checkpoint in it".to_owned()),
        (format!("{root}/job/chk-7"), "the newest checkpoints there are chk-3".to_owned()),
        (format!("{root}/job/shared"), "it holds no _metadata\n".to_owned()),
    ] {
        let output = alluvium(&["show", &uri]);
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        assert!(stderr(&output).contains(&part), "{part} in {}", stderr(&output));
    }
}
