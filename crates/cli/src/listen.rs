//! `--listen`: a running job answers questions over HTTP.
//!
//! The server has a thread of its own, so that it answers while all threads of the job are busy.
//!
//! Invariants: the address is taken before the job opens anything; the server ends when the process
//! has let go of everything that the job held.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use alluvium_rest::{JobFacts, RestServer};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::CliError;
use crate::progress::Progress;

/// How long a job that is over waits for somebody to read what became of what they triggered.
const LINGER: Duration = Duration::from_secs(2);

/// An address at which a job will answer, if it is to.
#[derive(Debug)]
pub struct Listening {
    server: Option<(Runtime, Mutex<Server>)>,
}

#[derive(Debug)]
enum Server {
    NotYet(RestServer),
    /// Until the sender goes.
    Running(JoinHandle<()>, oneshot::Sender<()>),
    /// A job was served before.
    Over,
}

impl Listening {
    /// A job that answers nothing.
    pub const fn nowhere() -> Self {
        Self { server: None }
    }

    /// Takes an address, and warns when other machines can reach it.
    ///
    /// Errors: [`CliError::Server`], [`CliError::System`].
    pub fn open(address: Option<SocketAddr>) -> Result<Self, CliError> {
        let Some(address) = address else { return Ok(Self::nowhere()) };
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("rest")
            .enable_all()
            .build()
            .map_err(|source| CliError::System { what: "start the server".to_owned(), source })?;
        let server = runtime.block_on(RestServer::bind(address))?;
        if !address.ip().is_loopback() {
            eprintln!(
                "warning: --listen {address} can be reached from other machines, and there is no \
                 authentication: whoever does can end the job and have savepoints written"
            );
        }
        Ok(Self { server: Some((runtime, Mutex::new(Server::NotYet(server)))) })
    }

    /// Begins to answer for a job that is about to start, and says where.
    pub(crate) fn serve(&self, facts: JobFacts, progress: &Progress) {
        let Some((runtime, serving)) = &self.server else { return };
        let mut serving = serving.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *serving, Server::Over) {
            Server::NotYet(server) => {
                progress.say(&format!("listening on http://{}", server.address()));
                let (sender, receiver) = oneshot::channel();
                // The sender sends nothing: that it is gone says that the job is.
                let over = async { drop(receiver.await) };
                let task = runtime.spawn(server.serve(facts, over, LINGER));
                *serving = Server::Running(task, sender);
            }
            other => *serving = other,
        }
    }

    /// Ends the server, now that the job has let go of everything.
    pub(crate) fn finish(self) {
        let Some((runtime, serving)) = self.server else { return };
        let serving = serving.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Server::Running(task, running) = serving {
            drop(running);
            // A server that panicked has ended as well.
            let _ = runtime.block_on(task);
        }
        runtime.shutdown_background();
    }
}
