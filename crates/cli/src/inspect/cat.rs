//! `alluvium cat`.

mod parquet;
mod rows;

use std::cell::RefCell;
use std::io::ErrorKind;

use alluvium::core::{KeyGroup, OperatorUid};
use alluvium::format::keyed::StateKind;
use alluvium::format::operator::DistributionMode;
use alluvium::inspect::{
    Checkpoint, InspectError, Progress, ReadableStates, Selection, operator_items_beside_damage,
    readable_states,
};

use self::rows::Rows;
use super::Bar;
use super::native::Opened;
use crate::args::CatOptions;
use crate::error::CliError;
use crate::text::complain;

pub(crate) fn cat(options: &CatOptions) -> Result<(), CliError> {
    let opened = Opened::new(&options.checkpoint)?;
    let checkpoint = &opened.checkpoint;
    let selection = selection(options, checkpoint)?;
    let damage = Damage { is_skipped: options.skip_damaged, count: 0 };
    // A reader that went away ends the work, and is no error.
    match write_all(checkpoint, &selection, Rows::new(options)?, damage) {
        Err(CliError::System { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// What could not be read.
struct Damage {
    is_skipped: bool,
    count: usize,
}

impl Damage {
    /// Says what was left out, where that is wanted; anything else ends the work.
    fn note(&mut self, written: Result<(), CliError>) -> Result<(), CliError> {
        match written {
            Err(CliError::Inspect(error)) if self.is_skipped && error.is_damage() => {
                complain(&format_args!("left out: {error}"));
                self.count += 1;
                Ok(())
            }
            written => written,
        }
    }
}

fn write_all(
    checkpoint: &Checkpoint,
    selection: &Selection,
    mut rows: Rows,
    mut damage: Damage,
) -> Result<(), CliError> {
    let bar = Bar::of_rows();
    let entries = checkpoint.entries(selection.clone());
    let entries = if damage.is_skipped { entries.beside_damage() } else { entries };
    for entry in entries {
        damage.note(entry.map_err(CliError::from).and_then(|entry| rows.entry(&entry)))?;
        bar.advance(1);
    }
    // Items of operator state have no key and no key group.
    if selection.key.is_none() && selection.key_group.is_none() {
        let damage = RefCell::new(&mut damage);
        operator_items_beside_damage(
            checkpoint,
            selection,
            |item| {
                bar.advance(1);
                damage.borrow_mut().note(rows.item(&item))
            },
            |error| damage.borrow_mut().note(Err(error.into())),
        )?;
    }
    bar.finish();
    rows.finish()?;
    CliError::unread(damage.count)
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
        let ReadableStates { states, mut damage } = readable_states(checkpoint, uid.as_ref())?;
        if states.iter().all(|found| found.name != *state) {
            // It may be in what cannot be read.
            if damage.is_empty() {
                let known = states.iter().map(|found| format!("{}/{}", found.uid, found.name));
                return Err(unknown("state", state, known));
            }
            if !options.skip_damaged {
                return Err(damage.swap_remove(0).into());
            }
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
