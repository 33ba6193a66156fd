use super::*;

#[test]
fn names_are_those_of_the_specification() {
    let checkpoint = CheckpointId::new(42).unwrap();
    let uid = OperatorUid::new("count.v2").unwrap();
    let (subtask, attempt) = (SubtaskIndex::new(3), AttemptId::new(7));
    let file = |kind| JobLayout::state_file(checkpoint, &uid, subtask, kind, attempt);
    let found = [
        JobLayout::job_dir(&JobId::new("wordcount").unwrap()),
        JobLayout::checkpoint_dir(checkpoint),
        JobLayout::metadata(checkpoint),
        file(StateFileKind::Keyed),
        file(StateFileKind::Operator),
        JobLayout::shared_state_file(checkpoint, &uid, subtask, attempt),
        JobLayout::shared_sst_file(checkpoint, &uid, subtask, attempt, 0),
        JobLayout::attempt(attempt),
        JobLayout::attempts_dir(),
        JobLayout::lock(),
        JobLayout::shared_dir(),
        JobLayout::task_owned_dir(&uid),
        JobLayout::task_owned_file(&uid, subtask, attempt, 12),
    ];
    let expected = [
        "wordcount",
        "chk-42",
        "chk-42/_metadata",
        "chk-42/count.v2-3-keyed-7",
        "chk-42/count.v2-3-operator-7",
        "shared/count.v2-3-keyed-7-42",
        "shared/count.v2-3-sst-7-42-0",
        "attempts/0000000007",
        "attempts",
        "_lock",
        "shared",
        "taskowned/count.v2",
        "taskowned/count.v2/3-7-12",
    ];
    assert_eq!(found.each_ref().map(StoragePath::as_str), expected);
}

#[test]
fn the_longest_ids_make_valid_names() {
    let uid = OperatorUid::new(&"x".repeat(128)).unwrap();
    let checkpoint = CheckpointId::new(u64::MAX).unwrap();
    let (subtask, attempt) = (SubtaskIndex::new(u16::MAX), AttemptId::new(u32::MAX));
    let path = JobLayout::state_file(checkpoint, &uid, subtask, StateFileKind::Operator, attempt);
    assert!(path.file_name().ends_with("-65535-operator-4294967295"));
    let path = JobLayout::shared_state_file(checkpoint, &uid, subtask, attempt);
    assert!(path.file_name().ends_with("-65535-keyed-4294967295-18446744073709551615"));
    let path = JobLayout::shared_sst_file(checkpoint, &uid, subtask, attempt, u32::MAX);
    let end = "-65535-sst-4294967295-18446744073709551615-4294967295";
    assert!(path.file_name().ends_with(end));
    assert_eq!(JobLayout::attempt(attempt).as_str(), "attempts/4294967295");
}

#[test]
fn shared_files_of_different_checkpoints_attempts_and_subtasks_have_different_names() {
    let name = |checkpoint, uid: &str, subtask, attempt| {
        JobLayout::shared_state_file(
            CheckpointId::new(checkpoint).unwrap(),
            &OperatorUid::new(uid).unwrap(),
            SubtaskIndex::new(subtask),
            AttemptId::new(attempt),
        )
    };
    let sst = |checkpoint, uid: &str, subtask, attempt, number| {
        let uid = OperatorUid::new(uid).unwrap();
        let (checkpoint, attempt) =
            (CheckpointId::new(checkpoint).unwrap(), AttemptId::new(attempt));
        JobLayout::shared_sst_file(checkpoint, &uid, SubtaskIndex::new(subtask), attempt, number)
    };
    let names = [
        sst(1, "a", 1, 1, 1),
        sst(1, "a", 1, 1, 2),
        sst(2, "a", 1, 1, 1),
        sst(1, "a", 1, 2, 1),
        sst(1, "a", 2, 1, 1),
        sst(11, "a", 1, 1, 1),
        sst(1, "a", 1, 11, 1),
        sst(1, "a", 1, 1, 11),
        sst(1, "a-1", 1, 1, 1),
        sst(1, "a-1-sst-1-1", 1, 1, 1),
        sst(1, "a-1-keyed", 1, 1, 1),
        name(1, "a", 1, 1),
        name(2, "a", 1, 1),
        name(1, "a", 2, 1),
        name(1, "a", 1, 2),
        name(11, "a", 1, 1),
        name(1, "a", 1, 11),
        name(1, "a-1", 1, 1),
        name(1, "a-1-keyed-1-1", 1, 1),
    ];
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
}

#[test]
fn checkpoint_folders_are_read_back_and_lookalikes_are_not() {
    for number in [1, 7, 10, u64::MAX] {
        let checkpoint = CheckpointId::new(number).unwrap();
        let dir = JobLayout::checkpoint_dir(checkpoint);
        assert_eq!(JobLayout::parse_checkpoint_dir(dir.as_str()), Some(checkpoint));
    }
    for name in [
        "chk-07",
        "chk-+7",
        "chk-0",
        "chk-",
        "chk--7",
        "chk-7 ",
        "chk-7x",
        "chk-٧",
        "Chk-7",
        "7",
        "chk-18446744073709551616",
        "savepoint-7",
        "",
    ] {
        assert_eq!(JobLayout::parse_checkpoint_dir(name), None, "{name:?}");
    }
}

#[test]
fn claims_are_read_back_and_lookalikes_are_not() {
    for number in [0, 1, u32::MAX] {
        let attempt = AttemptId::new(number);
        let path = JobLayout::attempt(attempt);
        assert_eq!(JobLayout::parse_attempt(path.file_name()), Some(attempt));
    }
    for name in ["1", "+000000001", "00000000001", "4294967296", "000000000x", "-000000001", ""] {
        assert_eq!(JobLayout::parse_attempt(name), None, "{name:?}");
    }
}

#[test]
fn an_sst_file_says_which_checkpoint_has_written_it() {
    let uid = OperatorUid::new("a-sst-7-41").unwrap();
    let (own, attempt) = (CheckpointId::new(42).unwrap(), AttemptId::new(7));
    let path = JobLayout::shared_sst_file(own, &uid, SubtaskIndex::new(3), attempt, 12);
    assert!(JobLayout::is_sst_file_of(&path, own, attempt));
    for (checkpoint, attempt) in [(41, 7), (43, 7), (2, 7), (42, 6), (42, 17)] {
        let checkpoint = CheckpointId::new(checkpoint).unwrap();
        assert!(!JobLayout::is_sst_file_of(&path, checkpoint, AttemptId::new(attempt)));
    }
    let keyed = JobLayout::shared_state_file(own, &uid, SubtaskIndex::new(3), attempt);
    assert!(!JobLayout::is_sst_file_of(&keyed, own, attempt));
    for other in ["chk-42/a-3-sst-7-42-12", "shared/a-3-sst-7-42", "shared/a-3-sst-7-42-x"] {
        let other = StoragePath::new(other).unwrap();
        assert!(!JobLayout::is_sst_file_of(&other, own, attempt), "{other}");
    }
}

#[test]
fn the_attempt_of_a_file_that_an_operator_owns_is_read_from_exact_names_only() {
    let attempt = |name| JobLayout::parse_task_owned_file(name).map(AttemptId::get);
    assert_eq!(attempt("3-7-12"), Some(7));
    for name in ["", "3-7", "3-7-", "-7-1", "3-7-12-1", "a-7-1", "3-4294967296-1", "3-+7-1"] {
        assert_eq!(attempt(name), None, "{name}");
    }
}
