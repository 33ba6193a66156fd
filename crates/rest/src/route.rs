//! From a method and a path to what is asked for.
//!
//! Source: Flink `*Headers.getTargetRestEndpointURL`.

use hyper::{Method, StatusCode};

use crate::error::Refusal;

/// What a request asks for. The names in it are as they stand in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    Jobs,
    Job,
    Cancel,
    Checkpoints,
    Config,
    Details { checkpoint: &'a str },
    Subtasks { checkpoint: &'a str, operator: &'a str },
    TriggerCheckpoint,
    CheckpointTrigger { trigger: &'a str },
    TriggerSavepoint,
    SavepointTrigger { trigger: &'a str },
    Stop,
}

/// The job that a path names, if any, and what is asked of it.
///
/// Errors: 404 for a path that leads nowhere, 405 for a method that it does not know.
pub(crate) fn route<'a>(
    method: &Method,
    path: &'a str,
) -> Result<(Option<&'a str>, Route<'a>), Refusal> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_prefix("v1/").unwrap_or(path);
    let parts: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
    let (job, rest) = match parts.as_slice() {
        ["jobs"] => (None, [].as_slice()),
        ["jobs", job, rest @ ..] => (Some(*job), rest),
        _ => return Err(nowhere(path)),
    };
    let get_or_post = |get, post| [(Method::GET, get), (Method::POST, post)].to_vec();
    let get = |route| vec![(Method::GET, route)];
    let known = match (job, rest) {
        (None, _) => get(Route::Jobs),
        (_, []) => vec![(Method::GET, Route::Job), (Method::PATCH, Route::Cancel)],
        (_, ["checkpoints"]) => get_or_post(Route::Checkpoints, Route::TriggerCheckpoint),
        (_, ["checkpoints", "config"]) => get(Route::Config),
        (_, ["checkpoints", "details", checkpoint]) => get(Route::Details { checkpoint }),
        (_, ["checkpoints", "details", checkpoint, "subtasks", operator]) => {
            get(Route::Subtasks { checkpoint, operator })
        }
        (_, ["checkpoints", trigger]) => get(Route::CheckpointTrigger { trigger }),
        (_, ["savepoints"]) => vec![(Method::POST, Route::TriggerSavepoint)],
        (_, ["savepoints", trigger]) => get(Route::SavepointTrigger { trigger }),
        (_, ["stop"]) => vec![(Method::POST, Route::Stop)],
        _ => return Err(nowhere(path)),
    };
    if let Some((_, route)) = known.iter().find(|(knows, _)| knows == method) {
        return Ok((job, *route));
    }
    let known: Vec<&str> = known.iter().map(|(method, _)| method.as_str()).collect();
    let reason = format!("/{path} does not know {method}, only {}", known.join(", "));
    Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, reason))
}

fn nowhere(path: &str) -> Refusal {
    Refusal::unknown(format!("nothing is at /{path}"))
}
