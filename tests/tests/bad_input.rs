//! Bad input to the command: each gets one sentence that names the thing and a non-zero exit, and
//! nothing that was stored is lost.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use alluvium_tests::{Killed, alluvium, run, stderr};

const PROGRAM: &str = env!("CARGO_BIN_EXE_alluvium-under-test");

/// A folder with a small text, its word counts, and a finished job with three checkpoints.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        let text: String = (0..4_000).map(|i| format!("word{} the {}\n", i % 997, i % 7)).collect();
        std::fs::write(world.path("text"), text).unwrap();
        world
    }

    /// A job that was run to its end, with several checkpoints.
    fn with_checkpoints() -> Self {
        let world = Self::new();
        let done = world.run(&["--rate", "30000", "--interval", "50ms", "--retain", "3"]);
        assert!(done.status.success(), "{}", stderr(&done));
        assert_eq!(world.complete().len(), 3);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn args(&self, more: &[&str]) -> Vec<String> {
        let mut args: Vec<String> = ["run", "wordcount", "--quiet"].map(str::to_owned).to_vec();
        let defaults = [
            ("--input", self.text("text")),
            ("--output", self.text("output")),
            ("--checkpoints", self.text("checkpoints")),
        ];
        for (name, value) in defaults {
            if !more.contains(&name) {
                args.extend([name.to_owned(), value]);
            }
        }
        args.extend(more.iter().map(|&arg| arg.to_owned()));
        args
    }

    fn run(&self, more: &[&str]) -> std::process::Output {
        let args = self.args(more);
        run(PROGRAM, &args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Runs, and expects one sentence with all of these parts and an exit code.
    #[track_caller]
    fn refused(&self, more: &[&str], code: i32, parts: &[&str]) {
        let output = self.run(more);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{more:?}: {text}");
        assert_eq!(text.trim_end().lines().count(), 1, "one sentence: {text}");
        assert!(text.starts_with("error: "), "{text}");
        for part in parts {
            assert!(text.contains(part), "{more:?}: no {part:?} in: {text}");
        }
    }

    fn job_dir(&self) -> PathBuf {
        self.path("checkpoints/wordcount")
    }

    /// Folders of complete checkpoints, by number.
    fn complete(&self) -> Vec<PathBuf> {
        let mut found: Vec<(u64, PathBuf)> = std::fs::read_dir(self.job_dir())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.join("_metadata").exists())
            .map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap();
                (name.strip_prefix("chk-").unwrap().parse().unwrap(), path.clone())
            })
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, path)| path).collect()
    }

    fn table(&self) -> String {
        std::fs::read_to_string(self.path("output/table.csv")).unwrap()
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn inputs_that_cannot_be_read() {
    let world = World::new();
    world.refused(&["--input", "/no/such/file"], 3, &["/no/such/file", "No such file"]);
    let dir = world.dir.path().display().to_string();
    world.refused(&["--input", &dir], 3, &[&dir, "directory"]);
    std::fs::write(world.path("binary"), [b"good line\nbad ".as_slice(), &[0xff, 0xfe]].concat())
        .unwrap();
    let binary = world.text("binary");
    world.refused(&["--input", &binary], 1, &["binary", "is not UTF-8 at byte 14"]);
    std::fs::write(world.path("cut.gz"), [0x1f, 0x8b, 8, 0]).unwrap();
    world.refused(&["--input", &world.text("cut.gz")], 1, &["cut.gz"]);
    assert!(!world.path("output/table.csv").exists());
}

#[test]
fn flights_that_are_no_flights() {
    let world = World::new();
    let args = |input: &str| {
        let mut args = world.args(&["--input", input]);
        args[1] = "flights".to_owned();
        args
    };
    let refused = |name: &str, content: &str, part: &str| {
        std::fs::write(world.path(name), content).unwrap();
        let args = args(&world.text(name));
        let output = run(PROGRAM, &args.iter().map(String::as_str).collect::<Vec<_>>());
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains(name) && text.contains(part), "{text}");
    };
    refused("other.csv", "a,b\n1,2\n", "has no column \"year\"");
    let header = "year,month,day,sched_dep_time,tailnum,dest,distance,dep_delay\n";
    refused(
        "word.csv",
        &format!("{header}2013,1,1,600,N1,IAH,far,2\n"),
        "\"far\" as distance on line 2",
    );
    refused("short.csv", &format!("{header}2013,1\n"), "line 2");
}

