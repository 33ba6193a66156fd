//! What every storage must do, run for each of them by [`behaviour_tests`].

use std::io::Write;
use std::sync::Arc;
use std::sync::Barrier;

use alluvium_core::StoragePath;

use crate::{Storage, StorageError};

/// Makes one test per case. `$fresh` is called in each and returns an empty storage and something
/// to keep until the test is over.
macro_rules! behaviour_tests {
    ($fresh:expr) => {
        $crate::behaviour::behaviour_tests! { @cases $fresh;
            a_created_file_is_read_back,
            a_second_creator_loses_and_changes_nothing,
            of_racing_creators_exactly_one_wins,
            a_file_being_written_is_invisible_until_it_is_finished,
            a_finished_writer_replaces_nothing,
            an_unfinished_writer_leaves_nothing,
            a_large_file_is_streamed_whole,
            an_empty_file_is_a_file,
            a_range_beyond_the_end_is_truncated,
            a_missing_file_is_not_found,
            a_list_is_sorted_and_shows_only_children,
            deleting_what_is_absent_is_fine,
            several_files_are_deleted_at_once,
            deleting_a_folder_spares_its_neighbours,
            below_is_the_same_storage_one_folder_down,
            a_renamed_file_has_one_name_and_replaces_nothing,
            a_replaced_file_has_the_new_bytes,
            a_file_and_its_parts_are_named_in_errors,
        }
    };
    (@cases $fresh:expr; $($case:ident,)+) => {
        $(
            #[test]
            fn $case() {
                let (storage, _keep) = $fresh(stringify!($case));
                $crate::behaviour::$case(&storage);
            }
        )+
    };
}
pub(crate) use behaviour_tests;

pub(crate) fn path(text: &str) -> StoragePath {
    StoragePath::new(text).unwrap()
}

fn names(storage: &Arc<dyn Storage>, dir: Option<&str>) -> Vec<String> {
    let dir = dir.map(path);
    let entries = storage.list(dir.as_ref()).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

pub(crate) fn a_created_file_is_read_back(storage: &Arc<dyn Storage>) {
    let file = path("chk-1/a");
    storage.create(&file, b"0123456789").unwrap();
    assert_eq!(storage.read_all(&file).unwrap(), "0123456789");
    assert_eq!(storage.map(&file).unwrap(), "0123456789");
    assert_eq!(storage.len_bytes(&file).unwrap(), 10);
    assert_eq!(storage.read(&file, 2..5).unwrap(), "234");
    assert_eq!(storage.read(&file, 0..10).unwrap(), "0123456789");
    assert_eq!(storage.read(&file, 10..10).unwrap(), "");
    assert_eq!(storage.read(&file, 4..4).unwrap(), "");
}

pub(crate) fn a_second_creator_loses_and_changes_nothing(storage: &Arc<dyn Storage>) {
    let file = path("chk-1/_metadata");
    storage.create(&file, b"first").unwrap();
    let error = storage.create(&file, b"other").unwrap_err();
    assert!(matches!(error, StorageError::AlreadyExists { .. }), "{error}");
    assert_eq!(storage.read_all(&file).unwrap(), "first");
}

pub(crate) fn of_racing_creators_exactly_one_wins(storage: &Arc<dyn Storage>) {
    for round in 0..100 {
        let file = path(&format!("race/{round}"));
        let start = Barrier::new(2);
        let create = |body: &'static [u8]| {
            start.wait();
            storage.create(&file, body).map(|()| body)
        };
        let (one, two) = std::thread::scope(|scope| {
            let one = scope.spawn(|| create(b"one"));
            let two = scope.spawn(|| create(b"two"));
            (one.join().unwrap(), two.join().unwrap())
        });
        let (winner, loser) = match (one, two) {
            (Ok(winner), Err(loser)) | (Err(loser), Ok(winner)) => (winner, loser),
            (one, two) => panic!("round {round}: {one:?}, {two:?}"),
        };
        assert!(matches!(loser, StorageError::AlreadyExists { .. }), "round {round}: {loser}");
        assert_eq!(storage.read_all(&file).unwrap(), winner, "round {round}");
    }
}

pub(crate) fn a_file_being_written_is_invisible_until_it_is_finished(storage: &Arc<dyn Storage>) {
    let file = path("chk-1/state");
    let mut writer = storage.writer(&file).unwrap();
    writer.write_all(b"half ").unwrap();
    writer.flush().unwrap();
    assert_eq!(names(storage, Some("chk-1")), [""; 0]);
    assert!(matches!(storage.len_bytes(&file), Err(StorageError::NotFound { .. })));
    writer.write_all(b"whole").unwrap();
    writer.finish().unwrap();
    assert_eq!(names(storage, Some("chk-1")), ["state"]);
    assert_eq!(storage.read_all(&file).unwrap(), "half whole");
}

pub(crate) fn a_finished_writer_replaces_nothing(storage: &Arc<dyn Storage>) {
    let file = path("chk-1/state");
    let mut writer = storage.writer(&file).unwrap();
    writer.write_all(b"late").unwrap();
    storage.create(&file, b"early").unwrap();
    let error = writer.finish().unwrap_err();
    assert!(matches!(error, StorageError::AlreadyExists { .. }), "{error}");
    assert_eq!(storage.read_all(&file).unwrap(), "early");
}

