//! Codecs and byte formats of Alluvium snapshots.
//!
//! `SPEC.md` owns every byte; this crate reads and writes them. It works on slices and on
//! [`std::io::Write`], opens no file, starts no thread and reads no clock.
//!
//! Ladder of names: an [`envelope`] (the frame that every file shares) holds *blocks* and an
//! *index*; the index says what the blocks are: [`keyed`] state, [`operator`] state, or, with no
//! blocks at all, an index of [`sst`] files or [`metadata`]. Inside a block, keys and values are written by a [`codec`].
//!
//! Invariants:
//! - decoders take hostile bytes: no panic, no allocation from an unchecked length;
//! - every byte of a stream is covered by a checksum, which is verified before its content is used;
//! - a newer version or an unknown incompatible feature is refused before anything else is read.
//!
//! ```
//! use alluvium_format::codec::{Codec, HasCodec, Input};
//!
//! type Row = (String, Option<u32>);
//! let codec = <Row as HasCodec>::Codec::default();
//! let row: Row = ("N14228".to_owned(), Some(1400));
//!
//! let mut bytes = Vec::new();
//! codec.encode(&row, &mut bytes)?;
//! assert_eq!(codec.decode(&mut Input::new(&bytes))?, row);
//! assert_eq!(codec.snapshot().to_string(), "tuple<string, option<u32>>");
//! # Ok::<(), alluvium_format::CodecError>(())
//! ```

pub mod codec;
pub mod envelope;
mod error;
pub mod keyed;
pub mod metadata;
pub mod operator;
mod refusal;
mod shared;
pub mod sst;
mod wire;

pub use envelope::Source;
pub use error::{CodecError, FormatError};