#[test]
fn options_outside_their_domain() {
    let world = World::new();
    world.refused(&["--parallelism", "0"], 2, &["parallelism 0 is outside 1..="]);
    let above = ["--parallelism", "9", "--max-parallelism", "8"];
    world.refused(&above, 2, &["parallelism 9 is outside 1..=8 (max parallelism)"]);
    world.refused(&["--max-parallelism", "40000"], 2, &["40000 is outside 1..=32768"]);
    world.refused(&["--checkpoints", "ftp://host/x"], 2, &["ftp://host/x"]);
    world.refused(&["--checkpoints", "s3://"], 2, &["s3://"]);
    world.refused(&["--restore", "yesterday"], 2, &["--restore yesterday"]);
    world.refused(&["--job", "a/b"], 2, &["job id \"a/b\""]);
    world.refused(&["--rate", "0"], 2, &["--rate 0"]);
    world.refused(&["--retain", "0"], 2, &["retain"]);
    let usage = run(PROGRAM, &["run", "wordcount", "--restart", "sometimes"]);
    assert_eq!(usage.status.code(), Some(2));
    assert!(stderr(&usage).contains("fixed-delay"), "{}", stderr(&usage));
}

#[test]
fn folders_that_cannot_be_written() {
    let world = World::new();
    let file = world.text("text");
    world.refused(&["--checkpoints", &file], 2, &[&file]);
    world.refused(&["--output", &file], 2, &[&file]);
    world.refused(&["--output", "/proc/alluvium"], 4, &["/proc/alluvium"]);
    world.refused(&["--checkpoints", "/proc/alluvium"], 4, &["/proc/alluvium"]);
}

#[test]
fn checkpoints_that_do_not_fit_the_job() {
    let world = World::with_checkpoints();
    let before = world.table();
    let newest = world.complete().pop().unwrap().display().to_string();
    let other = ["--job", "other", "--restore", &newest];
    world.refused(&other, 2, &["job other expected, wordcount found"]);
    let changed = ["--restore", "latest", "--max-parallelism", "64"];
    world.refused(&changed, 2, &["max parallelism 128", "64"]);
    let missing = world.job_dir().join("chk-999").display().to_string();
    world.refused(&["--restore", &missing], 2, &["chk-999", "no _metadata"]);
    let moved = ["--restore", "latest", "--input", "/dev/null"];
    world.refused(&moved, 1, &["was", "when the checkpoint was taken"]);
    assert_eq!(world.table(), before);
    assert_eq!(world.complete().len(), 3, "nothing was lost");
    let again = world.run(&["--restore", "latest", "--parallelism", "3"]);
    assert!(again.status.success(), "{}", stderr(&again));
    assert_eq!(world.table(), before);
}

#[test]
fn a_newer_format_is_refused_by_its_version() {
    let world = World::with_checkpoints();
    let metadata = world.complete().pop().unwrap().join("_metadata");
    let mut bytes = std::fs::read(&metadata).unwrap();
    bytes[10] = 9;
    std::fs::write(&metadata, bytes).unwrap();
    let parts = ["format version 9 is not supported", "the newest whole one is"];
    world.refused(&["--restore", "latest"], 3, &parts);
}

