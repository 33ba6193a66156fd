//! The services that are compiled in, by the scheme of their URI.
//!
//! Invariants: a remote service is reached with a timeout per request inside a bounded retry;
//! credentials come from the environment in the service's usual way, never from a URI; one name
//! of memory means one store for the life of the process.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use opendal::Operator;
use opendal::services::Memory;

#[cfg(feature = "http")]
pub(crate) use self::remote::connect;

/// Schemes that [`crate::open`] understands in this build.
pub(crate) const SCHEMES: &[&str] = &[
    "file",
    "memory",
    #[cfg(any(feature = "s3", feature = "fuzzing"))]
    "s3",
    #[cfg(feature = "gcs")]
    "gs",
    #[cfg(feature = "azblob")]
    "az",
];

static MEMORIES: Mutex<BTreeMap<String, Operator>> = Mutex::new(BTreeMap::new());

/// The memory of this name; created at the first call.
pub(crate) fn memory(name: &str) -> opendal::Result<Operator> {
    let mut memories = MEMORIES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = memories.get(name) {
        return Ok(known.clone());
    }
    let operator = Operator::new(Memory::default())?;
    memories.insert(name.to_owned(), operator.clone());
    Ok(operator)
}

/// What a URI says about a remote service besides the bucket.
#[derive(Debug, Default)]
pub(crate) struct ServiceOptions {
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) path_style: Option<bool>,
}

#[cfg(feature = "http")]
mod remote {
    use std::time::Duration;

    use opendal::Operator;
    use opendal::layers::{RetryLayer, TimeoutLayer};

    use super::ServiceOptions;

    /// Longest time for a request without a body.
    const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
    /// Longest time for one part of a body, 8 MiB at most.
    const BODY_TIMEOUT: Duration = Duration::from_mins(1);
    /// Retries after the first try.
    const MAX_RETRIES: usize = 4;

    /// Makes the operator for a bucket; `None` for a scheme that is not compiled in. Sends
    /// nothing.
    pub(crate) fn connect(
        scheme: &str,
        bucket: &str,
        options: &ServiceOptions,
    ) -> Option<opendal::Result<Operator>> {
        opendal::install_default();
        let built = match scheme {
            #[cfg(feature = "s3")]
            "s3" => s3(bucket, options),
            #[cfg(feature = "gcs")]
            "gs" => gcs(bucket, options),
            #[cfg(feature = "azblob")]
            "az" => azblob(bucket, options),
            _ => return None,
        };
        // The timeout stands inside the retry, so that a silent server is asked again.
        let timeout =
            TimeoutLayer::new().with_timeout(REQUEST_TIMEOUT).with_io_timeout(BODY_TIMEOUT);
        let retry = RetryLayer::new().with_max_times(MAX_RETRIES);
        Some(built.map(|operator| operator.layer(timeout).layer(retry)))
    }

    #[cfg(feature = "s3")]
    fn s3(bucket: &str, options: &ServiceOptions) -> opendal::Result<Operator> {
        let mut service = opendal::services::S3::default().bucket(bucket);
        if let Some(endpoint) = &options.endpoint {
            service = service.endpoint(endpoint);
        }
        if let Some(region) = &options.region {
            service = service.region(region);
        }
        if options.path_style == Some(false) {
            service = service.enable_virtual_host_style();
        }
        Operator::new(service)
    }

    #[cfg(feature = "gcs")]
    fn gcs(bucket: &str, options: &ServiceOptions) -> opendal::Result<Operator> {
        let mut service = opendal::services::Gcs::default().bucket(bucket);
        if let Some(endpoint) = &options.endpoint {
            service = service.endpoint(endpoint);
        }
        Operator::new(service)
    }

    #[cfg(feature = "azblob")]
    fn azblob(container: &str, options: &ServiceOptions) -> opendal::Result<Operator> {
        let mut service = opendal::services::Azblob::default().container(container);
        if let Some(endpoint) = &options.endpoint {
            service = service.endpoint(endpoint);
        }
        Operator::new(service)
    }
}
