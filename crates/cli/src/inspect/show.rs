//! `alluvium show`.

use alluvium::core::StoragePath;
use alluvium::inspect::{
    Checkpoint, InspectError, OperatorSummary, Sizes, StateSummary, StateType, StreamSummary,
    SubtaskSummary, Summary, readable_states,
};
use serde_json::{Value, json};

use super::cat::{kind_word, mode_word};
use super::{bytes, say_json, time};
use crate::args::ShowOptions;
use crate::error::CliError;
use crate::text::{complain, shown};

pub(crate) fn show(options: &ShowOptions) -> Result<(), CliError> {
    let checkpoint = Checkpoint::open(&options.checkpoint)?;
    let summary = Summary::of(checkpoint.metadata());
    let (mut states, mut damage) = (None, Vec::new());
    if options.states {
        let found = readable_states(&checkpoint, None)?;
        (states, damage) = (Some(found.states), found.damage);
    }
    if options.json {
        let mut value = as_json(&checkpoint, &summary, options.key_groups);
        if let (Some(fields), Some(states)) = (value.as_object_mut(), &states) {
            let states = states.iter().map(state_json).collect();
            fields.insert("states".to_owned(), Value::Array(states));
        }
        say_json(&value);
        return unread(&damage);
    }
    print(&checkpoint, &summary, options.key_groups);
    if let Some(states) = &states {
        say!("");
        say!("{:<20} {:<24} {:>12}  {:<10} codecs", "operator", "state", "entries", "kind");
        for StateSummary { uid, name, of, count } in states {
            let (name, of) = (shown(name), type_text(of));
            say!("{uid:<20} {name:<24} {count:>12}  {of}");
        }
    }
    unread(&damage)
}

/// What could not be read makes the command fail, behind what could.
fn unread(damage: &[InspectError]) -> Result<(), CliError> {
    for error in damage {
        complain(error);
    }
    CliError::unread(damage.len())
}

fn type_text(of: &StateType) -> String {
    match of {
        StateType::Keyed { kind, key, namespace, value } => {
            let kind = kind_word(*kind);
            format!("{kind:<10} key {key}, namespace {namespace}, value {value}")
        }
        StateType::Operator { mode, item } => format!("{:<10} item {item}", mode_word(*mode)),
    }
}

fn state_json(state: &StateSummary) -> Value {
    let StateSummary { uid, name, of, count } = state;
    match of {
        StateType::Keyed { kind, key, namespace, value } => json!({
            "uid": uid.as_str(),
            "state": name,
            "kind": kind_word(*kind),
            "key": key.to_string(),
            "namespace": namespace.to_string(),
            "value": value.to_string(),
            "entries": count,
        }),
        StateType::Operator { mode, item } => json!({
            "uid": uid.as_str(),
            "state": name,
            "mode": mode_word(*mode),
            "item": item.to_string(),
            "items": count,
        }),
    }
}

fn print(checkpoint: &Checkpoint, summary: &Summary, with_subtasks: bool) {
    let properties = &checkpoint.metadata().properties;
    let kind = if checkpoint.is_savepoint() { "savepoint" } else { "checkpoint" };
    say!("{kind:<16} {}", checkpoint.location());
    say!("{:<16} {}", "job", properties.job);
    say!("{:<16} {} of attempt {}", "number", properties.checkpoint, properties.attempt);
    let took_ms = properties.completed_at_ms.saturating_sub(properties.triggered_at_ms);
    say!("{:<16} {}, after {took_ms} ms", "completed", time(properties.completed_at_ms));
    let (max, assigner) = (properties.max_parallelism, properties.assigner);
    say!("{:<16} {max}, keys by the assigner {assigner}", "max parallelism");
    say!("{:<16} {}", "state", sizes(&summary.sizes));
    say!("{:<16} {}", "metadata", bytes(checkpoint.metadata_len_bytes()));
    say!("");
    say!(
        "{:<20} {:>11} {:>14} {:>9} {:>14} {:>9} {:>14} {:>14}",
        "operator",
        "parallelism",
        "stream bytes",
        "files",
        "shared bytes",
        "files",
        "inlined bytes",
        "state of"
    );
    for operator in &summary.operators {
        let OperatorSummary { uid, parallelism, sizes, .. } = operator;
        say!(
            "{uid:<20} {:>11} {:>14} {:>9} {:>14} {:>9} {:>14} {:>14}",
            parallelism.get(),
            sizes.stream_bytes,
            sizes.stream_files,
            sizes.shared_bytes,
            sizes.shared_files,
            sizes.inlined_bytes,
            kinds(operator)
        );
    }
    if with_subtasks {
        say!("");
        say!("{:<20} {:>7}  {:<14} {:>14}  files", "operator", "subtask", "key groups", "bytes");
        for operator in &summary.operators {
            for subtask in &operator.subtasks {
                let groups = subtask.key_groups.map(|range| range.to_string());
                say!(
                    "{:<20} {:>7}  {:<14} {:>14}  {}",
                    operator.uid,
                    subtask.index,
                    groups.unwrap_or_else(|| "-".to_owned()),
                    subtask.sizes.total_bytes(),
                    files(subtask)
                );
            }
        }
    }
}

