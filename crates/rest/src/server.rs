//! Listens, and hands connections to the handler.
//!
//! Invariants: the address is taken before the job starts, or the job does not; a connection carries one
//! request and lasts [`CONNECTION_TIMEOUT`] at most, and at most [`MOST_CONNECTIONS`] are open.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::error::ServerError;
use crate::facts::JobFacts;
use crate::handler::Handler;
use crate::operations::Operations;

/// How long a request may take from its first byte to the last one of its answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// How many connections may be open; others wait to be accepted.
const MOST_CONNECTIONS: usize = 64;

/// How long to wait when no connection can be accepted, as when there are no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that has its address.
#[derive(Debug)]
pub struct RestServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl RestServer {
    /// Takes an address; port 0 takes one that is free. Inside a tokio runtime that has its IO on.
    ///
    /// Errors: [`ServerError::Bind`].
    pub async fn bind(address: SocketAddr) -> Result<Self, ServerError> {
        let error = |source| ServerError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `over` ends, which is when the job does or later, such as
    /// [`JobControl::over`](alluvium_runtime::JobControl::over); and then until everybody has read what
    /// became of what they triggered, but no longer than `linger`. Inside a tokio runtime that has its
    /// IO and timer on.
    pub async fn serve(self, facts: JobFacts, over: impl Future<Output = ()>, linger: Duration) {
        let operations = Operations::new(&facts);
        let triggers = Arc::clone(&operations.triggers);
        let is_loopback = self.address.ip().is_loopback();
        let handler = Arc::new(Handler { facts, operations, is_loopback });
        let mut connections = JoinSet::new();
        let over = async {
            over.await;
            let _ = tokio::time::timeout(linger, triggers.all_told()).await;
        };
        tokio::pin!(over);
        loop {
            let may_accept = connections.len() < MOST_CONNECTIONS;
            tokio::select! {
                () = &mut over => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept(), if may_accept => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(connection(stream, Arc::clone(&handler)));
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
        // The last answers are still on their way.
        let last = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(linger, last).await;
    }
}

/// Answers one request.
async fn connection(stream: TcpStream, handler: Arc<Handler>) {
    let service = service_fn(move |request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Infallible>(handler.answer(request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A peer that went away has nobody to tell.
    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, served).await;
}
