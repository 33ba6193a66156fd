//! The commands that look into checkpoints, on the golden files of every set and on what these tests
//! write themselves.

mod cat;
mod copy;
mod damaged;
mod diff;
mod gc;
mod hostile_text;
mod huge;
mod rewrite;
#[cfg(feature = "s3-server-tests")]
mod s3;
mod show;
mod verify;
mod world;

use std::path::{Path, PathBuf};
use std::process::Output;

use alluvium_tests::golden::{self, sets_dir};
use alluvium_tests::{run, stderr};

const PROGRAM: &str = env!("CARGO_BIN_EXE_alluvium-under-test");

/// The folders of all golden cases.
fn cases() -> Vec<PathBuf> {
    let folders = |dir: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    };
    let mut cases: Vec<_> = folders(&sets_dir()).iter().flat_map(|set| folders(set)).collect();
    cases.sort();
    assert!(cases.len() >= golden::CASES.len(), "{} cases", cases.len());
    cases
}

fn name_of(case: &Path) -> &str {
    case.file_name().unwrap().to_str().unwrap()
}

/// The checkpoint or savepoint of a case.
fn checkpoint_of(case: &Path) -> String {
    golden::find(case).checkpoint.display().to_string()
}

fn alluvium(args: &[&str]) -> Output {
    run(PROGRAM, args)
}

/// What a command prints that must succeed.
fn stdout(args: &[&str]) -> String {
    let output = alluvium(args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// Copies the folders of a case.
fn copied(case: &Path, to: &Path) {
    for file in golden::files(case).iter().filter(|file| !file.ends_with("content.txt")) {
        let path = to.join(file.strip_prefix(case).unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(file, path).unwrap();
    }
}
