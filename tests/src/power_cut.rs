//! What a power cut may leave of a folder, given each step that was done to it.
//!
//! Ladder of names: step > prefix (the steps until the cut) > state (what the disk holds then).
//!
//! A file system owes nothing but this: the bytes of a file up to its last sync, and the names in a
//! folder as they were at its last sync. Of everything later any part may be there: each change of a
//! name is kept or lost by itself, and bytes behind the last sync are kept, cut short, zeros, or lost.
//! A new folder is lost with all that is in it when its name is.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use alluvium_storage::journal::Step;

use crate::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    File(usize),
    Dir(usize),
}

#[derive(Debug, Clone)]
enum Change {
    Set(String, Node),
    Unset(String),
    /// Over what has the new name, at once.
    Move(String, String, Node),
}

type Names = BTreeMap<String, Node>;

#[derive(Debug, Clone, Default)]
struct Folder {
    synced: Names,
    now: Names,
    pending: Vec<Change>,
}

#[derive(Debug, Clone, Default)]
struct File {
    bytes: Vec<u8>,
    synced_len: usize,
}

/// How much is lost of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Nothing.
    Nothing,
    /// Everything.
    Everything,
    /// One part here and there.
    Some,
}

/// The files that a state holds, and its folders.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CrashState {
    files: BTreeMap<PathBuf, Vec<u8>>,
    dirs: Vec<PathBuf>,
}

