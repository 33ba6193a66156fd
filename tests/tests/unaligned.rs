//! `alluvium run --unaligned`: checkpoints of a job as fast as it goes hold records in flight, and a
//! killed job goes on from them at another parallelism exactly.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use alluvium_tests::{
    Killed, alluvium, committed_lines, expected_table, expected_updates, flights_file, run, stderr,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_alluvium-under-test");

fn arguments(dir: &Path, more: &[&str]) -> Vec<String> {
    let path = |name: &str| dir.join(name).display().to_string();
    let (input, output, root) = (flights_file().display().to_string(), path("out"), path("chk"));
    let all = ["run", "flights", "--quiet", "--restore", "latest", "--interval", "20ms"];
    let places = ["--input", &input, "--output", &output, "--checkpoints", &root];
    [&all[..], &places, more].concat().into_iter().map(str::to_owned).collect()
}

/// Whether a checkpoint that is there holds records in flight.
fn holds_records(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        // What is deleted meanwhile holds nothing.
        let bytes = || std::fs::read(&path).unwrap_or_default();
        let name = b"alluvium.in-flight";
        path.is_dir() && holds_records(&path)
            || path.is_file() && bytes().windows(name.len()).any(|window| window == name)
    })
}

#[test]
fn a_job_that_was_killed_goes_on_from_an_unaligned_checkpoint_exactly() {
    let dir = tempfile::tempdir().unwrap();
    for parallelism in ["2", "3"] {
        let more = ["--unaligned", "--rate", "150000", "--parallelism", parallelism];
        let all = arguments(dir.path(), &more);
        let mut command = alluvium(PROGRAM, &all.iter().map(String::as_str).collect::<Vec<_>>());
        let mut process =
            Killed(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        for _ in 0..1_000 {
            std::thread::sleep(Duration::from_millis(10));
            if holds_records(&dir.path().join("chk")) {
                break;
            }
        }
        assert!(process.0.try_wait().unwrap().is_none(), "it is killed before its end");
        assert!(holds_records(&dir.path().join("chk")), "a checkpoint has overtaken records");
    }
    let more = ["--unaligned", "--aligned-timeout", "5ms", "--parallelism", "1"];
    let all = arguments(dir.path(), &more);
    let ended = run(PROGRAM, &all.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(ended.status.success(), "{}", stderr(&ended));
    let table = std::fs::read_to_string(dir.path().join("out/table.csv")).unwrap();
    assert_eq!(table, expected_table());
    assert_eq!(committed_lines(&dir.path().join("out")), expected_updates());
}

#[test]
fn a_timeout_of_aligned_checkpoints_means_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let all = arguments(dir.path(), &["--aligned-timeout", "5ms"]);
    let refused = run(PROGRAM, &all.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--unaligned"), "{}", stderr(&refused));
}
