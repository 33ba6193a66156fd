//! A full snapshot: the canonical keyed stream of SPEC 6, with unsegmented maps.
//!
//! Rows are read once, in order, from the snapshot of RocksDB: one cursor for each state, which
//! waits at the first row of a key group until all states before it have written theirs.
//!
//! Invariants: no more than one block and one entry is held in memory.

use alluvium_core::{KeyGroup, KeyedStateHandle};
use alluvium_format::CodecError;
use alluvium_format::keyed::{BlockRef, KeyedWriter, MapEntry, MapLayout};
use alluvium_state::{KeyedPlacement, SnapshotError, SnapshotTarget};
use alluvium_storage::CheckpointStream;

use super::{FrozenBackend, FrozenColumn};
use crate::engine::Snapshot;
use crate::list_row::{check_empty_items, join_groups, put_varint};
use crate::long_list::take_list;
use crate::row_expiry::Remains;
use crate::row_format::Content;
use crate::row_key::RowRange;
use crate::store::Rows;
use crate::timer_row::put_entry;

/// Encoded size at which another block begins.
const BLOCK_LEN_BYTES: usize = 64 * 1024;

type Writer = KeyedWriter<CheckpointStream>;

impl FrozenBackend {
    pub(super) fn write_full(
        self,
        target: &SnapshotTarget,
    ) -> Result<KeyedStateHandle, SnapshotError> {
        let snapshot = self.point.into_snapshot();
        let (key_groups, placement) = (self.header.key_groups, KeyedPlacement::Exclusive);
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let range = column.format.keys.layout.rows_of(key_groups);
            columns.push(FrozenEntries::open(column, &snapshot, range)?);
        }
        let (stream, identity) = target.keyed_stream(&self.header.uid, self.subtask, placement);
        let mut writer = Writer::new(stream, &identity, &self.header)?;
        for key_group in key_groups.iter() {
            for (state, column) in (0_u16..).zip(&mut columns) {
                let blocks = column.write_group(key_group, &mut writer)?;
                if !blocks.is_empty() {
                    let layout = MapLayout::Unsegmented(blocks);
                    writer.map(MapEntry { key_group, state, layout })?;
                }
            }
        }
        let finished = writer.finish()?;
        let (stream, seal, shared) = (finished.out, finished.seal, finished.shared);
        Ok(SnapshotTarget::finish_keyed(stream, seal, key_groups, shared)?)
    }
}

/// The entries of a frozen state, in the order of its rows.
struct FrozenEntries<'f> {
    column: &'f FrozenColumn,
    rows: Rows<'f>,
    /// Encoded entries of the block at hand.
    block: Vec<u8>,
    records: u32,
    /// The prefix of the pair at hand.
    pair: Vec<u8>,
    /// Encoded entries of the user map at hand.
    user_map: Vec<u8>,
    /// The row at hand without what has expired.
    unexpired: Vec<u8>,
}

impl<'f> FrozenEntries<'f> {
    fn open(
        column: &'f FrozenColumn,
        snapshot: &'f Snapshot,
        range: RowRange,
    ) -> Result<Self, SnapshotError> {
        let rows = Rows::open(&column.column, Some(snapshot), range)?;
        let (block, pair, user_map) = (Vec::new(), Vec::new(), Vec::new());
        let unexpired = Vec::new();
        Ok(Self { column, rows, block, records: 0, pair, user_map, unexpired })
    }

    /// Writes the entries of one key group.
    fn write_group(
        &mut self,
        key_group: KeyGroup,
        writer: &mut Writer,
    ) -> Result<Vec<BlockRef>, SnapshotError> {
        let mut prefix = Vec::new();
        self.column.format.keys.layout.put_key_group(key_group, &mut prefix);
        let mut blocks = Vec::new();
        while self.take_entry(&prefix)? {
            self.records += 1;
            if self.block.len() >= BLOCK_LEN_BYTES || self.records == u32::MAX {
                blocks.push(self.end_block(writer)?);
            }
        }
        if self.records > 0 {
            blocks.push(self.end_block(writer)?);
        }
        Ok(blocks)
    }

    fn end_block(&mut self, writer: &mut Writer) -> Result<BlockRef, SnapshotError> {
        let written = writer.block(false, self.records, &self.block)?;
        self.block.clear();
        self.records = 0;
        Ok(written)
    }

