//! Opens an index of SST files.

use std::sync::Arc;

use alluvium_core::SharedFile;
use bytes::Bytes;

use super::header::SstIndexHeader;
use super::meta::SstMeta;
use crate::FormatError;
use crate::codec::Input;
use crate::envelope::{Envelope, Source, StreamIdentity, StreamKind};
use crate::refusal::Refusal;
use crate::shared::read_shared;

/// An SST and the place of its file in the list of shared files.
#[derive(Debug, Clone)]
struct Listed {
    place: usize,
    meta: SstMeta,
}

/// An index whose frame and rules are whole. Its files have not been looked at.
#[derive(Debug, Clone)]
pub struct SstIndexReader {
    identity: StreamIdentity,
    seal: u32,
    header: SstIndexHeader,
    shared: Vec<SharedFile>,
    /// One list for each state.
    lists: Vec<Vec<Listed>>,
}

impl SstIndexReader {
    /// Reads and checks the whole stream, which is its header, index and footer.
    ///
    /// Errors: those of [`Envelope::open`]; [`FormatError::Codec`], [`FormatError::Malformed`].
    pub fn open(source: Arc<dyn Source>) -> Result<Self, FormatError> {
        let envelope = Envelope::open(source, StreamKind::SstIndex)?;
        envelope.check_subtask()?;
        let mut input = Input::new(envelope.index());
        let (header, shared, lists) = decode(&mut input)
            .map_err(|refusal| refusal.of_index(envelope.index_offset(), &input))?;
        envelope.check_tiling([])?;
        let (identity, seal) = (*envelope.identity(), envelope.seal());
        Ok(Self { identity, seal, header, shared, lists })
    }

    /// As [`SstIndexReader::open`], of bytes in memory.
    ///
    /// Errors: as [`SstIndexReader::open`].
    pub fn open_bytes(bytes: Bytes) -> Result<Self, FormatError> {
        Self::open(Arc::new(bytes))
    }

    /// Who wrote the stream.
    pub const fn identity(&self) -> &StreamIdentity {
        &self.identity
    }

    /// The seal, which a handle of this stream must name.
    pub const fn seal(&self) -> u32 {
        self.seal
    }

    /// What the stream is of.
    pub const fn header(&self) -> &SstIndexHeader {
        &self.header
    }

    /// The files of all SSTs, in the order in which the index numbers them from 1.
    pub fn shared(&self) -> &[SharedFile] {
        &self.shared
    }

    /// The SSTs of a state, which is named by its position in the table: level by level. None for a
    /// position beyond the table.
    pub fn ssts_of(&self, state: usize) -> impl Iterator<Item = (&SharedFile, &SstMeta)> {
        let list = self.lists.get(state).map(Vec::as_slice).unwrap_or_default();
        // The index was checked: every place is one of the list.
        list.iter().filter_map(|it| Some((self.shared.get(it.place)?, &it.meta)))
    }

    /// The SSTs of all states.
    pub fn ssts(&self) -> impl Iterator<Item = (&SharedFile, &SstMeta)> {
        (0..self.lists.len()).flat_map(|state| self.ssts_of(state))
    }
}

type Index = (SstIndexHeader, Vec<SharedFile>, Vec<Vec<Listed>>);

fn decode(input: &mut Input<'_>) -> Result<Index, Refusal> {
    let header = SstIndexHeader::decode(input)?;
    let shared = read_shared(input)?;
    let mut used = vec![false; shared.len()];
    let mut lists = Vec::with_capacity(header.states.len());
    for _ in &header.states {
        lists.push(decode_list(input, &mut used)?);
    }
    if let Some((file, _)) = shared.iter().zip(&used).find(|(_, used)| !**used) {
        return Err(Refusal::Rule(format!("no sst lies in shared file {}", file.path)));
    }
    if input.is_empty() {
        Ok((header, shared, lists))
    } else {
        Err(Refusal::Rule(format!("{} bytes after the last sst list", input.rest().len())))
    }
}

fn decode_list(input: &mut Input<'_>, used: &mut [bool]) -> Result<Vec<Listed>, Refusal> {
    let mut list = Vec::<Listed>::new();
    for _ in 0..input.u16("number of ssts")? {
        let (file, meta) = SstMeta::decode(input)?;
        if let Some(rule) = list.last().and_then(|last| last.meta.broken_order(&meta)) {
            return Err(Refusal::Rule(rule.to_owned()));
        }
        let place = usize::from(file).checked_sub(1);
        let Some((place, used)) = place.and_then(|place| Some((place, used.get_mut(place)?)))
        else {
            return Err(Refusal::Rule(format!("shared file {file} is not in the list")));
        };
        if std::mem::replace(used, true) {
            return Err(Refusal::Rule(format!("shared file {file} is several ssts")));
        }
        list.push(Listed { place, meta });
    }
    Ok(list)
}
