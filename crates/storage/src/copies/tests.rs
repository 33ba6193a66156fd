use std::io::Write;

use alluvium_core::{SharedFile, StateHandle};

use crate::behaviour::path;
use crate::{
    CheckpointStreams, HandleReader, LocalStorage, ReadAccess, Storage, StorageError, StreamPolicy,
};

use super::*;

const LEN_BYTES: usize = 200_000;

struct World {
    dir: tempfile::TempDir,
    storage: Arc<dyn Storage>,
    copies: LocalCopies,
}

impl World {
    fn new(storage: Arc<dyn Storage>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let copies = LocalCopies::new(&dir.path().join("copies"), &job(), storage.root());
        Self { dir, storage, copies }
    }

    /// Files in memory, which nothing can be linked to.
    fn in_memory(case: &str) -> Self {
        Self::new(crate::open(&format!("memory:copies-{case}")).unwrap())
    }

    fn write(&self, name: &str) -> StateHandle {
        let streams = CheckpointStreams::new(Arc::clone(&self.storage), StreamPolicy::files())
            .with_copies(Some(self.copies.clone()));
        let mut stream = streams.stream(path(name));
        for piece in content().chunks(999) {
            stream.write_all(piece).unwrap();
        }
        stream.finish().unwrap()
    }

    fn reader(&self, access: ReadAccess) -> HandleReader {
        HandleReader::new(Arc::clone(&self.storage), access).with_copies(Some(self.copies.clone()))
    }

    fn data(&self, name: &str) -> PathBuf {
        self.copies.data_path(&path(name))
    }

    fn counts(&self) -> (u64, u64, u64, u64) {
        let found = self.copies.statistics();
        (found.local_files, found.remote_files, found.damaged_files, found.failed_copies)
    }
}

fn job() -> JobId {
    JobId::new("job").unwrap()
}

fn content() -> Vec<u8> {
    (0..LEN_BYTES).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
}

fn id(n: u64) -> CheckpointId {
    CheckpointId::new(n).unwrap()
}

fn shared(handle: &StateHandle) -> SharedFile {
    let path = handle.file().unwrap().clone();
    SharedFile { path, len_bytes: handle.len_bytes, seal: handle.seal }
}

const BOTH: [ReadAccess; 2] = [ReadAccess::Copy, ReadAccess::Map];

#[test]
fn a_copy_is_read_when_the_file_is_gone() {
    let world = World::in_memory("gone");
    let handle = world.write("chk-1/a");
    world.storage.delete(&path("chk-1/a")).unwrap();
    for access in BOTH {
        let reader = world.reader(access);
        assert!(reader.open(&handle).unwrap() == content());
        let source = reader.shared_source(&shared(&handle)).unwrap();
        assert_eq!(source.len_bytes(), LEN_BYTES as u64);
        for range in [0..0, 0..1, 65_535..65_537, 100_000..200_000, 0..200_000] {
            let from = usize::try_from(range.start).unwrap();
            let to = usize::try_from(range.end).unwrap();
            assert!(source.read(range.clone()).unwrap() == content()[from..to], "{range:?}");
        }
        let error = source.read(0..200_001).unwrap_err();
        assert!(matches!(error, StorageError::NotFound { .. }), "{error}");
        let copied = reader.local_path(&shared(&handle)).unwrap();
        assert!(fs::read(copied).unwrap() == content());
    }
    assert_eq!(world.counts(), (4, 0, 0, 0));
}

#[test]
fn a_damaged_copy_is_passed_over_wherever_the_damage_is() {
    let world = World::in_memory("damaged");
    let handle = world.write("chk-1/a");
    let copy = world.data("chk-1/a");
    for at in [0, 65_536, 150_000, LEN_BYTES - 1] {
        let mut bytes = content();
        bytes[at] ^= 1;
        fs::write(&copy, &bytes).unwrap();
        for access in BOTH {
            let reader = world.reader(access);
            assert!(reader.open(&handle).unwrap() == content());
            let source = reader.source(&handle).unwrap();
            let before = world.counts();
            assert!(source.read(0..LEN_BYTES as u64).unwrap() == content());
            let after = world.counts();
            assert_eq!(after, (before.0 - 1, before.1 + 1, before.2 + 1, 0), "{at}");
            assert!(source.read(10..20).unwrap() == content()[10..20]);
            assert_eq!(world.counts(), after, "it is counted once");
            assert_eq!(reader.local_path(&shared(&handle)), None);
        }
    }
}

