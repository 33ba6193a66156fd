//! Entries on their way to other key groups: parted by ranges of key groups, each part in a file of the
//! scratch, then sorted in memory one after the other.
//!
//! Fields of a record in order: key group, state (u16), length of key and namespace, length of the value
//! (u32), the bytes. All of it is read by nobody but this file.
//!
//! Invariants: a part has about [`PART_LEN_BYTES`]; one whose key groups have much more than their share
//! is larger, and is held in memory as a whole all the same.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use alluvium_core::{KeyGroup, MaxParallelism, StoragePath};
use alluvium_format::CodecError;
use alluvium_format::codec::Input;
use alluvium_storage::{Location, Storage, StorageError, StorageWriter};

use crate::InspectError;

/// Bytes that a part should have.
const PART_LEN_BYTES: u64 = 32 * 1024 * 1024;
/// Most parts, each of which is an open file.
const MAX_PARTS: u64 = 256;

/// The parts of one operator.
pub(super) struct Spill {
    storage: Arc<dyn Storage>,
    max: MaxParallelism,
    parts: Vec<(StoragePath, BufWriter<Box<dyn StorageWriter>>)>,
}

impl Spill {
    /// For about so many bytes. `number` tells the operator from others.
    pub(super) fn new(
        storage: &Arc<dyn Storage>,
        number: usize,
        max: MaxParallelism,
        len_bytes: u64,
    ) -> Result<Self, InspectError> {
        let most = MAX_PARTS.min(u64::from(max.get()));
        let count = len_bytes.div_ceil(PART_LEN_BYTES).clamp(1, most);
        let parts = (0..count).map(|part| {
            let path = StoragePath::new(&format!("spill-{number}/{part}"))?;
            let writer = storage.writer(&path)?;
            Ok((path, BufWriter::new(writer)))
        });
        let parts = parts.collect::<Result<_, InspectError>>()?;
        Ok(Self { storage: Arc::clone(storage), max, parts })
    }

    /// Parts have contiguous key groups, in order.
    fn part_of(&self, key_group: KeyGroup) -> usize {
        usize::from(key_group.get()) * self.parts.len() / usize::from(self.max.get())
    }

    pub(super) fn put(
        &mut self,
        (key_group, state): (KeyGroup, u16),
        pair: &[u8],
        value: &[u8],
    ) -> Result<(), InspectError> {
        let too_large = |_| InspectError::Decode {
            state: state.to_string(),
            source: CodecError::TooLarge {
                what: "entry",
                found: (pair.len() + value.len()) as u64,
                limit: u64::from(u32::MAX),
            },
        };
        let (pair_len, value_len) = (u32::try_from(pair.len()), u32::try_from(value.len()));
        let (pair_len, value_len) = (pair_len.map_err(too_large)?, value_len.map_err(too_large)?);
        let part = self.part_of(key_group);
        let Some((path, out)) = self.parts.get_mut(part) else { return Ok(()) };
        let mut write = || {
            out.write_all(&key_group.get().to_le_bytes())?;
            out.write_all(&state.to_le_bytes())?;
            out.write_all(&pair_len.to_le_bytes())?;
            out.write_all(&value_len.to_le_bytes())?;
            out.write_all(pair)?;
            out.write_all(value)
        };
        let location = || Location::new(self.storage.root(), Some(path));
        write().map_err(|error| StorageError::from_write(error, location()).into())
    }

    /// Gives everything to `visit`, in the order of key group, state.
    pub(super) fn drain(
        self,
        mut visit: impl FnMut((KeyGroup, u16), &[u8], &[u8]) -> Result<(), InspectError>,
    ) -> Result<(), InspectError> {
        let Self { storage, max, parts } = self;
        let mut paths = Vec::with_capacity(parts.len());
        for (path, out) in parts {
            let location = Location::new(storage.root(), Some(&path));
            let writer = out
                .into_inner()
                .map_err(|error| StorageError::from_write(error.into_error(), location))?;
            writer.finish()?;
            paths.push(path);
        }
        for path in paths {
            let bytes = storage.read_all(&path)?;
            let damaged =
                |source| InspectError::Decode { state: format!("scratch {path}"), source };
            let mut records = records_of(&bytes, max).map_err(damaged)?;
            records.sort_by_key(|record| record.at);
            for record in &records {
                visit(record.at, record.pair, record.value)?;
            }
            storage.delete(&path)?;
        }
        Ok(())
    }
}

struct Record<'b> {
    at: (KeyGroup, u16),
    pair: &'b [u8],
    value: &'b [u8],
}

fn records_of(bytes: &[u8], max: MaxParallelism) -> Result<Vec<Record<'_>>, CodecError> {
    let (what, mut input, mut records) = ("record", Input::new(bytes), Vec::new());
    while !input.is_empty() {
        let offset = input.offset();
        let reason = "no key group";
        let key_group = KeyGroup::new(input.u16(what)?, max).map_err(|_| CodecError::Invalid {
            what,
            offset,
            reason,
        })?;
        let at = (key_group, input.u16(what)?);
        let (pair_len, value_len) = (input.u32(what)?, input.u32(what)?);
        let pair = input.take(u64::from(pair_len), what)?;
        let value = input.take(u64::from(value_len), what)?;
        records.push(Record { at, pair, value });
    }
    Ok(records)
}
