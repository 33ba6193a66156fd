//! Writes a long file on a thread of its own, so that the next bytes are encoded and checksummed while the
//! system copies the last ones.
//!
//! Roles: whoever writes hands full buffers over and gets emptied ones back; the thread writes them in
//! their order and asks [`SyncAhead`] to sync them.
//!
//! Invariants: a short file has no thread; the thread ends before its [`WriteBehind`] is gone; after an error
//! nothing more is written, and whoever hands over the next buffer, or finishes, gets that error.

use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use super::ahead::SyncAhead;

/// Bytes of a file that are written by its own writer.
const SHORT_LEN_BYTES: u64 = 1024 * 1024;
/// Buffers that wait for the thread.
const WAITING_BUFFERS: usize = 4;

/// What writes one file.
#[derive(Debug)]
pub(super) struct WriteBehind {
    file: File,
    ahead: SyncAhead,
    written_bytes: u64,
    thread: Option<Thread>,
}

#[derive(Debug)]
struct Thread {
    full: SyncSender<Vec<u8>>,
    emptied: Receiver<Vec<u8>>,
    ends: JoinHandle<io::Result<SyncAhead>>,
}

/// What is done once bytes were written.
pub(super) trait Noted: Fn(&[u8]) + Clone + Send + 'static {}

impl<F: Fn(&[u8]) + Clone + Send + 'static> Noted for F {}

impl WriteBehind {
    pub(super) fn new(file: File) -> Self {
        Self { file, ahead: SyncAhead::default(), written_bytes: 0, thread: None }
    }

    /// Writes a buffer now or later, and gives an empty one for it.
    ///
    /// Errors: those of this write and of earlier ones.
    pub(super) fn write(&mut self, buffer: Vec<u8>, noted: &impl Noted) -> io::Result<Vec<u8>> {
        if self.thread.is_none() && self.written_bytes >= SHORT_LEN_BYTES {
            // Without a thread it is written here, as a short one is.
            self.thread = self.start(noted.clone()).ok();
        }
        self.written_bytes = self.written_bytes.saturating_add(buffer.len() as u64);
        match &self.thread {
            None => write_and_empty(&mut self.file, &mut self.ahead, buffer, noted),
            Some(thread) => match thread.full.send(buffer) {
                Ok(()) => Ok(thread.emptied.try_recv().unwrap_or_default()),
                // It has ended, as it does after an error.
                Err(_) => Err(self.join().err().unwrap_or_else(gone)),
            },
        }
    }

    /// Writes bytes before it returns.
    ///
    /// Errors: as [`WriteBehind::write`].
    pub(super) fn write_here(&mut self, bytes: &[u8], noted: &impl Noted) -> io::Result<()> {
        self.join()?;
        write_now(&mut self.file, &mut self.ahead, bytes, noted)
    }

    /// Writes what waits, and syncs everything.
    ///
    /// Errors: those of all writes and syncs that were not reported yet.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.join()?;
        self.ahead.finish()?;
        self.file.sync_all()
    }

    fn start(&mut self, noted: impl Noted) -> io::Result<Thread> {
        let mut file = self.file.try_clone()?;
        let (full, waiting) = sync_channel::<Vec<u8>>(WAITING_BUFFERS);
        let (empty, emptied) = sync_channel(WAITING_BUFFERS + 1);
        let mut ahead = mem::take(&mut self.ahead);
        let name = "alluvium-write".to_owned();
        let ends = thread::Builder::new().name(name).spawn(move || {
            for buffer in waiting {
                let emptied = write_and_empty(&mut file, &mut ahead, buffer, &noted)?;
                let _ = empty.try_send(emptied);
            }
            Ok(ahead)
        })?;
        Ok(Thread { full, emptied, ends })
    }

    /// Waits for the thread.
    fn join(&mut self) -> io::Result<()> {
        let Some(Thread { full, ends, .. }) = self.thread.take() else { return Ok(()) };
        drop(full);
        self.ahead = ends.join().unwrap_or_else(|_| Err(gone()))?;
        Ok(())
    }
}

impl Drop for WriteBehind {
    fn drop(&mut self) {
        // The file is given up, whatever became of it.
        drop(self.join());
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that writes the file has ended")
}

fn write_now(
    file: &mut File,
    ahead: &mut SyncAhead,
    bytes: &[u8],
    noted: &impl Noted,
) -> io::Result<()> {
    file.write_all(bytes)?;
    noted(bytes);
    ahead.wrote(bytes.len(), || file.try_clone());
    Ok(())
}

fn write_and_empty(
    file: &mut File,
    ahead: &mut SyncAhead,
    mut buffer: Vec<u8>,
    noted: &impl Noted,
) -> io::Result<Vec<u8>> {
    write_now(file, ahead, &buffer, noted)?;
    buffer.clear();
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    const BUFFER_LEN_BYTES: usize = 200_000;

    fn buffer(number: u8) -> Vec<u8> {
        vec![number; BUFFER_LEN_BYTES + usize::from(number)]
    }

    #[test]
    fn all_buffers_are_written_in_their_order_and_noted() {
        let file = tempfile::tempfile().unwrap();
        let mut behind = WriteBehind::new(file.try_clone().unwrap());
        let (sender, lengths) = std::sync::mpsc::channel();
        let note = move |bytes: &[u8]| sender.send(bytes.len()).unwrap();
        for number in 0..100 {
            assert!(behind.write(buffer(number), &note).unwrap().is_empty());
            assert_eq!(behind.thread.is_some(), number > 5, "a short file has no thread");
        }
        behind.finish().unwrap();
        drop((behind, note));
        let expected: Vec<u8> = (0..100).flat_map(buffer).collect();
        assert_eq!(lengths.iter().sum::<usize>(), expected.len());
        let (mut file, mut found) = (file, Vec::new());
        file.rewind().unwrap();
        file.read_to_end(&mut found).unwrap();
        assert!(found == expected);
    }

    /// The first write fails if there is no thread yet, and one of the next if there is.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_error_of_the_thread_is_reported_and_ends_the_writing() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut behind = WriteBehind::new(full);
        assert!(behind.write(buffer(0), &|_: &[u8]| ()).is_err());
        behind.written_bytes = SHORT_LEN_BYTES;
        let mut failed = 0;
        for number in 0..10 {
            if let Err(error) = behind.write(buffer(number), &|_: &[u8]| ()) {
                assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
                failed += 1;
                break;
            }
        }
        assert!(failed == 1 || behind.finish().is_err());
        let mut behind = WriteBehind::new(File::options().write(true).open("/dev/full").unwrap());
        behind.written_bytes = SHORT_LEN_BYTES;
        assert!(behind.write(buffer(0), &|_: &[u8]| ()).unwrap().is_empty());
        assert_eq!(behind.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
