//! `alluvium rewrite`: another max parallelism, other names, fewer states.

use super::world::World;
use super::{alluvium, cases, checkpoint_of, code, name_of, stdout};
use alluvium_tests::golden::content;
use alluvium_tests::stderr;

fn is_readable(name: &str) -> bool {
    cfg!(feature = "rocksdb") || !name.starts_with("rocksdb") || name.contains("canonical")
}

fn rewritten(checkpoint: &str, dir: &std::path::Path, args: &[&str]) -> String {
    let args = [&["rewrite", checkpoint, dir.to_str().unwrap(), "--json"], args].concat();
    let json = stdout(&args);
    let (_, rest) = json.split_once("\"location\": \"file:").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

fn rows(checkpoint: &str) -> Vec<String> {
    content::of_json(&stdout(&["cat", checkpoint]))
}

/// Raw keyed state cannot be given other key groups, so it is left out.
const WITHOUT_RAW: [&str; 4] =
    ["--drop-state", "operator/raw keyed", "--drop-state", "operator/alluvium.in-flight"];

#[test]
fn everything_is_still_there() {
    for case in cases().iter().filter(|case| is_readable(name_of(case))) {
        let (checkpoint, dir) = (checkpoint_of(case), tempfile::tempdir().unwrap());
        let (name, before) = (name_of(case), rows(&checkpoint));
        let same = rewritten(&checkpoint, dir.path(), &[]);
        assert_eq!(rows(&same), before, "{name}");
        let kept: Vec<_> = (before.iter())
            .filter(|line| {
                !line.contains("\traw keyed\t") && !line.contains("\talluvium.in-flight\t")
            })
            .cloned()
            .collect();
        assert!(kept.len() < before.len());
        for max in ["2", "3", "128", "129", "32768"] {
            let args = [&WITHOUT_RAW, ["--max-parallelism", max].as_slice()].concat();
            let savepoint = rewritten(&checkpoint, dir.path(), &args);
            assert_eq!(rows(&savepoint), kept, "{name} with {max} key groups");
            assert!(stdout(&["verify", &savepoint]).contains(": sound"), "{name}");
            // The reader in Python computes every key group itself.
            assert_eq!(content::by_python(savepoint.as_ref()), kept, "{name} by python");
            let shown = stdout(&["show", &savepoint, "--json"]);
            assert!(shown.contains(&format!("\"max_parallelism\": {max}")), "{shown}");
        }
        let left = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 6, "one folder for each savepoint");
    }
}

/// A job begins from a savepoint with other key groups, at another parallelism, and has what it had.
#[test]
fn a_job_begins_from_a_rewritten_savepoint() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let input = alluvium_tests::flights_file().display().to_string();
    let (output, checkpoints) = (path("output"), path("checkpoints"));
    let job = ["run", "flights", "--quiet", "--input", &input, "--output", &output];
    let run = |args: &[&str]| stdout(&[job.as_slice(), args].concat());
    run(&["--checkpoints", &checkpoints, "--parallelism", "2", "--retain", "1"]);
    let flights = dir.path().join("checkpoints/flights");
    let last = alluvium_tests::golden::find(&flights).checkpoint.display().to_string();
    let savepoint = rewritten(&last, dir.path(), &["--max-parallelism", "1000"]);
    let table = std::fs::read(dir.path().join("output/table.csv")).unwrap();
    std::fs::remove_file(dir.path().join("output/table.csv")).unwrap();
    let args = ["--checkpoints", &path("others"), "--parallelism", "3", "--restore", &savepoint];
    run(&[args.as_slice(), &["--max-parallelism", "1000"]].concat());
    assert!(std::fs::read(dir.path().join("output/table.csv")).unwrap() == table);
}

#[test]
fn a_uid_is_renamed_and_a_state_left_out() {
    let case = cases().into_iter().find(|case| name_of(case) == "heap-incremental").unwrap();
    let (checkpoint, dir) = (checkpoint_of(&case), tempfile::tempdir().unwrap());
    let args = ["--rename-uid", "operator=counter", "--drop-state", "operator/window"];
    let savepoint = rewritten(&checkpoint, dir.path(), &args);
    let text = stdout(&["cat", &savepoint]);
    assert!(text.lines().all(|line| line.contains("\"uid\": \"counter\"")));
    let kept: Vec<_> =
        rows(&checkpoint).into_iter().filter(|line| !line.contains("\twindow\t")).collect();
    assert_eq!(content::of_json(&text), kept);
    assert_eq!(content::by_python(savepoint.as_ref()), kept);
}

#[test]
fn what_cannot_be_done_is_refused_and_leaves_nothing() {
    let case = cases().into_iter().find(|case| name_of(case) == "heap-inlined").unwrap();
    let (checkpoint, dir) = (checkpoint_of(&case), tempfile::tempdir().unwrap());
    for (args, part) in [
        (["--max-parallelism", "8"], "raw keyed state cannot be given other key groups"),
        (["--max-parallelism", "0"], "0"),
        (["--max-parallelism", "1"], "parallelism"),
        (["--rename-uid", "nobody=x"], "there is operator"),
        (["--rename-uid", "operator"], "write OLD=NEW"),
        (["--drop-state", "operator/nothing"], "operator/window"),
        (["--drop-state", "window"], "write UID/STATE"),
    ] {
        let target = dir.path().join("target");
        let args =
            [&["rewrite", checkpoint.as_str(), target.to_str().unwrap()], args.as_slice()].concat();
        let output = alluvium(&args);
        assert_eq!(code(&output), 2, "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(part), "{args:?}: {}", stderr(&output));
        let left = std::fs::read_dir(&target).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{args:?}");
    }
}

/// 1. The streams of two subtasks do not agree in the codec of their keys, which SPEC 8.3 forbids;
/// 2. both have 8 bytes for a key, so each can be read as the other;
/// 3. whoever puts both into one stream by the word of the first has keys in it that nobody wrote, behind
///    checksums that are right.
#[test]
fn streams_that_do_not_agree_are_not_put_into_one() {
    for state in ["count", "other"] {
        let mut world = World::new();
        let first = world.keyed(("op", 0), Some("count"), 0..100, |it| it);
        let second = world.keyed(("op", 1), Some(state), 0..100, |it| -1 - it.cast_signed());
        world.operator("op", [first, second]);
        world.commit();
        let target = tempfile::tempdir().unwrap();
        let (uri, to) = (world.uri(1), target.path().to_str().unwrap());
        let output = alluvium(&["rewrite", &uri, to, "--max-parallelism", "64"]);
        assert_eq!(code(&output), 3, "{}", stderr(&output));
        for part in ["op-1-keyed-1", "codec of the keys", "i64"] {
            assert!(stderr(&output).contains(part), "{}", stderr(&output));
        }
        assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0);
    }
}
