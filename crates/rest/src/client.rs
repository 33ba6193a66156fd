//! Asks the server of a job in another process.
//!
//! Invariants: each request is one connection; nothing is asked twice, so a trigger whose answer was
//! lost is not triggered again.

use std::time::Duration;

use alluvium_coordinator::SavepointFormat;
use alluvium_runtime::Stop;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::error::ClientError;
use crate::request::{CheckpointBody, CheckpointType, SavepointBody, StopBody};

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Time between two questions for what became of a trigger.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Asks a job.
#[derive(Debug, Clone)]
pub struct Client {
    /// Host and port.
    address: String,
    /// The job that the URL names, if it does.
    job: Option<String>,
}

/// Something that was triggered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trigger {
    /// Its id.
    pub id: String,
    path: String,
}

/// What a trigger came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Completed {
    /// A checkpoint of this number.
    Checkpoint(u64),
    /// A savepoint that lies there.
    Savepoint(String),
}

impl Client {
    /// Of `http://HOST:PORT`, with or without `http://`, and perhaps with `/jobs/JOB` behind it.
    ///
    /// Errors: [`ClientError::Url`].
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let bad = |reason| ClientError::Url { url: url.to_owned(), reason };
        let rest = match url.split_once("://") {
            Some(("http", rest)) => rest,
            Some(_) => return Err(bad("it must begin with http://")),
            None => url,
        };
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        let port = address.rsplit_once(':').map(|(_, port)| port);
        if port.is_none_or(|port| port.parse::<u16>().is_err()) {
            return Err(bad("it needs HOST:PORT"));
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let job = match parts.as_slice() {
            [] | ["jobs"] => None,
            ["jobs", job] => Some((*job).to_owned()),
            _ => return Err(bad("only /jobs/JOB may follow HOST:PORT")),
        };
        Ok(Self { address: address.to_owned(), job })
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends one request and reads the JSON of the answer.
    ///
    /// Errors: [`ClientError`].
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Value, ClientError> {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.exchange(method, path, body)).await;
        let (status, bytes) =
            answer.unwrap_or_else(|_| Err(self.broken("nothing came in 30 seconds")))?;
        let answer: Value = serde_json::from_slice(&bytes)
            .map_err(|error| self.strange(format!("status {status}, no JSON ({error})")))?;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let errors = answer.get("errors").and_then(Value::as_array);
        let errors = errors.ok_or_else(|| self.strange(format!("status {status}, no errors")))?;
        let errors: Vec<&str> = errors.iter().filter_map(Value::as_str).collect();
        let (address, errors) = (self.address.clone(), errors.join("; "));
        Err(ClientError::Refused { address, status, errors })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(u16, Bytes), ClientError> {
        let stream = TcpStream::connect(&self.address)
            .await
            .map_err(|source| ClientError::Unreachable { address: self.address.clone(), source })?;
        let broken = |error: hyper::Error| self.broken(error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.address)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.broken(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        connection.abort();
        Ok((status, body.map_err(|error| self.broken(error.to_string()))?.to_bytes()))
    }

    fn broken(&self, reason: impl Into<String>) -> ClientError {
        ClientError::Broken { address: self.address.clone(), reason: reason.into() }
    }

    fn strange(&self, what: impl Into<String>) -> ClientError {
        ClientError::Strange { address: self.address.clone(), what: what.into() }
    }

    /// Asks something of the job: `tail` follows `/jobs/JOB`.
    ///
    /// Errors: [`ClientError`].
    pub async fn get(&self, tail: &str) -> Result<Value, ClientError> {
        let path = format!("{}{tail}", self.job_path().await?);
        self.request(Method::GET, &path, Vec::new()).await
    }

    /// `/jobs/JOB` of the job that the URL names, or else of the only one.
    async fn job_path(&self) -> Result<String, ClientError> {
        if let Some(job) = &self.job {
            return Ok(format!("/jobs/{job}"));
        }
        let jobs = self.request(Method::GET, "/jobs", Vec::new()).await?;
        match jobs.pointer("/jobs/0/id").and_then(Value::as_str) {
            Some(job) => Ok(format!("/jobs/{job}")),
            None => Err(self.strange("it names no job")),
        }
    }

    /// Triggers a checkpoint.
    ///
    /// Errors: [`ClientError`].
    pub async fn checkpoint(&self, is_full: bool) -> Result<Trigger, ClientError> {
        let checkpoint_type =
            if is_full { CheckpointType::Full } else { CheckpointType::Configured };
        let body = CheckpointBody { checkpoint_type, trigger_id: None };
        self.trigger("checkpoints", "checkpoints", &body).await
    }

    /// Triggers a savepoint below a folder.
    ///
    /// Errors: [`ClientError`].
    pub async fn savepoint(
        &self,
        target: &str,
        format: SavepointFormat,
    ) -> Result<Trigger, ClientError> {
        let body = SavepointBody {
            target_directory: Some(target.to_owned()),
            format_type: format.into(),
            ..SavepointBody::default()
        };
        self.trigger("savepoints", "savepoints", &body).await
    }

    /// Triggers the end of the job with a savepoint below a folder.
    ///
    /// Errors: [`ClientError`].
    pub async fn stop(
        &self,
        target: &str,
        format: SavepointFormat,
        stop: Stop,
    ) -> Result<Trigger, ClientError> {
        let body = StopBody {
            target_directory: Some(target.to_owned()),
            drain: stop == Stop::Drain,
            format_type: format.into(),
            trigger_id: None,
        };
        self.trigger("stop", "savepoints", &body).await
    }

    async fn trigger(
        &self,
        post: &str,
        get: &str,
        body: &impl serde::Serialize,
    ) -> Result<Trigger, ClientError> {
        let job = self.job_path().await?;
        let body = serde_json::to_vec(body).map_err(|error| self.broken(error.to_string()))?;
        let answer = self.request(Method::POST, &format!("{job}/{post}"), body).await?;
        match answer.get("request-id").and_then(Value::as_str) {
            Some(id) => Ok(Trigger { id: id.to_owned(), path: format!("{job}/{get}/{id}") }),
            None => Err(self.strange("it triggered something without a request-id")),
        }
    }

    /// Waits until what was triggered has completed.
    ///
    /// Errors: [`ClientError`], of which [`ClientError::Failed`] says that it came to nothing.
    pub async fn wait(&self, trigger: &Trigger) -> Result<Completed, ClientError> {
        loop {
            let answer = self.request(Method::GET, &trigger.path, Vec::new()).await?;
            match answer.pointer("/status/id").and_then(Value::as_str) {
                Some("IN_PROGRESS") => tokio::time::sleep(POLL_INTERVAL).await,
                Some("COMPLETED") => return self.completed(&answer),
                _ => return Err(self.strange("a trigger without a status")),
            }
        }
    }

    fn completed(&self, answer: &Value) -> Result<Completed, ClientError> {
        let operation = answer.get("operation").unwrap_or(&Value::Null);
        let text = |value: &Value, field: &str| value.get(field)?.as_str().map(str::to_owned);
        if let Some(id) = operation.get("checkpointId").and_then(Value::as_u64) {
            return Ok(Completed::Checkpoint(id));
        }
        if let Some(location) = text(operation, "location") {
            return Ok(Completed::Savepoint(location));
        }
        let cause = operation.get("failure-cause").or_else(|| operation.get("failureCause"));
        match cause.map(|cause| (text(cause, "class"), text(cause, "stack-trace"))) {
            Some((Some(name), Some(reason))) => Err(ClientError::Failed { name, reason }),
            _ => Err(self.strange("a trigger that completed without a result")),
        }
    }

    /// Cancels the job, without waiting for its end.
    ///
    /// Errors: [`ClientError`].
    pub async fn cancel(&self) -> Result<(), ClientError> {
        let path = format!("{}?mode=cancel", self.job_path().await?);
        self.request(Method::PATCH, &path, Vec::new()).await.map(drop)
    }

    /// Waits until the job does not answer any more. Gives the last status that it told.
    ///
    /// Errors: [`ClientError::Strange`].
    pub async fn wait_for_the_end(&self) -> Result<Option<String>, ClientError> {
        let (mut last, mut begun) = (None, None);
        loop {
            let details = match self.get("").await {
                Ok(details) => details,
                // A job of another name may have taken the address.
                Err(
                    ClientError::Unreachable { .. }
                    | ClientError::Broken { .. }
                    | ClientError::Refused { .. },
                ) => return Ok(last),
                Err(error) => return Err(error),
            };
            // So may the next run of this one.
            let start = details.get("start-time").and_then(Value::as_u64);
            if begun.is_some_and(|begun| begun != start) {
                return Ok(last);
            }
            begun = Some(start);
            let status = details.get("state").and_then(Value::as_str);
            last = status.map(str::to_owned).or(last);
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}
