//! Syncs a file while it is still being written, so that little is left to sync in the end.
//!
//! The system would otherwise keep all of it in memory until the last sync, which then waits for the
//! disk alone. RocksDB does the same with `bytes_per_sync`.
//!
//! Invariants: a short file has no thread; the thread ends before its [`SyncAhead`] is gone; an error of
//! a sync is never lost. The system reports it once, here or to the last sync, and whoever does not
//! look here would take a file for durable that is not.

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// How many bytes are written between two syncs.
const STEP_LEN_BYTES: u64 = 16 * 1024 * 1024;

/// What syncs one file.
#[derive(Debug, Default)]
pub(super) struct SyncAhead {
    unsynced_bytes: u64,
    thread: Option<Thread>,
}

#[derive(Debug)]
struct Thread {
    ask: SyncSender<()>,
    ends: JoinHandle<io::Result<()>>,
}

impl SyncAhead {
    /// So many bytes were written to the file, which `again` opens once more.
    ///
    /// Without a thread for it the file is synced in the end, as a short one is.
    pub(super) fn wrote(&mut self, len_bytes: usize, again: impl FnOnce() -> io::Result<File>) {
        self.unsynced_bytes = self.unsynced_bytes.saturating_add(len_bytes as u64);
        if self.unsynced_bytes < STEP_LEN_BYTES {
            return;
        }
        if self.thread.is_none() {
            self.thread = again().and_then(Thread::start).ok();
        }
        // A thread that is still busy has one request waiting, which covers these bytes.
        if let Some(thread) = &self.thread {
            let _ = thread.ask.try_send(());
        }
        self.unsynced_bytes = 0;
    }

    /// Waits for the thread.
    ///
    /// Errors: that of the first sync that failed.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.thread.take().map_or(Ok(()), Thread::finish)
    }
}

impl Drop for SyncAhead {
    fn drop(&mut self) {
        // The file is given up, whatever became of it.
        drop(self.finish());
    }
}

impl Thread {
    fn start(file: File) -> io::Result<Self> {
        let (ask, asked) = sync_channel(1);
        let name = "alluvium-sync".to_owned();
        let ends = thread::Builder::new().name(name).spawn(move || sync_all(&file, &asked))?;
        Ok(Self { ask, ends })
    }

    fn finish(self) -> io::Result<()> {
        drop(self.ask);
        let gone = || io::Error::other("the thread that syncs the file has ended");
        self.ends.join().unwrap_or_else(|_| Err(gone()))
    }
}

fn sync_all(file: &File, asked: &Receiver<()>) -> io::Result<()> {
    asked.iter().try_for_each(|()| file.sync_data())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const STEP: usize = 16 * 1024 * 1024;

    #[test]
    fn a_short_file_has_no_thread() {
        let mut ahead = SyncAhead::default();
        ahead.wrote(STEP - 1, || unreachable!("short"));
        assert!(ahead.thread.is_none());
        ahead.finish().unwrap();
    }

    #[test]
    fn one_thread_syncs_a_long_file() {
        let opened = Cell::new(0);
        let mut ahead = SyncAhead::default();
        for _ in 0..100 {
            ahead.wrote(STEP / 2, || {
                opened.set(opened.get() + 1);
                tempfile::tempfile()
            });
        }
        assert_eq!(opened.get(), 1);
        assert!(ahead.thread.is_some());
        ahead.finish().unwrap();
        assert!(ahead.thread.is_none());
    }

    #[test]
    fn without_a_thread_the_file_is_synced_in_the_end() {
        let mut ahead = SyncAhead::default();
        ahead.wrote(STEP, || Err(io::Error::other("no more descriptors")));
        ahead.finish().unwrap();
    }

    /// `/dev/full` and pipes cannot be synced: the system answers with `EINVAL`.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_error_of_a_sync_is_reported() {
        let mut ahead = SyncAhead::default();
        ahead.wrote(STEP, || File::options().write(true).open("/dev/full"));
        let error = ahead.finish().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    }
}
