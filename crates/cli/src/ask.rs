//! `alluvium status`, `savepoint`, `checkpoint`, `stop` and `cancel`: ask a running job.
//!
//! Invariants: what was triggered and came to nothing is an error, unless nobody waits for it; a job
//! that is stopped or cancelled has let go of its output and its checkpoints when the command ends.

use std::fmt::Write as _;
use std::future::Future;

use alluvium::runtime::Stop;
use alluvium_rest::{Client, ClientError, Completed, Trigger};
use serde_json::Value;

use crate::args::SavepointOptions;
use crate::error::CliError;
use crate::text::print_line;

/// Runs what waits for a network.
fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|source| CliError::System { what: "start the runtime".to_owned(), source })?;
    runtime.block_on(work)
}

pub(crate) fn status(url: &str) -> Result<(), CliError> {
    let client = Client::new(url)?;
    let (job, checkpoints) =
        block_on(async { Ok((client.get("").await?, client.get("/checkpoints").await?)) })?;
    print_line(&status_line(&job, &checkpoints));
    Ok(())
}

fn status_line(job: &Value, checkpoints: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let number = |path: &str| checkpoints.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let mut line = format!("{} {}", text(&job["jid"]), text(&job["state"]));
    let seconds = job["duration"].as_u64().unwrap_or(0) / 1_000;
    let _ = write!(
        line,
        " for {}",
        humantime::format_duration(std::time::Duration::from_secs(seconds))
    );
    let (completed, failed) = (number("/counts/completed"), number("/counts/failed"));
    let in_progress = number("/counts/in_progress");
    let _ = write!(
        line,
        "; checkpoints: {completed} completed, {in_progress} in progress, {failed} failed"
    );
    if let Some(last) = checkpoints.pointer("/latest/completed").filter(|it| it.is_object()) {
        let field = |name: &str| last[name].as_u64().unwrap_or(0);
        let (id, size, took) =
            (field("id"), field("checkpointed_size"), field("end_to_end_duration"));
        let _ = write!(line, "; the latest is {id}, {size} bytes in {took} ms");
    }
    if let Some(restored) = checkpoints.pointer("/latest/restored/id").and_then(Value::as_u64) {
        let _ = write!(line, "; restored from {restored}");
    }
    if let Some(failed) = checkpoints.pointer("/latest/failed/failure_message") {
        let _ = write!(line, "; the last failure: {}", text(failed));
    }
    line
}

pub(crate) fn checkpoint(url: &str, is_full: bool, is_detached: bool) -> Result<(), CliError> {
    let client = Client::new(url)?;
    block_on(async {
        let trigger = client.checkpoint(is_full).await?;
        print_line(&outcome(&client, &trigger, is_detached).await?);
        Ok(())
    })
}

pub(crate) fn savepoint(options: &SavepointOptions) -> Result<(), CliError> {
    let client = Client::new(&options.url)?;
    block_on(async {
        let trigger = client.savepoint(&target(options)?, options.format.into()).await?;
        print_line(&outcome(&client, &trigger, options.detached).await?);
        Ok(())
    })
}

pub(crate) fn stop(options: &SavepointOptions, drains: bool) -> Result<(), CliError> {
    let client = Client::new(&options.url)?;
    block_on(async {
        let stop = if drains { Stop::Drain } else { Stop::Suspend };
        let trigger = client.stop(&target(options)?, options.format.into(), stop).await?;
        let line = outcome(&client, &trigger, options.detached).await?;
        if options.detached {
            print_line(&line);
            return Ok(());
        }
        let status = client.wait_for_the_end().await?;
        if let Some(name) = status.filter(|status| status == "FAILED") {
            let reason = format!("{line}; but the job failed before its end");
            return Err(ClientError::Failed { name, reason }.into());
        }
        print_line(&format!("{line}; the job has ended"));
        Ok(())
    })
}

pub(crate) fn cancel(url: &str, is_detached: bool) -> Result<(), CliError> {
    let client = Client::new(url)?;
    block_on(async {
        client.cancel().await?;
        if is_detached {
            print_line("the job is being cancelled");
            return Ok(());
        }
        let status = client.wait_for_the_end().await?;
        if let Some(name) = status.filter(|it| matches!(it.as_str(), "FINISHED" | "FAILED")) {
            let reason = "the job came to its end before".to_owned();
            return Err(ClientError::Failed { name, reason }.into());
        }
        print_line("the job is cancelled");
        Ok(())
    })
}

/// What a trigger came to, or its id.
async fn outcome(
    client: &Client,
    trigger: &Trigger,
    is_detached: bool,
) -> Result<String, ClientError> {
    if is_detached {
        return Ok(format!("triggered {}", trigger.id));
    }
    Ok(match client.wait(trigger).await? {
        Completed::Checkpoint(id) => format!("checkpoint {id} complete"),
        Completed::Savepoint(location) => format!("savepoint complete: {location}"),
        _ => "complete".to_owned(),
    })
}

/// The target as the job sees it, which may run in another folder: a path becomes an absolute one.
fn target(options: &SavepointOptions) -> Result<String, CliError> {
    let target = &options.target;
    let is_uri = target.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    if is_uri {
        return Ok(target.clone());
    }
    let absolute = std::path::absolute(target).map_err(|source| CliError::System {
        what: format!("find the folder {target:?}"),
        source,
    })?;
    absolute.into_os_string().into_string().map_err(|path| {
        CliError::Usage(format!("--target {}: is not UTF-8", path.to_string_lossy()))
    })
}
