//! Where checkpoint bytes live.
//!
//! [`Storage`] is a narrow, synchronous, object-safe seam: create a file once, stream one, read,
//! list, delete, lock. [`open`] turns a URI into one: [`LocalStorage`] for paths, and
//! [`OpendalStorage`] for memory and object stores. On the seam stand the names of a job's files
//! ([`JobLayout`]), the streams that write state ([`CheckpointStreams`]), the reader that checks
//! what it reads ([`HandleReader`], at once or [piece by piece](ReadAt)), and the claims that keep an older process from writing
//! ([`claim_attempt`]). [`LocalCopies`] keeps what a restore will read near,
//! and [`TaskOwnedFiles`] are for operators.
//!
//! Ladder of names: root (a folder or bucket for many jobs) > job folder > checkpoint folder >
//! file.
//!
//! Invariants:
//! - a file is written once: it appears whole under its path or not at all, and is never changed;
//! - what a call reports as written survives a crash;
//! - calls block: they come from plain threads or a blocking pool, never from async code;
//! - names and errors hold no credentials.
//!
//! ```
//! use std::io::Write;
//!
//! use alluvium_core::{AttemptId, CheckpointId, JobId, OperatorUid, SubtaskIndex};
//! use alluvium_storage::{
//!     CheckpointStreams, HandleReader, JobLayout, ReadAccess, StateFileKind, StreamPolicy,
//! };
//!
//! let root = alluvium_storage::open("memory:example")?;
//! let job = root.below(&JobLayout::job_dir(&JobId::new("wordcount")?))?;
//! let attempt = alluvium_storage::claim_attempt(job.as_ref())?;
//!
//! let path = JobLayout::state_file(
//!     CheckpointId::FIRST,
//!     &OperatorUid::new("count")?,
//!     SubtaskIndex::new(0),
//!     StateFileKind::Keyed,
//!     attempt,
//! );
//! let streams = CheckpointStreams::new(job.clone(), StreamPolicy::files());
//! let mut stream = streams.stream(path.clone());
//! stream.write_all(&vec![7; 100_000])?;
//! let handle = stream.finish()?;
//! assert_eq!(handle.file(), Some(&path));
//!
//! alluvium_storage::check_attempt(job.as_ref(), attempt)?;
//! job.create(&JobLayout::metadata(CheckpointId::FIRST), b"written last")?;
//!
//! let reader = HandleReader::new(job, ReadAccess::Map);
//! assert_eq!(reader.open(&handle)?.len(), 100_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod copies;
mod error;
mod fencing;
mod handle_reader;
#[cfg(not(feature = "journal"))]
mod journal;
#[cfg(feature = "journal")]
pub mod journal;
mod layout;
mod local;
mod mmap;
mod opendal_store;
mod read_at;
mod savepoint_folder;
mod seal;
mod seam;
mod stream;
mod task_owned;
mod uri;

pub use copies::{CopyStatistics, LocalCopies};
pub use error::{Location, RemoteCause, StorageError};
pub use fencing::{check_attempt, claim_attempt};
pub use handle_reader::{HandleReader, ReadAccess};
pub use layout::{JobLayout, StateFileKind};
pub use local::LocalStorage;
pub use opendal_store::OpendalStorage;
pub use read_at::ReadAt;
pub use savepoint_folder::SavepointFolder;
pub use seal::seal_of;
pub use seam::{Storage, StorageEntry, StorageLock, StorageWriter};
pub use stream::{CheckpointStream, CheckpointStreams, StreamPolicy};
pub use task_owned::{TaskOwnedFile, TaskOwnedFiles, TaskOwnedWriter};
pub use uri::{check_uri, open, open_existing};

#[cfg(test)]
mod behaviour;
