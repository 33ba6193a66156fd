//! Looks into checkpoints and savepoints without the job that wrote them.
//!
//! Ladder of names: [`Folder`] (what lies under an address) > [`Checkpoint`] (one of them, opened by its
//! address) > [`Entries`] > [`Entry`] (a key, a namespace and a value of a state).
//!
//! | function | what it does |
//! |---|---|
//! | [`Summary::of`] | operators, bytes and files, from the metadata alone |
//! | [`states`](fn@states) | names, kinds and codecs of all states |
//! | [`verify`](fn@verify) | compares every checksum, and what metadata, streams and files say of each other |
//! | [`Checkpoint::entries`], [`operator_items`](fn@operator_items) | gives what is in it, encoded and as JSON ([`JsonCodec`]) |
//! | [`diff`](fn@diff) | what was added, removed and changed from one to another |
//! | [`copy`](fn@copy) | copies one with all that it needs |
//! | [`rewrite`](fn@rewrite) | another max parallelism, fewer states, other uids, as a canonical savepoint |
//! | [`gc`](fn@gc) | removes files to which nobody refers |
//!
//! They take addresses. Who has a [`Storage`](alluvium_storage::Storage) of their own takes [`Checkpoint::in_folder`],
//! [`Checkpoint::savepoint`], [`Folder::find_in`], [`verify_checkpoint`], [`verify_in`], [`copy_into`],
//! [`rewrite_into`] and [`gc_in`].
//!
//! Keyed state in SST files is verified, copied and counted as it is; its rows are read by whoever can:
//! [`Checkpoint::with_native`] takes a backend.
//!
//! Memory: the metadata; of each open stream its index; a segment with its chain, or a piece of a file
//! for each core. More is held in three places:
//!
//! - operator state of one subtask is read whole, and [`diff`](fn@diff) holds that of all subtasks of an operator, of
//!   both sides;
//! - [`diff`](fn@diff) may hold the entries of one state in one key group;
//! - [`rewrite`](fn@rewrite) to other key groups sorts a part of an operator's entries at a time: about 32 MiB, or a 256th
//!   of them where an operator has more than 8 GiB, and more where a few key groups have most of the entries.
//!
//! Invariants:
//! - everything goes through the checked decoders of `alluvium-format`: hostile bytes are an error
//!   that names the file;
//! - nothing outside the folder of the job, or of the savepoint, is read or deleted, whatever paths
//!   and symbolic links say;
//! - what was there is never changed, and only [`gc`](fn@gc) removes anything.
//!
//! The entries of a checkpoint, by somebody who does not know the types of its job. `uri` is a path,
//! `chk/wordcount/chk-1`, or any address of a storage; the example `entries` is a whole program
//! (`cargo run -p alluvium-inspect --example entries -- chk/wordcount/chk-1`):
//!
//! ```
//! # use std::sync::Arc;
//! # use alluvium_core::{
//! #     AssignerName, AttemptId, CheckpointId, CheckpointMetadata, CheckpointProperties, JobId,
//! #     KeyGroupAssigner, MaxParallelism, OperatorState, OperatorUid, Parallelism, SubtaskIndex,
//! #     SubtaskState,
//! # };
//! # use alluvium_format::{codec::DefaultCodec, metadata::write_metadata};
//! # use alluvium_heap::HeapStateBackend;
//! # use alluvium_state::*;
//! # use alluvium_storage::{CheckpointStreams, HandleReader, JobLayout, ReadAccess, StreamPolicy};
//! use alluvium_inspect::{Checkpoint, InspectError, Selection};
//!
//! fn lines(uri: &str) -> Result<Vec<String>, InspectError> {
//!     let mut lines = Vec::new();
//!     for entry in Checkpoint::open(uri)?.entries(Selection::default()) {
//!         let entry = entry?;
//!         let (state, group) = (&entry.state().name, entry.key_group);
//!         lines.push(format!("{state} {group} {} {}", entry.key_json()?, entry.value_json()?));
//!     }
//!     Ok(lines)
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let job = alluvium_storage::open("memory:inspect-front-door/wordcount")?;
//! # let reader = HandleReader::new(Arc::clone(&job), ReadAccess::Copy);
//! # let max_parallelism = MaxParallelism::new(128)?;
//! # let parallelism = Parallelism::new(1, max_parallelism)?;
//! # let (uid, index) = (OperatorUid::new("count")?, SubtaskIndex::new(0));
//! # let spec = KeyedBackendSpec {
//! #     uid: uid.clone(),
//! #     subtask: index,
//! #     parallelism,
//! #     key: DefaultCodec,
//! #     assigner: KeyGroupAssigner::<String>::Stable,
//! #     hash_seed: 42,
//! # };
//! # let mut backend = HeapStateBackend::default().open(spec, &[], &reader)?;
//! # let counts = backend.value_state(ValueStateDescriptor::<u64>::new("count"))?;
//! # for word in ["sand", "silt", "sand"].map(String::from) {
//! #     counts.update(&mut backend.at(&word)?, |n| *n += 1)?;
//! # }
//! # let streams = CheckpointStreams::new(Arc::clone(&job), StreamPolicy::files());
//! # let (checkpoint, attempt) = (CheckpointId::FIRST, AttemptId::new(1));
//! # let target = SnapshotTarget { streams, checkpoint, attempt, mode: SnapshotMode::Full };
//! # let keyed = backend.freeze(checkpoint)?.write(&target)?;
//! # let subtasks = vec![SubtaskState { index, keyed, operator: None }];
//! # let metadata = CheckpointMetadata {
//! #     properties: CheckpointProperties {
//! #         job: JobId::new("wordcount")?,
//! #         checkpoint,
//! #         attempt,
//! #         triggered_at_ms: 0,
//! #         completed_at_ms: 1,
//! #         max_parallelism,
//! #         assigner: AssignerName::Stable,
//! #     },
//! #     operators: vec![OperatorState { uid, parallelism, subtasks }],
//! # };
//! # job.create(&JobLayout::metadata(checkpoint), &write_metadata(&metadata)?)?;
//! // Of a job that counts words, in key groups 115 and 33.
//! # let uri = "memory:inspect-front-door/wordcount/chk-1";
//! let mut lines = lines(uri)?;
//! lines.sort();
//! assert_eq!(lines, [r#"count 115 "silt" 1"#, r#"count 33 "sand" 2"#]);
//! # Ok(())
//! # }
//! ```

