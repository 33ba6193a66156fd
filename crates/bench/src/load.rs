//! The load: updates without a pause, with a checkpoint at each interval.
//!
//! Updates are done in blocks. Before a block its keys are drawn, which is in no time of the report; in a
//! block the clock is read once for each update. Between two blocks a checkpoint may begin or be
//! confirmed.
//!
//! Invariants: a block belongs to what was going on when it began; a freeze belongs to *during*, a
//! confirmation to *after*.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use alluvium::core::StoragePath;
use alluvium::state::{KeyedStateBackend, SnapshotTarget, StateBackend};
use alluvium::storage::Storage;

use crate::checkpoints::{Checkpoints, Sizes};
use crate::error::BenchError;
use crate::latencies::{Latencies, nanos};
use crate::plan::{Parts, Plan};
use crate::report::{Checkpoint, Slice, Window};
use crate::subtask::Subtask;
use crate::timeline::Timeline;
use crate::workload::{Access, Workload};
use crate::writer::{Writer, Written};

/// Updates in a block.
const BLOCK: usize = 256;

/// Drives a subtask.
#[derive(Debug)]
pub(crate) struct Load<'l, B: StateBackend> {
    subtask: &'l mut Subtask<B>,
    workload: &'l mut Workload,
    checkpoints: &'l mut Checkpoints,
    start: Instant,
    /// The checkpoint that is being written.
    pending: Option<Pending>,
    block: Vec<Access>,
    took_ns: Vec<u64>,
    loaded: Counted,
}

#[derive(Debug)]
struct Pending {
    target: SnapshotTarget,
    at: Duration,
    freeze: Duration,
    changed_keys: u64,
}

/// What was counted and timed.
#[derive(Debug)]
struct Counted {
    updates: u64,
    before: Part,
    during: Part,
    after: Part,
    freeze: Latencies,
    confirm: Latencies,
    asynchronous: Latencies,
    checkpoints: Vec<Checkpoint>,
    timeline: Timeline,
}

/// What a load came to.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// All updates, those of the warm-up included.
    pub(crate) updates: u64,
    pub(crate) before: Window,
    pub(crate) during: Window,
    pub(crate) after: Window,
    pub(crate) freeze: Latencies,
    pub(crate) confirm: Latencies,
    pub(crate) asynchronous: Latencies,
    pub(crate) checkpoints: Vec<Checkpoint>,
    pub(crate) timeline: Vec<Slice>,
}

/// A part of the load.
#[derive(Debug, Default)]
struct Part {
    updates: u64,
    busy: Duration,
    latencies: Latencies,
}

impl Part {
    fn window(&self) -> Window {
        let busy_s = self.busy.as_secs_f64();
        Window {
            updates: self.updates,
            busy_s,
            updates_per_s: (self.updates > 0).then(|| self.updates as f64 / busy_s.max(1e-9)),
            update: self.latencies.spread(),
        }
    }
}

impl<'l, B: StateBackend> Load<'l, B> {
    pub(crate) fn new(
        subtask: &'l mut Subtask<B>,
        workload: &'l mut Workload,
        checkpoints: &'l mut Checkpoints,
        load: Duration,
    ) -> Self {
        let loaded = Counted {
            updates: 0,
            before: Part::default(),
            during: Part::default(),
            after: Part::default(),
            freeze: Latencies::default(),
            confirm: Latencies::default(),
            asynchronous: Latencies::default(),
            checkpoints: Vec::new(),
            timeline: Timeline::new(load),
        };
        Self {
            subtask,
            workload,
            checkpoints,
            start: Instant::now(),
            pending: None,
            block: Vec::with_capacity(BLOCK),
            took_ns: Vec::with_capacity(BLOCK),
            loaded,
        }
    }

    /// Runs to the end of the load, and on until the last checkpoint is written.
    ///
    /// Errors: those of updates and of checkpoints.
    pub(crate) fn run(
        mut self,
        plan: &Plan,
        storage: &Arc<dyn Storage>,
    ) -> Result<Loaded, BenchError> {
        thread::scope(|scope| self.drive(plan, Writer::start(scope, storage)))?;
        let Counted { updates, freeze, confirm, asynchronous, checkpoints, .. } = self.loaded;
        Ok(Loaded {
            updates,
            before: self.loaded.before.window(),
            during: self.loaded.during.window(),
            after: self.loaded.after.window(),
            freeze,
            confirm,
            asynchronous,
            checkpoints,
            timeline: self.loaded.timeline.slices(),
        })
    }