/// Every file of the latest checkpoint, cut and flipped in several places.
#[test]
fn damage_is_named_and_the_newest_whole_checkpoint_too() {
    let world = World::with_checkpoints();
    let before = world.table();
    let complete = world.complete();
    let [.., older, newest] = &complete[..] else { panic!("{complete:?}") };
    let mut cases = 0;
    for entry in std::fs::read_dir(newest).unwrap() {
        let file = entry.unwrap().path();
        let whole = std::fs::read(&file).unwrap();
        let mut places: Vec<usize> = (0..whole.len()).step_by(whole.len() / 5 + 1).collect();
        places.push(whole.len() - 1);
        for place in places {
            let mut flipped = whole.clone();
            flipped[place] ^= 0x10;
            for damaged in [flipped, whole[..place].to_vec()] {
                std::fs::write(&file, &damaged).unwrap();
                let whole_one = older.display().to_string();
                let parts = ["the latest checkpoint is damaged", &name_of(&file), &whole_one];
                world.refused(&["--restore", "latest-strict"], 3, &parts);
                cases += 1;
            }
        }
        std::fs::write(&file, &whole).unwrap();
    }
    println!("{cases} damaged checkpoints refused");
    assert!(cases >= 12, "{cases}");
    // Without being strict the job goes back to the older one, and says so.
    let metadata = newest.join("_metadata");
    let whole = std::fs::read(&metadata).unwrap();
    std::fs::write(&metadata, &whole[..whole.len() / 2]).unwrap();
    let resumed = world.run(&["--restore", "latest"]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    let told = stderr(&resumed);
    assert!(told.contains("THE LATEST CHECKPOINT IS DAMAGED"), "{told}");
    assert!(told.contains(&name_of(&metadata)), "{told}");
    assert_eq!(world.table(), before);
    assert!(metadata.exists(), "a person may still want to look at it");
    // A person may name one of those that are there now.
    let whole = world.complete().pop().unwrap().display().to_string();
    let resumed = world.run(&["--restore", &whole, "--parallelism", "2"]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    assert_eq!(world.table(), before);
}

#[test]
fn a_second_process_on_the_same_root_is_refused() {
    let world = World::new();
    let mut args = world.args(&["--rate", "2000"]);
    let first: Vec<&str> = args.iter().map(String::as_str).collect();
    let first = alluvium(PROGRAM, &first).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _first = Killed(first.unwrap());
    let deadline = Instant::now() + Duration::from_secs(20);
    while !world.job_dir().join("attempts/0000000001").exists() {
        assert!(Instant::now() < deadline, "the first process did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    let elsewhere = world.text("elsewhere");
    world.refused(&["--output", &elsewhere], 5, &["checkpoints/wordcount/_lock"]);
    args.clear();
    let other_root = world.text("other-root");
    world.refused(&["--checkpoints", &other_root], 5, &["output/.lock"]);
}

#[test]
fn state_above_five_mebibytes_does_not_fit_coordinator_memory() {
    let world = World::new();
    let text: String = (0..400_000).map(|i| format!("a-rather-long-word{i}x\n")).collect();
    std::fs::write(world.path("text"), text).unwrap();
    let args = ["--backend", "memory", "--interval", "20ms"];
    world.refused(&args, 4, &["5 MiB", "checkpoint"]);
}

#[test]
fn list_says_what_is_there() {
    let world = World::with_checkpoints();
    let root = world.text("checkpoints");
    let output = run(PROGRAM, &["list", &root]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().filter(|line| line.contains("complete ")).count(), 3, "{text}");
    assert!(text.contains("source(1) operator(1) sink(1)"), "{text}");
    assert!(text.contains("new bytes   shared bytes"), "{text}");
    std::fs::create_dir(world.job_dir().join("chk-99")).unwrap();
    let metadata = world.complete().remove(0).join("_metadata");
    std::fs::write(&metadata, b"ALLUVIUM").unwrap();
    let job = world.job_dir().display().to_string();
    let text = String::from_utf8(run(PROGRAM, &["list", &job]).stdout).unwrap();
    assert!(text.contains("incomplete") && text.contains("damaged"), "{text}");
    let nowhere = run(PROGRAM, &["list", "/no/such/root"]);
    assert_ne!(nowhere.status.code(), Some(0));
    assert!(stderr(&nowhere).contains("/no/such/root"), "{}", stderr(&nowhere));
}
