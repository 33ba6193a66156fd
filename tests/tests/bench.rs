//! `alluvium bench checkpoint` as a process: what it prints holds together, and bad options are refused.

use std::path::Path;

use alluvium_tests::{run, stderr};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_alluvium-under-test");

/// Few keys unless they are given, a second of load, a checkpoint every 100 ms.
fn bench(more: &[&str]) -> std::process::Output {
    let quick = ["bench", "checkpoint", "--quick", "--quiet"];
    let keys: &[&str] = if more.contains(&"--keys") { &[] } else { &["--keys", "5000"] };
    run(PROGRAM, &[&quick, keys, more].concat())
}

/// The report of a run that went well.
#[track_caller]
fn report(more: &[&str]) -> Value {
    let output = bench(&[&["--json"], more].concat());
    assert!(output.status.success(), "{more:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn u64_of(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

fn f64_of(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn sum(checkpoints: &Value, field: &str) -> u64 {
    checkpoints.as_array().unwrap().iter().map(|checkpoint| u64_of(&checkpoint[field])).sum()
}

/// What holds of every report.
#[track_caller]
fn check(report: &Value, can_restore: bool) {
    let keys = u64_of(&report["settings"]["keys"]);
    let checked = &report["checked"];
    assert_eq!(u64_of(&checked["keys"]), keys);
    assert_eq!(checked["updates_done"], checked["updates_counted"]);
    let windows = ["before", "during", "after"].map(|part| &report["updates"][part]);
    let timed: u64 = windows.iter().map(|window| u64_of(&window["updates"])).sum();
    assert!(timed > 0 && timed < u64_of(&checked["updates_done"]), "the warm-up counts nowhere");
    let timeline = &report["timeline"];
    assert_eq!(sum(timeline, "updates"), u64_of(&checked["updates_done"]));
    for window in windows {
        let updates = u64_of(&window["updates"]);
        assert_eq!(window["updates_per_s"].is_null(), updates == 0);
        if updates > 0 {
            assert_eq!(u64_of(&window["update"]["count"]), updates);
            let per_s = updates as f64 / f64_of(&window["busy_s"]);
            assert!((f64_of(&window["updates_per_s"]) / per_s - 1.0).abs() < 1e-6);
            let worst = f64_of(&report["updates"]["worst_us"]);
            assert!(f64_of(&window["update"]["max_us"]) <= worst);
        }
    }

    let checkpoints = report["checkpoints"].as_array().unwrap();
    assert!(!checkpoints.is_empty());
    for spread in ["freeze", "asynchronous", "confirm"].map(|name| &report[name]) {
        assert_eq!(u64_of(&spread["count"]), checkpoints.len() as u64);
        let quantiles = ["p50_us", "p99_us", "max_us"].map(|name| f64_of(&spread[name]));
        assert!(quantiles.is_sorted() && quantiles[0] >= 0.0, "{quantiles:?}");
    }
    let per_interval = u64_of(&report["settings"]["keys_per_interval"]);
    for (checkpoint, number) in checkpoints.iter().zip(2..) {
        assert_eq!(u64_of(&checkpoint["number"]), number);
        assert!(u64_of(&checkpoint["changed_keys"]) <= per_interval);
        assert!(u64_of(&checkpoint["new_bytes"]) > 0);
        let begin_s = f64_of(&checkpoint["begin_s"]);
        assert!(begin_s >= f64_of(&report["settings"]["before_ends_s"]), "{begin_s}");
    }
    let first = &report["first"];
    assert_eq!(u64_of(&first["shared_bytes"]), 0, "there is nothing to refer to");

    for restored in ["restore", "rescale_out", "rescale_in"].map(|name| &report[name]) {
        assert_eq!(restored.is_null(), !can_restore);
        if can_restore {
            assert_eq!(u64_of(&restored["keys"]), keys);
            assert_eq!(restored["updates"], checked["updates_counted"]);
            assert_eq!(restored["digest"], checked["digest"]);
            let [read, loaded] =
                ["first_read", "loaded"].map(|name| f64_of(&restored[name]["median_ms"]));
            assert!(read > 0.0 && read <= loaded, "{read}, {loaded}");
        }
    }
    for limit in ["memory_copy", "crc32", "zstd", "write_sync_first", "write_sync_median"] {
        let limit = &report["limits"][limit];
        let [most, least] = ["bytes_per_s", "slowest_bytes_per_s"].map(|name| f64_of(&limit[name]));
        assert!(least > 0.0 && least <= most);
    }
    let reached = &report["shares"]["first_checkpoint"];
    let share =
        f64_of(&reached["bytes_per_s"]) / f64_of(&report["limits"]["memory_copy"]["bytes_per_s"]);
    assert!((f64_of(&reached["of_memory_copy"]) / share - 1.0).abs() < 1e-6);
    if cfg!(target_os = "linux") {
        let memory = &report["memory"];
        let values = keys as f64 * f64_of(&report["settings"]["value_bytes"]);
        let grown = f64_of(&memory["after_bytes"]) - f64_of(&memory["before_bytes"]);
        assert!((f64_of(&memory["bytes_per_entry"]) - grown / keys as f64).abs() < 1e-6);
        // In memory, or in memtables: the values at least.
        assert!(grown >= values * 0.9, "{grown} bytes for {values} of values");
    }
}

#[test]
fn every_backend_in_memory_is_measured_and_restored_exactly() {
    for backend in ["heap", "heap-nested", "fs", "fs-nested"] {
        let report = report(&["--backend", backend, "--storage", "memory:bench"]);
        check(&report, true);
        assert_eq!(report["settings"]["backend"], backend);
        assert!(report["shares"]["first_checkpoint"]["of_write_sync"].is_null());
        if backend.ends_with("nested") {
            assert_eq!(sum(&report["checkpoints"], "shared_bytes"), 0, "it writes everything");
        }
    }
}

#[test]
fn a_folder_is_left_as_it_was_and_is_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine"), "stays").unwrap();
    let report = report(&["--storage", &dir.path().display().to_string()]);
    check(&report, true);
    assert_eq!(names(dir.path()), ["mine"]);
    assert_eq!(report["limits"]["written_to_target"], true);
    let shares = &report["shares"];
    assert!(f64_of(&shares["first_checkpoint"]["of_write_sync"]) > 0.0);
    assert!(f64_of(&shares["checkpoints"]["of_write_sync"]) > 0.0);
    let first = u64_of(&report["first"]["new_bytes"]);
    assert_eq!(u64_of(&report["limits"]["write_sync_first"]["measured_bytes"]), first);
}

#[test]
fn the_null_sink_keeps_nothing_and_restores_nothing() {
    let report = report(&["--storage", "null"]);
    check(&report, false);
    assert_eq!(report["settings"]["storage"], "null");
    assert_eq!(report["limits"]["written_to_target"], false);
}

#[test]
fn fewer_changes_are_fewer_new_bytes_and_more_shared_ones() {
    let run = |rate| report(&["--storage", "null", "--change-rate", rate, "--keys", "20000"]);
    let (few, all) = (run("0.01"), run("1"));
    let [few_keys, all_keys] = [&few, &all].map(|it| sum(&it["checkpoints"], "changed_keys"));
    let [few_count, all_count] =
        [&few, &all].map(|it| it["checkpoints"].as_array().unwrap().len() as u64);
    assert!(few_keys / few_count <= 200, "{few_keys} in {few_count}");
    assert!(all_keys / all_count > 1_000, "{all_keys} in {all_count}");
    let [few_new, all_new] = [&few, &all].map(|it| sum(&it["checkpoints"], "new_bytes"));
    assert!(few_new / few_count < all_new / all_count / 2, "{few_new}, {all_new}");
    let share = |report: &Value| {
        let [new, shared] =
            ["new_bytes", "shared_bytes"].map(|of| sum(&report["checkpoints"], of) as f64);
        shared / (new + shared)
    };
    assert!(share(&few) > share(&all) && share(&few) > 0.7, "{}, {}", share(&few), share(&all));
    let full = report(&["--storage", "null", "--snapshots", "full"]);
    assert_eq!(sum(&full["checkpoints"], "shared_bytes"), 0);
}

#[test]
fn skew_makes_fewer_keys_change() {
    let changed = |skew| {
        let report = report(&["--storage", "null", "--skew", skew, "--change-rate", "1"]);
        check(&report, false);
        let count = report["checkpoints"].as_array().unwrap().len() as u64;
        sum(&report["checkpoints"], "changed_keys") / count
    };
    let (uniform, skewed) = (changed("0"), changed("3"));
    assert!(skewed < uniform / 2, "{skewed} of {uniform}");
}

#[test]
fn tables_and_a_picture_say_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let plot = dir.path().join("out.svg");
    let output = bench(&["--plot", &plot.display().to_string(), "--value-size", "250"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    for beginning in [
        "backend fs: 5,000 keys with values of 250 B",
        "freeze  ",
        "asynchronous part",
        "new bytes",
        "shared bytes",
        "before checkpoints",
        "during one",
        "after one",
        "worst operation",
        "rescale 1 to 2",
        "rescale 2 to 1",
        "memory per entry",
        "memory copy",
        "crc32",
        "zstd",
    ] {
        assert!(text.lines().any(|line| line.starts_with(beginning)), "{beginning}:\n{text}");
    }
    let svg = std::fs::read_to_string(plot).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    assert_eq!(svg.matches("<text ").count(), svg.matches("</text>").count());
    for label in ["Throughput", "How long it took", "Bytes of each checkpoint", "First checkpoint"]
    {
        assert!(svg.contains(label), "{label}");
    }
    assert!(svg.contains("backend fs: 5,000 keys with values of 250 B"));
}

#[test]
fn bad_options_are_refused_by_name() {
    for (options, part) in [
        (["--keys", "10"], "--keys 10: 1000 to 1000000000"),
        (["--value-size", "4"], "--value-size 4: 8 to"),
        (["--change-rate", "0"], "--change-rate 0: "),
        (["--change-rate", "1.5"], "--change-rate 1.5: "),
        (["--skew", "-1"], "--skew -1: "),
        (["--interval", "0s"], "--interval 0ms: "),
        (["--interval", "5s"], "--interval 5000ms: the 700ms"),
        (["--duration", "2days"], "--duration "),
        (["--storage", "gopher://x"], "--storage: "),
        (["--compression", "zstd"], "--compression zstd: the backend fs"),
        (["--plot", "/no/such/folder/out.svg"], "--plot /no/such/folder/out.svg"),
    ] {
        let output = bench(&options);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {text}");
        assert_eq!(text.trim_end().lines().count(), 1, "one sentence: {text}");
        assert!(text.starts_with("error: ") && text.contains(part), "{options:?}: {text}");
    }
    let output = bench(&["--backend", "tape"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--backend"));
}

#[cfg(feature = "rocksdb")]
#[test]
fn rocksdb_is_measured_and_restored_exactly_with_each_compression() {
    let dir = tempfile::tempdir().unwrap();
    let storage = dir.path().join("chk").display().to_string();
    let local = dir.path().join("local").display().to_string();
    let new_bytes = ["none", "lz4", "zstd"].map(|compression| {
        let common = ["--backend", "rocksdb", "--storage", &storage, "--local-dir", &local];
        let report = report(&[&common, &["--compression", compression][..]].concat());
        check(&report, true);
        assert_eq!(report["settings"]["compression"], compression);
        assert!(sum(&report["checkpoints"], "shared_bytes") > 0);
        let reached = &report["shares"]["first_checkpoint"];
        assert_eq!(reached["of_zstd"].is_null(), compression != "zstd");
        u64_of(&report["first"]["new_bytes"])
    });
    let [none, lz4, zstd] = new_bytes;
    assert!(lz4 < none / 4 * 3 && zstd < lz4, "{new_bytes:?}");
    assert_eq!(names(&dir.path().join("chk")), Vec::<String>::new());
    let output = bench(&["--backend", "rocksdb", "--rocksdb-memory", "1MiB"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--rocksdb-memory 1048576: at least 4 MiB"));
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned()).collect()
}
