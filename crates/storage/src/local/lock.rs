//! A lock file: an advisory lock of the operating system, with the holder's process number in it.
//!
//! Invariants: the system releases the lock when the holder ends, however it ends. The file stays:
//! removing it would let two processes lock two files of one name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use crate::{Location, StorageError, StorageLock};

use super::publish;

/// Longest process number, in digits.
const MAX_PID_LEN_BYTES: u64 = 10;

pub(super) fn take(path: &Path, location: Location) -> Result<StorageLock, StorageError> {
    if let Some(dir) = path.parent() {
        publish::create_dirs(dir)
            .map_err(|blocked| blocked.into_error("lock", location.clone()))?;
    }
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(source) => return Err(StorageError::io("lock", location, source)),
    };
    match file.try_lock() {
        Ok(()) => match sign(&mut file) {
            Ok(()) => Ok(StorageLock::new(file)),
            Err(source) => Err(StorageError::io("lock", location, source)),
        },
        Err(TryLockError::WouldBlock) => {
            Err(StorageError::Locked { location, holder_pid: holder_pid(&mut file) })
        }
        Err(TryLockError::Error(source)) => Err(StorageError::io("lock", location, source)),
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// The number is for people; a holder that is about to write it has not left one.
fn holder_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(MAX_PID_LEN_BYTES + 1).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}
