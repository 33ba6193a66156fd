//! Writes a keyed stream, map by map.

use std::collections::BTreeMap;
use std::io::Write;

use alluvium_core::{KeyGroup, SharedFile, StoragePath};

use super::header::KeyedHeader;
use super::map::{BlockRef, MapEntry, is_within};
use crate::envelope::{Block, EnvelopeWriter, HEADER_LEN, StreamIdentity};
use crate::shared::put_shared;
use crate::{CodecError, FormatError};

/// Writes blocks as they come and the maps that they belong to in the order of key group, state;
/// then the index.
#[derive(Debug)]
#[must_use = "a stream without its index cannot be read"]
pub struct KeyedWriter<W> {
    envelope: EnvelopeWriter<W>,
    header: KeyedHeader,
    index: Vec<u8>,
    maps: Vec<u8>,
    map_count: u32,
    last: Option<(KeyGroup, u16)>,
    shared: Vec<SharedFile>,
    numbers: BTreeMap<StoragePath, u16>,
    used: Vec<bool>,
    written_to: u64,
    mapped_to: u64,
}

/// A stream that is written.
#[derive(Debug)]
#[must_use = "the stream is nothing without its handle"]
pub struct Finished<W> {
    /// What was written to.
    pub out: W,
    /// The seal of the stream.
    pub seal: u32,
    /// The shared files that it needs, in the order of its index.
    pub shared: Vec<SharedFile>,
}

impl<W: Write> KeyedWriter<W> {
    /// Starts a stream.
    ///
    /// Errors: [`FormatError::Codec`] when a name or a codec is larger than the format can hold;
    /// [`FormatError::Write`]. Panics: the seed runs do not cover the key groups.
    pub fn new(
        out: W,
        identity: &StreamIdentity,
        header: &KeyedHeader,
    ) -> Result<Self, FormatError> {
        let (range, seeds) = (header.key_groups, &header.hash_seeds);
        assert!(header.seeds_cover_the_range(), "seed runs {seeds:?} cover {range}");
        let mut index = Vec::new();
        header.encode(&mut index).map_err(of_index)?;
        Ok(Self {
            envelope: EnvelopeWriter::new(out, identity)?,
            header: header.clone(),
            index,
            maps: Vec::new(),
            map_count: 0,
            last: None,
            shared: Vec::new(),
            numbers: BTreeMap::new(),
            used: Vec::new(),
            written_to: HEADER_LEN as u64,
            mapped_to: HEADER_LEN as u64,
        })
    }

    /// The number, from 1, of a stream of an earlier checkpoint that holds blocks of this one.
    /// Each file that is numbered must be used by a map.
    ///
    /// Errors: [`FormatError::Limit`] above 65,535 files; [`FormatError::Malformed`] when the path
    /// was given with another length or seal before.
    pub fn shared_file(&mut self, file: &SharedFile) -> Result<u16, FormatError> {
        if let Some(&number) = self.numbers.get(&file.path) {
            let known = self.shared.get(usize::from(number) - 1);
            if known == Some(file) {
                return Ok(number);
            }
            let reason = format!("{} was of another length or seal before", file.path);
            return Err(FormatError::Malformed { what: "shared file", offset: 0, reason });
        }
        let (found, limit) = (self.shared.len() as u64 + 1, u64::from(u16::MAX));
        let what = "number of shared files";
        let number = u16::try_from(found).map_err(|_| FormatError::Limit { what, found, limit })?;
        self.shared.push(file.clone());
        self.used.push(false);
        self.numbers.insert(file.path.clone(), number);
        Ok(number)
    }

    /// Writes one block of encoded records; a map that is added later must refer to it.
    ///
    /// Errors: [`FormatError::Limit`] above 2^31 - 1 bytes; [`FormatError::Write`].
    pub fn block(
        &mut self,
        is_delta: bool,
        records: u32,
        bytes: &[u8],
    ) -> Result<BlockRef, FormatError> {
        let block = self.envelope.block(bytes)?;
        self.written_to += u64::from(block.len_bytes);
        Ok(BlockRef { file: 0, is_delta, records, block })
    }

    /// Adds a map. Over all maps, blocks of this stream come in the order in which they were
    /// written.
    ///
    /// Errors: [`FormatError::Limit`] above 2^32 - 1 maps, segments or blocks. Panics: a map that
    /// breaks a rule of SPEC 6.5, or that is not after the last one in the order of key group,
    /// state.
    #[expect(clippy::needless_pass_by_value, reason = "a map that is written is not kept")]
    pub fn map(&mut self, entry: MapEntry) -> Result<(), FormatError> {
        self.check(&entry);
        entry.blocks().for_each(|block| self.refer_to(block));
        check_u32("number of segments or blocks", entry.len() as u64)?;
        self.map_count = check_u32("number of maps", u64::from(self.map_count) + 1)?;
        entry.encode(&mut self.maps);
        self.last = Some((entry.key_group, entry.state));
        Ok(())
    }

    /// A map that is checked here comes back from the reader, which checks the same rules.
    fn check(&self, entry: &MapEntry) {
        let (key_group, state) = (entry.key_group, entry.state);
        let (range, states) = (self.header.key_groups, self.header.states.len());
        assert!(range.contains(key_group), "key group {key_group} is in {range}");
        assert!(usize::from(state) < states, "state {state} is one of {states}");
        let broken = entry.broken_rule();
        assert!(broken.is_none(), "map of state {state} in key group {key_group}: {broken:?}");
        let in_order = self.last < Some((key_group, state));
        assert!(in_order, "map ({key_group}, {state}) comes after {:?}", self.last);
    }

    /// Notes that a map refers to a block.
    fn refer_to(&mut self, block: &BlockRef) {
        let Block { offset, len_bytes, .. } = block.block;
        if block.is_own() {
            assert_eq!(offset, self.mapped_to, "blocks are referred to as they were written");
            self.mapped_to += u64::from(len_bytes);
            assert!(self.mapped_to <= self.written_to, "the block at {offset} was written");
            return;
        }
        let place = usize::from(block.file) - 1;
        let (file, used) = (self.shared.get(place), self.used.get_mut(place));
        let is_known = file.is_some_and(|file| is_within(file, offset, len_bytes));
        assert!(is_known, "{len_bytes} bytes at {offset} lie in shared file {}", block.file);
        if let Some(used) = used {
            *used = true;
        }
    }

    /// Writes index and footer.
    ///
    /// Errors: [`FormatError::Write`]. Panics: a block or a shared file that no map refers to.
    pub fn finish(mut self) -> Result<Finished<W>, FormatError> {
        assert_eq!(self.mapped_to, self.written_to, "every block belongs to a map");
        let unused = self.shared.iter().zip(&self.used).find(|(_, used)| !**used);
        assert!(unused.is_none(), "every shared file is referred to: {unused:?}");
        put_shared(&self.shared, &mut self.index).map_err(of_index)?;
        self.index.extend_from_slice(&self.map_count.to_le_bytes());
        self.index.append(&mut self.maps);
        let (out, seal) = self.envelope.finish(&self.index)?;
        Ok(Finished { out, seal, shared: self.shared })
    }
}

fn of_index(source: CodecError) -> FormatError {
    FormatError::Codec { what: "index", offset: 0, source }
}

/// A count of the index that must fit into 32 bits.
fn check_u32(what: &'static str, found: u64) -> Result<u32, FormatError> {
    let limit = u64::from(u32::MAX);
    u32::try_from(found).map_err(|_| FormatError::Limit { what, found, limit })
}
