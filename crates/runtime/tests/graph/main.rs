//! Jobs that are graphs: two inputs, broadcast, rebalance and forward edges, over failures, unaligned
//! checkpoints and rescales. Whatever happens, each record counts once.
#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

mod broadcast;
mod edges;
mod refused;
mod two_input;
mod world;
