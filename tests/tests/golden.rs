//! Golden files of every set are read by every backend that can and by the reader in Python, and give
//! what they gave when they were written; the newest set is still what is written today.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use alluvium::format::keyed::{KeyedReader, MapEntry};
use alluvium::fs::FsStateBackend;
use alluvium::heap::{HeapStateBackend, StateMapKind};
use alluvium::runtime::verify_checkpoint;
use alluvium::storage::{TaskOwnedFile, claim_attempt};
use alluvium_tests::golden::{self, CASES, NEWEST_SET, Writer, content, files, sets_dir, types};

/// Most bytes that all sets have together.
const MAX_LEN_BYTES: u64 = 1_000_000;

/// The folders of all cases of all sets.
fn cases() -> Vec<PathBuf> {
    let folders = |dir: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    };
    let mut cases: Vec<_> = folders(&sets_dir()).iter().flat_map(|set| folders(set)).collect();
    cases.sort();
    assert!(cases.len() >= CASES.len(), "{} cases", cases.len());
    cases
}

fn is_of_rocksdb(case: &Path) -> bool {
    let name = case.file_name().unwrap().to_str().unwrap();
    name.starts_with("rocksdb") && !name.contains("canonical")
}

/// The lines of `content.txt`: those of keyed state, and those of operator state.
fn expected(case: &Path) -> (Vec<String>, Vec<String>) {
    let text = std::fs::read_to_string(case.join("content.txt")).unwrap();
    let (keyed, operator): (Vec<_>, Vec<_>) =
        text.lines().map(str::to_owned).partition(|line| line.starts_with("keyed\t"));
    assert!(keyed.len() > 40 && operator.len() > 10, "{} holds something", case.display());
    (keyed, operator)
}

