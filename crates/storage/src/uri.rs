//! From a URI to a storage.
//!
//! Shape: a plain path, `file:/abs`, `file:///abs`, `memory:NAME[/FOLDER]`, or
//! `SCHEME://BUCKET[/PREFIX][?endpoint=..&region=..&path_style=true|false]` for the schemes that
//! are compiled in (`s3`, `gs`, `az`). Paths and prefixes are taken as they are; values of the
//! query may be percent-encoded.
//!
//! Invariants: a URI holds no credentials; one that seems to is refused without being repeated.

use std::borrow::Cow;
use std::sync::Arc;

use alluvium_core::StoragePath;

use crate::opendal_store::services::{self, ServiceOptions};
use crate::{LocalStorage, OpendalStorage, Storage, StorageError};

/// Opens a storage; a local folder is created when it is missing.
///
/// A `memory:` name means the same store wherever it is opened in this process, and its bytes are
/// kept until the process ends. A remote service is not contacted before the first file.
/// Errors: [`StorageError::BadUri`] and those of [`LocalStorage::open`].
pub fn open(uri: &str) -> Result<Arc<dyn Storage>, StorageError> {
    match Target::parse(uri)? {
        Target::Local(path) => Ok(Arc::new(LocalStorage::open(path)?)),
        other => other.open_opendal(uri),
    }
}

/// Opens a storage to look at what is there; a local folder is not created.
///
/// Errors: as [`open`], and [`StorageError::NotFound`] for a local folder that is missing.
pub fn open_existing(uri: &str) -> Result<Arc<dyn Storage>, StorageError> {
    match Target::parse(uri)? {
        Target::Local(path) => Ok(Arc::new(LocalStorage::open_existing(path)?)),
        other => other.open_opendal(uri),
    }
}

/// Whether a URI is one that [`open`] understands. Nothing is opened, created or contacted.
///
/// Errors: [`StorageError::BadUri`].
pub fn check_uri(uri: &str) -> Result<(), StorageError> {
    Target::parse(uri).map(drop)
}

