//! Reads files in large pieces, on all cores, and compares the checksums of what lies in them.
//!
//! Invariants: a piece is as long as [`PIECE_LEN_BYTES`], or one block; of each file the pieces lie one
//! behind the other, so a disk is read in order.

use std::ops::Range;

use alluvium_core::SharedFile;
use alluvium_format::FormatError;
use alluvium_format::envelope::Block;
use alluvium_state::RestoreError;
use alluvium_storage::{Storage, StorageError};
use bytes::Bytes;
use rayon::prelude::*;

use super::finding::{Finding, is_damage_of_stream};
use crate::checkpoint::location;
use crate::{InspectError, Progress};

/// Bytes that are read at once.
const PIECE_LEN_BYTES: u64 = 2 * 1024 * 1024;
/// Bytes between two blocks that are rather read than left out.
const GAP_LEN_BYTES: u64 = 64 * 1024;

/// A file, and the checksums of what is in it.
pub(super) struct FileWork {
    pub(super) file: SharedFile,
    blocks: Vec<Block>,
    /// Of the whole file, of an SST.
    whole: Option<u32>,
    checkpoints: Vec<String>,
}

impl FileWork {
    pub(super) fn new(file: SharedFile) -> Self {
        Self { file, blocks: Vec::new(), whole: None, checkpoints: Vec::new() }
    }

    pub(super) fn needed_by(&mut self, checkpoint: &str) {
        if self.checkpoints.last().is_none_or(|last| last != checkpoint) {
            self.checkpoints.push(checkpoint.to_owned());
        }
    }

    pub(super) fn add(&mut self, block: Block) {
        self.blocks.push(block);
    }

    pub(super) fn is_sst_with(&mut self, checksum: u32) {
        self.whole = Some(checksum);
    }

    fn damage(&self, name: &str) -> Finding {
        let finding = Finding::damage(name.to_owned(), "");
        Finding { checkpoints: self.checkpoints.clone(), ..finding }
    }
}

/// What was read.
#[derive(Default)]
pub(super) struct Read {
    pub(super) findings: Vec<Finding>,
    pub(super) bytes: u64,
    pub(super) checksums: u64,
}

/// One piece of a file.
struct Piece {
    file: usize,
    range: Range<u64>,
    /// Which blocks lie in it; none in a piece of an SST.
    blocks: Range<usize>,
}

/// What came of a piece.
enum Outcome {
    Damage(Vec<Finding>),
    /// The checksum of a piece of an SST.
    Sum(crc32fast::Hasher),
}

/// Reads all files.
///
/// Errors: those of a storage that does not answer.
pub(super) fn read(
    storage: &dyn Storage,
    mut work: Vec<FileWork>,
    progress: &dyn Progress,
) -> Result<Read, InspectError> {
    let mut pieces = Vec::new();
    let mut read = Read::default();
    for (number, file) in work.iter_mut().enumerate() {
        file.blocks.sort_unstable_by_key(|block| (block.offset, block.len_bytes, block.checksum));
        file.blocks.dedup();
        read.checksums += file.blocks.len() as u64 + u64::from(file.whole.is_some());
        cut(number, file, &mut pieces);
    }
    read.bytes = pieces.iter().map(|piece: &Piece| piece.range.end - piece.range.start).sum();
    progress.expect(read.bytes);
    let outcomes: Vec<Outcome> = pieces
        .par_iter()
        .map(|piece| {
            let outcome = compare(storage, piece, &work);
            progress.advance(piece.range.end - piece.range.start);
            outcome
        })
        .collect::<Result<_, InspectError>>()?;
    let mut sums: Vec<Option<crc32fast::Hasher>> = vec![None; work.len()];
    for (piece, outcome) in pieces.iter().zip(outcomes) {
        match (outcome, sums.get_mut(piece.file)) {
            (Outcome::Damage(findings), _) => read.findings.extend(findings),
            (Outcome::Sum(sum), Some(sums)) => match sums {
                Some(before) => before.combine(&sum),
                None => *sums = Some(sum),
            },
            (Outcome::Sum(_), None) => {}
        }
    }
    for (file, sum) in work.iter().zip(sums) {
        let (Some(expected), Some(sum)) = (file.whole, sum) else { continue };
        let found = sum.finalize();
        if found != expected {
            let name = location(storage, Some(&file.file.path));
            let finding =
                Finding { what: "checksum of the whole SST".to_owned(), ..file.damage(&name) };
            let (expected, found) = (format!("{expected:08x}"), format!("{found:08x}"));
            read.findings.push(finding.expected(expected, found).at(0));
        }
    }
    Ok(read)
}

