//! Rows as an Apache Parquet file.
//!
//! Invariants: at most a row group is in memory.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::rows::{Place, Row};

/// The columns; what an item of operator state has not is optional.
const SCHEMA: &str = "
message entries {
  required binary type (STRING);
  required binary uid (STRING);
  required int32 subtask;
  optional int32 key_group;
  required binary state (STRING);
  required binary kind (STRING);
  optional binary key (JSON);
  optional binary namespace (JSON);
  required binary value (JSON);
}";

/// When a row group is written: so many rows, or so many bytes of text.
const MAX_ROWS: usize = 65_536;
const MAX_LEN_BYTES: usize = 32 << 20;

/// The rows of a row group, column by column.
#[derive(Default)]
struct Columns {
    types: Vec<ByteArray>,
    uids: Vec<ByteArray>,
    subtasks: Vec<i32>,
    key_groups: Vec<i32>,
    states: Vec<ByteArray>,
    kinds: Vec<ByteArray>,
    keys: Vec<ByteArray>,
    namespaces: Vec<ByteArray>,
    values: Vec<ByteArray>,
    /// For each row 1 where the optional columns have something, otherwise 0.
    has_place: Vec<i16>,
    len_bytes: usize,
}

/// Writes rows as they come.
pub(super) struct ParquetRows<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Columns,
}

impl<W: Write + Send> ParquetRows<W> {
    pub(super) fn new(out: W) -> io::Result<Self> {
        let schema = Arc::new(parse_message_type(SCHEMA).map_err(of_parquet)?);
        let compression = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(compression).build();
        let file = SerializedFileWriter::new(out, schema, Arc::new(properties));
        Ok(Self { file: file.map_err(of_parquet)?, columns: Columns::default() })
    }

    pub(super) fn push(&mut self, row: Row<'_>) -> io::Result<()> {
        let columns = &mut self.columns;
        columns.push(row);
        if columns.values.len() < MAX_ROWS && columns.len_bytes < MAX_LEN_BYTES {
            return Ok(());
        }
        self.write_group().map_err(of_parquet)
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        if !self.columns.values.is_empty() {
            self.write_group().map_err(of_parquet)?;
        }
        self.file.close().map(drop).map_err(of_parquet)
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let columns = std::mem::take(&mut self.columns);
        let (some, mut group) = (Some(columns.has_place.as_slice()), self.file.next_row_group()?);
        write::<ByteArrayType, _>(&mut group, &columns.types, None)?;
        write::<ByteArrayType, _>(&mut group, &columns.uids, None)?;
        write::<Int32Type, _>(&mut group, &columns.subtasks, None)?;
        write::<Int32Type, _>(&mut group, &columns.key_groups, some)?;
        write::<ByteArrayType, _>(&mut group, &columns.states, None)?;
        write::<ByteArrayType, _>(&mut group, &columns.kinds, None)?;
        write::<ByteArrayType, _>(&mut group, &columns.keys, some)?;
        write::<ByteArrayType, _>(&mut group, &columns.namespaces, some)?;
        write::<ByteArrayType, _>(&mut group, &columns.values, None)?;
        group.close().map(drop)
    }
}

impl Columns {
    fn push(&mut self, row: Row<'_>) {
        self.len_bytes += row.uid.len() + row.state.len() + row.value.len();
        self.types.push(row.type_word().into());
        self.uids.push(row.uid.into());
        self.subtasks.push(i32::from(row.subtask));
        self.states.push(row.state.into());
        self.kinds.push(row.kind.into());
        self.has_place.push(i16::from(row.place.is_some()));
        if let Some(Place { key_group, key, namespace }) = row.place {
            self.len_bytes += key.len() + namespace.len();
            self.key_groups.push(i32::from(key_group));
            self.keys.push(key.into_bytes().into());
            self.namespaces.push(namespace.into_bytes().into());
        }
        self.values.push(row.value.into_bytes().into());
    }
}

/// Writes the next column; `levels` says which rows have a value.
fn write<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let column = group.next_column()?;
    let mut column = column.ok_or_else(|| ParquetError::General("no such column".to_owned()))?;
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

/// A reader that went away is told from what else may be wrong.
fn of_parquet(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
