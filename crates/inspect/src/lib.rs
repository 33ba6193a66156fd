//! Looks into checkpoints and savepoints without the job that wrote them.
//!
//! Invariants:
//! - everything goes through the checked decoders of `alluvium-format`: hostile bytes are an error
//!   that names the file;
//! - nothing outside the folder of the job, or of the savepoint, is read or deleted, whatever paths
//!   and symbolic links say;
//! - what was there is never changed.

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
mod operator_items;
mod progress;
mod references;
mod rewrite;
mod states;
mod stream;
mod summary;
mod verify;

pub use checkpoint::Checkpoint;
pub use copy::{CopyReport, copy};
pub use diff::{Diff, OperatorDiff, StateDiff, diff};
pub use entries::{Entries, Entry, Selection};
pub use error::InspectError;
pub use folder::{Folder, FoundCheckpoint};
pub use gc::{GcFolder, GcOptions, gc};
pub use json::{JsonCodec, quote};
pub use native::{ByBackend, NativeState};
pub use operator_items::{OperatorItem, operator_items};
pub use progress::Progress;
pub use references::Orphan;
pub use rewrite::{Rewrite, RewriteReport, rewrite};
pub use states::{StateSummary, StateType, states};
pub use summary::{OperatorSummary, Sizes, StreamSummary, SubtaskSummary, Summary};
pub use verify::{Finding, Severity, VerifyReport, verify};
