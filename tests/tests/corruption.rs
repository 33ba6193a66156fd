//! Damage of any kind is detected before the first record of a checkpoint is used, names the file, and a job
//! falls back to the checkpoint before.
//!
//! `make corruption CASES=all` tries every case; `make test` a sample of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use alluvium::core::{AssignerName, CheckpointId, JobId};
use alluvium::fs::FsStateBackend;
use alluvium::heap::{HeapStateBackend, StateMapKind};
use alluvium::runtime::{CheckpointStore, StoreError};
use alluvium_tests::corruption::{
    Counts, Damage, FileMap, Files, Kind, Subject, add, all_subjects, cases, fs_backend, history,
    newest_of, try_case,
};

/// Cases of a run, over all checkpoints; `ALLUVIUM_CORRUPTION_CASES` is another number, or `all`.
const CASES: usize = 10_000;
/// Cases that a thread takes at a time.
const BATCH: usize = 64;

fn wanted() -> usize {
    match std::env::var("ALLUVIUM_CORRUPTION_CASES").as_deref() {
        Ok("all") => usize::MAX,
        Ok(text) => text.parse().expect("a number of cases, or all"),
        Err(_) => CASES,
    }
}

/// Every n-th case of each kind, so that about as many are left as are wanted; of rare kinds all.
fn sample(all: Vec<(String, Damage)>, wanted: usize) -> Vec<(String, Damage)> {
    let step = all.len().div_ceil(wanted.max(1));
    let mut numbers = [0; Kind::ALL.len()];
    let is_taken = |(_, damage): &(String, Damage)| {
        let kind = damage.kind();
        let number = &mut numbers[kind as usize];
        *number += 1;
        let is_rare = !matches!(kind, Kind::FlippedBit | Kind::Cut | Kind::Swapped);
        is_rare || (*number - 1) % step == 0
    };
    all.into_iter().filter(is_taken).collect()
}

/// Tries cases on all processors.
fn try_all(subject: &Subject, cases: &[(String, Damage)]) -> Counts {
    let (next, counts) = (AtomicUsize::new(0), Mutex::new(Counts::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let files = Files::new(subject.files.clone());
                loop {
                    let start = next.fetch_add(BATCH, Ordering::Relaxed);
                    let Some(batch) = cases.get(start..cases.len().min(start + BATCH)) else {
                        return;
                    };
                    if batch.is_empty() {
                        return;
                    }
                    for case in batch {
                        let count = try_case(subject, &files, case);
                        add(&mut counts.lock().unwrap(), case.1.kind(), count);
                    }
                }
            });
        }
    });
    counts.into_inner().unwrap()
}

#[test]
fn every_damage_is_detected_before_the_first_record_is_used() {
    let subjects = all_subjects();
    assert!(subjects.len() >= 10, "{} checkpoints", subjects.len());
    let (mut counts, mut all) = (Counts::new(), 0);
    for subject in &subjects {
        let cases = cases(subject, &subjects);
        all += cases.len();
        let cases = sample(cases, wanted() / subjects.len());
        let of_subject = try_all(subject, &cases);
        let len_bytes: usize = subject.files.values().map(|bytes| bytes.len()).sum();
        let (name, files) = (&subject.name, subject.files.len());
        println!("{name}: {files} files, {len_bytes} bytes, {} cases detected", cases.len());
        for (kind, count) in of_subject {
            add(&mut counts, kind, count);
        }
    }
    let tried: u64 = counts.values().map(|count| count.cases).sum();
    println!("kind                   cases     detected  with place  expected and found");
    for (kind, count) in &counts {
        let (cases, place, both) = (count.cases, count.with_place, count.with_both);
        println!("{kind:22} {cases:9} {cases:9} {place:11} {both:19}");
    }
    println!("{tried} of {all} cases tried, all detected, each error names the file");
    assert_eq!(counts.len(), Kind::ALL.len(), "every kind: {counts:?}");
    let with_place: u64 = counts.values().map(|count| count.with_place).sum();
    assert!(with_place * 10 > tried * 9, "{with_place} of {tried} errors say where");
}

/// Bytes that a checkpoint does not use are no part of it: those of all its files become noise at once, and
/// it verifies and holds the same.
#[test]
fn bytes_that_nobody_uses_may_be_anything() {
    let mut changed = 0;
    for subject in &all_subjects() {
        let mut files = subject.files.clone();
        for (path, used) in subject.used_of_shared() {
            let noise = |(byte, is_used): (&u8, &bool)| if *is_used { *byte } else { !*byte };
            changed += used.iter().filter(|is_used| !**is_used).count();
            let bytes: Vec<u8> = files[&path].iter().zip(&used).map(noise).collect();
            files.insert(path, bytes.into());
        }
        subject.gate(&Files::new(files)).unwrap();
    }
    println!("{changed} bytes that no checkpoint uses were changed");
    assert!(changed > 1_000, "{changed}");
}

