//! `alluvium verify`: as strict as a restore, and it says what it found.

use std::path::{Path, PathBuf};

use super::world::World;
use super::{alluvium, cases, checkpoint_of, code, copied, name_of, stdout};
use alluvium::inspect::{Severity, VerifyReport};
use alluvium::runtime::verify_checkpoint;
use alluvium_tests::Random;
use alluvium_tests::golden::{self, files};
use alluvium_tests::stderr;

fn report(uri: &Path) -> VerifyReport {
    alluvium::inspect::verify(uri.to_str().unwrap(), &()).unwrap()
}

#[test]
fn every_golden_case_is_sound() {
    for case in cases() {
        let checkpoint = checkpoint_of(&case);
        let text = stdout(&["verify", &checkpoint]);
        assert!(text.contains(": sound"), "{}: {text}", name_of(&case));
        let text = stdout(&["verify", case.to_str().unwrap(), "--json"]);
        assert!(text.contains("\"is_damaged\": false"), "{}: {text}", name_of(&case));
        assert!(text.contains("\"findings\": []"), "{}: {text}", name_of(&case));
        let found = report(Path::new(&checkpoint));
        assert!(found.checksums > 10 && found.bytes > 1_000, "{}: {found:?}", name_of(&case));
    }
}

/// What a restore refuses is found, and nothing else is: bits of every file are flipped.
#[test]
fn it_finds_what_a_restore_refuses() {
    let mut random = Random::new(7);
    let (mut refused, mut cases_run) = (0, 0);
    for case in cases() {
        let dir = tempfile::tempdir().unwrap();
        copied(&case, dir.path());
        let found = golden::find(dir.path());
        for path in files(dir.path()).into_iter().filter(|path| !path.ends_with("content.txt")) {
            let whole = std::fs::read(&path).unwrap();
            for _ in 0..4 {
                let mut damaged = whole.clone();
                let place = usize::try_from(random.below(whole.len() as u64)).unwrap();
                damaged[place] ^= 1 << random.below(8);
                std::fs::write(&path, damaged).unwrap();
                let is_damaged = report(&found.checkpoint).is_damaged();
                let metadata =
                    alluvium::inspect::Checkpoint::open(found.checkpoint.to_str().unwrap());
                let is_refused =
                    metadata.is_err() || verify_checkpoint(&found.metadata, &found.reader).is_err();
                assert_eq!(is_damaged, is_refused, "{} at {place}", path.display());
                refused += usize::from(is_refused);
                cases_run += 1;
            }
            std::fs::write(&path, whole).unwrap();
        }
        assert!(!report(&found.checkpoint).is_damaged());
    }
    println!("{refused} of {cases_run} flipped bits are damage");
    assert!(refused > 200, "{refused} of {cases_run}");
}

fn heap_incremental(dir: &Path) -> PathBuf {
    let case = cases().into_iter().find(|case| name_of(case) == "heap-incremental").unwrap();
    copied(&case, dir);
    dir.join("job")
}

#[test]
fn a_finding_names_file_offset_expected_and_found() {
    let dir = tempfile::tempdir().unwrap();
    let job = heap_incremental(dir.path());
    let file = job.join("shared/operator-0-keyed-3-1");
    let whole = std::fs::read(&file).unwrap();
    // Not all blocks are still needed.
    let place = (40..whole.len()).step_by(8).find(|place| {
        let mut damaged = whole.clone();
        damaged[*place] ^= 1;
        std::fs::write(&file, damaged).unwrap();
        report(&job).is_damaged()
    });
    let finding = &report(&job).findings[0];
    let offset = finding.offset.unwrap();
    assert!((40..=place.unwrap() as u64).contains(&offset), "{finding:?}");
    assert!(finding.expected.len() == 8 && finding.found.len() == 8, "{finding:?}");
    let output = alluvium(&["verify", job.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(code(&output), 1, "{text}");
    let line = text.lines().find(|line| line.starts_with("DAMAGE: ")).unwrap();
    let named = format!("shared/operator-0-keyed-3-1 at offset {offset}: checksum of block");
    for part in [named.as_str(), "needed by chk-3"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(text.contains("chk-3: DAMAGED"), "{text}");
    assert!(stderr(&output).contains("1 of 1 checkpoints"), "{}", stderr(&output));

    std::fs::write(&file, &whole[..whole.len() - 3]).unwrap();
    let found = report(&job).findings;
    let len = whole.len();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].expected, format!("{len} bytes"));
    assert_eq!(found[0].found, format!("{} bytes", len - 3));

    std::fs::remove_file(&file).unwrap();
    let found = report(&job).findings;
    assert_eq!((found.len(), found[0].found.as_str()), (1, "nothing"), "{found:?}");
}

#[test]
fn several_findings_do_not_hide_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let job = heap_incremental(dir.path());
    for file in files(&job).iter().filter(|path| !path.ends_with("_metadata")) {
        let mut bytes = std::fs::read(file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(file, bytes).unwrap();
    }
    let found = report(&job).findings;
    assert_eq!(found.len(), files(&job).len() - 1, "{found:?}");
    assert!(found.iter().all(|finding| finding.what.starts_with("seal")), "{found:?}");
}

#[test]
fn orphans_are_warnings_and_a_root_is_looked_through() {
    let dir = tempfile::tempdir().unwrap();
    let job = heap_incremental(dir.path());
    std::fs::write(job.join("shared/nobody"), b"left").unwrap();
    std::fs::create_dir(job.join("chk-4")).unwrap();
    std::fs::write(job.join("chk-4/begun"), b"left").unwrap();
    let sound = cases().into_iter().find(|case| name_of(case) == "heap-native-savepoint").unwrap();
    copied(&sound, dir.path());
    let found = report(dir.path());
    assert!(!found.is_damaged(), "{found:?}");
    assert_eq!(found.checkpoints.len(), 2, "{found:?}");
    let warnings: Vec<_> = found.findings.iter().map(|finding| finding.file.as_str()).collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for name in ["shared/nobody", "chk-4", "chk-4/begun"] {
        assert!(warnings.iter().any(|file| file.ends_with(name)), "{name} in {warnings:?}");
    }
    assert!(found.findings.iter().all(|finding| finding.severity == Severity::Warning));

    // Nobody knows what a damaged one needs, so nothing is an orphan any more.
    std::fs::write(job.join("chk-4/_metadata"), b"damaged").unwrap();
    let found = report(dir.path());
    assert!(found.is_damaged());
    assert!(found.findings.iter().all(|finding| !finding.file.ends_with("nobody")), "{found:?}");
    let verdicts: Vec<bool> = found.checkpoints.iter().map(|(_, is_sound)| *is_sound).collect();
    assert_eq!(verdicts, [true, false, true], "{found:?}");
}

#[cfg(unix)]
#[test]
fn a_file_behind_a_link_that_leads_out_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let job = heap_incremental(dir.path());
    let (file, outside) = (job.join("shared/operator-0-keyed-3-1"), dir.path().join("outside"));
    std::fs::rename(&file, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &file).unwrap();
    let found = report(&job.join("chk-3")).findings;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].found.contains("symbolic link"), "{found:?}");
}

