//! What the disk holds, or the object store.
//!
//! Invariants:
//! - a file is written once and never changed;
//! - of what happened before a power cut only this may be undone: files whose last sync failed may
//!   be gone, the last deletions may be back unless their folder was synced on purpose, unfinished files may be
//!   gone;
//! - folders exist on a disk once something was created in them, and never in an object store.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alluvium_testkit::random::Random;
use bytes::Bytes;

use crate::executor::ProcessId;

/// How many deletions a power cut may undo.
const UNSYNCED_DELETIONS: usize = 16;

/// What is done to the disk, with full paths.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Create(String, Bytes),
    /// Gives a file one more name.
    Link(String, String),
    Replace(String, Bytes),
    Delete(String),
    /// Removes a folder in which no file is left.
    RemoveDirs(String),
    /// Removes a folder in which there is nothing.
    RemoveEmptyDir(String),
    DeleteUnfinished(String),
    Sync(String),
}

/// Why a change is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    NotFound,
    AlreadyExists,
}

#[derive(Debug, Clone)]
struct File {
    bytes: Bytes,
    /// Whether it survives a power cut.
    is_synced: bool,
}

/// All files, by full path.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(super) is_remote: bool,
    files: BTreeMap<String, File>,
    dirs: BTreeSet<String>,
    /// Unfinished files, by number.
    unfinished: BTreeMap<u64, String>,
    last_unfinished: u64,
    locks: BTreeMap<String, ProcessId>,
    deleted: VecDeque<(String, File)>,
    /// What was done too early, in sentences.
    pub(crate) too_early: Vec<String>,
    /// Whether a power cut has undone anything that is seen.
    pub(crate) has_undone: bool,
}

fn is_below(path: &str, dir: &str) -> bool {
    dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| path.get(..at).unwrap_or_default())
}

impl Disk {
    pub(crate) fn new(is_remote: bool) -> Self {
        Self { is_remote, ..Self::default() }
    }

    pub(super) fn apply(&mut self, change: &Change) -> Result<(), Refused> {
        match change {
            Change::Create(path, bytes) => {
                if self.files.contains_key(path) {
                    return Err(Refused::AlreadyExists);
                }
                self.put(path, bytes.clone());
            }
            Change::Link(from, to) => {
                let bytes = self.read(from).ok_or(Refused::NotFound)?;
                if self.files.contains_key(to) {
                    return Err(Refused::AlreadyExists);
                }
                self.put(to, bytes);
            }
            Change::Replace(path, bytes) => self.put(path, bytes.clone()),
            Change::Delete(path) => {
                if let Some(file) = self.files.remove(path)
                    && !self.is_remote
                {
                    self.deleted.push_back((path.clone(), file));
                    if self.deleted.len() > UNSYNCED_DELETIONS {
                        self.deleted.pop_front();
                    }
                }
            }
            Change::RemoveDirs(dir) => {
                if !self.files.keys().any(|path| is_below(path, dir)) {
                    self.unfinished.retain(|_, path| !is_below(path, dir));
                    self.dirs.retain(|path| path != dir && !is_below(path, dir));
                }
            }
            Change::RemoveEmptyDir(dir) => {
                if self.files_below(dir).is_empty() && self.dirs_below(dir).is_empty() {
                    self.dirs.remove(dir);
                }
            }
            Change::Sync(path) => {
                self.sync_folder_of(path);
                self.deleted.retain(|(deleted, _)| folder_of(deleted) != folder_of(path));
            }
            Change::DeleteUnfinished(dir) => {
                self.unfinished.retain(|_, path| {
                    path.rsplit_once('/').is_none_or(|(parent, _)| parent != dir)
                });
            }
        }
        Ok(())
    }

    /// A file whose folder could not be synced: it is there until the power is cut.
    pub(super) fn unsync(&mut self, path: &str) {
        if let Some(file) = self.files.get_mut(path)
            && !self.is_remote
        {
            file.is_synced = false;
        }
    }

    /// Puts a file there; its folder is synced with all that is in it.
    fn put(&mut self, path: &str, bytes: Bytes) {
        self.make_dirs(path);
        self.sync_folder_of(path);
        self.deleted.retain(|(deleted, _)| deleted != path);
        self.files.insert(path.to_owned(), File { bytes, is_synced: true });
    }

