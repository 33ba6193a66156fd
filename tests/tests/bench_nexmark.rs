//! `alluvium bench nexmark` as a process: what it prints holds together, and bad options are refused.

use alluvium_tests::{run, stderr};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_alluvium-under-test");

/// Few events in one round, unless something else is given.
fn bench(more: &[&str]) -> std::process::Output {
    let quick = ["bench", "nexmark", "--quick", "--quiet"];
    let events: &[&str] = if more.contains(&"--events") { &[] } else { &["--events", "4000"] };
    run(PROGRAM, &[&quick, events, more].concat())
}

/// The report of a run that went well.
#[track_caller]
fn report(more: &[&str]) -> Value {
    let output = bench(&[&["--json"], more].concat());
    assert!(output.status.success(), "{more:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn f64_of(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

/// What holds of the runs of one kind.
#[track_caller]
fn check(measured: &Value, events: f64, rounds: usize) {
    assert_eq!(list(&measured["rounds"]).len(), rounds);
    let middle = &measured["events_per_s"];
    let values = ["least", "median", "most"].map(|name| f64_of(&middle[name]));
    assert!(values.is_sorted() && values[0] > 0.0, "{values:?}");
    let mut per_s: Vec<f64> = Vec::new();
    for round in list(&measured["rounds"]) {
        per_s.push(events / f64_of(&round["seconds"]));
        if cfg!(target_os = "linux") {
            assert!(f64_of(&round["cpu_s"]) >= 0.0);
            assert!(f64_of(&round["peak_resident_bytes"]) > 1e6);
        }
    }
    per_s.sort_unstable_by(f64::total_cmp);
    assert!((per_s[0] / values[0] - 1.0).abs() < 1e-6, "{per_s:?}, {values:?}");
}

#[test]
fn every_query_on_every_backend_in_memory_has_the_plain_results() {
    let backends = ["heap", "heap-nested", "fs", "fs-nested"];
    let report = report(&["--backend", &backends.join(","), "--storage", "memory:nexmark"]);
    let queries = list(&report["queries"]);
    let names: Vec<&str> = queries.iter().map(|it| it["query"].as_str().unwrap()).collect();
    assert_eq!(names, ["q0", "q3", "q5", "q8", "q18"]);
    for query in queries {
        assert_eq!(query["events"], 4_000);
        assert!(f64_of(&query["results"]) > 0.0, "{query}");
        assert_eq!(query["digest"].as_str().unwrap().len(), 16);
        let of_backends = list(&query["backends"]);
        let names: Vec<&str> =
            of_backends.iter().map(|it| it["backend"].as_str().unwrap()).collect();
        assert_eq!(names, backends);
        for of_backend in of_backends {
            check(&of_backend["without"], 4_000.0, 1);
            check(&of_backend["with"], 4_000.0, 1);
            assert!(of_backend["without"]["checkpoints"].is_null());
            assert!(f64_of(&of_backend["ratio"]["median"]) > 0.0);
        }
    }
}

/// More events than are processed within many intervals.
#[test]
fn checkpoints_are_measured_and_a_folder_is_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine"), "stays").unwrap();
    let storage = dir.path().display().to_string();
    let options = ["--query", "q18", "--events", "100000", "--interval", "5ms", "--rounds", "2"];
    let report = report(&[&options[..], &["--storage", &storage]].concat());
    let of_backend = &report["queries"][0]["backends"][0];
    assert_eq!(of_backend["backend"], "fs");
    check(&of_backend["without"], 100_000.0, 2);
    check(&of_backend["with"], 100_000.0, 2);
    let checkpoints = &of_backend["with"]["checkpoints"];
    let rounds = list(&of_backend["with"]["rounds"]);
    let taken = rounds.iter().map(|round| list(&round["checkpoints"]).len() as f64).sum::<f64>();
    assert_eq!(f64_of(&checkpoints["count"]), taken);
    assert!(taken > 0.0);
    assert!(f64_of(&checkpoints["p50_ms"]) <= f64_of(&checkpoints["max_ms"]));
    assert!(f64_of(&checkpoints["max_new_bytes"]) > 1e4, "bids are kept: {checkpoints}");
    let names = std::fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["mine"]);
}

#[test]
fn results_follow_from_the_number_of_events_alone() {
    let of = |more: &[&str]| {
        let report = report(&[&["--no-checkpoints"], more].concat());
        let queries = list(&report["queries"]).iter();
        let results = queries.map(|it| (it["results"].clone(), it["digest"].clone()));
        results.collect::<Vec<_>>()
    };
    let one = of(&["--parallelism", "1"]);
    assert_eq!(one, of(&["--parallelism", "3", "--backend", "heap"]));
    let fewer = of(&["--events", "3999"]);
    for ((query, one), fewer) in ["q0", "q3", "q5", "q8", "q18"].iter().zip(&one).zip(&fewer) {
        // One event less changes these; of an auction less, or a bid, the others need not take notice.
        assert!(one != fewer || !matches!(*query, "q0" | "q18"), "{query}");
    }
}

#[test]
fn a_table_says_what_was_measured() {
    let output = bench(&["--query", "q8,q0", "--rounds", "2"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    for beginning in [
        "4,000 events for each query, parallelism 2, 128 key groups, rounds: 2",
        "exactly-once checkpoints every 10.0 ms to ",
        "q8: monitor new users; 4,000 persons and auctions",
        "q0: pass through; 4,000 events of all kinds",
        "one thread alone: generator ",
        "fs, without ",
        "fs, with ",
        "fs, with over without: ",
    ] {
        assert!(text.lines().any(|line| line.starts_with(beginning)), "{beginning}:\n{text}");
    }
    assert!(!text.contains("q3"), "{text}");
}

#[test]
fn bad_options_are_refused_by_name() {
    for (options, part) in [
        (["--events", "10"], "--events 10: 1000 to 1000000000"),
        (["--parallelism", "0"], "--parallelism 0: 1 to 128"),
        (["--interval", "0s"], "--interval 0ms: "),
        (["--rounds", "0"], "--rounds 0: "),
        (["--storage", "null"], "--storage null: "),
        (["--storage", "gopher://x"], "--storage: "),
    ] {
        let output = bench(&options);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {text}");
        assert_eq!(text.trim_end().lines().count(), 1, "one sentence: {text}");
        assert!(text.starts_with("error: ") && text.contains(part), "{options:?}: {text}");
    }
    for options in [["--query", "q4"], ["--backend", "tape"]] {
        let output = bench(&options);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(options[0]));
    }
}

#[cfg(feature = "rocksdb")]
#[test]
fn rocksdb_has_the_plain_results() {
    let dir = tempfile::tempdir().unwrap();
    let local = dir.path().join("local").display().to_string();
    let report = report(&["--backend", "rocksdb", "--local-dir", &local]);
    assert_eq!(list(&report["queries"]).len(), 5);
    for query in list(&report["queries"]) {
        check(&query["backends"][0]["with"], 4_000.0, 1);
    }
    let output = bench(&["--backend", "rocksdb", "--rocksdb-memory", "1MiB"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--rocksdb-memory 1048576: at least 4 MiB"));
}
