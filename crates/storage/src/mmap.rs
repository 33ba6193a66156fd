//! Memory-mapped reading of local files: the one place of this crate with unsafe code.
//!
//! Invariants: only files that a storage has published are mapped; those are never changed in
//! place, by nobody in this crate. A file that somebody else cuts short while it is mapped ends
//! the process with `SIGBUS` on the next touch beyond its new end; whoever cannot exclude that
//! reads by copy (`ReadAccess::Copy`). Whoever holds a map for long keeps the file open and looks
//! at its length first (`Storage::map_guarded`).

use std::fs::File;
use std::io;

use bytes::Bytes;

/// Maps a whole file. `len_bytes` is its length; an empty file cannot be mapped and needs not.
pub(crate) fn map_file(file: &File, len_bytes: u64) -> io::Result<Bytes> {
    if len_bytes == 0 {
        return Ok(Bytes::new());
    }
    #[expect(unsafe_code, reason = "mapping a file is unsafe by nature; see the module's text")]
    // SAFETY: the slice stays valid and unchanged as long as nobody writes to or truncates the
    // file. Published files are immutable: they are created whole by a hard link, no call of this
    // crate opens one for writing again, and unlinking keeps the pages of a mapped file alive.
    // The map outlives the handle and is unmapped when the last `Bytes` on it is dropped.
    let map = unsafe { memmap2::Mmap::map(file) }?;
    Ok(Bytes::from_owner(map))
}
