//! What a person sees while a job runs.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alluvium::runtime::{JobEvent, Listener};
use indicatif::{ProgressBar, ProgressStyle};

use crate::sizes::Sizes;
use crate::text::shown;

/// A line that counts records while a job runs; hidden when standard error is no terminal.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(is_quiet: bool) -> Self {
        if is_quiet {
            return Self { bar: None };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
            bar.set_style(style);
        }
        Self { bar: Some(bar) }
    }

    /// One line that stays.
    pub(crate) fn say(&self, line: &str) {
        if let Some(bar) = &self.bar {
            if bar.is_hidden() {
                eprintln!("{line}");
            } else {
                bar.println(line);
            }
        }
    }

    /// Prints what happens to a job.
    pub(crate) fn listener(&self) -> Listener {
        let this = self.clone();
        Arc::new(move |event| {
            let Some(line) = line_of(event) else { return };
            let line = shown(&line).into_owned();
            // Somebody who wants to hear of errors only wants to hear of damage.
            if this.bar.is_none() && matches!(event, JobEvent::FellBack { .. }) {
                eprintln!("{line}");
            }
            this.say(&line);
        })
    }

    /// Shows a count until the future that this goes with is done.
    pub(crate) async fn follow(&self, records: Arc<AtomicU64>) -> Infallible {
        loop {
            if let Some(bar) = &self.bar {
                bar.set_message(format!("{} records", records.load(Ordering::Relaxed)));
                bar.tick();
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn line_of(event: &JobEvent<'_>) -> Option<String> {
    Some(match event {
        JobEvent::Started { attempt, restored: Some(checkpoint) } => {
            format!("attempt {attempt} restored checkpoint {checkpoint}")
        }
        JobEvent::Started { attempt, restored: None } => format!("attempt {attempt} begins fresh"),
        JobEvent::FellBack { damage, to } => format!(
            "THE LATEST CHECKPOINT IS DAMAGED ({damage}); the job goes back to checkpoint {to}, and \
             what came after it is done once more"
        ),
        JobEvent::Completed { metadata, savepoint: Some(location), .. } => {
            format!("savepoint {} complete: {location}", metadata.properties.checkpoint)
        }
        JobEvent::Completed { metadata, is_final, savepoint: None } => {
            let properties = &metadata.properties;
            let took_ms = properties.completed_at_ms.saturating_sub(properties.triggered_at_ms);
            let last = if *is_final { ", the last one" } else { "" };
            let Sizes { new_bytes: bytes, shared_bytes } = Sizes::of(metadata);
            let id = properties.checkpoint;
            let shared = match shared_bytes {
                0 => String::new(),
                shared => format!(", {shared} shared with earlier ones,"),
            };
            format!(
                "checkpoint {id} complete: {bytes} bytes of state{shared} in {took_ms} ms{last}"
            )
        }
        JobEvent::Aborted { checkpoint, reason } => {
            format!("checkpoint {checkpoint} given up: {reason}")
        }
        JobEvent::Restarting { error, after_ms } => {
            format!("{error}; the job starts anew in {after_ms} ms")
        }
        JobEvent::LocalRecovery { local_files, remote_files, damaged_files: 0 } => {
            format!("local recovery: {local_files} files from copies, {remote_files} without")
        }
        JobEvent::LocalRecovery { local_files, remote_files, damaged_files } => format!(
            "local recovery: {local_files} files from copies, {remote_files} without; \
             {damaged_files} COPIES WERE DAMAGED"
        ),
        JobEvent::CopyFailed { reason } => format!("{reason}; the checkpoint is complete"),
        JobEvent::CleanUpFailed { reason } => format!("could not clean up: {reason}"),
        _ => return None,
    })
}
