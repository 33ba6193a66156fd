//! Row keys of keyed state in RocksDB.
//!
//! One column family per state holds one row per (key group, key, namespace), or per user key of a
//! map. This crate has the layout of those row keys, so that its order and its lack of ambiguity
//! can be tested on their own; it does not link RocksDB. The backend that stores rows under them is
//! not part of this version.
//!
//! Invariants:
//! - rows of one key group are contiguous, and key groups are in order;
//! - rows of one (key, namespace) are contiguous, so the entries of a map are one range;
//! - two different (key, namespace, user key) never give the same row key.
//!
//! ```
//! use alluvium_core::{KeyGroup, MaxParallelism};
//! use alluvium_rocksdb::RowKeyLayout;
//!
//! let max = MaxParallelism::new(128)?;
//! let layout = RowKeyLayout::new(max);
//! let row = layout.row_key(KeyGroup::new(5, max)?, b"sand", b"", b"quartz")?;
//! assert!(row.starts_with(&layout.entry_prefix(KeyGroup::new(5, max)?, b"sand", b"")?));
//! let parts = layout.split(&row)?;
//! assert_eq!((parts.key, parts.namespace, parts.user_key), (&b"sand"[..], &b""[..], &b"quartz"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod row_key;

pub use row_key::{MAX_PART_LEN_BYTES, RowKeyError, RowKeyLayout, RowKeyParts};
