//! The list of shared files, as the index of a keyed stream and the handle in the metadata hold it.
//!
//! Fields in order: number of files; of each its path, stream length and seal (SPEC 6.2, 8.1).
//!
//! Invariants: the paths are different.

use std::collections::BTreeSet;

use alluvium_core::{SharedFile, StoragePath};

use crate::CodecError;
use crate::codec::Input;
use crate::refusal::Refusal;
use crate::wire::{first_room, put_count, put_text};

/// Appends the list.
///
/// Errors: [`CodecError::TooLarge`] above 65,535 files.
pub(crate) fn put_shared(files: &[SharedFile], out: &mut Vec<u8>) -> Result<(), CodecError> {
    put_count(files.len(), "number of shared files", out)?;
    for file in files {
        put_text(file.path.as_str(), out)?;
        out.extend_from_slice(&file.len_bytes.to_le_bytes());
        out.extend_from_slice(&file.seal.to_le_bytes());
    }
    Ok(())
}

/// Reads the list.
pub(crate) fn read_shared(input: &mut Input<'_>) -> Result<Vec<SharedFile>, Refusal> {
    let count = usize::from(input.u16("number of shared files")?);
    let mut files = Vec::with_capacity(first_room::<SharedFile>(count, input));
    let mut paths = BTreeSet::new();
    for _ in 0..count {
        let path = StoragePath::new(input.text("path of a shared file")?)?;
        let len_bytes = input.u64("length of a shared file")?;
        let seal = input.u32("seal of a shared file")?;
        if !paths.insert(path.clone()) {
            return Err(Refusal::Rule(format!("shared file {path} comes twice")));
        }
        files.push(SharedFile { path, len_bytes, seal });
    }
    Ok(files)
}
