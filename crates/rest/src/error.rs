//! What can go wrong with a server and with asking one; and what a server refuses.

use std::net::SocketAddr;

use hyper::StatusCode;

/// A server cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address is taken, or not one of this machine.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A server was asked and did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL is not that of a job.
    #[error("{url} is not the address of a job: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nobody answers there.
    #[error("no job answers at {address}: {source}")]
    Unreachable {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke, or nothing came for a long time.
    #[error("{address} did not answer: {reason}")]
    Broken {
        /// The address.
        address: String,
        /// What happened.
        reason: String,
    },
    /// The server refuses.
    #[error("{address} refuses ({status}): {errors}")]
    Refused {
        /// The address.
        address: String,
        /// The status of the answer.
        status: u16,
        /// What it says.
        errors: String,
    },
    /// The answer is none of such a server.
    #[error("{address} answers what no job would: {what}")]
    Strange {
        /// The address.
        address: String,
        /// What is wrong with it.
        what: String,
    },
    /// What was triggered has failed.
    #[error("{name}: {reason}")]
    Failed {
        /// The name of the reason, such as `CHECKPOINT_EXPIRED`.
        name: String,
        /// Why, in one sentence.
        reason: String,
    },
}

/// Why a request is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) reason: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    pub(crate) fn bad(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    pub(crate) fn unknown(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, reason)
    }
}
