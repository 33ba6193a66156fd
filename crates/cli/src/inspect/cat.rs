//! `alluvium cat`.

mod parquet;
mod rows;

use std::io::ErrorKind;

use alluvium::core::{KeyGroup, OperatorUid};
use alluvium::format::keyed::StateKind;
use alluvium::format::operator::DistributionMode;
use alluvium::inspect::{Checkpoint, InspectError, Selection, operator_items, states};

use self::rows::Rows;
use super::native::Opened;
use crate::args::CatOptions;
use crate::error::CliError;

pub(crate) fn cat(options: &CatOptions) -> Result<(), CliError> {
    let opened = Opened::new(&options.checkpoint)?;
    let checkpoint = &opened.checkpoint;
    let selection = selection(options, checkpoint)?;
    // A reader that went away ends the work, and is no error.
    match write_all(checkpoint, &selection, Rows::new(options)?) {
        Err(CliError::System { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

fn write_all(
    checkpoint: &Checkpoint,
    selection: &Selection,
    mut rows: Rows,
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
