//! The same commands on S3: what they print there is what they print of local files.

use std::path::Path;
use std::sync::Arc;

use super::{alluvium, cases, checkpoint_of, code, name_of, stdout};
use alluvium::core::StoragePath;
use alluvium::storage::Storage;
use alluvium_tests::golden::content;
use alluvium_tests::stderr;

/// Where the server is, and how it is talked to.
fn query() -> String {
    let endpoint = std::env::var("ALLUVIUM_S3_ENDPOINT").expect("the server's address");
    format!("?endpoint={endpoint}&region=us-east-1&path_style=true")
}

/// A folder on the server, of its own for each test and run.
fn folder(name: &str) -> String {
    format!("s3://alluvium-test/inspect-{name}-{}", std::process::id())
}

/// What a command wrote, as a person would name it.
fn written(args: &[&str]) -> String {
    let json = stdout(&[args, &["--json"]].concat());
    let (_, rest) = json.split_once("\"location\": \"").unwrap();
    let location = rest.split_once('"').unwrap().0;
    assert!(location.starts_with("s3://alluvium-test/inspect-"), "{location}");
    location.to_owned() + &query()
}

fn rows(checkpoint: &str) -> Vec<String> {
    content::of_json(&stdout(&["cat", checkpoint]))
}

fn is_of_heap(case: &Path) -> bool {
    !name_of(case).starts_with("rocksdb")
}

#[test]
fn every_command_works_on_s3() {
    for case in cases().iter().filter(|case| is_of_heap(case)) {
        let set = case.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let (name, local) = (&format!("{set}-{}", name_of(case)), checkpoint_of(case));
        let root = folder(name) + &query();
        let copy = written(&["copy", &local, &root]);
        assert!(stdout(&["verify", &copy]).contains(": sound"), "{name}");
        assert_eq!(rows(&copy), rows(&local), "{name}");
        let states = |uri: &str| {
            let text = stdout(&["show", uri, "--states", "--key-groups", "--json"]);
            let (_, operators) = text.split_once("\"operators\"").unwrap();
            operators.to_owned()
        };
        assert_eq!(states(&copy), states(&local), "{name}");
        let compared = stdout(&["diff", &local, &copy, "--json"]);
        let counts = |field: &str| -> Vec<u64> {
            let name = format!("\"{field}\": ");
            let mut texts = compared.split(&name);
            texts.next();
            texts.map(|text| text.split([',', '\n']).next().unwrap().parse().unwrap()).collect()
        };
        for field in ["added", "removed", "changed"] {
            assert!(counts(field).iter().all(|count| *count == 0), "{name}: {compared}");
        }
        assert!(counts("unchanged").iter().sum::<u64>() > 10, "{name}: {compared}");
        // And back to local files.
        let dir = tempfile::tempdir().unwrap();
        stdout(&["copy", &copy, dir.path().to_str().unwrap()]);
        let back = alluvium_tests::golden::find(dir.path()).checkpoint.display().to_string();
        assert_eq!(rows(&back), rows(&local), "{name}");
        let without_raw =
            ["--drop-state", "operator/raw keyed", "--drop-state", "operator/alluvium.in-flight"];
        let target = folder(&format!("{name}-rewritten")) + &query();
        let other = ["rewrite", &copy, &target, "--max-parallelism", "12"];
        let savepoint = written(&[other.as_slice(), &without_raw].concat());
        assert!(rows(&savepoint).len() > 10, "{name}");
        assert!(stdout(&["verify", &savepoint]).contains(": sound"), "{name}");
    }
}

/// Nobody but a person knows whether a job runs on a storage without locks.
#[test]
fn clean_up_on_s3_asks_whether_a_job_runs() {
    let case = cases().into_iter().find(|case| name_of(case) == "heap-incremental").unwrap();
    let root = folder("gc") + &query();
    written(&["copy", &checkpoint_of(&case), &root]);
    let job = folder("gc") + "/job";
    let storage: Arc<dyn Storage> = alluvium::storage::open(&(job + &query())).unwrap();
    let orphan = StoragePath::new("shared/operator-9-keyed-3-9").unwrap();
    storage.create(&orphan, b"left").unwrap();
    let refused = alluvium(&["gc", &root]);
    assert_ne!(code(&refused), 0);
    assert!(stderr(&refused).contains("--no-job-runs"), "{}", stderr(&refused));
    assert!(storage.read_all(&orphan).is_ok(), "nothing went");
    let text = stdout(&["gc", &root, "--no-job-runs"]);
    assert!(text.contains("removed 1 files"), "{text}");
    assert!(storage.read_all(&orphan).is_err(), "the orphan went");
    assert!(stdout(&["verify", &root]).contains(": sound"));
}
