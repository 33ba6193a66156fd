//! Object stores and memory, through OpenDAL.
//!
//! An object store has no folders: a folder is the common prefix of the objects in it, and exists
//! as long as one of them does. Creation is exclusive by a conditional write (`If-None-Match: *`).
//! Ladder of names: service (one per scheme) > operator (one bucket, or one named memory) > prefix
//! (the root of this handle) > object.
//!
//! Invariants:
//! - an object appears when its upload is completed, never before;
//! - OpenDAL is asynchronous: its futures run on one process-wide runtime with one thread, and the
//!   calling thread waits for them. Calls come from plain threads or a blocking pool; inside async
//!   code they would stop that code's thread for as long as they take.

mod batch;
mod runtime;
pub(crate) mod services;
mod writer;

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use alluvium_core::StoragePath;
use bytes::Bytes;
use opendal::options::{DeleteOptions, ReadOptions, WriteOptions};
use opendal::{EntryMode, Operator};

use crate::{Location, Storage, StorageEntry, StorageError, StorageLock, StorageWriter};

use self::writer::OpendalWriter;

/// Size of one part of a large object, in bytes. S3 wants at least 5 MiB.
const CHUNK_LEN_BYTES: usize = 8 << 20;
/// How many parts of one object are under way at a time.
const CONCURRENT_CHUNKS: usize = 4;

/// Checkpoint files in one bucket or one named memory.
#[derive(Clone)]
pub struct OpendalStorage {
    operator: Operator,
    /// The name of the operator and the prefix, for people.
    name: Arc<str>,
    /// What keys begin with: empty, or ends with `/`.
    prefix: Arc<str>,
}

impl OpendalStorage {
    pub(crate) fn new(operator: Operator, name: &str) -> Self {
        Self { operator, name: Arc::from(name), prefix: Arc::from("") }
    }

    pub(crate) fn rooted_at(&self, dir: &StoragePath) -> Self {
        Self {
            operator: self.operator.clone(),
            name: self.location(Some(dir)).to_string().into(),
            prefix: format!("{}{dir}/", self.prefix).into(),
        }
    }

    fn location(&self, path: Option<&StoragePath>) -> Location {
        Location::new(&self.name, path)
    }

    fn key(&self, operation: &'static str, path: &StoragePath) -> Result<String, StorageError> {
        let key = format!("{}{path}", self.prefix);
        if key.trim() == key {
            return Ok(key);
        }
        // OpenDAL trims keys: ` a` and `a` would be one object.
        let reason = "its name begins or ends with a space";
        Err(StorageError::Unsupported { operation, location: self.location(Some(path)), reason })
    }

    /// Runs a request to its end and names what it was about if it fails.
    fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        path: Option<&StoragePath>,
        request: impl Future<Output = opendal::Result<T>> + Send + 'static,
    ) -> Result<T, StorageError> {
        match runtime::wait(request) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(StorageError::remote(operation, self.location(path), &error)),
            Err(source) => Err(StorageError::io(operation, self.location(path), source)),
        }
    }

    fn read_options(range: Range<u64>) -> ReadOptions {
        let is_large = range.end - range.start > CHUNK_LEN_BYTES as u64;
        ReadOptions {
            range: range.into(),
            chunk: is_large.then_some(CHUNK_LEN_BYTES),
            concurrent: if is_large { CONCURRENT_CHUNKS } else { 1 },
            ..ReadOptions::default()
        }
    }

    fn read_key(
        &self,
        path: &StoragePath,
        key: String,
        range: Range<u64>,
    ) -> Result<Bytes, StorageError> {
        let operator = self.operator.clone();
        let options = Self::read_options(range);
        self.call("read", Some(path), async move {
            operator.read_options(&key, options).await.map(|buffer| buffer.to_bytes())
        })
    }

    /// The length of a child; some services do not list it.
    fn listed_len_bytes(
        &self,
        dir: Option<&StoragePath>,
        entry: &opendal::Entry,
    ) -> Result<Option<u64>, StorageError> {
        if entry.metadata().mode() == EntryMode::FILE {
            return Ok(Some(entry.metadata().content_length()));
        }
        let operator = self.operator.clone();
        let key = entry.path().to_owned();
        match self.call("list", dir, async move { operator.stat(&key).await }) {
            Ok(found) => Ok(Some(found.content_length())),
            // Deleted between the two calls.
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for OpendalStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpendalStorage({})", self.name)
    }
}

impl Storage for OpendalStorage {
    fn root(&self) -> &str {
        &self.name
    }

    fn create(&self, path: &StoragePath, bytes: &[u8]) -> Result<(), StorageError> {
        let key = self.key("create", path)?;
        if !self.operator.info().capability().write_with_if_not_exists {
            let location = self.location(Some(path));
            let reason = "its service has no conditional writes";
            return Err(StorageError::Unsupported { operation: "create", location, reason });
        }
        let operator = self.operator.clone();
        let bytes = Bytes::copy_from_slice(bytes);
        let options = WriteOptions { if_not_exists: true, ..WriteOptions::default() };
        self.call("create", Some(path), async move {
            operator.write_options(&key, bytes, options).await.map(drop)
        })
    }

