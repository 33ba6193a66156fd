//! Reading input files: plain, gzip or zstd, told apart by their first bytes.
//!
//! Invariants: a line, or a record, has at most [`MAX_LINE_LEN_BYTES`], whatever a few bytes of compressed
//! input unfold to; nothing else of the input is held here.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use crate::error::CliError;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The longest line that is read, with its end.
pub const MAX_LINE_LEN_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes of a file, decompressed.
pub type Reader = Box<dyn BufRead + Send>;

fn read_error(path: &Path) -> impl Fn(std::io::Error) -> CliError + '_ {
    move |source| CliError::Input { path: path.display().to_string(), source }
}

/// Opens a file at an offset of its decompressed bytes.
///
/// Errors: [`CliError::Input`]; [`CliError::BadInput`] when the file ends before the offset.
pub fn open(path: &Path, offset: u64) -> Result<Reader, CliError> {
    let error = read_error(path);
    let mut file = File::open(path).map_err(&error)?;
    if file.metadata().map_err(&error)?.is_dir() {
        return Err(error(std::io::ErrorKind::IsADirectory.into()));
    }
    let mut magic = Vec::new();
    file.by_ref().take(4).read_to_end(&mut magic).map_err(&error)?;
    file.rewind().map_err(&error)?;
    let mut reader: Reader = if magic.starts_with(&ZSTD_MAGIC) {
        Box::new(BufReader::new(zstd::Decoder::new(file).map_err(&error)?))
    } else if magic.starts_with(&GZIP_MAGIC) {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else {
        if file.metadata().map_err(&error)?.len() < offset {
            return Err(shorter(path, offset));
        }
        file.seek(SeekFrom::Start(offset)).map_err(&error)?;
        return Ok(Box::new(BufReader::new(file)));
    };
    let skipped = std::io::copy(&mut reader.by_ref().take(offset), &mut std::io::sink());
    if skipped.map_err(&error)? < offset {
        return Err(shorter(path, offset));
    }
    Ok(reader)
}

fn shorter(path: &Path, offset: u64) -> CliError {
    let reason = format!(
        "ends before byte {offset}, where the checkpoint goes on: it is not the file of that run"
    );
    CliError::BadInput { path: path.display().to_string(), reason }
}

/// Reads one line without its end; `None` at the end of the file. Says how many bytes it took.
///
/// Errors: [`CliError::Input`]; [`CliError::BadInput`] when the line is not UTF-8 or too long, naming
/// `offset`, the place of the line in the decompressed file.
pub fn read_line(
    reader: &mut Reader,
    path: &Path,
    offset: u64,
) -> Result<Option<(String, u64)>, CliError> {
    let mut line = Vec::new();
    let mut bounded = reader.take(MAX_LINE_LEN_BYTES + 1);
    let taken = bounded.read_until(b'\n', &mut line).map_err(read_error(path))?;
    if taken == 0 {
        return Ok(None);
    }
    if taken as u64 > MAX_LINE_LEN_BYTES {
        let path = path.display().to_string();
        let reason =
            format!("has more than {MAX_LINE_LEN_BYTES} bytes in the line at byte {offset}");
        return Err(CliError::BadInput { path, reason });
    }
    match String::from_utf8(line) {
        Ok(mut line) => {
            let end = line.trim_end_matches(['\n', '\r']).len();
            line.truncate(end);
            Ok(Some((line, taken as u64)))
        }
        Err(error) => {
            let at = offset + error.utf8_error().valid_up_to() as u64;
            let path = path.display().to_string();
            let reason = format!("is not UTF-8 at byte {at}");
            Err(CliError::BadInput { path, reason })
        }
    }
}

/// Reads for a parser of records, which would take as many bytes as a record has.
pub(crate) struct Bounded {
    reader: Reader,
    left: Rc<Cell<u64>>,
}

impl Bounded {
    /// Reads, and what is to be called before each record.
    pub(crate) fn new(reader: Reader) -> (Self, impl Fn()) {
        let left = Rc::new(Cell::new(MAX_LINE_LEN_BYTES));
        let begin = {
            let left = Rc::clone(&left);
            move || left.set(MAX_LINE_LEN_BYTES)
        };
        (Self { reader, left }, begin)
    }
}

impl Read for Bounded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            let text = format!("a record has more than {MAX_LINE_LEN_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let taken = self.reader.by_ref().take(left).read(into)?;
        self.left.set(left.saturating_sub(taken as u64));
        Ok(taken)
    }
}

/// Checks that all files are there and can be opened.
///
/// Errors: [`CliError::Input`].
pub fn check(paths: &[std::path::PathBuf]) -> Result<(), CliError> {
    paths.iter().try_for_each(|path| open(path, 0).map(drop))
}

#[cfg(test)]
mod tests;