/// Cuts a file into pieces.
fn cut(number: usize, work: &FileWork, pieces: &mut Vec<Piece>) {
    if work.whole.is_some() {
        let len_bytes = work.file.len_bytes;
        let mut start = 0;
        while start < len_bytes {
            let end = len_bytes.min(start.saturating_add(PIECE_LEN_BYTES));
            pieces.push(Piece { file: number, range: start..end, blocks: 0..0 });
            start = end;
        }
        return;
    }
    let mut open: Option<Piece> = None;
    for (place, block) in work.blocks.iter().enumerate() {
        let end = block.offset.saturating_add(u64::from(block.len_bytes));
        match &mut open {
            Some(piece)
                if block.offset.saturating_sub(piece.range.end) <= GAP_LEN_BYTES
                    && end.saturating_sub(piece.range.start) <= PIECE_LEN_BYTES =>
            {
                piece.range.end = piece.range.end.max(end);
                piece.blocks.end = place + 1;
            }
            _ => {
                pieces.extend(open.take());
                let (range, blocks) = (block.offset..end, place..place + 1);
                open = Some(Piece { file: number, range, blocks });
            }
        }
    }
    pieces.extend(open);
}

fn compare(
    storage: &dyn Storage,
    piece: &Piece,
    work: &[FileWork],
) -> Result<Outcome, InspectError> {
    let Some(work) = work.get(piece.file) else { return Ok(Outcome::Damage(Vec::new())) };
    let name = || location(storage, Some(&work.file.path));
    let bytes = match storage.read(&work.file.path, piece.range.clone()) {
        Ok(bytes) => bytes,
        Err(error) => return unread(&name(), work, error),
    };
    if work.whole.is_some() {
        let mut sum = crc32fast::Hasher::new();
        sum.update(&bytes);
        return Ok(Outcome::Sum(sum));
    }
    let blocks = work.blocks.get(piece.blocks.clone()).unwrap_or_default();
    let mut findings = Vec::new();
    for block in blocks {
        if let Err(error) = compare_block(&bytes, piece.range.start, block) {
            let finding = Finding::of_format(name(), &error);
            findings.push(Finding { checkpoints: work.checkpoints.clone(), ..finding });
        }
    }
    Ok(Outcome::Damage(findings))
}

fn compare_block(bytes: &Bytes, start: u64, block: &Block) -> Result<(), FormatError> {
    let from = usize::try_from(block.offset.saturating_sub(start)).ok();
    let stored = from.and_then(|from| {
        bytes.get(from..from.checked_add(usize::try_from(block.len_bytes).ok()?)?)
    });
    let (what, offset, expected) = ("block", block.offset, block.checksum);
    let found = crc32fast::hash(stored.unwrap_or_default());
    if stored.is_some() && found == expected {
        return Ok(());
    }
    Err(FormatError::Checksum { what, offset, expected, found })
}

/// A file that went or shrank meanwhile is damage.
fn unread(name: &str, work: &FileWork, error: StorageError) -> Result<Outcome, InspectError> {
    let error = RestoreError::Storage(error);
    if !is_damage_of_stream(&error) {
        return Err(error.into());
    }
    let finding = Finding::of_stream(name.to_owned(), &error);
    let Finding { checkpoints, .. } = work.damage(name);
    Ok(Outcome::Damage(vec![Finding { checkpoints, ..finding }]))
}