impl CrashState {
    /// A number that differs between states, almost certainly.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// Names of all files, below the folder.
    pub fn names(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// Puts everything into an empty folder.
    pub fn write_to(&self, root: &Path) {
        for dir in &self.dirs {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        for (path, bytes) in &self.files {
            std::fs::write(root.join(path), bytes).unwrap();
        }
    }
}

/// A folder, as far as its steps have come.
#[derive(Debug, Clone)]
pub struct Disk {
    root: PathBuf,
    /// The first is the root.
    folders: Vec<Folder>,
    files: Vec<File>,
}

fn apply(names: &mut Names, change: &Change) {
    match change {
        Change::Set(name, node) => {
            names.insert(name.clone(), *node);
        }
        Change::Unset(name) => {
            names.remove(name);
        }
        Change::Move(from, to, node) => {
            names.remove(from);
            names.insert(to.clone(), *node);
        }
    }
}

impl Disk {
    /// An empty folder.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), folders: vec![Folder::default()], files: Vec::new() }
    }

    /// The folder that holds a path, and the last name; `None` outside of the root.
    fn find(&self, path: &Path) -> Option<(usize, String)> {
        let below = path.strip_prefix(&self.root).ok()?;
        let mut names: Vec<_> = below.iter().map(|it| it.to_string_lossy().into_owned()).collect();
        let last = names.pop()?;
        let mut dir = 0;
        for name in names {
            match self.folders[dir].now.get(&name) {
                Some(Node::Dir(below)) => dir = *below,
                found => panic!("{} is below {found:?}", path.display()),
            }
        }
        Some((dir, last))
    }

    fn dir(&self, path: &Path) -> Option<usize> {
        if path == self.root {
            return Some(0);
        }
        let (dir, name) = self.find(path)?;
        match self.folders[dir].now.get(&name) {
            Some(Node::Dir(dir)) => Some(*dir),
            _ => None,
        }
    }

    fn file(&self, path: &Path) -> Option<usize> {
        let (dir, name) = self.find(path)?;
        match self.folders[dir].now.get(&name) {
            Some(Node::File(file)) => Some(*file),
            found => panic!("{} is {found:?}", path.display()),
        }
    }

    fn change(&mut self, dir: usize, change: Change) {
        apply(&mut self.folders[dir].now, &change);
        self.folders[dir].pending.push(change);
    }

    /// Does a step.
    pub fn step(&mut self, step: &Step) {
        match step {
            Step::MakeDir { dir } => {
                if let Some((parent, name)) = self.find(dir)
                    && !self.folders[parent].now.contains_key(&name)
                {
                    self.folders.push(Folder::default());
                    let node = Node::Dir(self.folders.len() - 1);
                    self.change(parent, Change::Set(name, node));
                }
            }
            Step::Create { path } => {
                if let Some((dir, name)) = self.find(path) {
                    self.files.push(File::default());
                    let node = Node::File(self.files.len() - 1);
                    self.change(dir, Change::Set(name, node));
                }
            }
            Step::Write { path, bytes } => {
                if let Some(file) = self.file(path) {
                    self.files[file].bytes.extend_from_slice(bytes);
                }
            }
            Step::Sync { path } => {
                if let Some(file) = self.file(path) {
                    self.files[file].synced_len = self.files[file].bytes.len();
                }
            }
            Step::Link { from, to } => {
                if let (Some(file), Some((dir, name))) = (self.file(from), self.find(to)) {
                    self.change(dir, Change::Set(name, Node::File(file)));
                }
            }
            Step::Rename { from, to } => {
                let file = self.file(from);
                if let (Some(file), Some((dir, old)), Some((to, new))) =
                    (file, self.find(from), self.find(to))
                {
                    assert_eq!(dir, to, "files are replaced by their neighbours only");
                    self.change(dir, Change::Move(old, new, Node::File(file)));
                }
            }
            Step::Remove { path } => {
                if let Some((dir, name)) = self.find(path) {
                    self.change(dir, Change::Unset(name));
                }
            }
            Step::RemoveTree { dir: path } => {
                if let (Some(dir), Some((parent, name))) = (self.dir(path), self.find(path)) {
                    self.remove_all(dir);
                    self.change(parent, Change::Unset(name));
                }
            }
            Step::SyncDir { dir } => {
                if let Some(dir) = self.dir(dir) {
                    let folder = &mut self.folders[dir];
                    folder.synced = folder.now.clone();
                    folder.pending.clear();
                }
            }
            Step::Mark { .. } => {}
        }
    }

    fn remove_all(&mut self, dir: usize) {
        for (name, node) in self.folders[dir].now.clone() {
            if let Node::Dir(below) = node {
                self.remove_all(below);
            }
            self.change(dir, Change::Unset(name));
        }
    }

    /// What the disk holds after a power cut now.
    pub fn cut(&self, loss: Loss, random: &mut Random) -> CrashState {
        let mut state = CrashState::default();
        self.cut_folder(0, Path::new(""), loss, random, &mut state);
        state
    }

    fn cut_folder(
        &self,
        dir: usize,
        path: &Path,
        loss: Loss,
        random: &mut Random,
        state: &mut CrashState,
    ) {
        let folder = &self.folders[dir];
        let mut names = folder.synced.clone();
        for change in &folder.pending {
            let is_kept = match loss {
                Loss::Nothing => true,
                Loss::Everything => false,
                Loss::Some => random.below(2) == 0,
            };
            if is_kept {
                apply(&mut names, change);
            }
        }
        for (name, node) in names {
            let path = path.join(name);
            match node {
                Node::Dir(below) => {
                    state.dirs.push(path.clone());
                    self.cut_folder(below, &path, loss, random, state);
                }
                Node::File(file) => {
                    let bytes = cut_file(&self.files[file], loss, random);
                    state.files.insert(path, bytes);
                }
            }
        }
    }
}

fn cut_file(file: &File, loss: Loss, random: &mut Random) -> Vec<u8> {
    let (mut bytes, synced) = (file.bytes.clone(), file.synced_len);
    let unsynced = bytes.len() - synced;
    let how = match loss {
        Loss::Nothing => 0,
        Loss::Everything => 1,
        Loss::Some => random.below(4),
    };
    match how {
        _ if unsynced == 0 => {}
        0 => {}
        1 => bytes.truncate(synced),
        2 => bytes.truncate(synced + random.below(unsynced as u64) as usize),
        _ => {
            let from = synced + random.below(unsynced as u64) as usize;
            bytes[from..].fill(0);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        Path::new("/top").join(name)
    }

    fn disk(steps: &[Step]) -> Disk {
        let mut disk = Disk::new(Path::new("/top"));
        steps.iter().for_each(|step| disk.step(step));
        disk
    }

    fn published() -> Vec<Step> {
        vec![
            Step::MakeDir { dir: path("d") },
            Step::SyncDir { dir: path("") },
            Step::Create { path: path("d/tmp") },
            Step::Write { path: path("d/tmp"), bytes: b"whole".to_vec() },
            Step::Sync { path: path("d/tmp") },
            Step::Link { from: path("d/tmp"), to: path("d/file") },
            Step::SyncDir { dir: path("d") },
            Step::Remove { path: path("d/tmp") },
        ]
    }

    #[test]
    fn what_was_synced_is_in_every_state() {
        let mut random = Random::new(1);
        let disk = disk(&published());
        for loss in [Loss::Nothing, Loss::Everything, Loss::Some, Loss::Some, Loss::Some] {
            let state = disk.cut(loss, &mut random);
            assert_eq!(state.files[Path::new("d/file")], b"whole");
            assert_eq!(
                state.files.contains_key(Path::new("d/tmp")),
                loss == Loss::Everything || loss == Loss::Some && state.files.len() == 2
            );
        }
    }

    #[test]
    fn a_file_that_was_not_synced_comes_in_every_shape() {
        let mut steps = published();
        steps.remove(4);
        let (disk, mut random) = (disk(&steps), Random::new(1));
        let mut found: Vec<Vec<u8>> = (0..200)
            .map(|_| disk.cut(Loss::Some, &mut random).files[Path::new("d/file")].clone())
            .collect();
        found.sort();
        found.dedup();
        let shapes: [&[u8]; 4] = [b"", b"wh", b"wh\0\0\0", b"whole"];
        assert!(shapes.iter().all(|shape| found.iter().any(|it| it == shape)), "{found:?}");
    }
}