    fn writer(&self, path: &StoragePath) -> Result<Box<dyn StorageWriter>, StorageError> {
        let key = self.key("write", path)?;
        let exclusive = self.operator.info().capability().write_with_if_not_exists;
        let options = WriteOptions {
            if_not_exists: exclusive,
            chunk: Some(CHUNK_LEN_BYTES),
            concurrent: CONCURRENT_CHUNKS,
            ..WriteOptions::default()
        };
        let operator = self.operator.clone();
        let writer =
            self.call(
                "write",
                Some(path),
                async move { operator.writer_options(&key, options).await },
            )?;
        let look_first = if exclusive { None } else { Some((self.clone(), path.clone())) };
        Ok(Box::new(OpendalWriter::new(writer, self.location(Some(path)), look_first)))
    }

    fn read(&self, path: &StoragePath, range: Range<u64>) -> Result<Bytes, StorageError> {
        let key = self.key("read", path)?;
        let range = range.start..range.end.max(range.start);
        let wanted_len_bytes = range.end - range.start;
        let outcome = match wanted_len_bytes {
            0 => Ok(Bytes::new()),
            _ => self.read_key(path, key, range.clone()),
        };
        match outcome {
            Ok(bytes) if wanted_len_bytes > 0 && bytes.len() as u64 == wanted_len_bytes => {
                return Ok(bytes);
            }
            Err(error @ StorageError::NotFound { .. }) => return Err(error),
            _ => {}
        }
        // Services answer a range beyond the end in as many ways as there are services, and an
        // empty one cannot be asked for.
        let found_len_bytes = self.len_bytes(path)?;
        if found_len_bytes >= range.end && (wanted_len_bytes == 0 || outcome.is_err()) {
            return outcome;
        }
        Err(StorageError::Truncated {
            location: self.location(Some(path)),
            expected_len_bytes: range.end,
            found_len_bytes,
        })
    }

    fn read_all(&self, path: &StoragePath) -> Result<Bytes, StorageError> {
        let len_bytes = self.len_bytes(path)?;
        self.read(path, 0..len_bytes)
    }

    fn len_bytes(&self, path: &StoragePath) -> Result<u64, StorageError> {
        let key = self.key("measure", path)?;
        let operator = self.operator.clone();
        let found = self.call("measure", Some(path), async move { operator.stat(&key).await })?;
        Ok(found.content_length())
    }

    fn list(&self, dir: Option<&StoragePath>) -> Result<Vec<StorageEntry>, StorageError> {
        let prefix = match dir {
            Some(dir) => format!("{}/", self.key("list", dir)?),
            None => self.prefix.to_string(),
        };
        let operator = self.operator.clone();
        let wanted = prefix.clone();
        let found = match self.call("list", dir, async move { operator.list(&wanted).await }) {
            Ok(found) => found,
            Err(StorageError::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut entries = Vec::with_capacity(found.len());
        for entry in found {
            // The folder itself may be listed as an empty object of its name.
            let Some(name) = entry.path().strip_prefix(prefix.as_str()) else {
                continue;
            };
            let (name, is_dir) = name.strip_suffix('/').map_or((name, false), |name| (name, true));
            if name.is_empty() {
                continue;
            }
            let len_bytes = if is_dir { Some(0) } else { self.listed_len_bytes(dir, &entry)? };
            if let Some(len_bytes) = len_bytes {
                entries.push(StorageEntry { name: name.to_owned(), is_dir, len_bytes });
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn delete(&self, path: &StoragePath) -> Result<(), StorageError> {
        let key = self.key("delete", path)?;
        let operator = self.operator.clone();
        let deleted = self.call("delete", Some(path), async move { operator.delete(&key).await });
        absent_is_fine(deleted)
    }

    fn delete_many(&self, paths: &[StoragePath]) -> Vec<Result<(), StorageError>> {
        batch::delete(self, paths)
    }

    fn delete_batch_len(&self) -> usize {
        batch::len_of(&self.operator)
    }

    fn delete_dir(&self, dir: &StoragePath) -> Result<(), StorageError> {
        let key = format!("{}/", self.key("delete", dir)?);
        let operator = self.operator.clone();
        let options = DeleteOptions { recursive: true, ..DeleteOptions::default() };
        let deleted = self
            .call("delete", Some(dir), async move { operator.delete_options(&key, options).await });
        absent_is_fine(deleted)
    }

    fn lock(&self, _path: &StoragePath) -> Result<Option<StorageLock>, StorageError> {
        Ok(None)
    }

    fn below(&self, dir: &StoragePath) -> Result<Arc<dyn Storage>, StorageError> {
        Ok(Arc::new(self.rooted_at(dir)))
    }
}

fn absent_is_fine(deleted: Result<(), StorageError>) -> Result<(), StorageError> {
    match deleted {
        Err(StorageError::NotFound { .. }) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
