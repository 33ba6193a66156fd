//! What an index says of a file that RocksDB describes.

use alluvium_format::FormatError;
use alluvium_format::sst::SstMeta;

use crate::engine::LiveFile;

/// Errors: [`FormatError::Malformed`] for a level that no index can hold.
pub(crate) fn meta_of(file: &LiveFile, checksum: u32) -> Result<SstMeta, FormatError> {
    let level = u8::try_from(file.level).map_err(|_| FormatError::Malformed {
        what: "sst",
        offset: 0,
        reason: format!("{} is at level {}", file.file_name, file.level),
    })?;
    Ok(SstMeta {
        level,
        smallest_seqno: file.smallest_seqno,
        largest_seqno: file.largest_seqno,
        entry_count: file.entries,
        checksum,
        smallest_key: file.smallest_key.clone(),
        largest_key: file.largest_key.clone(),
    })
}