#[test]
fn a_lazy_read_finds_the_damage_when_it_comes_to_it() {
    let world = World::in_memory("lazy");
    let handle = world.write("chk-1/a");
    let mut bytes = content();
    bytes[150_000] ^= 1;
    fs::write(world.data("chk-1/a"), &bytes).unwrap();
    let source = world.reader(ReadAccess::Map).source(&handle).unwrap();
    assert!(source.read(0..1_000).unwrap() == content()[..1_000]);
    assert_eq!(world.counts(), (1, 0, 0, 0));
    assert!(source.read(149_000..151_000).unwrap() == content()[149_000..151_000]);
    assert_eq!(world.counts(), (0, 1, 1, 0));
}

#[test]
fn a_copy_that_is_cut_longer_or_without_checksums_is_none() {
    let world = World::in_memory("cut");
    let handle = world.write("chk-1/a");
    let sums = world.copies.sums_path(&path("chk-1/a"));
    let right = fs::read(&sums).unwrap();
    let longer = [&right[..], &[0]].concat();
    let mut other = right.clone();
    other[30] ^= 1;
    for wrong in [&right[..right.len() - 1], &longer, &other, b"", b"ALVCOPY1"] {
        fs::write(&sums, wrong).unwrap();
        assert!(world.reader(ReadAccess::Map).open(&handle).unwrap() == content());
    }
    fs::write(&sums, &right).unwrap();
    for len_bytes in [0, LEN_BYTES - 1, LEN_BYTES + 1] {
        fs::write(world.data("chk-1/a"), vec![1; len_bytes]).unwrap();
        assert!(world.reader(ReadAccess::Map).open(&handle).unwrap() == content());
    }
    assert_eq!(world.counts(), (0, 8, 8, 0));
    fs::remove_file(&sums).unwrap();
    assert!(world.reader(ReadAccess::Map).open(&handle).unwrap() == content());
    assert_eq!(world.counts(), (0, 9, 8, 0));
}

/// The copies are cut while a source maps them: an error, not a signal.
#[test]
fn a_copy_that_is_cut_while_it_is_mapped_is_passed_over() {
    let world = World::in_memory("cut-mapped");
    let handle = world.write("chk-1/a");
    let source = world.reader(ReadAccess::Map).source(&handle).unwrap();
    fs::write(world.data("chk-1/a"), b"short").unwrap();
    assert!(source.read(0..LEN_BYTES as u64).unwrap() == content());
}

#[test]
fn a_copy_of_another_file_of_the_same_name_is_none() {
    let world = World::in_memory("other");
    let handle = world.write("chk-1/a");
    let other = StateHandle { seal: handle.seal ^ 1, ..handle };
    let error = world.reader(ReadAccess::Copy).open(&other).unwrap_err();
    assert!(matches!(error, StorageError::SealMismatch { .. }), "{error}");
    assert_eq!(world.counts(), (0, 1, 1, 0));
}

