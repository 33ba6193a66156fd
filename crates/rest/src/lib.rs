//! Asks a running job over HTTP, by the names of Flink's REST interface.
//!
//! Roles: a program binds a [`RestServer`] before its job starts, and [serves](RestServer::serve) the
//! [`JobFacts`] until the job is over; [`Client`] asks such a server from another process. There is one
//! job for each server, and no authentication: who can reach the address can have savepoints written
//! wherever the job may write, and can end the job. Requests that come from a web page are refused.
//!
//! | request | answer |
//! |---|---|
//! | `GET /jobs` | the job and its status |
//! | `GET /jobs/:job` | status, times, operators |
//! | `PATCH /jobs/:job?mode=cancel` | 202; the job ends |
//! | `GET /jobs/:job/checkpoints` | counts, summaries, the latest, the last ten |
//! | `GET /jobs/:job/checkpoints/config` | how checkpoints are taken |
//! | `GET /jobs/:job/checkpoints/details/:checkpoint` | one checkpoint, by operator |
//! | `GET /jobs/:job/checkpoints/details/:checkpoint/subtasks/:operator` | one operator of it, by subtask |
//! | `POST /jobs/:job/checkpoints` | 202 and a trigger id; body: `checkpointType` |
//! | `GET /jobs/:job/checkpoints/:trigger` | what became of it |
//! | `POST /jobs/:job/savepoints` | the same; body: `target-directory`, `formatType`, `cancel-job` |
//! | `POST /jobs/:job/stop` | the same; body: `targetDirectory`, `drain`, `formatType` |
//! | `GET /jobs/:job/savepoints/:trigger` | what became of a savepoint or a stop |
//!
//! A path may begin with `/v1`. Fields are those of Flink, sizes in bytes, times in milliseconds; what
//! Alluvium does not know is left out. Where Flink has the class of an exception, there is the name of
//! the reason, and a sentence instead of the stack trace. A body of a trigger may hold a `triggerId` of
//! 32 hexadecimal digits: the same one again triggers nothing new.
//!
//! Invariants:
//! - every request gets an answer with a status, whatever is in it; one that is refused has a list
//!   `errors`;
//! - what a peer sends is bounded: [`MAX_BODY_BYTES`], some time, and some connections;
//! - the server ends soon after its job; who has asked for something may still learn what became of
//!   it.
//!
//! Source: Flink `WebMonitorEndpoint` and the handlers that it names.

mod checkpoints;
mod client;
mod details;
mod error;
mod facts;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod handler;
mod operations;
mod request;
mod route;
mod server;
mod triggers;

pub use client::{Client, Completed, Trigger};
pub use error::{ClientError, ServerError};
pub use facts::JobFacts;
pub use request::{CheckpointType, MAX_BODY_BYTES};
pub use server::RestServer;
