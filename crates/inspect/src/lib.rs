//! Looks into checkpoints and savepoints without the job that wrote them.
//!
//! Invariants:
//! - everything goes through the checked decoders of `alluvium-format`: hostile bytes are an error
//!   that names the file;
//! - nothing outside the folder of the job, or of the savepoint, is read or deleted, whatever paths
//!   and symbolic links say;
//! - what was there is never changed.

mod checkpoint;
mod error;
mod inside;
mod native;
mod summary;

pub use checkpoint::Checkpoint;
pub use error::InspectError;
pub use native::{ByBackend, NativeState};
pub use summary::{OperatorSummary, Sizes, StreamSummary, SubtaskSummary, Summary};
