//! The commands that ask a running job, as processes beside the process of the job.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use alluvium_tests::{
    Killed, alluvium, committed_lines, departures, expected_table, expected_updates, flights_file,
    run, stderr,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_alluvium-under-test");

/// A run of the flights job, and where it listens.
struct Job {
    process: Killed,
    url: String,
    lines: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

fn arguments(dir: &Path, more: &[&str]) -> Vec<String> {
    let path = |name: &str| dir.join(name).display().to_string();
    let input = flights_file().display().to_string();
    let (output, checkpoints) = (path("out"), path("chk"));
    let all =
        ["run", "flights", "--input", &input, "--output", &output, "--checkpoints", &checkpoints];
    all.iter().chain(more).map(|it| (*it).to_owned()).collect()
}

impl Job {
    /// Starts it slowly enough to be asked.
    fn start(dir: &Path, more: &[&str]) -> Self {
        let rate = (departures().flights.len() / 20).to_string();
        let common = ["--listen", "127.0.0.1:0", "--rate", &rate, "--interval", "10m"];
        let arguments = arguments(dir, &[&common, more].concat());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut process = Killed(alluvium(PROGRAM, &arguments).spawn().unwrap());
        let mut lines = BufReader::new(process.0.stderr.take().unwrap()).lines();
        let url =
            lines.find_map(|line| line.unwrap().strip_prefix("listening on ").map(str::to_owned));
        Self { process, url: url.expect("it listens"), lines }
    }

    /// Waits until its tasks run.
    fn wait_until_it_runs(&self) {
        for _ in 0..600 {
            if said(&ask(&["status", &self.url])).contains(" RUNNING ") {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the job does not run");
    }

    /// Its exit code and the rest of what it says on standard error.
    fn end(mut self) -> (i32, String) {
        let rest: Vec<String> = self.lines.map(|line| line.unwrap()).collect();
        (self.process.0.wait().unwrap().code().unwrap(), rest.join("\n"))
    }
}

fn ask(arguments: &[&str]) -> Output {
    run(PROGRAM, arguments)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn a_job_stopped_from_outside_goes_on_from_its_savepoint_exactly() {
    for (format, parallelism) in [("canonical", "3"), ("native", "1")] {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("sp").display().to_string();
        let job = Job::start(dir.path(), &["--parallelism", "2"]);
        job.wait_until_it_runs();
        let taken = ask(&["checkpoint", &job.url, "--full"]);
        assert_eq!((code(&taken), said(&taken).as_str()), (0, "checkpoint 1 complete"));
        let status = said(&ask(&["status", &job.url]));
        assert!(status.starts_with("flights RUNNING for "), "{status}");
        assert!(
            status.contains("1 completed, 0 in progress, 0 failed; the latest is 1, "),
            "{status}"
        );
        let savepoint = ask(&["savepoint", &job.url, "--target", &target]);
        assert!(said(&savepoint).starts_with("savepoint complete: "), "{}", stderr(&savepoint));

        let stopped = ask(&["stop", &job.url, "--target", &target, "--format", format]);
        let line = said(&stopped);
        let location = line.strip_prefix("savepoint complete: ");
        let location = location.unwrap_or_else(|| panic!("{}", stderr(&stopped)));
        let location = location.strip_suffix("; the job has ended").expect(&line);
        // Its locks are free by now, although the process may still be there.
        let table = std::fs::read_to_string(dir.path().join("out/table.csv")).unwrap();
        assert_ne!(table, expected_table(), "it was stopped in the middle");
        let resumed = arguments(
            dir.path(),
            &["--parallelism", parallelism, "--restore", location, "--quiet"],
        );
        let resumed = run(PROGRAM, &resumed.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(code(&resumed), 0, "{}", stderr(&resumed));
        let (code, rest) = job.end();
        assert_eq!(code, 0, "{rest}");
        let table = std::fs::read_to_string(dir.path().join("out/table.csv")).unwrap();
        assert_eq!(table, expected_table());
        assert_eq!(committed_lines(&dir.path().join("out")), expected_updates());
    }
}

#[test]
fn a_job_is_cancelled_from_outside() {
    let dir = tempfile::tempdir().unwrap();
    let job = Job::start(dir.path(), &["--log", "info"]);
    job.wait_until_it_runs();
    let triggered = ask(&["checkpoint", &job.url, "--detached"]);
    assert_eq!((code(&triggered), said(&triggered).starts_with("triggered ")), (0, true));
    let second = ask(&["checkpoint", &job.url]);
    assert_eq!(code(&second), 0, "{}", stderr(&second));
    let cancelled = ask(&["cancel", &job.url]);
    assert_eq!((code(&cancelled), said(&cancelled).as_str()), (0, "the job is cancelled"));
    let nobody = ask(&["status", &job.url]);
    assert_eq!(code(&nobody), 4, "{}", stderr(&nobody));
    assert!(stderr(&nobody).contains("no job answers at 127.0.0.1:"), "{}", stderr(&nobody));
    let (code, rest) = job.end();
    assert_eq!(code, 1, "{rest}");
    assert!(rest.contains("error: the job was cancelled"), "{rest}");
    assert!(rest.contains("the checkpoint is complete"), "the log: {rest}");
}

#[test]
fn what_cannot_be_has_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let job = Job::start(dir.path(), &[]);
    job.wait_until_it_runs();
    std::fs::write(dir.path().join("file"), "no folder").unwrap();
    let file = dir.path().join("file/below").display().to_string();
    let refused = ask(&["savepoint", &job.url, "--target", &file]);
    assert_eq!(code(&refused), 2, "{}", stderr(&refused));
    assert!(stderr(&refused).contains("file/below"), "{}", stderr(&refused));
    let other = ask(&["status", &format!("{}/jobs/other", job.url)]);
    assert_eq!(code(&other), 2, "{}", stderr(&other));
    assert!(stderr(&other).contains("no job other runs here"), "{}", stderr(&other));
    let url = ask(&["stop", "https://127.0.0.1:1", "--target", &file]);
    assert_eq!(code(&url), 2, "{}", stderr(&url));

    // Another job cannot have the address, and does not start.
    let taken = job.url.strip_prefix("http://").unwrap();
    let second = tempfile::tempdir().unwrap();
    let second_run = arguments(second.path(), &["--listen", taken]);
    let second_run = run(PROGRAM, &second_run.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code(&second_run), 4, "{}", stderr(&second_run));
    assert!(stderr(&second_run).contains("cannot listen on 127.0.0.1:"), "{}", stderr(&second_run));
    assert!(!second.path().join("out").exists(), "nothing was begun");
}

#[test]
fn an_address_that_others_can_reach_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("words");
    std::fs::write(&input, "sand silt sand\n").unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (input, output) = (input.display().to_string(), path("out"));
    let arguments = ["run", "wordcount", "--input", &input, "--output", &output];
    let more = ["--backend", "memory", "--listen", "0.0.0.0:0"];
    let ran = run(PROGRAM, &[&arguments[..], &more].concat());
    assert_eq!(code(&ran), 0, "{}", stderr(&ran));
    assert!(stderr(&ran).contains("there is no authentication"), "{}", stderr(&ran));
}
