//! Streams one object in parts.
//!
//! Invariants: the object appears when `finish` completes the upload; a writer that is dropped,
//! aborted or failed gives its parts back; after an error `finish` reports that error.

use std::io::{self, Write};
use std::mem;

use alluvium_core::StoragePath;
use bytes::Bytes;

use crate::{Location, Storage, StorageError, StorageWriter};

use super::{CHUNK_LEN_BYTES, OpendalStorage, runtime};

pub(super) struct OpendalWriter {
    /// Gone once the upload is completed or given up.
    upload: Option<opendal::Writer>,
    chunk: Vec<u8>,
    location: Location,
    /// Where the service has no conditional writes, `finish` looks before it leaps.
    look_first: Option<(OpendalStorage, StoragePath)>,
    failed: Option<StorageError>,
}

impl OpendalWriter {
    pub(super) fn new(
        upload: opendal::Writer,
        location: Location,
        look_first: Option<(OpendalStorage, StoragePath)>,
    ) -> Self {
        Self { upload: Some(upload), chunk: Vec::new(), location, look_first, failed: None }
    }

    /// Hands the collected bytes to the upload, which sends them in the background.
    fn send_chunk(&mut self) -> Result<(), StorageError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.chunk.is_empty() {
            return Ok(());
        }
        let Some(mut upload) = self.upload.take() else {
            return Ok(());
        };
        let chunk = Bytes::from(mem::take(&mut self.chunk));
        let sent = runtime::wait(async move {
            let sent = upload.write(chunk).await;
            (upload, sent)
        });
        let (upload, sent) = match sent {
            Ok(outcome) => outcome,
            Err(source) => {
                return self.fail(StorageError::io("write", self.location.clone(), source));
            }
        };
        self.upload = Some(upload);
        match sent {
            Ok(()) => Ok(()),
            Err(error) => {
                let error = StorageError::remote("write", self.location.clone(), &error);
                self.fail(error)
            }
        }
    }

    fn complete(&mut self) -> Result<(), StorageError> {
        if let Some((storage, path)) = &self.look_first {
            match storage.len_bytes(path) {
                Err(StorageError::NotFound { .. }) => {}
                Err(error) => return Err(error),
                Ok(_) => {
                    return Err(StorageError::AlreadyExists { location: self.location.clone() });
                }
            }
        }
        let Some(mut upload) = self.upload.take() else {
            return Ok(());
        };
        let closed = runtime::wait(async move {
            let closed = upload.close().await.map(drop);
            (upload, closed)
        });
        match closed {
            Ok((_, Ok(()))) => Ok(()),
            Ok((upload, Err(error))) => {
                self.upload = Some(upload);
                Err(StorageError::remote("write", self.location.clone(), &error))
            }
            Err(source) => Err(StorageError::io("write", self.location.clone(), source)),
        }
    }

    fn fail(&mut self, error: StorageError) -> Result<(), StorageError> {
        self.failed = Some(error.clone());
        Err(error)
    }
}

impl Write for OpendalWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK_LEN_BYTES.saturating_sub(self.chunk.len());
        let (now, _) = bytes.split_at(room.min(bytes.len()));
        self.chunk.extend_from_slice(now);
        if self.failed.is_some() || self.chunk.len() >= CHUNK_LEN_BYTES {
            self.send_chunk().map_err(StorageError::into_write)?;
        }
        Ok(now.len())
    }

    /// Parts have a smallest size, so bytes stay here until there are enough of them.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl StorageWriter for OpendalWriter {
    fn finish(mut self: Box<Self>) -> Result<(), StorageError> {
        self.send_chunk()?;
        self.complete()
    }

    fn abort(self: Box<Self>) {}
}

impl Drop for OpendalWriter {
    fn drop(&mut self) {
        if let Some(mut upload) = self.upload.take() {
            // Parts that cannot be given back now are the bucket's lifecycle rule's to remove.
            let _ = runtime::wait(async move { upload.abort().await });
        }
    }
}