/// The checksum of each file below a folder, by its path.
fn checksums(dir: &Path) -> BTreeMap<String, String> {
    let script = "import hashlib, sys\n\
        for path in sys.argv[1:]: print(hashlib.sha256(open(path, 'rb').read()).hexdigest())";
    let files = files(dir);
    let output = Command::new("python3").args(["-c", script]).args(&files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sums = String::from_utf8(output.stdout).unwrap();
    let path_of = |path: &PathBuf| path.strip_prefix(dir).unwrap().display().to_string();
    files.iter().map(path_of).zip(sums.lines().map(str::to_owned)).collect()
}

/// Nobody edits a golden file: whoever changes a format adds a set.
#[test]
fn no_file_was_changed_or_removed() {
    let mut found = checksums(&sets_dir());
    let listed = std::fs::read_to_string(sets_dir().join("SHA256SUMS")).unwrap();
    for line in listed.lines() {
        let (sum, path) = line.split_once("  ").unwrap();
        assert_eq!(found.remove(path).as_deref(), Some(sum), "{path} is not what it was");
    }
    let others: Vec<&String> = found.keys().collect();
    assert_eq!(others, ["README.md", "SHA256SUMS"], "every golden file has its checksum");
    let len_bytes: u64 = files(&sets_dir()).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(len_bytes < MAX_LEN_BYTES, "{len_bytes} bytes");
}

#[test]
fn every_backend_in_memory_reads_every_set() {
    for case in cases() {
        let (found, (keyed, operator)) = (golden::find(&case), expected(&case));
        verify_checkpoint(&found.metadata, &found.reader).unwrap();
        assert_eq!(content::operator(&found), operator, "{}", case.display());
        if is_of_rocksdb(&case) {
            continue;
        }
        for kind in [StateMapKind::CopyOnWrite, StateMapKind::Nested] {
            let read = content::keyed(&HeapStateBackend::new(kind), &found);
            assert_eq!(read, keyed, "{} by {kind:?}", case.display());
        }
        let read = content::keyed(&FsStateBackend::new(StateMapKind::CopyOnWrite), &found);
        assert_eq!(read, keyed, "{} by fs", case.display());
    }
}

#[cfg(feature = "rocksdb")]
#[test]
fn rocksdb_reads_every_set() {
    let work = tempfile::tempdir().unwrap();
    for case in cases() {
        let backend = alluvium::rocksdb::RocksDbStateBackend::new(work.path());
        let read = content::keyed(&backend, &golden::find(&case));
        assert_eq!(read, expected(&case).0, "{}", case.display());
    }
}

/// It reads the rows of streams, and of SST files what their index says.
#[test]
fn the_reader_in_python_reads_every_set() {
    for case in cases() {
        let (mut keyed, operator) = expected(&case);
        if is_of_rocksdb(&case) {
            keyed.clear();
        }
        keyed.extend(operator);
        let read = content::by_python(&golden::find(&case).checkpoint);
        assert_eq!(read, keyed, "{}", case.display());
    }
}

/// A writer that writes other bytes has changed its format, and needs another set.
#[test]
fn the_newest_set_is_what_is_written_today() {
    for case in CASES.iter().filter(|case| case.writer != Writer::RocksDb) {
        is_what_is_written(case.name, |dir| golden::write(case, dir));
    }
    is_what_is_written(types::NAME, types::write);
}

fn is_what_is_written(name: &str, write: impl FnOnce(&Path)) {
    let (written, golden) = (tempfile::tempdir().unwrap(), sets_dir().join(NEWEST_SET).join(name));
    write(written.path());
    let mut expected = checksums(&golden);
    expected.remove("content.txt").unwrap();
    let names: Vec<_> = expected.keys().cloned().collect();
    let found = checksums(written.path());
    assert_eq!(found.keys().cloned().collect::<Vec<_>>(), names, "files of {name}");
    for (path, sum) in expected {
        assert_eq!(found.get(&path), Some(&sum), "{path} of {name}");
    }
}

/// The same of RocksDB, by content: SST files hold times and identities.
#[cfg(feature = "rocksdb")]
#[test]
fn rocksdb_writes_what_the_newest_set_holds() {
    let work = tempfile::tempdir().unwrap();
    for case in CASES.iter().filter(|case| case.writer == Writer::RocksDb) {
        let written = tempfile::tempdir().unwrap();
        golden::write(case, written.path());
        let backend = alluvium::rocksdb::RocksDbStateBackend::new(work.path());
        let read = content::keyed(&backend, &golden::find(written.path()));
        assert_eq!(read, expected(&sets_dir().join(NEWEST_SET).join(case.name)).0, "{}", case.name);
    }
}

/// What the README says of the sets.
#[test]
fn the_newest_set_has_blocks_of_both_sorts_and_inlined_streams() {
    let keyed_of = |name: &str| {
        let found = golden::find(&sets_dir().join(NEWEST_SET).join(name));
        let operator = found.metadata.operators.first().unwrap().clone();
        let handles = operator.subtasks.into_iter().map(|subtask| subtask.keyed.unwrap());
        (handles.collect::<Vec<_>>(), found.reader)
    };
    let (handles, reader) = keyed_of("heap-incremental");
    let (mut full, mut delta, mut earlier) = (0, 0, 0);
    for handle in handles {
        let keyed = KeyedReader::open_bytes(reader.open(&handle.stream).unwrap()).unwrap();
        for block in keyed.maps().iter().flat_map(MapEntry::blocks) {
            *(if block.is_delta { &mut delta } else { &mut full }) += 1;
            earlier += usize::from(!block.is_own());
        }
    }
    assert!(full > 5 && delta > 0 && earlier > 5, "{full} full, {delta} delta, {earlier} earlier");
    let (handles, _) = keyed_of("heap-inlined");
    assert!(handles.iter().all(|handle| handle.stream.file().is_none()), "streams are inlined");
    let (handles, _) = keyed_of("rocksdb-incremental");
    assert!(handles.iter().all(|handle| handle.shared.len() > 10), "SST files of several states");
}

/// What JSON does not tell: the bits of NaN, which are kept (SPEC 5.2).
#[test]
fn every_nan_has_its_bits() {
    for set in sets_with_types() {
        let found = golden::find(&set);
        let expected = BTreeSet::from(types::NAN_BITS);
        for kind in [StateMapKind::CopyOnWrite, StateMapKind::Nested] {
            let bits = types::nan_bits(&HeapStateBackend::new(kind), &found);
            assert_eq!(bits, expected, "{} by {kind:?}", set.display());
        }
    }
}

/// The case of value types, of every set that has it.
fn sets_with_types() -> Vec<PathBuf> {
    let found: Vec<_> = cases().into_iter().filter(|case| case.ends_with(types::NAME)).collect();
    assert!(!found.is_empty(), "a set has {}", types::NAME);
    found
}

/// Files of SPEC 2 that no metadata refers to: local copies with their checksums (2.8), a file that an operator
/// owns, and claims (2.2).
#[test]
fn files_beside_a_checkpoint_are_read() {
    for case in sets_with_types() {
        let found = golden::find(&case);
        let dir = tempfile::tempdir().unwrap();
        for file in files(&case) {
            let path = dir.path().join(file.strip_prefix(&case).unwrap());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::copy(file, path).unwrap();
        }
        let storage = alluvium::storage::open(dir.path().join("job").to_str().unwrap()).unwrap();

        // Every file that the checkpoint needs has a copy, and the copies are what is read.
        let needed: BTreeSet<_> = found.metadata.files().cloned().collect();
        let copies = types::copies(dir.path());
        let reader = found.reader.clone().with_copies(Some(copies.clone()));
        verify_checkpoint(&found.metadata, &reader).unwrap();
        let statistics = copies.statistics();
        assert_eq!((statistics.remote_files, statistics.damaged_files), (0, 0), "{statistics:?}");
        assert!(statistics.local_files >= needed.len() as u64, "{statistics:?}");

        let owned: Vec<_> = files(&dir.path().join("job/taskowned"));
        let [owned] = owned.as_slice() else { panic!("{owned:?}") };
        let bytes = std::fs::read(owned).unwrap();
        let path = owned.strip_prefix(dir.path().join("job")).unwrap().to_str().unwrap().to_owned();
        let len_bytes = bytes.len() as u64 - 4;
        let checksum = u32::from_le_bytes(*bytes.last_chunk().unwrap());
        let file = TaskOwnedFile::from_state((path, len_bytes, checksum)).unwrap();
        assert_eq!(types::task_owned(&storage).read(&file).unwrap(), types::TASK_OWNED);
        assert_eq!(claim_attempt(&*storage).unwrap().get(), 4, "after three claims");
    }
}
