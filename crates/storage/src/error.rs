//! What can go wrong between the engine and its checkpoint bytes.
//!
//! Invariants:
//! - every message is one lower-case sentence that names the file or root it is about;
//! - no message and no field holds a credential: query parameters, user parts of URIs and signed
//!   addresses are cut before an error is made.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use alluvium_core::{AttemptId, StoragePath};

/// A file or folder of a storage: the name of the root and the path below it.
#[derive(Clone, PartialEq, Eq)]
pub struct Location {
    root: Arc<str>,
    path: Option<StoragePath>,
}

impl Location {
    /// Names `path` below `root`, or the root itself.
    pub fn new(root: &str, path: Option<&StoragePath>) -> Self {
        Self { root: Arc::from(root), path: path.cloned() }
    }

    /// The root as [`Storage::root`](crate::Storage::root) names it.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The path below the root; `None` for the root itself.
    pub fn path(&self) -> Option<&StoragePath> {
        self.path.as_ref()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            None => f.write_str(&self.root),
            Some(path) if self.root.ends_with('/') => write!(f, "{}{path}", self.root),
            Some(path) => write!(f, "{}/{path}", self.root),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

/// A storage operation that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The file, or the root that should already be there, is missing.
    #[error("{location} does not exist")]
    NotFound {
        /// What was looked for.
        location: Location,
    },
    /// Files are written once; this one has been.
    #[error("{location} already exists")]
    AlreadyExists {
        /// What was to be created.
        location: Location,
    },
    /// A component of the path is a file.
    #[error("cannot {operation} {location}: {blocking} is a file where a folder is needed")]
    NotADirectory {
        /// What was tried, as a verb.
        operation: &'static str,
        /// What it was tried on.
        location: Location,
        /// The file in the way.
        blocking: Box<str>,
    },
    /// A symbolic link on the way to the file leads out of the root.
    #[error(
        "cannot {operation} {location}: a symbolic link on its way leads out of the storage root"
    )]
    OutsideRoot {
        /// What was tried, as a verb.
        operation: &'static str,
        /// What it was tried on.
        location: Location,
    },
    /// The file has another length than whoever refers to it expects.
    #[error("{location} holds {found_len_bytes} bytes where {expected_len_bytes} are expected")]
    Truncated {
        /// The file.
        location: Location,
        /// The length that was expected, in bytes.
        expected_len_bytes: u64,
        /// The length that was found, in bytes.
        found_len_bytes: u64,
    },
    /// The file has the right length and another content.
    #[error(
        "{location} is not the file that the checkpoint refers to: \
         its seal is {found:#010x}, not {expected:#010x}"
    )]
    SealMismatch {
        /// The file.
        location: Location,
        /// The seal in the state handle.
        expected: u32,
        /// The seal of the file.
        found: u32,
    },
    /// Another holder has the lock.
    #[error("{location} is locked by {}", holder_name(*.holder_pid))]
    Locked {
        /// The lock file.
        location: Location,
        /// The process that holds it, if it left its number.
        holder_pid: Option<u32>,
    },
    /// The stream does not fit into coordinator memory.
    #[error(
        "the state stream {path} is larger than the {} that coordinator memory holds per state \
         handle; use a file system or object store for checkpoints",
        size_name(*.limit_bytes)
    )]
    StateTooLarge {
        /// The name of the stream.
        path: StoragePath,
        /// The largest stream that is accepted, in bytes.
        limit_bytes: u64,
    },
    /// A newer attempt has claimed the checkpoint root.
    #[error(
        "attempt {own} of this job was replaced by attempt {newest}: \
         another process took over the checkpoint root"
    )]
    Fenced {
        /// The attempt that asked.
        own: AttemptId,
        /// The attempt that may write.
        newest: AttemptId,
    },
    /// No attempt number could be claimed.
    #[error("cannot claim an attempt below {location}: {tried} numbers in a row were taken")]
    ClaimContended {
        /// The folder of the claims.
        location: Location,
        /// How many numbers were tried.
        tried: u32,
    },
    /// The URI names no storage.
    #[error("cannot use {uri} as a storage: {reason}")]
    BadUri {
        /// The URI without its query and without a user part.
        uri: Box<str>,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// The storage cannot do this at all.
    #[error("cannot {operation} {location}: {reason}")]
    Unsupported {
        /// What was tried, as a verb.
        operation: &'static str,
        /// What it was tried on.
        location: Location,
        /// What is missing.
        reason: &'static str,
    },
    /// The operating system refused.
    #[error("cannot {operation} {location}: {}", lower_first(source))]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// What it was tried on.
        location: Location,
        /// The answer of the operating system.
        #[source]
        source: Arc<io::Error>,
    },
    /// The remote service refused or could not be reached.
    #[error("cannot {operation} {location}: {source}")]
    Remote {
        /// What was tried, as a verb.
        operation: &'static str,
        /// What it was tried on.
        location: Location,
        /// The answer of the service.
        #[source]
        source: RemoteCause,
    },
}

