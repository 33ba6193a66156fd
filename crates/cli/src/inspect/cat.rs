//! `alluvium cat`.

use std::io::{BufWriter, ErrorKind, Write};

use alluvium::core::{KeyGroup, OperatorUid};
use alluvium::format::keyed::StateKind;
use alluvium::format::operator::DistributionMode;
use alluvium::inspect::{
    Checkpoint, Entry, InspectError, OperatorItem, Selection, operator_items, quote, states,
};

use super::native::Opened;
use crate::args::{CatOptions, RowFormat};
use crate::error::CliError;

pub(crate) fn cat(options: &CatOptions) -> Result<(), CliError> {
    let opened = Opened::new(&options.checkpoint)?;
    let checkpoint = &opened.checkpoint;
    let selection = selection(options, checkpoint)?;
    let mut rows = Rows::new(options)?;
    // A reader that went away ends the work, and is no error.
    match write_all(checkpoint, &selection, &mut rows) {
        Err(CliError::System { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

fn write_all(
    checkpoint: &Checkpoint,
    selection: &Selection,
    rows: &mut Rows,
) -> Result<(), CliError> {
    for entry in checkpoint.entries(selection.clone()) {
        rows.entry(&entry?)?;
    }
    // Items of operator state have no key and no key group.
    if selection.key.is_none() && selection.key_group.is_none() {
        operator_items(checkpoint, selection, |item| rows.item(&item))?;
    }
    rows.finish()
}

/// What is wanted; a name that is not there is an error, not an empty answer.
fn selection(options: &CatOptions, checkpoint: &Checkpoint) -> Result<Selection, CliError> {
    let metadata = checkpoint.metadata();
    let uid = options.uid.as_deref().map(OperatorUid::new).transpose()?;
    if let Some(uid) = &uid
        && metadata.operators.iter().all(|operator| operator.uid != *uid)
    {
        let known = metadata.operators.iter().map(|operator| operator.uid.to_string());
        return Err(unknown("operator", uid.as_str(), known));
    }
    if let Some(state) = &options.state {
        let mut all = states(checkpoint)?;
        all.retain(|found| uid.as_ref().is_none_or(|uid| *uid == found.uid));
        if all.iter().all(|found| found.name != *state) {
            let known = all.iter().map(|found| format!("{}/{}", found.uid, found.name));
            return Err(unknown("state", state, known));
        }
    }
    let max = metadata.properties.max_parallelism;
    let key_group = options.key_group.map(|group| KeyGroup::new(group, max)).transpose();
    let key_group = key_group.map_err(InspectError::from)?;
    let (state, key) = (options.state.clone(), options.key.clone());
    Ok(Selection { uid, state, key_group, key })
}

fn unknown(what: &'static str, name: &str, known: impl Iterator<Item = String>) -> CliError {
    let known = known.collect::<Vec<_>>().join(", ");
    InspectError::Unknown { what, name: name.to_owned(), known }.into()
}

/// The word of a kind of state.
pub(crate) fn kind_word(kind: StateKind) -> &'static str {
    match kind {
        StateKind::Value => "value",
        StateKind::List => "list",
        StateKind::Map => "map",
        StateKind::Reducing => "reducing",
        StateKind::Aggregating => "aggregating",
        StateKind::Timers => "timers",
        StateKind::SortedMap => "sorted map",
        StateKind::LongList => "long list",
        _ => "other",
    }
}

/// The word of a way of handing out.
pub(crate) fn mode_word(mode: DistributionMode) -> &'static str {
    match mode {
        DistributionMode::Split => "split",
        DistributionMode::Union => "union",
        DistributionMode::Broadcast => "broadcast",
        DistributionMode::Keyed => "keyed",
        _ => "other",
    }
}

const COLUMNS: [&str; 9] =
    ["type", "uid", "subtask", "key_group", "state", "kind", "key", "namespace", "value"];

/// Prints rows as they come.
struct Rows {
    out: Out,
}

enum Out {
    Json(BufWriter<std::io::Stdout>),
    Csv(Box<csv::Writer<std::io::Stdout>>),
}

impl Rows {
    fn new(options: &CatOptions) -> Result<Self, CliError> {
        let format = if options.json { RowFormat::Json } else { options.format };
        let mut out = match format {
            RowFormat::Json => Out::Json(BufWriter::new(std::io::stdout())),
            RowFormat::Csv => Out::Csv(Box::new(csv::Writer::from_writer(std::io::stdout()))),
        };
        if let Out::Csv(out) = &mut out {
            out.write_record(COLUMNS).map_err(of_csv)?;
        }
        Ok(Self { out })
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), CliError> {
        let (key, namespace) = (entry.key_json()?, entry.namespace_json()?);
        let (value, kind) = (entry.value_json()?, kind_word(entry.state().kind));
        let Entry { uid, subtask, key_group, .. } = entry;
        match &mut self.out {
            Out::Json(out) => {
                let mut state = String::new();
                quote(&entry.state().name, &mut state);
                writeln!(
                    out,
                    "{{\"type\": \"keyed\", \"uid\": \"{uid}\", \"subtask\": {subtask}, \
                     \"key_group\": {key_group}, \"state\": {state}, \"kind\": \"{kind}\", \
                     \"key\": {key}, \"namespace\": {namespace}, \"value\": {value}}}"
                )
                .map_err(of_io)
            }
            Out::Csv(out) => {
                let (subtask, group) = (subtask.to_string(), key_group.to_string());
                let state = entry.state().name.as_str();
                let row = [
                    "keyed",
                    uid.as_str(),
                    &subtask,
                    &group,
                    state,
                    kind,
                    &key,
                    &namespace,
                    &value,
                ];
                out.write_record(row).map_err(of_csv)
            }
        }
    }

    fn item(&mut self, item: &OperatorItem) -> Result<(), CliError> {
        let (value, mode) = (item.item_json()?, mode_word(item.mode));
        let OperatorItem { uid, subtask, .. } = item;
        match &mut self.out {
            Out::Json(out) => {
                let mut state = String::new();
                quote(&item.state, &mut state);
                writeln!(
                    out,
                    "{{\"type\": \"operator_state\", \"uid\": \"{uid}\", \"subtask\": {subtask}, \
                     \"state\": {state}, \"mode\": \"{mode}\", \"item\": {value}}}"
                )
                .map_err(of_io)
            }
            Out::Csv(out) => {
                let (subtask, state) = (subtask.to_string(), item.state.as_str());
                let row =
                    ["operator_state", uid.as_str(), &subtask, "", state, mode, "", "", &value];
                out.write_record(row).map_err(of_csv)
            }
        }
    }

    fn finish(&mut self) -> Result<(), CliError> {
        match &mut self.out {
            Out::Json(out) => out.flush(),
            Out::Csv(out) => out.flush(),
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