    /// Appends the next entry of a key group to the block; false when there is none.
    fn take_entry(&mut self, group: &[u8]) -> Result<bool, SnapshotError> {
        let column = self.column;
        let state = &column.meta.name;
        let refused = |source| SnapshotError::Encode { state: state.clone(), source };
        loop {
            let Some((row, value)) = self.rows.row()? else { return Ok(false) };
            let Some(pair) = row.strip_prefix(group) else { return Ok(false) };
            if let Content::Map(..) = &column.format.content {
                let parts = column.format.keys.split(row).map_err(refused)?;
                self.pair.clear();
                self.pair.extend_from_slice(parts.prefix);
                if self.take_user_map(group.len())? {
                    return Ok(true);
                }
                continue;
            }
            if let Content::LongList(_) = &column.format.content {
                let parts = column.format.keys.split(row).map_err(refused)?;
                self.pair.clear();
                self.pair.extend_from_slice(parts.prefix);
                if self.take_long_list(group.len())? {
                    return Ok(true);
                }
                continue;
            }
            let Some(value) = unexpired(column, value, &mut self.unexpired).map_err(refused)?
            else {
                self.rows.advance();
                continue;
            };
            match &column.format.content {
                Content::List(element) => {
                    self.block.extend_from_slice(pair);
                    join_groups(element, value, &mut self.block).map_err(refused)?;
                }
                Content::Timer => {
                    let key = &column.format.keys.key;
                    put_entry(key, pair, &mut self.block).map_err(refused)?;
                }
                Content::Value | Content::Map(..) | Content::LongList(_) => {
                    self.block.extend_from_slice(pair);
                    self.block.extend_from_slice(value);
                }
            }
            self.rows.advance();
            return Ok(true);
        }
    }

    /// Appends the long list of a pair as one entry, and leaves the cursor behind its rows; false when
    /// no element is left.
    fn take_long_list(&mut self, group_len: usize) -> Result<bool, SnapshotError> {
        let (column, unexpired) = (self.column, &mut self.unexpired);
        let keep = |element: &[u8]| match column.expired() {
            Some(expired) => Ok(expired.remains(element, unexpired)? != Remains::Nothing),
            None => Ok(true),
        };
        let start = self.block.len();
        self.block.extend_from_slice(self.pair.get(group_len..).unwrap_or_default());
        let list = (self.pair.as_slice(), column.format.gaps());
        let taken = take_list(&mut self.rows, list, keep, &mut self.block);
        let count = taken.map_err(|refusal| {
            let state = column.meta.name.clone();
            refusal.into_error(|source| SnapshotError::Encode { state, source })
        })?;
        if count == 0 {
            self.block.truncate(start);
        }
        Ok(count > 0)
    }

    /// Appends the rows of a pair as one entry, and leaves the cursor behind them; false when none
    /// of them is left.
    fn take_user_map(&mut self, group_len: usize) -> Result<bool, SnapshotError> {
        let column = self.column;
        let state = &column.meta.name;
        let refused = |source: CodecError| SnapshotError::Encode { state: state.clone(), source };
        self.user_map.clear();
        let mut count = 0;
        while let Some((row, value)) = self.rows.row()? {
            let Some(user_key) = row.strip_prefix(self.pair.as_slice()) else { break };
            let value = unexpired(column, value, &mut self.unexpired).map_err(refused)?;
            if let Some(value) = value {
                self.user_map.extend_from_slice(user_key);
                self.user_map.extend_from_slice(value);
                count += 1;
            }
            self.rows.advance();
        }
        if count == 0 {
            return Ok(false);
        }
        check_empty_items(count, self.user_map.len()).map_err(refused)?;
        self.block.extend_from_slice(self.pair.get(group_len..).unwrap_or_default());
        put_varint(count, &mut self.block);
        self.block.extend_from_slice(&self.user_map);
        Ok(true)
    }
}

/// A row's value without what had expired at the freeze; `None` when nothing is left.
fn unexpired<'v>(
    column: &FrozenColumn,
    value: &'v [u8],
    left: &'v mut Vec<u8>,
) -> Result<Option<&'v [u8]>, CodecError> {
    let Some(expired) = column.expired() else { return Ok(Some(value)) };
    left.clear();
    Ok(match expired.remains(value, left)? {
        Remains::All => Some(value),
        Remains::Some => Some(left),
        Remains::Nothing => None,
    })
}
