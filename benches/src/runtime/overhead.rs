//! What an exactly-once checkpoint each second costs in throughput.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use alluvium_benches::measure::Samples;
use alluvium_benches::report::{Goal, Report};
use alluvium_state::SnapshotMode;

use crate::job::{Running, measured};
use crate::options::Plan;

/// Time between two checkpoints.
const INTERVAL: Duration = Duration::from_secs(1);

pub(crate) fn all(report: &Report<Plan>) {
    for (mode, name) in [(SnapshotMode::Incremental, "incremental"), (SnapshotMode::Full, "full")] {
        let name = format!("interval-overhead/{name}");
        if !report.wants(&name) {
            continue;
        }
        let Plan { keys, windows, window, .. } = report.plan;
        let (without, with) =
            measured(keys, false, mode, async |job| compare(job, windows, window).await);
        let percent = without.over(&with).map(|times| (times - 1.0) * 100.0);
        report.figure(&name, &percent, Goal::of(5.0, 1.0), "%");
        for (what, rates) in [("without", &without), ("with", &with)] {
            report.note(&format!(
                "  {what}: {:.2} M records/s ({:.2} to {:.2})",
                rates.median() / 1e6,
                rates.min() / 1e6,
                rates.max() / 1e6
            ));
        }
    }
}

/// Records per second without and with checkpoints, in windows that take turns; which one comes first
/// turns around from round to round.
async fn compare(job: &Running, windows: usize, window: Duration) -> (Samples, Samples) {
    let (mut without, mut with) = (Samples::default(), Samples::default());
    for round in 0..=windows {
        for turn in 0..2 {
            let has_checkpoints = (round + turn) % 2 == 1;
            let rate = rate(job, window, has_checkpoints).await;
            if round > 0 {
                if has_checkpoints { &mut with } else { &mut without }.push(rate);
            }
        }
    }
    (without, with)
}

/// Records per second of a window. A checkpoint begins with each second of it, and the last one ends
/// in it.
async fn rate(job: &Running, window: Duration, has_checkpoints: bool) -> f64 {
    let written = || job.knobs.written.load(Ordering::Relaxed);
    let (start, before) = (Instant::now(), written());
    let mut next = start;
    while start.elapsed() < window {
        if has_checkpoints {
            job.control.checkpoint(false).await.expect("nothing fails here");
        }
        next += INTERVAL;
        tokio::time::sleep(next.saturating_duration_since(Instant::now())).await;
    }
    (written() - before) as f64 / start.elapsed().as_secs_f64()
}