    fn sync_folder_of(&mut self, path: &str) {
        let dir = folder_of(path).to_owned();
        for (of, file) in &mut self.files {
            if folder_of(of) == dir {
                file.is_synced = true;
            }
        }
    }

    /// Whether a file is there that a power cut may take away.
    pub(super) fn is_unsynced(&self, path: &str) -> bool {
        self.files.get(path).is_some_and(|file| !file.is_synced)
    }

    fn make_dirs(&mut self, path: &str) {
        if !self.is_remote {
            self.dirs.extend(parents(path).map(str::to_owned));
        }
    }

    pub(super) fn read(&self, path: &str) -> Option<Bytes> {
        self.files.get(path).map(|file| file.bytes.clone())
    }

    /// Names of the direct children of a folder, with the length of files.
    pub(super) fn list(&self, dir: &str) -> BTreeMap<String, Option<u64>> {
        let mut children = BTreeMap::new();
        let rest_of = |path: &str| -> Option<String> {
            if dir.is_empty() {
                return Some(path.to_owned());
            }
            path.strip_prefix(dir)?.strip_prefix('/').map(str::to_owned)
        };
        for rest in self.dirs.iter().filter_map(|path| rest_of(path)) {
            let name = rest.split('/').next().unwrap_or_default();
            children.insert(name.to_owned(), None);
        }
        for (path, file) in &self.files {
            let Some(rest) = rest_of(path) else { continue };
            match rest.split_once('/') {
                Some((name, _)) => children.insert(name.to_owned(), None),
                None => children.insert(rest, Some(file.bytes.len() as u64)),
            };
        }
        children
    }

    /// All files below a folder, unfinished ones too.
    pub(crate) fn files_below(&self, dir: &str) -> Vec<String> {
        let files = self.files.keys().chain(self.unfinished.values());
        files.filter(|path| is_below(path, dir)).cloned().collect()
    }

    /// All folders below a folder.
    pub(crate) fn dirs_below(&self, dir: &str) -> Vec<String> {
        self.dirs.iter().filter(|path| is_below(path, dir)).cloned().collect()
    }

    pub(super) fn begin_unfinished(&mut self, path: &str) -> u64 {
        self.make_dirs(path);
        self.last_unfinished += 1;
        if !self.is_remote {
            self.unfinished.insert(self.last_unfinished, path.to_owned());
        }
        self.last_unfinished
    }

    pub(super) fn end_unfinished(&mut self, number: u64) {
        self.unfinished.remove(&number);
    }

    /// Whether the lock was free.
    pub(super) fn lock(&mut self, path: &str, process: ProcessId) -> bool {
        if self.locks.contains_key(path) {
            return false;
        }
        self.make_dirs(path);
        self.locks.insert(path.to_owned(), process);
        true
    }

    pub(super) fn unlock(&mut self, path: &str, process: ProcessId) {
        if self.locks.get(path) == Some(&process) {
            self.locks.remove(path);
        }
    }

    /// A process is gone, and its locks with it.
    pub(crate) fn release(&mut self, process: ProcessId) {
        self.locks.retain(|_, holder| *holder != process);
    }

    /// The machine loses power. Gives what is lost, and what is back.
    pub(crate) fn cut_power(&mut self, random: &mut Random) -> Vec<String> {
        self.locks.clear();
        let mut undone = Vec::new();
        let unsynced: Vec<String> =
            self.files.iter().filter(|(_, file)| !file.is_synced).map(|(p, _)| p.clone()).collect();
        for path in unsynced {
            if random.one_in(2) {
                self.files.remove(&path);
                undone.push(format!("lost {path}"));
            } else if let Some(file) = self.files.get_mut(&path) {
                file.is_synced = true;
            }
        }
        for (path, file) in std::mem::take(&mut self.deleted) {
            if random.one_in(2) && !self.files.contains_key(&path) {
                self.make_dirs(&path);
                undone.push(format!("back {path}"));
                self.files.insert(path, File { is_synced: true, ..file });
            }
        }
        self.unfinished.retain(|_, _| random.one_in(2));
        self.has_undone |= !undone.is_empty();
        undone
    }
}
