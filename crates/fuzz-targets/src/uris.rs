//! Target `uris`: what a person types for a storage (`file:`, `memory:`, `s3:`, a plain path).
//!
//! Invariants checked:
//! - nothing panics, whatever the text is, and nothing is opened, created or contacted;
//! - memory: some copies of the text;
//! - what is refused is refused as a bad URI, and what stands before an `@` is not repeated: it may be a
//!   password;
//! - of what is taken, no folder leads out of its bucket or memory.

use alluvium_storage::{StorageError, check_uri};

use crate::bound::bounded;

/// Copies of a URI that are there at a time: its parts, the error, and its text.
const COPIES: usize = 12;

/// From this length on a secret is not by chance a part of the message.
const SECRET_LEN: usize = 12;

/// Runs the target.
///
/// Panics: where a check fails.
pub fn run(input: &[u8]) {
    let Ok(uri) = std::str::from_utf8(input) else { return };
    let text = bounded(input, COPIES, || match check_uri(uri) {
        Ok(()) => None,
        Err(error @ StorageError::BadUri { .. }) => Some(error.to_string()),
        Err(error) => panic!("{uri:?}: {error}"),
    });
    let (place, _) = uri.split_once('?').unwrap_or((uri, ""));
    let scheme = place.split_once(':').filter(|(scheme, _)| scheme.len() > 1);
    match text {
        None => {
            let is_opened_below = matches!(scheme, Some(("memory" | "s3", _)));
            // A memory has no query: there a `?` is part of a name.
            let whole = if uri.starts_with("memory:") { uri } else { place };
            let parts = whole.split_once(':').map(|(_, rest)| rest.trim_matches('/').split('/'));
            // The first part is the name of the bucket or of the memory.
            let mut dirs = parts.into_iter().flatten().skip(1);
            assert!(!(is_opened_below && dirs.any(|dir| matches!(dir, "." | ".."))), "{uri:?}");
        }
        Some(text) => {
            let is_scheme = |scheme: &str| {
                scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                    && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
            };
            let Some((scheme, rest)) = scheme.filter(|(scheme, _)| is_scheme(scheme)) else {
                return;
            };
            let below = rest.trim_start_matches('/');
            let Some((secret, _)) = below.rsplit_once('@') else { return };
            let start = scheme.len() + 1 + rest.len() - below.len();
            let (before, behind) = (&uri[..start], &uri[start + secret.len()..]);
            // What stands elsewhere in the URI as well is no secret, and may be repeated.
            let is_elsewhere = before.contains(secret) || behind.contains(secret);
            if secret.len() < SECRET_LEN || is_elsewhere || !text.contains(secret) {
                return;
            }
            // The message itself may say the same, whatever letters stand in front of the `@`.
            let masked: String =
                secret.chars().map(|c| if c.is_alphanumeric() { 'x' } else { c }).collect();
            let masked = format!("{before}{masked}{behind}");
            let other = check_uri(&masked).err().map(|error| error.to_string());
            assert!(other.is_some_and(|other| other.contains(secret)), "{uri:?}: {text}");
        }
    }
}