pub(crate) fn an_unfinished_writer_leaves_nothing(storage: &Arc<dyn Storage>) {
    for len_bytes in [0, 10, 20 << 20] {
        let mut dropped = storage.writer(&path("chk-1/dropped")).unwrap();
        dropped.write_all(&vec![1; len_bytes]).unwrap();
        drop(dropped);
        let mut aborted = storage.writer(&path("chk-1/aborted")).unwrap();
        aborted.write_all(&vec![1; len_bytes]).unwrap();
        aborted.abort();
        assert_eq!(names(storage, Some("chk-1")), [""; 0], "{len_bytes}");
    }
}

pub(crate) fn a_large_file_is_streamed_whole(storage: &Arc<dyn Storage>) {
    let piece: Vec<u8> = (0..=250).collect();
    let pieces = 80_000;
    let file = path("chk-1/large");
    let mut writer = storage.writer(&file).unwrap();
    for _ in 0..pieces {
        writer.write_all(&piece).unwrap();
    }
    writer.finish().unwrap();
    let expected = piece.repeat(pieces);
    assert_eq!(storage.len_bytes(&file).unwrap(), expected.len() as u64);
    assert!(storage.read_all(&file).unwrap() == expected);
    assert_eq!(storage.read(&file, 8_388_600..8_388_700).unwrap(), &expected[8_388_600..8_388_700]);
    let mut late = storage.writer(&file).unwrap();
    late.write_all(&expected).unwrap();
    let error = late.finish().unwrap_err();
    assert!(matches!(error, StorageError::AlreadyExists { .. }), "{error}");
}

pub(crate) fn an_empty_file_is_a_file(storage: &Arc<dyn Storage>) {
    storage.create(&path("d/created"), b"").unwrap();
    storage.writer(&path("d/streamed")).unwrap().finish().unwrap();
    assert_eq!(names(storage, Some("d")), ["created", "streamed"]);
    for file in ["d/created", "d/streamed"] {
        assert_eq!(storage.read_all(&path(file)).unwrap(), "");
        assert_eq!(storage.map(&path(file)).unwrap(), "");
        assert_eq!(storage.len_bytes(&path(file)).unwrap(), 0);
    }
}

pub(crate) fn a_range_beyond_the_end_is_truncated(storage: &Arc<dyn Storage>) {
    let file = path("chk-1/short");
    storage.create(&file, b"0123456789").unwrap();
    for range in [5..11, 0..11, 10..11, 11..12, 500..600, 11..11, 0..u64::MAX] {
        let error = storage.read(&file, range.clone()).unwrap_err();
        let StorageError::Truncated { expected_len_bytes, found_len_bytes, .. } = error else {
            panic!("{range:?}: {error}")
        };
        assert_eq!((expected_len_bytes, found_len_bytes), (range.end, 10), "{range:?}");
    }
}

pub(crate) fn a_missing_file_is_not_found(storage: &Arc<dyn Storage>) {
    storage.create(&path("chk-1/there"), b"x").unwrap();
    for missing in ["absent", "chk-1/absent", "chk-1", "chk-1/there/below"] {
        let file = path(missing);
        let outcomes = [
            storage.read(&file, 0..1).map(drop),
            storage.read(&file, 0..0).map(drop),
            storage.read_all(&file).map(drop),
            storage.map(&file).map(drop),
            storage.len_bytes(&file).map(drop),
        ];
        for (call, outcome) in outcomes.into_iter().enumerate() {
            let is_not_found = matches!(outcome, Err(StorageError::NotFound { .. }));
            assert!(is_not_found, "{missing}, call {call}: {outcome:?}");
        }
    }
}

pub(crate) fn a_list_is_sorted_and_shows_only_children(storage: &Arc<dyn Storage>) {
    assert_eq!(storage.list(None).unwrap(), []);
    assert_eq!(storage.list(Some(&path("absent"))).unwrap(), []);
    for file in ["b/2", "b/10", "b/deep/er/x", "b.txt", "a"] {
        storage.create(&path(file), file.as_bytes()).unwrap();
    }
    let found: Vec<_> = storage
        .list(None)
        .unwrap()
        .into_iter()
        .map(|entry| (entry.name, entry.is_dir, entry.len_bytes))
        .collect();
    let expected = [("a", false, 1), ("b", true, 0), ("b.txt", false, 5)];
    assert_eq!(found, expected.map(|(name, is_dir, len)| (name.to_owned(), is_dir, len)));
    assert_eq!(names(storage, Some("b")), ["10", "2", "deep"]);
    assert_eq!(names(storage, Some("b/deep")), ["er"]);
    assert_eq!(names(storage, Some("a")), [""; 0]);
}

