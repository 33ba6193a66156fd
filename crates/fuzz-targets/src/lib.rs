//! What the fuzzers in `fuzz/` run: a function of bytes for each decoder, one that damages whole
//! checkpoints, one that runs random programs on several backends, and some for what people and peers send.
//!
//! Each module is a target and lists what it checks. The functions panic where a check fails, which is
//! what a fuzzer looks for; `tests/corpus.rs` runs them on the committed corpus as a plain test.
//!
//! Invariants: no target reads a clock, a file or the network, but for RocksDB's own files behind the feature
//! `rocksdb`; the same bytes do the same.

mod bound;
mod framed;

pub mod blocks;
pub mod channel;
pub mod checkpoint;
pub mod codecs;
pub mod metadata;
pub mod operator;
pub mod ordered;
pub mod paths;
pub mod programs;
pub mod rest;
pub mod rows;
pub mod sst;
pub mod state_file;
pub mod uris;

/// A target: its name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, by the names of their binaries and of their folders in the corpus.
pub const TARGETS: [Target; 15] = [
    ("channel", channel::run),
    ("checkpoint", checkpoint::run),
    ("codecs", codecs::run),
    ("delta_block", blocks::run_delta),
    ("full_block", blocks::run_full),
    ("metadata", metadata::run),
    ("operator", operator::run),
    ("ordered", ordered::run),
    ("paths", paths::run),
    ("programs", programs::run),
    ("rest", rest::run),
    ("rocksdb_rows", rows::run),
    ("sst_index", sst::run),
    ("state_file", state_file::run),
    ("uris", uris::run),
];
