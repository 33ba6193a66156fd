//! NEXMark: queries over an auction, on the runtime, with and without checkpoints.
//!
//! [`run`] carries out a [`Plan`] and gives a [`Report`]. For each [`Query`] it generates a block of
//! events, by the crate `nexmark`, into memory; computes the results in one thread without any of this project
//! (the *plain computation*); and runs the query as a job on each backend, without checkpoints and with
//! them, in turns, round by round.
//!
//! | query | event time | what it keeps |
//! |---|---|---|
//! | [`Q0`](Query::Q0) | no | nothing |
//! | [`Q3`](Query::Q3) | no | persons of three states for ever, auctions that wait for theirs |
//! | [`Q5`](Query::Q5) | windows of 10 s, each 2 s | bids of each auction, by panes of 2 s; timers |
//! | [`Q8`](Query::Q8) | windows of 10 s | persons and sellers of a window; timers |
//! | [`Q18`](Query::Q18) | order only | the last bid of each bidder on each auction, for ever |
//!
//! Roles: `events` are what sources read; `source` reads them, and can go on from any position; a module of
//! `queries` is a query, as a job and plainly; `sink` and `totals` add up what comes out; `stopwatch`
//! measures; `job` is one run of one query on one backend; `run` puts it together.
//!
//! Invariants:
//! - events follow from the query and from how many there are: the generator draws each from its number,
//!   and the time of the first one is a constant;
//! - what a job has come to is compared with the plain computation after each run, and there is no report
//!   of a run in which they differ;
//! - generating, filling memory and the last checkpoint, which every job takes, are in no time.
//!
//! Source: P. Tucker et al., "NEXMark: A Benchmark for Queries over Data Streams", 2008; Apache Beam
//! `nexmark`; github.com/nexmark/nexmark for Q18.

mod events;
mod job;
mod options;
mod queries;
pub mod report;
mod run;
mod sink;
mod source;
mod stopwatch;
pub mod table;
mod totals;

pub use options::{Options, Plan, Query};
pub use report::Report;
pub use run::{Phase, run};