pub(crate) fn deleting_what_is_absent_is_fine(storage: &Arc<dyn Storage>) {
    storage.delete(&path("absent")).unwrap();
    storage.delete(&path("no/such/folder")).unwrap();
    storage.delete_dir(&path("absent")).unwrap();
    storage.delete_dir(&path("no/such/folder")).unwrap();
    storage.delete_empty_dir(&path("absent")).unwrap();
    storage.delete_empty_dir(&path("no/such/folder")).unwrap();
    let file = path("d/file");
    storage.create(&file, b"x").unwrap();
    storage.delete_dir(&file).unwrap();
    storage.delete_empty_dir(&file).unwrap();
    storage.delete_empty_dir(&path("d")).unwrap();
    assert_eq!(storage.read_all(&file).unwrap(), "x");
    storage.delete(&file).unwrap();
    storage.delete(&file).unwrap();
    storage.delete_empty_dir(&path("d")).unwrap();
    assert_eq!(names(storage, None), [""; 0], "a folder that is empty goes");
    assert!(matches!(storage.read_all(&file), Err(StorageError::NotFound { .. })));
    storage.create(&file, b"again").unwrap();
}

pub(crate) fn several_files_are_deleted_at_once(storage: &Arc<dyn Storage>) {
    assert!(storage.delete_batch_len() > 0);
    assert!(storage.delete_many(&[]).is_empty());
    let files: Vec<_> = (0..70).map(|n| path(&format!("d/{n}"))).collect();
    for file in &files {
        storage.create(file, b"x").unwrap();
    }
    storage.create(&path("d/neighbour"), b"x").unwrap();
    let mut wanted = files.clone();
    wanted.insert(3, path("d/absent"));
    wanted.push(path("no/such/folder"));
    // The same file twice, too.
    wanted.push(path("d/0"));
    let results = storage.delete_many(&wanted);
    assert_eq!(results.len(), wanted.len());
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(names(storage, Some("d")), ["neighbour"]);
}

pub(crate) fn deleting_a_folder_spares_its_neighbours(storage: &Arc<dyn Storage>) {
    for file in ["chk-1/a", "chk-1/deep/b", "chk-10/a", "chk-1.old"] {
        storage.create(&path(file), b"x").unwrap();
    }
    storage.delete_dir(&path("chk-1")).unwrap();
    assert_eq!(names(storage, Some("chk-1")), [""; 0]);
    assert_eq!(names(storage, None), ["chk-1.old", "chk-10"]);
    assert_eq!(names(storage, Some("chk-10")), ["a"]);
}

pub(crate) fn below_is_the_same_storage_one_folder_down(storage: &Arc<dyn Storage>) {
    let job = storage.below(&path("job")).unwrap();
    let chk = job.below(&path("chk-1")).unwrap();
    assert_eq!(job.root(), format!("{}/job", storage.root()));
    assert_eq!(storage.list(None).unwrap(), [], "below() creates nothing");
    chk.create(&path("_metadata"), b"x").unwrap();
    assert_eq!(storage.read_all(&path("job/chk-1/_metadata")).unwrap(), "x");
    assert_eq!(names(&job, None), ["chk-1"]);
    storage.create(&path("other"), b"y").unwrap();
    assert_eq!(names(&chk, None), ["_metadata"]);
    chk.delete(&path("_metadata")).unwrap();
    assert!(storage.len_bytes(&path("job/chk-1/_metadata")).is_err());
}

pub(crate) fn a_file_and_its_parts_are_named_in_errors(storage: &Arc<dyn Storage>) {
    let job = storage.below(&path("job")).unwrap();
    let error = job.read_all(&path("chk-1/_metadata")).unwrap_err();
    let expected = format!("{}/job/chk-1/_metadata does not exist", storage.root());
    assert_eq!(error.to_string(), expected);
    let StorageError::NotFound { location } = error else { panic!("{error}") };
    assert_eq!(location.root(), job.root());
    assert_eq!(location.path(), Some(&path("chk-1/_metadata")));
}

pub(crate) fn a_renamed_file_has_one_name_and_replaces_nothing(storage: &Arc<dyn Storage>) {
    let (from, to) = (path("pending/a"), path("done/a"));
    storage.create(&from, b"bytes").unwrap();
    storage.rename(&from, &to).unwrap();
    assert_eq!(storage.read_all(&to).unwrap(), "bytes");
    assert!(matches!(storage.read_all(&from), Err(StorageError::NotFound { .. })));
    assert!(matches!(storage.rename(&from, &to), Err(StorageError::NotFound { .. })));
    storage.create(&from, b"other").unwrap();
    let taken = storage.rename(&from, &to);
    assert!(matches!(taken, Err(StorageError::AlreadyExists { .. })));
    assert_eq!(storage.read_all(&to).unwrap(), "bytes");
    assert_eq!(storage.read_all(&from).unwrap(), "other");
}

pub(crate) fn a_replaced_file_has_the_new_bytes(storage: &Arc<dyn Storage>) {
    let file = path("table");
    storage.replace(&file, b"old").unwrap();
    storage.replace(&file, b"new").unwrap();
    assert_eq!(storage.read_all(&file).unwrap(), "new");
    assert_eq!(names(storage, None), ["table"]);
}