/// The number is right, and what makes it a checkpoint is gone: that is damage, and not nothing.
#[test]
fn a_checkpoint_that_has_lost_its_metadata_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let job = heap_incremental(dir.path());
    let checkpoint = job.join("chk-3");
    std::fs::remove_file(checkpoint.join("_metadata")).unwrap();
    let output = alluvium(&["verify", checkpoint.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(code(&output), 1, "{text}");
    let expected =
        "chk-3/_metadata: the file: expected to be there, found nothing (needed by chk-3)";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("chk-3: DAMAGED"), "{text}");
    assert!(stderr(&output).contains("1 of 1 checkpoints"), "{}", stderr(&output));
}

/// A number that never was is no damage, and the numbers that there are help.
#[test]
fn a_wrong_number_is_told_from_damage() {
    let dir = tempfile::tempdir().unwrap();
    let job = heap_incremental(dir.path());
    for name in ["chk-30", "chk-4"] {
        if name == "chk-4" {
            std::fs::create_dir(job.join(name)).unwrap();
        }
        let output = alluvium(&["verify", job.join(name).to_str().unwrap()]);
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        let text = stderr(&output);
        assert!(text.contains(&format!("{name} is no checkpoint")), "{text}");
        assert!(text.contains("the newest checkpoints there are chk-3"), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn metadata_behind_a_link_that_leads_out_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let job = heap_incremental(dir.path());
    let (file, outside) = (job.join("chk-3/_metadata"), dir.path().join("outside"));
    std::fs::rename(&file, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &file).unwrap();
    let found = report(&job.join("chk-3"));
    assert_eq!(found.findings.len(), 1, "{found:?}");
    let finding = &found.findings[0];
    assert!(finding.file.ends_with("chk-3/_metadata"), "{finding}");
    assert!(finding.found.contains("symbolic link"), "{finding}");
    assert_eq!(finding.checkpoints, ["chk-3"]);
    assert!(found.checkpoints.iter().all(|(_, is_sound)| !is_sound), "{found:?}");
}

#[test]
fn a_damaged_checkpoint_that_was_renamed_is_one_of_those_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let job = heap_incremental(dir.path());
    std::fs::create_dir(job.join("chk-2.bad")).unwrap();
    std::fs::write(job.join("chk-2.bad/_metadata"), vec![0; 100]).unwrap();
    let output = alluvium(&["verify", job.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("chk-2.bad: DAMAGED") && text.contains("chk-3: sound"), "{text}");
    assert!(stderr(&output).contains("1 of 2 checkpoints"), "{}", stderr(&output));
}

/// A subtask that has registered no keyed state yet writes none, so a gap may be right: a warning, and no
/// damage. The backend shows that it may.
#[test]
fn key_groups_that_no_subtask_has_are_a_warning() {
    let mut world = World::new();
    let none = world.keyed(("op", 0), None, 0..0, |it| it);
    assert_eq!(none, None, "a subtask without registered state has no stream");
    let some = world.keyed(("op", 1), Some("count"), 0..100, |it| it);
    world.operator("op", [none, some]);
    world.counts("whole", 0..10);
    world.commit();
    let output = alluvium(&["verify", &world.uri(1)]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(code(&output), 0, "{text}");
    let warnings: Vec<_> = text.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(warnings.len(), 1, "{text}");
    let expected =
        "key groups of operator op: expected ranges that tile 0..8, found none from 0 on";
    assert!(warnings[0].contains(expected), "{text}");
    assert!(warnings[0].ends_with("in 4..=7 (needed by chk-1)"), "{text}");
    assert!(text.contains("chk-1: sound"), "{text}");
}