mod checkpoint;
mod copy;
mod diff;
mod entries;
mod error;
mod folder;
mod gc;
mod inside;
mod json;
mod key_group;
mod native;
mod opened;
mod operator_items;
mod progress;
mod references;
mod rewrite;
mod states;
mod stream;
mod summary;
mod verify;

pub use checkpoint::Checkpoint;
pub use copy::{CopyReport, copy, copy_into};
pub use diff::{Diff, OperatorDiff, StateDiff, diff};
pub use entries::{Entries, Entry, Selection};
pub use error::InspectError;
pub use folder::{Folder, FoundCheckpoint};
pub use gc::{GcFolder, GcOptions, gc};
pub use json::{JsonCodec, is_hidden, quote};
pub use native::{ByBackend, NativeState};
pub use opened::{gc_in, verify_checkpoint, verify_in};
pub use operator_items::{OperatorItem, operator_items, operator_items_beside_damage};
pub use progress::Progress;
pub use references::Orphan;
pub use rewrite::{Rewrite, RewriteReport, rewrite, rewrite_into};
pub use states::{ReadableStates, StateSummary, StateType, readable_states, states};
pub use summary::{OperatorSummary, Sizes, StreamSummary, SubtaskSummary, Summary};
pub use verify::{Finding, Severity, VerifyReport, verify};
