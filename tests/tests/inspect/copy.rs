//! `alluvium copy`: everything that a checkpoint needs, or nothing.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{alluvium, cases, checkpoint_of, code, copied, name_of, stdout};
use alluvium::core::MaxParallelism;
use alluvium::inspect::{Checkpoint, Progress, Rewrite, copy, rewrite};
use alluvium_tests::golden::{self, files};
use alluvium_tests::stderr;

fn location_of(json: &str) -> String {
    let (_, rest) = json.split_once("\"location\": \"file:").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

#[test]
fn a_copy_of_every_golden_case_is_whole_and_the_same() {
    for case in cases() {
        let dir = tempfile::tempdir().unwrap();
        let (checkpoint, target) = (checkpoint_of(&case), dir.path().to_str().unwrap());
        let copy = location_of(&stdout(&["copy", &checkpoint, target, "--json"]));
        assert!(copy.starts_with(target), "{copy}");
        assert!(stdout(&["verify", &copy]).contains(": sound"), "{}", name_of(&case));
        let of = |dir: &Path| golden::find(dir).metadata;
        assert_eq!(of(dir.path()), of(&case));
        let needed = of(&case).files().collect::<std::collections::BTreeSet<_>>().len() + 1;
        assert_eq!(files(dir.path()).len(), needed, "{}", name_of(&case));
        // Once more there is nothing to do.
        let again = stdout(&["copy", &checkpoint, target, "--json"]);
        assert!(again.contains("\"files\": 0,"), "{again}");
        assert_eq!(location_of(&again), copy);
    }
}

#[test]
fn a_damaged_checkpoint_leaves_no_copy() {
    for case in cases().iter().filter(|case| name_of(case) != "heap-inlined") {
        let (dir, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        copied(case, dir.path());
        let found = golden::find(dir.path());
        let path = found.metadata.files().next().unwrap();
        let folder = if found.checkpoint.join(path.as_str()).exists() {
            found.checkpoint.clone()
        } else {
            found.checkpoint.parent().unwrap().to_owned()
        };
        let file = folder.join(path.as_str());
        let mut bytes = std::fs::read(&file).unwrap();
        let place = bytes.len() - 30;
        bytes[place] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let uri = found.checkpoint.to_str().unwrap();
        let output = alluvium(&["copy", uri, target.path().to_str().unwrap()]);
        assert!(!output.status.success(), "{}", name_of(case));
        assert!(stderr(&output).contains(path.file_name()), "{}", stderr(&output));
        assert_eq!(
            files(target.path()),
            [""; 0].map(std::path::PathBuf::from),
            "{}",
            name_of(case)
        );
    }
}

#[test]
fn the_folder_of_a_job_and_other_files_are_not_written_over() {
    let case = cases().into_iter().find(|case| name_of(case) == "heap-incremental").unwrap();
    let (checkpoint, dir) = (checkpoint_of(&case), tempfile::tempdir().unwrap());
    let target = dir.path().to_str().unwrap();
    let shared = dir.path().join("job/shared");
    std::fs::create_dir_all(&shared).unwrap();
    std::fs::write(shared.join("operator-0-keyed-3-1"), b"another").unwrap();
    let output = alluvium(&["copy", &checkpoint, target]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("is another file"), "{}", stderr(&output));
    assert_eq!(files(dir.path()), [shared.join("operator-0-keyed-3-1")]);
    std::fs::create_dir(dir.path().join("job/attempts")).unwrap();
    std::fs::write(dir.path().join("job/attempts/0000000001"), b"1\n").unwrap();
    let output = alluvium(&["copy", &checkpoint, target]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("a job has run in"), "{}", stderr(&output));
}

/// Counts what it hears.
#[derive(Default)]
struct Heard {
    expected: AtomicU64,
    advanced: AtomicU64,
    /// The most that was done of what was announced, in percent, at each step.
    steps: Mutex<Vec<u64>>,
}

impl Progress for Heard {
    fn expect(&self, len_bytes: u64) {
        self.expected.fetch_add(len_bytes, Ordering::SeqCst);
    }

    fn advance(&self, len_bytes: u64) {
        let done = self.advanced.fetch_add(len_bytes, Ordering::SeqCst) + len_bytes;
        let of = self.expected.load(Ordering::SeqCst).max(1);
        self.steps.lock().unwrap().push(done * 100 / of);
    }
}

impl Heard {
    fn totals(&self) -> (u64, u64) {
        (self.expected.load(Ordering::SeqCst), self.advanced.load(Ordering::SeqCst))
    }
}

/// What is copied is half of the work: the other half is to verify it, and a bar that is at its end during
/// all of that looks as if it hung.
#[test]
fn half_of_the_way_is_to_verify_what_was_written() {
    for case in cases() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint::open(&checkpoint_of(&case)).unwrap();
        let heard = Heard::default();
        let report = copy(&checkpoint, dir.path().to_str().unwrap(), &heard).unwrap();
        let files = report.bytes - checkpoint.metadata_len_bytes();
        assert_eq!(heard.totals(), (2 * files, 2 * files), "{}", name_of(&case));
        let steps = heard.steps.lock().unwrap();
        assert!(steps.iter().all(|step| *step <= 100), "{steps:?}");
        // Before the last file of the copy was verified there was something left.
        let copied = steps.len() / 2;
        assert!(files == 0 || steps[copied - 1] < 100, "{}: {steps:?}", name_of(&case));
    }
}

/// With other key groups everything is read, sorted and written, and verified.
#[test]
fn a_rewritten_savepoint_is_announced_as_a_whole() {
    let case = cases().into_iter().find(|case| name_of(case) == "heap-incremental").unwrap();
    let checkpoint = Checkpoint::open(&checkpoint_of(&case)).unwrap();
    let mut expected = Vec::new();
    for max in [4, 64] {
        let (dir, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let operator = checkpoint.metadata().operators[0].uid.clone();
        let drop = ["raw keyed", "alluvium.in-flight"].map(|name| (operator.clone(), name.into()));
        let plan = Rewrite {
            max_parallelism: Some(MaxParallelism::new(max).unwrap()),
            drop_states: drop.to_vec(),
            rename_uids: Vec::new(),
        };
        let scratch = alluvium::storage::open(scratch.path().to_str().unwrap()).unwrap();
        let heard = Heard::default();
        let target = dir.path().to_str().unwrap();
        rewrite(&checkpoint, target, &plan, &scratch, 1, &heard).unwrap();
        let (announced, done) = heard.totals();
        assert_eq!(announced, done, "{max}");
        expected.push(announced);
    }
    // Each byte is read and verified, and with other key groups sorted as well.
    assert_eq!(expected[1], expected[0] / 2 * 3, "{expected:?}");
}