    fn drive(&mut self, plan: &Plan, mut writer: Writer) -> Result<(), BenchError> {
        let Parts { warm_up, before, all } = plan.parts();
        let interval = plan.options().interval;
        let mut next_checkpoint = before;
        self.start = Instant::now();
        loop {
            if let Some(written) = writer.poll()? {
                writer.delete(self.confirm(written))?;
            }
            let now = self.start.elapsed();
            if now >= all && !writer.is_busy() {
                return Ok(());
            }
            if now >= next_checkpoint && now < all && !writer.is_busy() {
                self.freeze(now, &mut writer)?;
                // One that was late is not made up for.
                next_checkpoint = (next_checkpoint + interval).max(now);
            }
            let busy = self.updates()?;
            let loaded = &mut self.loaded;
            let part = if now < warm_up {
                continue;
            } else if now < before {
                &mut loaded.before
            } else if writer.is_busy() {
                &mut loaded.during
            } else {
                &mut loaded.after
            };
            part.updates += self.took_ns.len() as u64;
            part.busy += busy;
            self.took_ns.iter().for_each(|took_ns| part.latencies.record_ns(*took_ns));
        }
    }

    /// Does a block of updates, and says how long it took.
    fn updates(&mut self) -> Result<Duration, BenchError> {
        self.workload.draw(BLOCK, &mut self.block);
        self.took_ns.clear();
        let begun = Instant::now();
        let mut last = begun;
        for access in &self.block {
            self.subtask.update(access)?;
            let now = Instant::now();
            self.took_ns.push(nanos(now - last));
            last = now;
        }
        let busy = last - begun;
        let slowest_ns = self.took_ns.iter().max().copied().unwrap_or_default();
        self.loaded.updates += BLOCK as u64;
        self.loaded.timeline.add(begun - self.start, BLOCK as u64, busy, slowest_ns);
        Ok(busy)
    }

    /// The synchronous part of a checkpoint.
    fn freeze(&mut self, at: Duration, writer: &mut Writer) -> Result<(), BenchError> {
        let target = self.checkpoints.begin();
        let changed_keys = self.workload.move_on();
        let (freeze, frozen) = timed(|| self.subtask.keyed.freeze(target.checkpoint));
        let checkpoint = target.checkpoint.get();
        let frozen = frozen.map_err(|source| BenchError::Snapshot { checkpoint, source })?;
        writer.write(frozen, target.clone())?;
        self.loaded.freeze.record(freeze);
        self.loaded.during.busy += freeze;
        self.pending = Some(Pending { target, at, freeze, changed_keys });
        Ok(())
    }

    /// A checkpoint is complete: later ones may build on it. Gives the files that nobody needs now.
    fn confirm(&mut self, written: Written) -> Vec<StoragePath> {
        let Some(Pending { target, at, freeze, changed_keys }) = self.pending.take() else {
            return Vec::new();
        };
        let Written { handle, took } = written;
        let (confirm, ()) = timed(|| self.subtask.keyed.complete(target.checkpoint));
        let Counted { after, confirm: confirms, asynchronous, checkpoints, .. } = &mut self.loaded;
        after.busy += confirm;
        confirms.record(confirm);
        asynchronous.record(took);
        let timing = Timing { at: Some(at), freeze, asynchronous: took, confirm };
        checkpoints.push(row(&target, timing, changed_keys, Sizes::of(&handle)));
        self.checkpoints.complete(std::slice::from_ref(&handle))
    }
}

/// When a checkpoint began, after the beginning of the load, and how long its parts took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) at: Option<Duration>,
    pub(crate) freeze: Duration,
    pub(crate) asynchronous: Duration,
    pub(crate) confirm: Duration,
}

/// A checkpoint for the report.
pub(crate) fn row(
    target: &SnapshotTarget,
    timing: Timing,
    changed_keys: u64,
    sizes: Sizes,
) -> Checkpoint {
    let Timing { at, freeze, asynchronous, confirm } = timing;
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    Checkpoint {
        number: target.checkpoint.get(),
        begin_s: at.map(|at| at.as_secs_f64()),
        freeze_us: micros(freeze),
        asynchronous_us: micros(asynchronous),
        confirm_us: micros(confirm),
        changed_keys,
        new_bytes: sizes.new_bytes,
        shared_bytes: sizes.shared_bytes,
        files: sizes.files,
    }
}

/// Runs a body and says how long it took.
pub(crate) fn timed<R>(body: impl FnOnce() -> R) -> (Duration, R) {
    let start = Instant::now();
    let result = body();
    (start.elapsed(), result)
}
