//! How long a checkpoint takes while all channels are full, over one of the same job at rest.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use alluvium_benches::measure::Samples;
use alluvium_benches::report::{Goal, Report};
use alluvium_state::SnapshotMode;

use crate::job::{Running, measured};
use crate::options::Plan;

/// What a record costs the slow sink: a batch of some 500 takes 10 ms.
const SINK_NS: u64 = 20_000;
/// Time until all channels are full.
const FILLING: Duration = Duration::from_millis(500);

pub(crate) fn all(report: &Report<Plan>) {
    if !report.wants("checkpoint-under-back-pressure") {
        return;
    }
    for (is_unaligned, name, goal) in
        [(true, "unaligned", Goal::of(3.0, 1.5)), (false, "aligned", Goal::NONE)]
    {
        let rounds = report.plan.checkpoints;
        let (idle, held_up, persisted) =
            measured(report.plan.keys, is_unaligned, SnapshotMode::Full, async |job| {
                compare(job, rounds).await
            });
        let name = format!("checkpoint-under-back-pressure/{name}");
        report.figure(&name, &held_up.over(&idle), goal, "times");
        for (what, seconds) in [("at rest", &idle), ("held up", &held_up)] {
            let ms = seconds.map(|s| s * 1e3);
            report.note(&format!(
                "  {what}: {:.1} ms ({:.1} to {:.1})",
                ms.median(),
                ms.min(),
                ms.max()
            ));
        }
        report.note(&format!("  records in flight: {:.0} KiB", persisted.median() / 1024.0));
    }
}

/// Seconds of checkpoints at rest and held up, in turns, and bytes in flight of the latter.
async fn compare(job: &Running, rounds: usize) -> (Samples, Samples, Samples) {
    let (mut idle, mut held_up, mut persisted) =
        (Samples::default(), Samples::default(), Samples::default());
    for round in 0..=rounds {
        job.knobs.sink_ns.store(0, Ordering::SeqCst);
        job.knobs.is_paused.store(true, Ordering::SeqCst);
        job.drained().await;
        let at_rest = checkpoint(job).await;
        job.knobs.sink_ns.store(SINK_NS, Ordering::SeqCst);
        job.knobs.is_paused.store(false, Ordering::SeqCst);
        tokio::time::sleep(FILLING).await;
        let slow = checkpoint(job).await;
        let statistics = job.control.statistics().await.expect("it runs");
        let latest = statistics.latest_completed().expect("there is one");
        if round > 0 {
            idle.push(at_rest);
            held_up.push(slow);
            persisted.push(latest.in_flight_bytes().1 as f64);
        }
    }
    (idle, held_up, persisted)
}

async fn checkpoint(job: &Running) -> f64 {
    let start = Instant::now();
    job.control.checkpoint(false).await.expect("nothing fails here");
    start.elapsed().as_secs_f64()
}
