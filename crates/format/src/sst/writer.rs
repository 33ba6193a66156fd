//! Writes an index of SST files.

use std::collections::BTreeSet;
use std::io::Write;

use alluvium_core::SharedFile;

use super::header::SstIndexHeader;
use super::meta::SstMeta;
use crate::envelope::{EnvelopeWriter, StreamIdentity};
use crate::keyed::Finished;
use crate::shared::put_shared;
use crate::wire::put_count;
use crate::{CodecError, FormatError};

/// Takes the SSTs of all states in any order, then writes the index.
#[derive(Debug)]
#[must_use = "an index is nothing before it is written"]
pub struct SstIndexWriter {
    header: SstIndexHeader,
    lists: Vec<Vec<(SharedFile, SstMeta)>>,
}

impl SstIndexWriter {
    /// Starts an index without SSTs.
    pub fn new(header: SstIndexHeader) -> Self {
        let lists = header.states.iter().map(|_| Vec::new()).collect();
        Self { header, lists }
    }

    /// Adds an SST of a state, which is named by its position in the table.
    ///
    /// Errors: [`FormatError::Malformed`] for a state that is not in the table and for an SST that
    /// breaks a rule of SPEC 12.2.
    pub fn sst(
        &mut self,
        state: usize,
        file: SharedFile,
        meta: SstMeta,
    ) -> Result<(), FormatError> {
        if let Some(rule) = meta.broken_rule() {
            return Err(malformed(&file, rule));
        }
        match self.lists.get_mut(state) {
            Some(list) => list.push((file, meta)),
            None => return Err(malformed(&file, "it belongs to a state that is not in the table")),
        }
        Ok(())
    }

    /// Writes the stream. The SSTs of each state are brought into the order of the index.
    ///
    /// Errors: [`FormatError::Malformed`] for two SSTs in one file and for SSTs of one level, from 1
    /// on, that overlap; [`FormatError::Codec`] above 65,535 files or for a name or a codec that is
    /// larger than the format can hold; [`FormatError::Write`].
    pub fn finish<W: Write>(
        mut self,
        out: W,
        identity: &StreamIdentity,
    ) -> Result<Finished<W>, FormatError> {
        for list in &mut self.lists {
            list.sort_by(|(_, left), (_, right)| left.order().cmp(&right.order()));
            for pair in list.windows(2) {
                let [(_, left), (file, right)] = pair else { continue };
                if let Some(rule) = left.broken_order(right) {
                    return Err(malformed(file, rule));
                }
            }
        }
        let files = || self.lists.iter().flatten().map(|(file, _)| file);
        let mut paths = BTreeSet::new();
        if let Some(twice) = files().find(|file| !paths.insert(&file.path)) {
            return Err(malformed(twice, "two ssts lie in it"));
        }
        let shared: Vec<SharedFile> = files().cloned().collect();
        let index = self.encode(&shared).map_err(|source| FormatError::Codec {
            what: "index",
            offset: 0,
            source,
        })?;
        let (out, seal) = EnvelopeWriter::new(out, identity)?.finish(&index)?;
        Ok(Finished { out, seal, shared })
    }

    fn encode(&self, shared: &[SharedFile]) -> Result<Vec<u8>, CodecError> {
        let mut index = Vec::new();
        self.header.encode(&mut index)?;
        put_shared(shared, &mut index)?;
        // The files are numbered as the lists name them, and are no more than 65,535.
        let mut numbers = 1..=u16::MAX;
        for list in &self.lists {
            put_count(list.len(), "number of ssts", &mut index)?;
            for ((_, meta), number) in list.iter().zip(&mut numbers) {
                meta.encode(number, &mut index);
            }
        }
        Ok(index)
    }
}

fn malformed(file: &SharedFile, reason: &str) -> FormatError {
    let reason = format!("{}: {reason}", file.path);
    FormatError::Malformed { what: "sst", offset: 0, reason }
}
