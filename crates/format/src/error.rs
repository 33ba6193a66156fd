//! What can be wrong with bytes.

use crate::codec::CodecSnapshot;

/// A value that cannot be encoded, or bytes that are not the value they should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes end too early.
    #[error("bytes end at offset {offset}: {needed} more needed for {what}, {left} left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where, counted from the start of the input.
        offset: usize,
        /// Bytes that the item needs.
        needed: u64,
        /// Bytes that are left.
        left: usize,
    },
    /// The bytes are there but say something that the codec never writes.
    #[error("invalid {what} at offset {offset}: {reason}")]
    Invalid {
        /// What was being read.
        what: &'static str,
        /// Where, counted from the start of the input.
        offset: usize,
        /// The rule that is broken.
        reason: &'static str,
    },
    /// Something stands after the end of the value.
    #[error("{left} bytes left after the value, at offset {offset}")]
    TrailingBytes {
        /// Where the value ended.
        offset: usize,
        /// Bytes after it.
        left: usize,
    },
    /// The value is larger than the format can hold.
    #[error("{what} of {found} is above the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        found: u64,
        /// The largest size.
        limit: u64,
    },
    /// A `serde` type refused to be written or read.
    #[error("serde type {type_name}: {source}")]
    Serde {
        /// Name under which the type was registered.
        type_name: String,
        /// What `postcard` said.
        #[source]
        source: postcard::Error,
    },
    /// A user's codec refused to write or read.
    #[error("user codec {name}: {source}")]
    User {
        /// Name of the codec.
        name: String,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The stored codec is not the one at hand, and values cannot be migrated.
    #[error("stored codec {stored} cannot be read as {current}")]
    Incompatible {
        /// What the bytes were written with.
        stored: Box<CodecSnapshot>,
        /// What they should be read with.
        current: Box<CodecSnapshot>,
    },
}

/// A stream that is not a whole, undamaged Alluvium stream of the expected kind.
///
/// Whoever knows the name of the file adds it; offsets count from the start of the stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The stream is shorter than its parts.
    #[error("{what} is cut: {expected_len_bytes} bytes expected, {found_len_bytes} found")]
    Truncated {
        /// The part that does not fit.
        what: &'static str,
        /// The least length in bytes.
        expected_len_bytes: u64,
        /// The length that was found.
        found_len_bytes: u64,
    },
    /// The first eight bytes are not `ALLUVIUM`.
    #[error("offset 0: not an alluvium stream (first bytes {found:02x?})")]
    Magic {
        /// The first bytes.
        found: [u8; 8],
    },
    /// The stream is of another kind.
    #[error("offset 8: {expected} expected, kind {found} found")]
    Kind {
        /// What was asked for.
        expected: crate::envelope::StreamKind,
        /// The stored number.
        found: u16,
    },
    /// The stream is of a kind that this version does not know.
    #[error("offset 8: stream kind {found} is unknown")]
    UnknownKind {
        /// The stored number.
        found: u16,
    },
    /// The stream was written by a version that this one does not know.
    #[error("format version {found} is not supported (this version reads {min} to {max})")]
    UnsupportedVersion {
        /// The stored version.
        found: u16,
        /// The oldest readable version.
        min: u16,
        /// The newest readable version.
        max: u16,
    },
    /// The stream needs a feature that this version does not know.
    #[error("incompatible feature bits {found:#010x} are not supported (known: {known:#010x})")]
    UnsupportedFeatures {
        /// The stored bits.
        found: u32,
        /// The bits that are known.
        known: u32,
    },
    /// The bytes changed after they were written.
    #[error("checksum of {what} at offset {offset}: {expected:08x} expected, {found:08x} found")]
    Checksum {
        /// The part that is damaged.
        what: &'static str,
        /// Where the part starts.
        offset: u64,
        /// The stored checksum.
        expected: u32,
        /// The checksum of the bytes.
        found: u32,
    },
    /// A part breaks a rule of its format.
    #[error("{what} at offset {offset}: {reason}")]
    Malformed {
        /// The part.
        what: &'static str,
        /// Where the part starts.
        offset: u64,
        /// The rule that it breaks.
        reason: String,
    },
    /// A part cannot be decoded.
    #[error("{what} at offset {offset}: {source}")]
    Codec {
        /// The part.
        what: &'static str,
        /// Where the part starts.
        offset: u64,
        /// What the codec said.
        #[source]
        source: CodecError,
    },
    /// The stream could not be written.
    #[error("cannot write the stream: {0}")]
    Write(#[from] std::io::Error),
    /// The stream could not be read.
    #[error("cannot read the stream: {0}")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something is larger than the format can hold.
    #[error("{what} of {found} is above the limit of {limit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// Its size.
        found: u64,
        /// The largest size.
        limit: u64,
    },
}
