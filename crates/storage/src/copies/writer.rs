//! Makes one copy while the file itself is written.
//!
//! Where the bytes will lie in a file of this machine that never changes, the copy is a hard link of
//! it, and only the checksums are taken from the bytes that pass; elsewhere the bytes are written a
//! second time.
//!
//! Invariants: a copy that is not finished leaves no checksums, so it is none; an existing name is
//! removed and never written to, since it may be a link.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use alluvium_core::StoragePath;

use super::LocalCopies;
use super::sums::SumsBuilder;

const BUFFER_LEN_BYTES: usize = 256 * 1024;
/// How often a folder that goes is made again.
const TRIES: u32 = 8;

#[derive(Debug)]
enum Body {
    /// To be linked when it is whole.
    Link(PathBuf),
    Write(BufWriter<File>),
    /// No copy is made any more.
    Failed,
}

/// A copy being made.
#[derive(Debug)]
pub(crate) struct CopyWriter {
    copies: LocalCopies,
    path: StoragePath,
    sums: SumsBuilder,
    body: Body,
    is_finished: bool,
}

impl CopyWriter {
    pub(super) fn begin(copies: LocalCopies, path: StoragePath, origin: Option<PathBuf>) -> Self {
        copies.remove(&path);
        let can_link = !copies.inner.cannot_link.load(Ordering::Relaxed);
        let origin = origin.filter(|_| can_link);
        let (sums, body) = (SumsBuilder::default(), Body::Failed);
        let mut writer = Self { copies, path, sums, body, is_finished: false };
        writer.try_to(|writer| {
            writer.body = match origin {
                Some(origin) => Body::Link(origin),
                None => Body::Write(BufWriter::with_capacity(BUFFER_LEN_BYTES, writer.create()?)),
            };
            Ok(())
        });
        writer
    }

    fn create(&self) -> io::Result<File> {
        make_in_folder(&self.copies.data_path(&self.path), |path| File::create_new(path))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if matches!(self.body, Body::Failed) {
            return;
        }
        self.sums.push(bytes);
        self.try_to(|writer| {
            #[cfg(test)]
            writer.copies.take_room(bytes.len() as u64)?;
            if let Body::Write(file) = &mut writer.body { file.write_all(bytes) } else { Ok(()) }
        });
    }

    /// The file itself is whole: so is its copy, then.
    pub(crate) fn finish(mut self) {
        self.try_to(|writer| {
            match std::mem::replace(&mut writer.body, Body::Failed) {
                Body::Failed => return Ok(()),
                Body::Write(file) => drop(file.into_inner()?),
                Body::Link(origin) => writer.link(&origin)?,
            }
            let (data, sums) = (writer.copies.data_path(&writer.path), &mut writer.sums);
            if fs::metadata(data)?.len() != sums.len_bytes() {
                return Err(io::Error::other("the copy has another length than the file"));
            }
            let path = writer.copies.sums_path(&writer.path);
            let sums = std::mem::take(sums).finish();
            make_in_folder(&path, |path| fs::write(path, &sums))?;
            writer.is_finished = true;
            Ok(())
        });
    }

    fn link(&self, origin: &PathBuf) -> io::Result<()> {
        let to = self.copies.data_path(&self.path);
        if make_in_folder(&to, |to| fs::hard_link(origin, to)).is_err() {
            self.copies.inner.cannot_link.store(true, Ordering::Relaxed);
            make_in_folder(&to, |to| fs::copy(origin, to))?;
        }
        Ok(())
    }

    fn try_to(&mut self, act: impl FnOnce(&mut Self) -> io::Result<()>) {
        if let Err(error) = act(self) {
            self.body = Body::Failed;
            self.copies.note_failure(&self.copies.data_path(&self.path), &error);
        }
    }
}

/// Makes a file, and its folder when that is missing: whoever removes the last copy of a folder removes
/// the folder, too, perhaps just now.
fn make_in_folder<T>(path: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    for _ in 0..TRIES {
        match make(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(dir) = path.parent() {
                    fs::create_dir_all(dir)?;
                }
            }
            other => return other,
        }
    }
    make(path)
}

impl Drop for CopyWriter {
    fn drop(&mut self) {
        if !self.is_finished {
            self.copies.remove(&self.path);
        }
    }
}
