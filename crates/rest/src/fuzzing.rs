//! What the fuzzers run on requests: method, path and body, as they come from a peer, and the address of a
//! job, as a person types it.
//!
//! The first byte of an input chooses the method; the first line of the rest is the path, or the address, and
//! what follows is the body.
//!
//! Invariants checked:
//! - nothing panics, whatever the bytes are;
//! - what a route names stands in the path; another path is refused with 404, another method with 405, and the
//!   reason names what would have been right;
//! - a body is refused with 400, or is written and read again as the same;
//! - a trigger id that is taken is 32 hexadecimal digits in lower case;
//! - an address that is taken has a port.

use hyper::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Client;
use crate::error::Refusal;
use crate::request::{CheckpointBody, SavepointBody, StopBody, check_trigger_id, parse};
use crate::route::{Route, route};

static METHODS: [Method; 5] =
    [Method::GET, Method::POST, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// Runs the checks on an input.
///
/// Panics: where one fails.
pub fn check_request(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let body = rest.get(line.len() + 1..).unwrap_or_default();
    let Some(method) = METHODS.get(usize::from(*first) % METHODS.len()) else { return };
    if let Ok(path) = std::str::from_utf8(line) {
        check_route(method, path);
        check_address(path);
    }
    check_body::<CheckpointBody>(body, |body| body.trigger_id.clone());
    check_body::<SavepointBody>(body, |body| body.trigger_id.clone());
    check_body::<StopBody>(body, |body| body.trigger_id.clone());
}

fn check_route(method: &Method, path: &str) {
    let (job, names) = match route(method, path) {
        Ok((job, route)) => (job, names_of(route)),
        Err(Refusal { status, reason }) => {
            let is_known =
                [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&status);
            assert!(is_known, "{method} {path:?}: {status} {reason}");
            if status == StatusCode::METHOD_NOT_ALLOWED {
                assert!(
                    METHODS.iter().any(|other| route(other, path).is_ok()),
                    "{path:?}: {reason}"
                );
            }
            return;
        }
    };
    for name in job.into_iter().chain(names.into_iter().flatten()) {
        assert!(path.split('/').any(|part| part == name), "{name:?} of {path:?}");
    }
}

/// What a route takes from its path.
const fn names_of(route: Route<'_>) -> [Option<&str>; 2] {
    match route {
        Route::Details { checkpoint } => [Some(checkpoint), None],
        Route::Subtasks { checkpoint, operator } => [Some(checkpoint), Some(operator)],
        Route::CheckpointTrigger { trigger } | Route::SavepointTrigger { trigger } => {
            [Some(trigger), None]
        }
        _ => [None, None],
    }
}

fn check_address(text: &str) {
    let Ok(client) = Client::new(text) else { return };
    let port = client.address().rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    assert!(port.is_some(), "{text:?} gives {:?}", client.address());
    assert!(text.contains(client.address()), "{text:?} gives {:?}", client.address());
}

fn check_body<T>(bytes: &[u8], trigger_id: impl Fn(&T) -> Option<String>)
where
    T: DeserializeOwned + Default + Serialize + std::fmt::Debug,
{
    let body = match parse::<T>(bytes) {
        Ok(body) => body,
        Err(Refusal { status, reason }) => {
            assert_eq!(status, StatusCode::BAD_REQUEST, "{reason}");
            return;
        }
    };
    match check_trigger_id(trigger_id(&body)) {
        Ok(Some(id)) => {
            let is_digit = |byte: u8| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase();
            assert!(id.len() == 32 && id.bytes().all(is_digit), "{id:?}");
        }
        Ok(None) => {}
        Err(Refusal { status, .. }) => assert_eq!(status, StatusCode::BAD_REQUEST),
    }
    let Ok(written) = serde_json::to_vec(&body) else { panic!("cannot be written: {body:?}") };
    match parse::<T>(&written) {
        Ok(again) => assert_eq!(format!("{again:?}"), format!("{body:?}"), "what was written"),
        Err(Refusal { reason, .. }) => panic!("what was written is refused: {reason}"),
    }
}
