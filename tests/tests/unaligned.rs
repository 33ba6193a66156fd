//! `alluvium run --unaligned`: checkpoints of a job as fast as it goes hold records in flight, and a job
//! that begins from one of them, at another parallelism, ends exactly as it should.

use std::path::{Path, PathBuf};

use alluvium_tests::{
    committed_lines, expected_table, expected_updates, flights_file, run, stderr,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_alluvium-under-test");

fn flights(dir: &Path, more: &[&str]) -> std::process::Output {
    let path = |name: &str| dir.join(name).display().to_string();
    let (input, output, root) = (flights_file().display().to_string(), path("out"), path("chk"));
    let all = ["run", "flights", "--quiet", "--interval", "20ms", "--retain", "10000"];
    let places = ["--input", &input, "--output", &output, "--checkpoints", &root];
    run(PROGRAM, &[&all[..], &places, more].concat())
}

fn assert_exact(dir: &Path) {
    let table = std::fs::read_to_string(dir.join("out/table.csv")).unwrap();
    assert_eq!(table, expected_table());
    assert_eq!(committed_lines(&dir.join("out")), expected_updates());
}

/// The checkpoints that hold records in flight, by their names.
fn overtaking(root: &Path) -> Vec<PathBuf> {
    let holds = |file: std::io::Result<std::fs::DirEntry>| {
        let (bytes, name) = (std::fs::read(file.unwrap().path()).unwrap(), b"alluvium.in-flight");
        bytes.windows(name.len()).any(|window| window == name)
    };
    let dirs = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let checkpoints =
        dirs.filter(|dir| dir.file_name().unwrap().to_str().unwrap().starts_with("chk-"));
    let mut all: Vec<_> =
        checkpoints.filter(|dir| std::fs::read_dir(dir).unwrap().any(holds)).collect();
    all.sort();
    all
}

#[test]
fn a_job_goes_on_from_a_checkpoint_that_overtook_records_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let ended = flights(dir.path(), &["--unaligned", "--parallelism", "2"]);
    assert!(ended.status.success(), "{}", stderr(&ended));
    assert_exact(dir.path());
    let all = overtaking(&dir.path().join("chk/flights"));
    let middle = all.get(all.len() / 2).expect("checkpoints have overtaken records");
    let middle = middle.display().to_string();
    let more = ["--restore", &middle, "--parallelism", "3"];
    let more = [&more[..], &["--unaligned", "--aligned-timeout", "5ms"]].concat();
    let ended = flights(dir.path(), &more);
    assert!(ended.status.success(), "{}", stderr(&ended));
    assert_exact(dir.path());
}

#[test]
fn a_timeout_of_aligned_checkpoints_means_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let refused = flights(dir.path(), &["--aligned-timeout", "5ms"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--unaligned"), "{}", stderr(&refused));
}
