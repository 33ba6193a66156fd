//! The index of a keyed stream as a whole.
//!
//! Fields in order: those of the head; shared files (path, length, seal); number of maps, maps.

use alluvium_core::SharedFile;

use super::header::KeyedHeader;
use super::map::{MapDecoder, MapEntry};
use crate::FormatError;
use crate::codec::Input;
use crate::refusal::Refusal;
use crate::shared::read_shared;

/// What an index says.
#[derive(Debug, Clone)]
pub(super) struct Index {
    pub(super) header: KeyedHeader,
    pub(super) shared: Vec<SharedFile>,
    pub(super) maps: Vec<MapEntry>,
}

impl Index {
    /// Reads an index that begins at `offset` of its stream.
    pub(super) fn decode(index: &[u8], offset: u64) -> Result<Self, FormatError> {
        let mut input = Input::new(index);
        Self::decode_parts(&mut input).map_err(|refusal| refusal.of_index(offset, &input))
    }

    fn decode_parts(input: &mut Input<'_>) -> Result<Self, Refusal> {
        let header = KeyedHeader::decode(input)?;
        let shared = read_shared(input)?;
        let maps = MapDecoder::new(&header, &shared).decode(input)?;
        if input.is_empty() {
            Ok(Self { header, shared, maps })
        } else {
            Err(Refusal::Rule(format!("{} bytes after the last map", input.rest().len())))
        }
    }
}
