//! `alluvium rewrite`.

use std::hash::{BuildHasher, Hasher, RandomState};

use alluvium::core::{MaxParallelism, OperatorUid};
use alluvium::inspect::{InspectError, Rewrite, rewrite};
use serde_json::json;

use super::native::Opened;
use super::{Bar, bytes, say_json};
use crate::args::RewriteOptions;
use crate::error::CliError;

pub(crate) fn rewrite_to(options: &RewriteOptions) -> Result<(), CliError> {
    let opened = Opened::new(&options.checkpoint)?;
    let max_parallelism = options.max_parallelism.map(MaxParallelism::new).transpose();
    let plan = Rewrite {
        max_parallelism: max_parallelism.map_err(InspectError::from)?,
        drop_states: options.drop_state.iter().map(|it| state(it)).collect::<Result<_, _>>()?,
        rename_uids: options.rename_uid.iter().map(|it| renamed(it)).collect::<Result<_, _>>()?,
    };
    let scratch = tempfile::tempdir()
        .map_err(|source| CliError::System { what: "make a folder".to_owned(), source })?;
    let storage = alluvium::storage::open(&scratch.path().display().to_string())?;
    let bar = Bar::new(options.json);
    let (checkpoint, target) = (&opened.checkpoint, options.target.as_str());
    let report = rewrite(checkpoint, target, &plan, &storage, random_seed(), &bar)?;
    bar.finish();
    if options.json {
        let (entries, len_bytes) = (report.entries, report.bytes);
        let location = &report.location;
        say_json(&json!({ "location": location, "entries": entries, "bytes": len_bytes }));
        return Ok(());
    }
    let (entries, written) = (report.entries, bytes(report.bytes));
    say!("{}: {entries} entries in {written} written and verified", report.location);
    Ok(())
}

fn state(text: &str) -> Result<(OperatorUid, String), CliError> {
    let usage = || CliError::Usage(format!("--drop-state {text}: write UID/STATE"));
    let (uid, name) = text.split_once('/').ok_or_else(usage)?;
    Ok((OperatorUid::new(uid)?, name.to_owned()))
}

fn renamed(text: &str) -> Result<(OperatorUid, OperatorUid), CliError> {
    let usage = || CliError::Usage(format!("--rename-uid {text}: write OLD=NEW"));
    let (from, to) = text.split_once('=').ok_or_else(usage)?;
    Ok((OperatorUid::new(from)?, OperatorUid::new(to)?))
}

/// The standard library draws the keys of its hasher at random once per process.
#[expect(clippy::disallowed_methods, reason = "the name of a folder, drawn by the command")]
fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