#[test]
fn a_confirmed_checkpoint_replaces_the_one_before_and_spares_those_under_way() {
    let world = World::in_memory("confirm");
    for name in ["chk-1/a", "shared/b", "chk-2/a", "chk-3/a"] {
        world.write(name);
    }
    let there = |names: &[&str]| names.iter().all(|name| world.data(name).exists());
    world.copies.confirm(id(1), &[path("chk-1/a"), path("shared/b")]);
    assert!(there(&["chk-1/a", "shared/b", "chk-2/a", "chk-3/a"]));
    world.copies.confirm(id(2), &[path("chk-2/a"), path("shared/b")]);
    assert!(there(&["shared/b", "chk-2/a", "chk-3/a"]));
    assert!(!world.data("chk-1").exists() && !world.copies.sums_path(&path("chk-1/a")).exists());
    world.copies.confirm(id(1), &[path("chk-1/a")]);
    assert!(there(&["shared/b", "chk-2/a"]), "it is older");
    world.copies.keep_only(Some(id(2)), &[path("chk-2/a")]);
    assert!(there(&["chk-2/a"]));
    assert!(!world.data("shared/b").exists() && !world.data("chk-3/a").exists());
    world.copies.forget(&[path("chk-2/a"), path("absent/x")]);
    world.copies.keep_only(None, &[]);
    assert_eq!(children(&world.copies.dir().join("files")), [""; 0].map(PathBuf::from));
}

#[test]
fn a_full_disk_fails_no_checkpoint() {
    let world = World::in_memory("full");
    world.copies.set_room(150_000);
    let handle = world.write("chk-1/a");
    assert!(world.reader(ReadAccess::Copy).open(&handle).unwrap() == content());
    assert_eq!(world.counts(), (0, 1, 0, 1));
    assert!(!world.data("chk-1/a").exists());
    let told = world.copies.take_failure().unwrap();
    assert!(told.starts_with("cannot copy to ") && told.contains("chk-1/a: "), "{told}");
    assert_eq!(world.copies.take_failure(), None);
}

#[test]
fn a_folder_that_cannot_be_made_fails_no_checkpoint() {
    let world = World::in_memory("no-folder");
    fs::write(world.dir.path().join("copies"), b"a file").unwrap();
    let handle = world.write("chk-1/a");
    assert!(world.reader(ReadAccess::Map).source(&handle).is_ok());
    world.copies.keep_only(None, &[]);
    assert_eq!(world.counts(), (0, 1, 0, 1));
}

#[test]
fn a_stream_that_is_given_up_leaves_no_copy() {
    let world = World::in_memory("given-up");
    let streams = CheckpointStreams::new(Arc::clone(&world.storage), StreamPolicy::files())
        .with_copies(Some(world.copies.clone()));
    let mut stream = streams.stream(path("chk-1/a"));
    stream.write_all(&content()).unwrap();
    assert!(world.data("chk-1/a").exists());
    stream.abort();
    assert!(!world.data("chk-1/a").exists());
    let handle = world.write("chk-1/b");
    streams.discard(handle.file().unwrap()).unwrap();
    assert!(!world.data("chk-1/b").exists());
}

#[cfg(unix)]
#[test]
fn a_file_of_the_same_disk_is_linked() {
    use std::os::unix::fs::MetadataExt;

    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(Arc::new(LocalStorage::open(dir.path()).unwrap()));
    // Folders of temporary files lie on one file system.
    let handle = world.write("chk-1/a");
    let inode = |file: &Path| fs::metadata(file).unwrap().ino();
    assert_eq!(inode(&world.data("chk-1/a")), inode(&dir.path().join("chk-1/a")));
    world.storage.delete(&path("chk-1/a")).unwrap();
    assert!(world.reader(ReadAccess::Map).open(&handle).unwrap() == content());

    // A name that is a link is never written to.
    let next = world.write("chk-1/c");
    world.storage = crate::open("memory:copies-linked").unwrap();
    world.write("chk-1/c");
    assert!(fs::read(dir.path().join("chk-1/c")).unwrap() == content());
    assert_eq!(next.len_bytes, LEN_BYTES as u64);

    let origin = dir.path().join("origin");
    fs::write(&origin, content()).unwrap();
    let streams = CheckpointStreams::new(Arc::clone(&world.storage), StreamPolicy::files())
        .with_copies(Some(world.copies.clone()));
    let mut stream = streams.file(path("shared/s"));
    stream.also_at(&origin);
    stream.write_all(&content()).unwrap();
    stream.finish().unwrap();
    assert_eq!(inode(&world.data("shared/s")), inode(&origin));
    assert_eq!(world.counts(), (1, 0, 0, 0));
}