/// A copy of a file under a name of its own is no part of any checkpoint.
#[test]
fn files_that_stand_beside_do_not_matter() {
    for subject in &all_subjects() {
        let copies =
            subject.files.iter().map(|(path, bytes)| (format!("{path}-copy"), bytes.clone()));
        let files: FileMap = copies.chain(subject.files.clone()).collect();
        let alone = subject.gate(&Files::new(subject.files.clone())).unwrap();
        assert_eq!(subject.gate(&Files::new(files)).unwrap(), alone, "{}", subject.name);
    }
}

/// A link in the place of a file, to the very bytes that belong there: they lie outside of the root, so they are
/// not read. A named pipe is not waited for.
#[cfg(unix)]
#[test]
fn links_that_lead_out_of_the_folder_are_not_followed() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let subject = newest_of("links", &history(&fs_backend(), AssignerName::Stable));
    for (path, bytes) in &subject.files {
        let path = inside.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let storage = alluvium::storage::open(inside.path().to_str().unwrap()).unwrap();
    let store = CheckpointStore::in_folder(storage, JobId::new("job").unwrap());
    let restore = || {
        let metadata = store.read(subject.checkpoint.unwrap())?;
        store.verify(&metadata).map(|()| metadata)
    };
    restore().unwrap();
    for (path, bytes) in &subject.files {
        let file = inside.path().join(path);
        let elsewhere = outside.path().join("elsewhere");
        std::fs::write(&elsewhere, bytes).unwrap();
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        let error = restore().unwrap_err().to_string();
        assert!(error.contains(path) && error.contains("leads out of the storage root"), "{error}");
        std::fs::remove_file(&file).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
        let error = restore().unwrap_err().to_string();
        assert!(error.contains("does not exist") || error.contains("no _metadata"), "{error}");
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, bytes).unwrap();
    }
    restore().unwrap();
}

/// What a job does that begins from the latest checkpoint.
fn latest_whole(files: FileMap) -> Result<(u64, Option<String>), StoreError> {
    let store = CheckpointStore::in_folder(Files::new(files), JobId::new("job").unwrap());
    let (found, damage) = store.latest_whole()?;
    Ok((found.expect("a checkpoint").properties.checkpoint.get(), damage))
}

/// Damages the newest checkpoint only, so that the one before is whole.
fn falls_back(name: &str, history: &FileMap) -> usize {
    let newest = newest_of(name, history);
    let before = {
        let mut files = history.clone();
        files.remove("chk-3/_metadata").unwrap();
        let before = CheckpointId::new(2).unwrap();
        let subject = Subject { name: name.to_owned(), files, checkpoint: Some(before) };
        let metadata = subject.gate(&Files::new(subject.files.clone())).unwrap();
        metadata.files().map(|path| path.as_str().to_owned()).collect::<Vec<_>>()
    };
    let own: Vec<_> =
        cases(&newest, &[]).into_iter().filter(|(path, _)| !before.contains(path)).collect();
    let mut tried = 0;
    for (path, damage) in sample(own, 1_000) {
        let mut files = history.clone();
        match damage.of(&history[&path]) {
            Some(bytes) => files.insert(path.clone(), bytes),
            None => files.remove(&path),
        };
        tried += 1;
        match latest_whole(files) {
            Ok((2, told)) => {
                let is_gone = path.ends_with("_metadata") && matches!(damage, Damage::Delete);
                assert!(is_gone || told.is_some_and(|it| it.contains(&path)), "{path} {damage:?}");
            }
            // A newer version may have written it: then nobody may go back to an older one.
            Err(error @ StoreError::LatestDamaged { .. }) => {
                let text = error.to_string();
                let is_newer = text.contains("not supported");
                assert!(is_newer && path.ends_with("_metadata"), "{path} {damage:?}: {text}");
                assert!(text.contains("chk-2"), "{path} {damage:?}: {text}");
            }
            other => panic!("{path} {damage:?}: {other:?}"),
        }
    }
    // What both need leaves neither. The first one may not need it: RocksDB compacts when it likes.
    let shared = newest.files.keys().find(|path| before.contains(path)).unwrap();
    let mut files = history.clone();
    files.remove(shared);
    files.remove("chk-1/_metadata").unwrap();
    let error = latest_whole(files).unwrap_err().to_string();
    assert!(error.contains(shared.as_str()) && error.contains("no other checkpoint"), "{error}");
    tried
}

#[test]
fn a_job_falls_back_to_the_checkpoint_before() {
    let heap = HeapStateBackend::default().max_segment_entries(8);
    let small = FsStateBackend::new(StateMapKind::CopyOnWrite).max_segment_entries(3);
    let flink = AssignerName::Flink;
    let mut tried = 0;
    tried += falls_back("heap", &history(&heap, flink));
    tried += falls_back("fs", &history(&fs_backend(), flink));
    tried += falls_back("fs of small segments", &history(&small, flink));
    #[cfg(feature = "rocksdb")]
    {
        tried += falls_back("rocksdb", &alluvium_tests::corruption::rocksdb_history());
    }
    println!("{tried} damaged checkpoints, from each of which a job goes back to the one before");
}
