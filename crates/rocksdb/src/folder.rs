//! The local folder of one backend, and the removal of those that dead processes left.
//!
//! Layout: `<base>/<uid>-<subtask>-<process>-<seed>-<number>/`, in it `alive` (a lock file) and `db/`
//! (the database). The name is for people; what tells a folder in use from a stray one is the lock
//! on `alive`, which the operating system releases when its holder ends, however it ends.
//!
//! Invariants:
//! - a folder is made and locked, and strays are removed, by one process at a time: under the lock
//!   of `<base>/lock`; so nobody meets a folder that is not locked yet;
//! - only folders with a file `alive` are ever removed, and empty ones that are named as ours: who
//!   makes or removes a folder may die when `alive` is not there yet, or no more;
//! - `alive` goes last, so that a removal that was broken off is done again.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use alluvium_core::{OperatorUid, SubtaskIndex};

const BASE_LOCK: &str = "lock";
const ALIVE: &str = "alive";
const DATABASE: &str = "db";

/// Whose folder it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FolderOwner<'o> {
    pub(crate) uid: &'o OperatorUid,
    pub(crate) subtask: SubtaskIndex,
    /// Drawn at random once per process.
    pub(crate) seed: u64,
}

/// A folder that is deleted when this is dropped, and locked until then.
#[derive(Debug)]
pub(crate) struct LocalFolder {
    dir: PathBuf,
    _alive: File,
}

impl LocalFolder {
    /// Removes stray folders and makes a new one.
    pub(crate) fn create(base: &Path, owner: FolderOwner<'_>) -> io::Result<Self> {
        fs::create_dir_all(base)?;
        let guard = open_lock(&base.join(BASE_LOCK))?;
        guard.lock()?;
        remove_strays(base)?;
        let FolderOwner { uid, subtask, seed } = owner;
        let stem = format!("{uid}-{subtask}-{}-{seed:016x}", std::process::id());
        for number in 0_u64.. {
            let dir = base.join(format!("{stem}-{number}"));
            match fs::create_dir(&dir) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            let alive = open_lock(&dir.join(ALIVE))?;
            alive.lock()?;
            return Ok(Self { dir, _alive: alive });
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Where the database goes.
    pub(crate) fn database_dir(&self) -> PathBuf {
        self.dir.join(DATABASE)
    }
}

impl Drop for LocalFolder {
    fn drop(&mut self) {
        // What cannot be removed now is a stray folder for the next one who looks.
        let _ = remove(&self.dir);
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Removes the folders that nobody holds.
fn remove_strays(base: &Path) -> io::Result<()> {
    for entry in fs::read_dir(base)? {
        let dir = entry?.path();
        let opened = OpenOptions::new().read(true).write(true).open(dir.join(ALIVE));
        let Ok(alive) = opened else {
            if is_named_as_ours(&dir) {
                // Its maker or remover died just then; nothing goes if it is not empty.
                let _ = fs::remove_dir(&dir);
            }
            continue;
        };
        if alive.try_lock().is_ok() {
            // One that cannot be removed harms nobody; it is tried again.
            let _ = remove(&dir);
        }
    }
    Ok(())
}

/// Whether the name ends as we name folders: a process, a seed and a number.
fn is_named_as_ours(dir: &Path) -> bool {
    let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut parts = name.rsplitn(5, '-');
    let is_number = |part: &str| part.parse::<u64>().is_ok();
    parts.next().is_some_and(is_number)
        && parts.next().is_some_and(|seed| u64::from_str_radix(seed, 16).is_ok())
        && parts.next().is_some_and(is_number)
        && parts.next().is_some_and(is_number)
}

fn remove(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != ALIVE {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_file(dir.join(ALIVE))?;
    fs::remove_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(base: &Path) -> usize {
        fs::read_dir(base).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count()
    }

    #[test]
    fn folders_in_use_stay_and_stray_ones_go() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().join("base");
        let uid = OperatorUid::new("count").unwrap();
        let owner = FolderOwner { uid: &uid, subtask: SubtaskIndex::new(3), seed: 7 };
        let first = LocalFolder::create(&base, owner).unwrap();
        let second = LocalFolder::create(&base, owner).unwrap();
        assert_ne!(first.dir, second.dir);
        fs::create_dir(first.database_dir()).unwrap();
        fs::write(first.database_dir().join("file"), "content").unwrap();

        // As a killed process leaves it: the lock is gone, the file is not.
        let stray = base.join("count-0-1-00-0");
        fs::create_dir_all(stray.join(DATABASE)).unwrap();
        fs::write(stray.join(ALIVE), "").unwrap();
        let foreign = base.join("somebody-else");
        fs::create_dir(&foreign).unwrap();

        // As a process leaves it that is killed while it makes or removes its folder.
        let empty = base.join("count-0-1-000000000000002a-7");
        fs::create_dir(&empty).unwrap();

        let third = LocalFolder::create(&base, owner).unwrap();
        assert!(!stray.exists() && !empty.exists() && foreign.exists());
        assert!(first.database_dir().join("file").exists() && second.dir.exists());
        drop((first, second, third));
        assert_eq!(names(&base), 1, "only the foreign folder is left");
    }
}
