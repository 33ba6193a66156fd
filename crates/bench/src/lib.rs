//! Measures checkpoints of a state backend under load, beside the limits of the machine.
//!
//! [`checkpoint`] carries out a [`Plan`] and gives a [`Report`]: plain data, which [`table`] makes
//! into text, [`Report::to_json`] into JSON and [`plot`] into a picture.
//!
//! One subtask owns all keys and is used as an engine uses it. It is filled, checkpointed once (the
//! *first* checkpoint, of everything, with nothing beside it), and then updated without a pause:
//!
//! 1. warm-up, a tenth of the load, which counts nowhere;
//! 2. *before*, a fifth of it, without checkpoints;
//! 3. checkpoints at the interval, one at a time: a freeze in the thread of the updates, the rest in
//!    another thread, then the confirmation. From a freeze until its checkpoint is written is
//!    *during*, the rest is *after*.
//!
//! Then a *last* checkpoint is taken, restored, and rescaled from one subtask to two and back.
//!
//! Roles: `workload` draws keys, `values` makes values; `subtask` is the backend; `place` is where
//! checkpoints go; `load` drives, `writer` is the other thread; `restore` brings back; `limits` and
//! `machine` look at what the machine can do; `run` puts it together.
//!
//! Invariants:
//! - a figure was measured in this run, or it is absent;
//! - every update is counted in the value it changed, and the counts of the state before and after each
//!   restore add up to the number of updates, or there is no report;
//! - the keys, and the order in which they are updated, follow from the options alone; how many updates
//!   lie between two checkpoints does not.
//!
//! [`nexmark`] runs queries on the runtime, with checkpoints and without.
//!
//! It is a measuring tool: it reads the clock, starts a thread, and touches the file system to measure
//! it. Libraries that hold state do none of that.

#![expect(clippy::disallowed_methods, reason = "a measuring tool reads the clock")]
#![expect(clippy::cast_precision_loss, reason = "figures are floats")]

mod checkpoints;
mod error;
mod latencies;
mod limits;
mod load;
mod machine;
pub mod nexmark;
mod null_storage;
mod options;
mod place;
mod plan;
pub mod plot;
pub mod report;
mod restore;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod run;
mod subtask;
pub mod table;
mod timeline;
mod units;
mod values;
mod workload;
mod writer;

pub use error::BenchError;
pub use options::{BackendKind, Compression, OptionError, Options, Snapshots, Target};
pub use plan::Plan;
pub use report::Report;
pub use run::{Phase, checkpoint};
