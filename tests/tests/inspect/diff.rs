//! `alluvium diff`.

use super::{alluvium, cases, checkpoint_of, code, name_of, stdout};
use alluvium_tests::stderr;

fn of(name: &str) -> String {
    let case = cases().into_iter().find(|case| name_of(case) == name).unwrap();
    checkpoint_of(&case)
}

/// The four numbers of each state, by its name.
fn rows(text: &str) -> Vec<(String, [u64; 4])> {
    let rows = text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let numbers: Vec<u64> =
            fields.iter().rev().skip(1).take(4).map_while(|it| it.parse().ok()).collect();
        let [unchanged, changed, removed, added] = numbers.try_into().ok()?;
        Some((line[21..41].trim().to_owned(), [added, removed, changed, unchanged]))
    });
    rows.collect()
}

#[test]
fn a_checkpoint_does_not_differ_from_itself_or_from_its_copy() {
    for name in ["heap-incremental", "heap-inlined", "nested-canonical-savepoint"] {
        let dir = tempfile::tempdir().unwrap();
        stdout(&["copy", &of(name), dir.path().to_str().unwrap()]);
        let copy = alluvium_tests::golden::find(dir.path()).checkpoint.display().to_string();
        for other in [of(name), copy] {
            let found = rows(&stdout(&["diff", &of(name), &other]));
            assert!(found.len() > 12, "{name}: {found:?}");
            for (state, [added, removed, changed, unchanged]) in found {
                assert_eq!((added, removed, changed), (0, 0, 0), "{name}: {state}");
                assert!(unchanged > 0, "{name}: {state}");
            }
        }
    }
}

/// The cases hold the same, whoever wrote them, in whichever blocks.
#[test]
fn what_two_backends_wrote_is_the_same() {
    let stable = ["heap-incremental", "heap-inlined", "heap-native-savepoint"];
    let flink = ["heap-flink-incremental", "nested-canonical-savepoint"];
    for (left, right) in [
        (stable[0], stable[1]),
        (stable[0], stable[2]),
        (flink[0], flink[1]),
        (stable[0], "rocksdb-canonical-savepoint"),
    ] {
        for (state, [added, removed, changed, _]) in rows(&stdout(&["diff", &of(left), &of(right)]))
        {
            assert_eq!((added, removed, changed), (0, 0, 0), "{left}, {right}: {state}");
        }
    }
}

#[test]
fn checkpoints_of_other_key_groups_are_refused() {
    let output = alluvium(&["diff", &of("heap-incremental"), &of("heap-flink-incremental")]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("the assigner of keys"), "{}", stderr(&output));
}
