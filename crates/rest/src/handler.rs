//! From a request to an answer.
//!
//! Invariants: every request gets an answer; one that is refused changes nothing.

use std::net::IpAddr;
use std::time::Duration;

use alluvium_core::CheckpointId;
use alluvium_runtime::JobStatus;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Buf, Bytes};
use hyper::header::{CONTENT_TYPE, HOST, ORIGIN};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::checkpoints::Snapshot;
use crate::error::Refusal;
use crate::facts::JobFacts;
use crate::operations::Operations;
use crate::request::{MAX_BODY_BYTES, parse};
use crate::route::{Route, route};
use crate::triggers::Kind;

/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a job that restores state is waited for before older statistics will do.
const STATISTICS_TIMEOUT: Duration = Duration::from_secs(2);

/// How much of a body that is too large is read all the same, so that the peer comes to read the answer.
const MAX_DISCARDED_BYTES: usize = 16 * MAX_BODY_BYTES;

/// Answers for one job.
#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) facts: JobFacts,
    pub(crate) operations: Operations,
    /// Whether only this machine can reach the server.
    pub(crate) is_loopback: bool,
}

impl Handler {
    /// Answers a request.
    pub(crate) async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body + Unpin,
    {
        let (parts, body) = request.into_parts();
        let (status, answer) = match self.answer_parts(&parts, body).await {
            Ok((status, answer)) => (status, answer),
            Err(Refusal { status, reason }) => (status, json!({ "errors": [reason] })),
        };
        let mut response = Response::new(Full::new(Bytes::from(answer.to_string())));
        *response.status_mut() = status;
        let json = hyper::header::HeaderValue::from_static("application/json; charset=UTF-8");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }

    async fn answer_parts<B>(&self, parts: &Parts, body: B) -> Result<(StatusCode, Value), Refusal>
    where
        B: Body + Unpin,
    {
        let body = tokio::time::timeout(BODY_TIMEOUT, read(body)).await.map_err(|_| {
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")
        })??;
        self.check_sender(parts)?;
        let (job, route) = route(&parts.method, parts.uri.path())?;
        if let Some(job) = job.filter(|job| *job != self.facts.job.as_str()) {
            return Err(Refusal::unknown(format!("no job {job} runs here")));
        }
        let operations = &self.operations;
        if parts.method != Method::GET {
            let accepted = match route {
                Route::TriggerCheckpoint => operations.checkpoint(parse(&body)?)?,
                Route::TriggerSavepoint => operations.savepoint(parse(&body)?).await?,
                Route::Stop => operations.stop(parse(&body)?).await?,
                _ => operations.cancel(parts.uri.query().unwrap_or_default())?,
            };
            return Ok((StatusCode::ACCEPTED, accepted));
        }
        let answer = match route {
            Route::Jobs => self.facts.overview(),
            Route::Config => self.facts.checkpoint_config(),
            Route::Checkpoints => self.snapshot().await.overview(),
            Route::Details { checkpoint } => self.details(checkpoint, None).await?,
            Route::Subtasks { checkpoint, operator } => {
                self.details(checkpoint, Some(operator)).await?
            }
            Route::CheckpointTrigger { trigger } => {
                operations.progress(Kind::Checkpoint, trigger)?
            }
            Route::SavepointTrigger { trigger } => operations.progress(Kind::Savepoint, trigger)?,
            _ => self.job_details(),
        };
        Ok((StatusCode::OK, answer))
    }

    /// A web page that is open on this machine must not ask: 1. its script sends a POST to the loopback
    /// interface, or lets the name of its own server mean 127.0.0.1; 2. the browser allows both, and
    /// says so in `Origin` or `Host`.
    fn check_sender(&self, parts: &Parts) -> Result<(), Refusal> {
        if parts.headers.contains_key(ORIGIN) {
            let reason = "requests of web pages (with the header Origin) are not answered";
            return Err(Refusal::new(StatusCode::FORBIDDEN, reason));
        }
        let Some(host) = parts.headers.get(HOST).filter(|_| self.is_loopback) else {
            return Ok(());
        };
        let host = host.to_str().unwrap_or_default();
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        if is_address || name.eq_ignore_ascii_case("localhost") {
            return Ok(());
        }
        let reason = format!("the header Host {host:?} names neither localhost nor an address");
        Err(Refusal::new(StatusCode::FORBIDDEN, reason))
    }

    /// Who reads the status of a job that is over knows its end.
    fn job_details(&self) -> Value {
        let is_over = self.facts.control.status().is_over();
        let details = self.facts.details();
        if is_over {
            self.operations.triggers.tell_end();
        }
        details
    }

    async fn details(&self, checkpoint: &str, operator: Option<&str>) -> Result<Value, Refusal> {
        let number = checkpoint.parse().ok().and_then(|number| CheckpointId::new(number).ok());
        let number = number.ok_or_else(|| {
            Refusal::bad(format!("{checkpoint:?} is not the number of a checkpoint"))
        })?;
        let snapshot = self.snapshot().await;
        let record = snapshot.find(number).ok_or_else(|| {
            Refusal::unknown(format!("checkpoint {number} is not among the last ones"))
        })?;
        let Some(operator) = operator else { return Ok(snapshot.details(record)) };
        let subtasks = snapshot.subtasks(record, operator);
        subtasks.ok_or_else(|| Refusal::unknown(format!("the job has no operator {operator}")))
    }

    /// Statistics of now, or those that the last attempt has left.
    async fn snapshot(&self) -> Snapshot<'_> {
        let control = &self.facts.control;
        let is_running = matches!(control.status(), JobStatus::Running { .. });
        let now = if is_running {
            tokio::time::timeout(STATISTICS_TIMEOUT, control.statistics()).await.ok()
        } else {
            None
        };
        let statistics = now.and_then(Result::ok).unwrap_or_else(|| control.last_statistics());
        Snapshot {
            facts: &self.facts,
            statistics,
            savepoints: self.operations.triggers.savepoints(),
        }
    }
}

/// Reads a body.
///
/// Errors: 413 for one that is too large, 400 for one that does not come to its end.
async fn read<B: Body + Unpin>(mut body: B) -> Result<Vec<u8>, Refusal> {
    let (mut bytes, mut len) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Refusal::bad("the body did not come to its end"));
        };
        let Ok(mut data) = frame.into_data() else { continue };
        len += data.remaining();
        if len <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        } else if len > MAX_DISCARDED_BYTES {
            break;
        }
    }
    if len > MAX_BODY_BYTES {
        let reason = format!("the body has more than {MAX_BODY_BYTES} bytes");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, reason));
    }
    Ok(bytes)
}
