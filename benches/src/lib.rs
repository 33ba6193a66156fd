//! What the benches share: rounds, samples, the report, a storage that forgets, cases on state.
//!
//! The programs beside it, `heap` and `rocksdb`, measure one backend each, `runtime` a running job, and
//! `flink` all of them beside Apache Flink. `benches/compare` has them beside other stores. `plots` draws
//! what they printed.

#![expect(clippy::disallowed_methods, reason = "a bench reads the clock and starts threads")]
#![expect(clippy::cast_precision_loss, reason = "figures are floats")]
#![expect(clippy::missing_panics_doc, reason = "a bench ends when something is wrong")]

pub mod background;
pub mod cases;
pub mod contender;
#[cfg(feature = "rocksdb")]
pub mod engine;
pub mod measure;
pub mod null_storage;
pub mod pace;
pub mod plot;
pub mod process;
pub mod random;
pub mod report;
pub mod results;
pub mod targets;
