//! `alluvium diff`.

use std::collections::BTreeMap;

use alluvium::core::KeyGroup;
use alluvium::inspect::{Diff, OperatorDiff, StateDiff, diff};
use serde_json::{Value, json};

use super::native::Opened;
use super::{Bar, bytes, say_json};
use crate::args::DiffOptions;
use crate::error::CliError;
use crate::text::{complain, shown};

pub(crate) fn compare(options: &DiffOptions) -> Result<(), CliError> {
    let (left, right) = (Opened::new(&options.left)?, Opened::new(&options.right)?);
    let bar = Bar::new(options.json);
    let found = diff(&left.checkpoint, &right.checkpoint, &bar)?;
    bar.finish();
    if options.json {
        say_json(&as_json(&found, options.key_groups));
        return unread(&found);
    }
    say!(
        "{} in the first, {} in the second, of which {} in {} files that both need",
        bytes(found.left_bytes),
        bytes(found.right_bytes),
        bytes(found.shared_bytes),
        found.shared_files
    );
    say!(
        "{:<20} {:<20} {:>9} {:>12} {:>12} {:>12} {:>12} {:>14}",
        "operator",
        "state",
        "key group",
        "added",
        "removed",
        "changed",
        "unchanged",
        "shared bytes"
    );
    for operator in &found.operators {
        let rows = rows(operator, options.key_groups);
        if rows.is_empty() {
            say!("{:<20} {}", operator.uid, "has no state");
        }
        for StateDiff { state, key_group, added, removed, changed, unchanged, shared_bytes } in rows
        {
            let group = key_group.map_or_else(|| "-".to_owned(), |group| group.to_string());
            let state = shown(&state);
            say!(
                "{:<20} {state:<20} {group:>9} {added:>12} {removed:>12} {changed:>12} \
                 {unchanged:>12} {shared_bytes:>14}",
                operator.uid
            );
        }
    }
    unread(&found)
}

/// What was not compared makes the command fail, behind what was.
fn unread(found: &Diff) -> Result<(), CliError> {
    found.unread.iter().for_each(|what| complain(&format_args!("not compared: {what}")));
    CliError::unread(found.unread.len())
}

/// Rows by key group, or their sums by state.
fn rows(operator: &OperatorDiff, by_key_group: bool) -> Vec<StateDiff> {
    if by_key_group {
        return operator.states.clone();
    }
    let mut sums: BTreeMap<(bool, &str), StateDiff> = BTreeMap::new();
    for row in &operator.states {
        let place = (row.key_group.is_none(), row.state.as_str());
        match sums.get_mut(&place) {
            None => {
                sums.insert(place, StateDiff { key_group: None, ..row.clone() });
            }
            Some(sum) => {
                sum.added += row.added;
                sum.removed += row.removed;
                sum.changed += row.changed;
                sum.unchanged += row.unchanged;
                sum.shared_bytes += row.shared_bytes;
            }
        }
    }
    sums.into_values().collect()
}

fn as_json(found: &Diff, by_key_group: bool) -> Value {
    let operators = found.operators.iter().map(|operator| {
        let states = rows(operator, by_key_group).into_iter().map(|row| {
            json!({
                "state": row.state,
                "key_group": row.key_group.map(KeyGroup::get),
                "added": row.added,
                "removed": row.removed,
                "changed": row.changed,
                "unchanged": row.unchanged,
                "shared_bytes": row.shared_bytes,
            })
        });
        json!({
            "uid": operator.uid.as_str(),
            "parallelism": operator.parallelism,
            "shared_bytes": operator.shared_bytes,
            "states": states.collect::<Vec<_>>(),
        })
    });
    json!({
        "left_bytes": found.left_bytes,
        "right_bytes": found.right_bytes,
        "shared_files": found.shared_files,
        "shared_bytes": found.shared_bytes,
        "operators": operators.collect::<Vec<_>>(),
        "unread": found.unread,
    })
}
