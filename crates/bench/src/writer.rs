//! The thread that writes checkpoints while updates go on, and one that removes old files.
//!
//! Invariants: one checkpoint at a time; no checkpoint waits for a removal; both threads end when the
//! [`Writer`] is dropped.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use alluvium::core::{KeyedStateHandle, StoragePath};
use alluvium::state::{FrozenState, SnapshotTarget};
use alluvium::storage::Storage;

use crate::error::BenchError;

/// Does the asynchronous part of checkpoints.
#[derive(Debug)]
pub(crate) struct Writer {
    work: Sender<Work>,
    done: Receiver<Result<Written, BenchError>>,
    unneeded: Sender<Vec<StoragePath>>,
    is_busy: bool,
}

struct Work {
    frozen: Box<dyn FrozenState>,
    target: SnapshotTarget,
    begun: Instant,
}

/// A checkpoint that was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) handle: KeyedStateHandle,
    /// From when it was handed over.
    pub(crate) took: Duration,
}

impl Writer {
    /// Starts the threads.
    pub(crate) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        storage: &Arc<dyn Storage>,
    ) -> Self {
        let (work, received) = channel();
        let (sender, done) = channel();
        scope.spawn(move || serve(&received, &sender));
        let (unneeded, files) = channel::<Vec<StoragePath>>();
        let storage = Arc::clone(storage);
        scope.spawn(move || {
            for files in files {
                // What cannot be removed now goes with the folder.
                drop(storage.delete_many(&files));
            }
        });
        Self { work, done, unneeded, is_busy: false }
    }

    /// Whether a checkpoint is being written.
    pub(crate) const fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Hands frozen state over, if nothing is being written.
    ///
    /// Errors: [`BenchError::WriterGone`].
    pub(crate) fn write(
        &mut self,
        frozen: Box<dyn FrozenState>,
        target: SnapshotTarget,
    ) -> Result<(), BenchError> {
        self.is_busy = true;
        let begun = Instant::now();
        let work = Work { frozen, target, begun };
        self.work.send(work).map_err(|_| BenchError::WriterGone)
    }

    /// Removes files that nobody needs, as a job does: no checkpoint waits for it.
    ///
    /// Errors: [`BenchError::WriterGone`].
    pub(crate) fn delete(&self, files: Vec<StoragePath>) -> Result<(), BenchError> {
        self.unneeded.send(files).map_err(|_| BenchError::WriterGone)
    }

    /// What was written since the last call.
    ///
    /// Errors: why it could not be written; [`BenchError::WriterGone`].
    pub(crate) fn poll(&mut self) -> Result<Option<Written>, BenchError> {
        match self.done.try_recv() {
            Ok(written) => {
                self.is_busy = false;
                written.map(Some)
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(BenchError::WriterGone),
        }
    }
}

fn serve(received: &Receiver<Work>, done: &Sender<Result<Written, BenchError>>) {
    for Work { frozen, target, begun } in received {
        let written = write(frozen, &target);
        let took = begun.elapsed();
        // Nobody listens any more when the load has failed.
        if done.send(written.map(|handle| Written { handle, took })).is_err() {
            break;
        }
    }
}

/// Writes frozen state, which is not empty.
///
/// Errors: [`BenchError::Snapshot`]; [`BenchError::Wrong`] if there was nothing to write.
pub(crate) fn write(
    frozen: Box<dyn FrozenState>,
    target: &SnapshotTarget,
) -> Result<KeyedStateHandle, BenchError> {
    let checkpoint = target.checkpoint.get();
    let handle =
        frozen.write(target).map_err(|source| BenchError::Snapshot { checkpoint, source })?;
    handle.ok_or_else(|| BenchError::Wrong {
        what: "state in a checkpoint",
        expected: "some".to_owned(),
        found: "none".to_owned(),
    })
}
