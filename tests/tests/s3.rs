//! A job whose checkpoints lie on S3: killed, resumed at another parallelism, and fenced.
#![cfg(feature = "s3-server-tests")]

use std::process::Stdio;
use std::time::{Duration, Instant};

use alluvium::core::StoragePath;
use alluvium_tests::{
    Killed, alluvium, committed_lines, expected_table, expected_updates, run, stderr,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_alluvium-under-test");

/// A checkpoint root on the server, of its own for each test and run.
fn root(name: &str) -> String {
    let endpoint = std::env::var("ALLUVIUM_S3_ENDPOINT").expect("the server's address");
    let unique = std::process::id();
    format!(
        "s3://alluvium-test/{name}-{unique}?endpoint={endpoint}&region=us-east-1&path_style=true"
    )
}

fn job<'a>(input: &'a str, output: &'a str, root: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = [
        ["run", "flights", "--quiet", "--interval", "300ms", "--restore", "latest"].as_slice(),
        &["--input", input, "--output", output, "--checkpoints", root],
        more,
    ];
    args.concat()
}

fn complete(root: &str) -> usize {
    let text = String::from_utf8(run(PROGRAM, &["list", root]).stdout).unwrap();
    text.lines().filter(|line| line.contains("complete ")).count()
}

fn wait_for_checkpoint(root: &str, already: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while complete(root) <= already {
        assert!(Instant::now() < deadline, "no checkpoint on the server");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_killed_job_resumes_from_s3_with_the_exact_result() {
    let root = root("kill");
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().display().to_string();
    let input = alluvium_tests::flights_file().display().to_string();
    for (parallelism, already) in [("2", 0), ("3", 1)] {
        let more = ["--parallelism", parallelism, "--rate", "40000", "--retain", "9"];
        let args = job(&input, &output, &root, &more);
        let process =
            alluvium(PROGRAM, &args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let process = Killed(process);
        wait_for_checkpoint(&root, already);
        drop(process);
    }
    let end = run(PROGRAM, &job(&input, &output, &root, &["--parallelism", "1"]));
    assert!(end.status.success(), "{}", stderr(&end));
    let table = std::fs::read_to_string(dir.path().join("table.csv")).unwrap();
    assert!(table == expected_table(), "the table differs");
    assert!(committed_lines(dir.path()) == expected_updates(), "the committed lines differ");
}

/// Everything that the sink has committed to a storage, sorted, and the table.
fn results(uri: &str) -> (Vec<String>, String) {
    let storage = alluvium::storage::open(uri).unwrap();
    let updates = StoragePath::new("updates").unwrap();
    let text =
        |path: &StoragePath| String::from_utf8(storage.read_all(path).unwrap().to_vec()).unwrap();
    let mut lines = Vec::new();
    for entry in storage.list(Some(&updates)).unwrap() {
        if entry.name.starts_with("part-") {
            let part = text(&updates.join(&entry.name).unwrap());
            lines.extend(part.lines().map(str::to_owned));
        }
    }
    lines.sort_unstable();
    (lines, text(&StoragePath::new("table.csv").unwrap()))
}

/// Object stores have no locks: the newer run wins, the older one stops, and the output, on S3 as
/// well, is exact.
#[test]
fn a_second_run_takes_over_and_the_first_one_stops() {
    let (root, output) = (root("fence"), root("fence-output"));
    let input = alluvium_tests::flights_file().display().to_string();
    let args = job(&input, &output, &root, &["--rate", "20000", "--retain", "9"]);
    let first = alluvium(PROGRAM, &args).stdout(Stdio::null()).spawn().unwrap();
    let mut first = Killed(first);
    wait_for_checkpoint(&root, 0);
    let args = job(&input, &output, &root, &["--parallelism", "2", "--retain", "9"]);
    let second = run(PROGRAM, &args);
    assert!(second.status.success(), "{}", stderr(&second));
    let status = first.0.wait().unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(first.0.stderr.as_mut().unwrap(), &mut text).unwrap();
    assert_eq!(status.code(), Some(5), "the first run is fenced: {text}");
    assert!(text.contains("was replaced by attempt"), "{text}");
    let (lines, table) = results(&output);
    assert!(table == expected_table(), "the table differs");
    assert!(lines == expected_updates(), "the committed lines differ");
}