/// The answer of a remote service, without the addresses and headers that may hold signatures.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RemoteCause {
    message: Box<str>,
    temporary: bool,
}

/// Longest answer of a service that is repeated, in characters; some answer with a web page.
const MAX_CAUSE_CHARS: usize = 300;

impl RemoteCause {
    /// Keeps the message and the innermost cause on one line.
    pub(crate) fn new(error: &opendal::Error) -> Self {
        let mut message = service_answer(error.message())
            .unwrap_or_else(|| format!("{}: {}", error.kind(), error.message()));
        let mut innermost = std::error::Error::source(error);
        while let Some(next) = innermost.and_then(std::error::Error::source) {
            innermost = Some(next);
        }
        if let Some(cause) = innermost {
            message.push_str(": ");
            message.push_str(&cause.to_string());
        }
        // A service answers an overloaded moment and a dead line alike; both pass.
        Self::from_message(&message, error.is_temporary() || error.is_persistent())
    }

    /// An answer in one line without secrets, for storages that are made elsewhere.
    pub fn from_message(message: &str, temporary: bool) -> Self {
        let one_line = message.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { message: one_line.chars().take(MAX_CAUSE_CHARS).collect(), temporary }
    }

    /// Whether the same call may succeed later; it has been retried already.
    pub const fn is_temporary(&self) -> bool {
        self.temporary
    }
}

impl StorageError {
    /// An error of the operating system, told apart from the two that callers ask for.
    pub(crate) fn io(operation: &'static str, location: Location, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { location },
            io::ErrorKind::AlreadyExists => Self::AlreadyExists { location },
            _ => Self::Io { operation, location, source: Arc::new(source) },
        }
    }

    /// An error of OpenDAL, told apart likewise.
    pub(crate) fn remote(
        operation: &'static str,
        location: Location,
        source: &opendal::Error,
    ) -> Self {
        match source.kind() {
            opendal::ErrorKind::NotFound => Self::NotFound { location },
            opendal::ErrorKind::ConditionNotMatch | opendal::ErrorKind::AlreadyExists => {
                Self::AlreadyExists { location }
            }
            _ => Self::Remote { operation, location, source: RemoteCause::new(source) },
        }
    }

    /// Carries this error through [`std::io::Write`]; [`StorageError::from_write`] takes it out.
    pub fn into_write(self) -> io::Error {
        let kind = match &self {
            Self::Io { source, .. } => source.kind(),
            Self::NotFound { .. } => io::ErrorKind::NotFound,
            Self::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, self)
    }

    /// The storage error inside an [`io::Error`], or one that says what was written where.
    pub fn from_write(error: io::Error, location: Location) -> Self {
        error.downcast::<Self>().unwrap_or_else(|other| Self::Io {
            operation: "write",
            location,
            source: other.into(),
        })
    }
}

/// What S3 and its kin say, out of `S3Error { code: "..", message: "..", .. }`.
fn service_answer(message: &str) -> Option<String> {
    let field = |name: &str| {
        let (_, from) = message.split_once(&format!("{name}: \""))?;
        from.split_once("\", ").map(|(value, _)| value.trim_end_matches('.'))
    };
    Some(format!("{} ({})", field("message")?, field("code")?))
}

fn holder_name(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another holder".to_owned(), |pid| format!("process {pid}"))
}

fn size_name(len_bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if len_bytes > 0 && len_bytes.is_multiple_of(MIB) {
        format!("{} MiB", len_bytes / MIB)
    } else {
        format!("{len_bytes} bytes")
    }
}

/// The operating system begins its sentences with a capital letter; ours go on in the middle.
fn lower_first(error: &io::Error) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => text,
    }
}

#[cfg(test)]
mod tests;