fn sizes(sizes: &Sizes) -> String {
    format!(
        "{} in {} files of its own, {} inlined, {} in {} files that it refers to",
        bytes(sizes.stream_bytes),
        sizes.stream_files,
        bytes(sizes.inlined_bytes),
        bytes(sizes.shared_bytes),
        sizes.shared_files
    )
}

fn kinds(operator: &OperatorSummary) -> String {
    match (operator.keyed_subtasks, operator.operator_subtasks) {
        (0, 0) => "nobody".to_owned(),
        (0, _) => "operator".to_owned(),
        (_, 0) => "keys".to_owned(),
        (_, _) => "keys, operator".to_owned(),
    }
}

fn files(subtask: &SubtaskSummary) -> String {
    let name = |stream: &Option<StreamSummary>| {
        let stream = stream.as_ref()?;
        Some(stream.file.as_ref().map_or("inlined".to_owned(), StoragePath::to_string))
    };
    let mut names: Vec<String> =
        [name(&subtask.keyed), name(&subtask.operator)].into_iter().flatten().collect();
    if subtask.sizes.shared_files > 0 {
        names.push(format!("and {} that it refers to", subtask.sizes.shared_files));
    }
    names.join(", ")
}

fn as_json(checkpoint: &Checkpoint, summary: &Summary, with_subtasks: bool) -> Value {
    let properties = &checkpoint.metadata().properties;
    let operators: Vec<Value> =
        summary.operators.iter().map(|operator| operator_json(operator, with_subtasks)).collect();
    json!({
        "location": checkpoint.location(),
        "is_savepoint": checkpoint.is_savepoint(),
        "job": properties.job.as_str(),
        "checkpoint": properties.checkpoint.get(),
        "attempt": properties.attempt.get(),
        "triggered_at_ms": properties.triggered_at_ms,
        "completed_at_ms": properties.completed_at_ms,
        "max_parallelism": properties.max_parallelism.get(),
        "assigner": properties.assigner.to_string(),
        "metadata_bytes": checkpoint.metadata_len_bytes(),
        "sizes": sizes_json(&summary.sizes),
        "operators": operators,
    })
}

fn operator_json(operator: &OperatorSummary, with_subtasks: bool) -> Value {
    let mut value = json!({
        "uid": operator.uid.as_str(),
        "parallelism": operator.parallelism.get(),
        "keyed_subtasks": operator.keyed_subtasks,
        "operator_subtasks": operator.operator_subtasks,
        "sizes": sizes_json(&operator.sizes),
    });
    if with_subtasks && let Some(fields) = value.as_object_mut() {
        let subtasks = operator.subtasks.iter().map(subtask_json).collect();
        fields.insert("subtasks".to_owned(), Value::Array(subtasks));
    }
    value
}

fn subtask_json(subtask: &SubtaskSummary) -> Value {
    let groups = subtask.key_groups.map(|range| [range.first().get(), range.last().get()]);
    let stream = |stream: &Option<StreamSummary>| {
        stream.as_ref().map(|stream| {
            let file = stream.file.as_ref().map(StoragePath::as_str);
            json!({ "file": file, "bytes": stream.len_bytes })
        })
    };
    json!({
        "subtask": subtask.index.get(),
        "key_groups": groups,
        "keyed": stream(&subtask.keyed),
        "operator": stream(&subtask.operator),
        "sizes": sizes_json(&subtask.sizes),
    })
}

fn sizes_json(sizes: &Sizes) -> Value {
    json!({
        "stream_files": sizes.stream_files,
        "stream_bytes": sizes.stream_bytes,
        "inlined": sizes.inlined,
        "inlined_bytes": sizes.inlined_bytes,
        "shared_files": sizes.shared_files,
        "shared_bytes": sizes.shared_bytes,
    })
}
