//! A reader in another language, written from SPEC.md alone, reads what the job wrote: every
//! checksum, every key group, and the values of every state.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use alluvium_tests::{departures, run, stderr, top};

const PROGRAM: &str = env!("CARGO_BIN_EXE_alluvium-under-test");

fn reader(args: &[&str]) -> Output {
    let script = top().join("tests/spec_reader/read_checkpoint.py");
    Command::new("python3").arg(script).args(args).output().expect("python3 runs")
}

fn finished_job(dir: &Path) -> String {
    let path = |name: &str| dir.join(name).display().to_string();
    let input = alluvium_tests::flights_file().display().to_string();
    let (output, checkpoints) = (path("output"), path("checkpoints"));
    let args =
        ["run", "flights", "--quiet", "--parallelism", "3", "--retain", "1", "--interval", "200ms"];
    let more = ["--input", &input, "--output", &output, "--checkpoints", &checkpoints];
    let done = run(PROGRAM, &[args.as_slice(), &more].concat());
    assert!(done.status.success(), "{}", stderr(&done));
    let latest = reader(&["--latest", &path("checkpoints/flights")]);
    assert!(latest.status.success(), "{}", stderr(&latest));
    String::from_utf8(latest.stdout).unwrap().trim().to_owned()
}

/// The text of a field that holds a number or a plain string, in one line of JSON.
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let start = line.find(&format!("\"{name}\": ")).unwrap_or_else(|| panic!("{name}: {line}"));
    let value = &line[start + name.len() + 4..];
    let end = value.find([',', '}']).unwrap();
    value[..end].trim_matches('"')
}

#[test]
fn the_values_of_a_finished_job() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = finished_job(dir.path());
    let verified = reader(&["--verify", &checkpoint]);
    assert!(verified.status.success(), "{}", stderr(&verified));
    let dump = reader(&[&checkpoint]);
    assert!(dump.status.success(), "{}", stderr(&dump));
    let text = String::from_utf8(dump.stdout).unwrap();
    let mut expected = BTreeMap::<&str, (u64, u64)>::new();
    let departures = departures();
    for flight in &departures.flights {
        let (flights, miles) = expected.entry(&flight.tailnum).or_default();
        *flights += 1;
        *miles += flight.distance;
    }
    let values = |state: &str| -> BTreeMap<String, u64> {
        let wanted = format!("\"state\": \"{state}\"");
        let lines = text.lines().filter(|line| line.contains(&wanted));
        lines
            .map(|line| (field(line, "key").to_owned(), field(line, "value").parse().unwrap()))
            .collect()
    };
    let part = |pick: fn(&(u64, u64)) -> u64| -> BTreeMap<String, u64> {
        expected.iter().map(|(key, both)| ((*key).to_owned(), pick(both))).collect()
    };
    assert_eq!(values("flights"), part(|both| both.0));
    assert_eq!(values("total_distance"), part(|both| both.1));
    for state in ["last_dest", "dest_counts"] {
        let wanted = format!("\"state\": \"{state}\"");
        let count = text.lines().filter(|line| line.contains(&wanted)).count();
        assert_eq!(count, expected.len(), "{state}");
    }
}

#[test]
fn a_flipped_byte_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = finished_job(dir.path());
    let shared = Path::new(&checkpoint).with_file_name("shared");
    let number = checkpoint.rsplit_once("chk-").unwrap().1;
    let own = format!("-{number}");
    let mut cases = 0;
    let files = [Path::new(&checkpoint), &shared].map(|dir| std::fs::read_dir(dir).unwrap());
    for entry in files.into_iter().flatten() {
        let file = entry.unwrap().path();
        let whole = std::fs::read(&file).unwrap();
        // Of a stream of an earlier checkpoint, the end and the blocks in use are looked at.
        let is_earlier = file.starts_with(&shared) && !file.to_str().unwrap().ends_with(&own);
        let places = [whole.len() - 2, whole.len() / 2, 9];
        for place in places.into_iter().take(if is_earlier { 1 } else { 3 }) {
            let mut damaged = whole.clone();
            damaged[place] ^= 4;
            std::fs::write(&file, damaged).unwrap();
            assert_eq!(reader(&["--verify", &checkpoint]).status.code(), Some(1), "{place}");
            cases += 1;
        }
        std::fs::write(&file, whole).unwrap();
    }
    assert!(cases >= 6, "{cases}");
    assert!(reader(&["--verify", &checkpoint]).status.success());
}

#[test]
fn its_own_tests_pass() {
    let done = Command::new("python3")
        .args(["-m", "unittest", "discover", "-s", "tests/spec_reader"])
        .current_dir(top())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("python3 runs");
    assert!(done.status.success(), "{}", stderr(&done));
}

/// The table that a script with no code in common with the crates computes.
#[test]
fn the_oracle_agrees_with_the_table_computed_here() {
    let stated = std::fs::read_to_string(top().join("tests/oracle/flights_table.sha256")).unwrap();
    let stated: BTreeMap<&str, &str> =
        stated.lines().filter_map(|line| line.split_once(' ')).collect();
    let table = alluvium_tests::expected_table();
    assert_eq!(stated["rows"], (table.lines().count() - 1).to_string());
    assert_eq!(stated["skipped"], departures().skipped.to_string());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("table.csv");
    std::fs::write(&path, table).unwrap();
    let hash =
        "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())";
    let found = Command::new("python3").args(["-c", hash]).arg(&path).output().unwrap();
    assert_eq!(String::from_utf8(found.stdout).unwrap().trim(), stated["sha256"]);
}
