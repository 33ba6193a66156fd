//! Entries and items as rows, and how rows are printed.

use std::io::{BufWriter, IsTerminal, Stdout, Write};

use alluvium::inspect::{Entry, OperatorItem, quote};

use super::parquet::ParquetRows;
use super::{kind_word, mode_word};
use crate::args::{CatOptions, RowFormat};
use crate::error::CliError;
use crate::text::shown;

/// What the columns of a row are called, in order.
const COLUMNS: [&str; 9] =
    ["type", "uid", "subtask", "key_group", "state", "kind", "key", "namespace", "value"];

/// An entry of keyed state or an item of operator state, which has no key, namespace and key group.
pub(super) struct Row<'a> {
    pub(super) uid: &'a str,
    pub(super) subtask: u16,
    pub(super) state: &'a str,
    /// The kind of state, or how the items are handed out.
    pub(super) kind: &'static str,
    /// JSON.
    pub(super) value: String,
    pub(super) place: Option<Place>,
}

/// Where the value of an entry belongs; JSON.
pub(super) struct Place {
    pub(super) key_group: u16,
    pub(super) key: String,
    pub(super) namespace: String,
}

impl Row<'_> {
    /// What the first column says.
    pub(super) const fn type_word(&self) -> &'static str {
        if self.place.is_some() { "keyed" } else { "operator_state" }
    }

    fn json(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Self { uid, subtask, kind, value, .. } = self;
        let (mut state, word) = (String::new(), self.type_word());
        quote(self.state, &mut state);
        write!(out, "{{\"type\": \"{word}\", \"uid\": \"{uid}\", \"subtask\": {subtask}, ")?;
        match &self.place {
            Some(Place { key_group, key, namespace }) => writeln!(
                out,
                "\"key_group\": {key_group}, \"state\": {state}, \"kind\": \"{kind}\", \
                 \"key\": {key}, \"namespace\": {namespace}, \"value\": {value}}}"
            ),
            None => {
                writeln!(out, "\"state\": {state}, \"mode\": \"{kind}\", \"item\": {value}}}")
            }
        }
    }

    fn csv(&self, out: &mut csv::Writer<Stdout>) -> csv::Result<()> {
        let (subtask, place) = (self.subtask.to_string(), self.place.as_ref());
        let key_group = place.map_or_else(String::new, |place| place.key_group.to_string());
        let [key, namespace] =
            place.map_or(["", ""], |place| [place.key.as_str(), place.namespace.as_str()]);
        let (of, state, value) = (self.type_word(), shown(self.state), self.value.as_str());
        out.write_record([
            of, self.uid, &subtask, &key_group, &state, self.kind, key, namespace, value,
        ])
    }
}

/// Prints rows as they come.
pub(super) enum Rows {
    Json(BufWriter<Stdout>),
    Csv(Box<csv::Writer<Stdout>>),
    Parquet(Box<ParquetRows<Stdout>>),
}

impl Rows {
    pub(super) fn new(options: &CatOptions) -> Result<Self, CliError> {
        let (format, out) = (options.format, std::io::stdout());
        Ok(match if options.json { RowFormat::Json } else { format } {
            RowFormat::Json => Self::Json(BufWriter::new(out)),
            RowFormat::Csv => {
                let mut out = Box::new(csv::Writer::from_writer(out));
                out.write_record(COLUMNS).map_err(of_csv)?;
                Self::Csv(out)
            }
            RowFormat::Parquet if out.is_terminal() => {
                let wrong = "a Parquet file is not for a terminal: redirect it, as with `> FILE`";
                return Err(of_io(std::io::Error::other(wrong)));
            }
            RowFormat::Parquet => Self::Parquet(Box::new(ParquetRows::new(out).map_err(of_io)?)),
        })
    }

    pub(super) fn entry(&mut self, entry: &Entry) -> Result<(), CliError> {
        let (key, namespace) = (entry.key_json()?, entry.namespace_json()?);
        let key_group = entry.key_group.get();
        self.row(Row {
            uid: entry.uid.as_str(),
            subtask: entry.subtask.get(),
            state: &entry.state().name,
            kind: kind_word(entry.state().kind),
            value: entry.value_json()?,
            place: Some(Place { key_group, key, namespace }),
        })
    }

    pub(super) fn item(&mut self, item: &OperatorItem) -> Result<(), CliError> {
        self.row(Row {
            uid: item.uid.as_str(),
            subtask: item.subtask.get(),
            state: &item.state,
            kind: mode_word(item.mode),
            value: item.item_json()?,
            place: None,
        })
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), CliError> {
        match self {
            Self::Json(out) => row.json(out).map_err(of_io),
            Self::Csv(out) => row.csv(out).map_err(of_csv),
            Self::Parquet(out) => out.push(row).map_err(of_io),
        }
    }

    pub(super) fn finish(self) -> Result<(), CliError> {
        match self {
            Self::Json(mut out) => out.flush(),
            Self::Csv(mut out) => out.flush(),
            Self::Parquet(out) => out.finish(),
        }
        .map_err(of_io)
    }
}

fn of_io(source: std::io::Error) -> CliError {
    CliError::System { what: "print".to_owned(), source }
}

fn of_csv(error: csv::Error) -> CliError {
    of_io(error.into())
}