enum Target<'a> {
    Local(&'a str),
    Memory { name: &'a str, dir: Option<StoragePath> },
    Service { scheme: &'a str, bucket: &'a str, dir: Option<StoragePath>, options: ServiceOptions },
}

impl<'a> Target<'a> {
    fn parse(uri: &'a str) -> Result<Self, StorageError> {
        if uri.is_empty() {
            return Err(bad(uri, "it is empty"));
        }
        match split_scheme(uri) {
            None => Ok(Self::Local(uri)),
            Some(("file", rest)) => parse_file(uri, rest).map(Self::Local),
            Some(("memory", rest)) => {
                let (name, dir) = rest.split_once('/').unwrap_or((rest, ""));
                if name.is_empty() {
                    return Err(bad(uri, "it names no memory: write memory:NAME"));
                }
                Ok(Self::Memory { name, dir: parse_dir(uri, dir)? })
            }
            Some((scheme, rest)) if services::SCHEMES.contains(&scheme) => {
                Self::parse_service(uri, scheme, rest)
            }
            Some((scheme, _)) => Err(bad(
                uri,
                format!(
                    "its scheme {scheme} is not among those compiled in: {}",
                    services::SCHEMES.join(", ")
                ),
            )),
        }
    }

    fn parse_service(uri: &str, scheme: &'a str, rest: &'a str) -> Result<Self, StorageError> {
        let Some(rest) = rest.strip_prefix("//") else {
            return Err(bad(uri, format!("it must begin with {scheme}://")));
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, dir) = place.split_once('/').unwrap_or((place, ""));
        if bucket.contains(['@', ':']) {
            return Err(bad(
                uri,
                "the bucket holds @ or :, and credentials belong in the environment",
            ));
        }
        if bucket.is_empty() {
            return Err(bad(uri, "it names no bucket"));
        }
        let (dir, options) = (parse_dir(uri, dir)?, parse_query(uri, query)?);
        Ok(Self::Service { scheme, bucket, dir, options })
    }

    fn open_opendal(self, uri: &str) -> Result<Arc<dyn Storage>, StorageError> {
        let (built, name, dir) = match self {
            Self::Local(path) => return Ok(Arc::new(LocalStorage::open(path)?)),
            Self::Memory { name, dir } => {
                (Some(services::memory(name)), format!("memory:{name}"), dir)
            }
            Self::Service { scheme, bucket, dir, options } => {
                (connect(scheme, bucket, &options), format!("{scheme}://{bucket}"), dir)
            }
        };
        let operator = match built {
            Some(Ok(operator)) => operator,
            Some(Err(error)) => return Err(bad(uri, error.message().to_owned())),
            None => return Err(bad(uri, "its scheme is not compiled in")),
        };
        let storage = OpendalStorage::new(operator, &name);
        Ok(Arc::new(dir.map_or_else(|| storage.clone(), |dir| storage.rooted_at(&dir))))
    }
}

#[cfg(feature = "http")]
use services::connect;

/// Without remote services no scheme reaches this.
#[cfg(not(feature = "http"))]
fn connect(
    _scheme: &str,
    _bucket: &str,
    _options: &ServiceOptions,
) -> Option<opendal::Result<opendal::Operator>> {
    None
}

/// `None` for a plain path. One letter before the colon is a drive, not a scheme.
fn split_scheme(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once(':')?;
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    is_scheme.then_some((scheme, rest))
}

fn parse_file<'a>(uri: &str, rest: &'a str) -> Result<&'a str, StorageError> {
    let path = match rest.strip_prefix("//") {
        Some(after) if after.starts_with('/') => after,
        Some(_) => {
            return Err(bad(uri, "it names a host: write file:///PATH or a plain path"));
        }
        None => rest,
    };
    if path.starts_with('/') {
        Ok(path)
    } else {
        Err(bad(uri, "its path is not absolute: write file:/PATH or a plain path"))
    }
}

fn parse_dir(uri: &str, dir: &str) -> Result<Option<StoragePath>, StorageError> {
    let dir = dir.trim_end_matches('/');
    if dir.is_empty() {
        return Ok(None);
    }
    StoragePath::new(dir)
        .map(Some)
        .map_err(|error| bad(uri, format!("of its path {}", error.reason)))
}

fn parse_query(uri: &str, query: &str) -> Result<ServiceOptions, StorageError> {
    let mut options = ServiceOptions::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(value) = percent_decoded(value) else {
            return Err(bad(uri, format!("the value of {key} is not percent-encoded text")));
        };
        match key {
            "endpoint" if value.contains('@') => {
                return Err(bad(
                    uri,
                    "the endpoint holds an @, and credentials belong in the environment",
                ));
            }
            "endpoint" => options.endpoint = Some(value),
            "region" => options.region = Some(value),
            "path_style" => match value.as_str() {
                "true" => options.path_style = Some(true),
                "false" => options.path_style = Some(false),
                _ => return Err(bad(uri, "path_style is neither true nor false")),
            },
            _ => {
                return Err(bad(
                    uri,
                    "its query may hold endpoint, region and path_style; \
                     credentials belong in the environment",
                ));
            }
        }
    }
    Ok(options)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        if !digits.chars().all(|c| c.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

fn bad(uri: &str, reason: impl Into<Cow<'static, str>>) -> StorageError {
    StorageError::BadUri { uri: without_secrets(uri).into(), reason: reason.into() }
}

/// Cuts the query and replaces everything before an `@`.
fn without_secrets(uri: &str) -> String {
    if uri.is_empty() {
        return "an empty text".to_owned();
    }
    let (place, _) = uri.split_once('?').unwrap_or((uri, ""));
    match (split_scheme(place), place.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, after))) => format!("{scheme}://...@{after}"),
        _ => place.to_owned(),
    }
}

#[cfg(test)]
mod tests;
