//! Gets and updates over a bare `hashbrown` table, idle and while a snapshot is being written.

use std::fmt::Write;
use std::time::Duration;

use crate::background::Background;
use crate::contender::{Backend, Bare, Contender, Map, Operation, fill};
use crate::measure::{Samples, in_turns, timed};
use crate::options::Size;
use crate::report::{Goal, Report};
use crate::setup::ACCESS_SEED;
use crate::shapes::{Access, Numbers, Shape, Texts, Wide, random_accesses};

const IDLE: Goal = Goal::of(1.6, 1.2);
const WHILE_WRITING: Goal = Goal::of(2.0, 1.3);
/// Accesses between two looks at whether the snapshot has been written.
const PIECE: usize = 4_096;
/// Rounds in turn do other accesses, so that none finds what the one before left in the caches.
const WINDOWS: usize = 4;
/// A round goes on for so long at least, with the accesses of the next one,
const LEAST_TIME: Duration = Duration::from_millis(40);
/// and ends after this time.
const MOST_TIME: Duration = Duration::from_millis(400);

pub(super) fn figures(report: &Report) {
    for size in report.plan.sizes {
        of_shape::<Numbers>(report, *size, &ALL);
        of_shape::<Wide>(report, *size, &[Operation::Get, Operation::Update]);
        of_shape::<Texts>(report, *size, &WITHOUT_MIX);
    }
}

const WITHOUT_MIX: [Operation; 4] =
    [Operation::Get, Operation::GetMany, Operation::Update, Operation::UpdateMany];
const ALL: [Operation; 5] =
    [Operation::Get, Operation::GetMany, Operation::Update, Operation::UpdateMany, Operation::Mix];

/// The contenders; the first is what the others are compared with.
struct Field<S: Shape> {
    contenders: [Box<dyn Contender<S>>; 3],
    accesses: Vec<Access<S>>,
    background: Background,
}

/// One contender in one circumstance.
#[derive(Clone, Copy)]
struct Run {
    measured: usize,
    /// Whose snapshot is written meanwhile.
    writing: Option<usize>,
}

/// What was done in a round.
struct Done {
    took: Duration,
    accesses: usize,
    snapshots: usize,
}

const BARE: usize = 0;
const MAP: usize = 1;
const BACKEND: usize = 2;

const IDLE_RUNS: [Run; 3] = [
    Run { measured: BARE, writing: None },
    Run { measured: MAP, writing: None },
    Run { measured: BACKEND, writing: None },
];
/// Of what only the backend does in another way.
const MANY_RUNS: [Run; 2] =
    [Run { measured: BARE, writing: None }, Run { measured: BACKEND, writing: None }];
const WRITING_RUNS: [Run; 4] = [
    Run { measured: BARE, writing: None },
    Run { measured: MAP, writing: Some(MAP) },
    Run { measured: BACKEND, writing: Some(BACKEND) },
    // What the other core and the memory take away from anybody.
    Run { measured: BARE, writing: Some(BACKEND) },
];

fn of_shape<S: Shape>(report: &Report, size: Size, operations: &[Operation]) {
    let name = |operation: Operation, circumstance: &str| {
        let (operation, size, shape) = (operation.name(), size.name, S::NAME);
        format!("{operation}-{circumstance}/{size}/{shape}")
    };
    let (idle, writing) = ("over-hashbrown", "while-writing-over-hashbrown");
    let wants = |operation: &Operation| {
        report.wants(&name(*operation, idle)) || report.wants(&name(*operation, writing))
    };
    if !operations.iter().any(wants) {
        return;
    }
    let mut bare = Bare::<S>::with_capacity(size.count);
    let mut map = Map::<S>::new();
    fill(&mut bare, size.count);
    fill(&mut map, size.count);
    assert_eq!(bare.len() as u64, size.count, "all keys differ");
    let mut field = Field {
        contenders: [
            Box::new(bare),
            Box::new(map),
            Box::new(Backend::<S>::with_entries(size.count)),
        ],
        accesses: random_accesses(WINDOWS * report.plan.accesses, size.count, ACCESS_SEED),
        background: Background::start(),
    };
    let has_bar = size.count == report.plan.main_size.count && S::NAME == Numbers::NAME;
    for operation in operations {
        let goal = |goal: Goal| goal.when(has_bar && *operation != Operation::Mix);
        let figure = name(*operation, idle);
        let is_many = matches!(operation, Operation::GetMany | Operation::UpdateMany);
        if report.wants(&figure) {
            let runs: &[Run] = if is_many { &MANY_RUNS } else { &IDLE_RUNS };
            field.compare(report, &figure, runs, *operation, goal(IDLE));
        }
        if is_many {
            continue;
        }
        let figure = name(*operation, writing);
        if report.wants(&figure) {
            field.compare(report, &figure, &WRITING_RUNS, *operation, goal(WHILE_WRITING));
        }
    }
}

impl<S: Shape> Field<S> {
    fn compare(
        &mut self,
        report: &Report,
        figure: &str,
        runs: &[Run],
        operation: Operation,
        goal: Goal,
    ) {
        let mut per_snapshot = vec![Samples::default(); runs.len()];
        let seconds = in_turns(report.plan.rounds, runs.len(), |number, round| {
            let Some(run) = runs.get(number) else { return f64::NAN };
            let done = self.round(*run, operation, round);
            if let Some(per_snapshot) = per_snapshot.get_mut(number) {
                per_snapshot.push(done.accesses as f64 / done.snapshots as f64);
            }
            done.took.as_secs_f64() / done.accesses as f64
        });
        let baseline = seconds.first().cloned().unwrap_or_default();
        let nanos = |seconds: &Samples| seconds.median() * 1e9;
        report.note(&format!("{figure}: hashbrown takes {:.1} ns", nanos(&baseline)));
        for ((run, seconds), per_snapshot) in runs.iter().zip(&seconds).zip(&per_snapshot).skip(1) {
            let (name, goal) = match run.measured {
                BARE => ("/hashbrown".to_owned(), Goal::NONE),
                other => (self.suffix(other), goal),
            };
            report.figure(&format!("{figure}{name}"), &seconds.over(&baseline), goal, "ratio");
            let mut note = format!("  {:.1} ns", nanos(seconds));
            if run.writing.is_some() {
                let per_snapshot = per_snapshot.median();
                let _ = write!(note, ", {per_snapshot:.0} accesses for each snapshot");
            }
            report.note(&note);
        }
    }

    fn suffix(&self, contender: usize) -> String {
        let name = self.contenders.get(contender).map_or("", |contender| contender.name());
        if name.is_empty() { String::new() } else { format!("/{name}") }
    }

    /// Accesses for a while; snapshots are frozen outside the measured time.
    fn round(&mut self, run: Run, operation: Operation, round: usize) -> Done {
        let mut done = Done { took: Duration::ZERO, accesses: 0, snapshots: 0 };
        let per_round = self.accesses.len() / WINDOWS;
        let start = round % WINDOWS * per_round / PIECE;
        for piece in self.accesses.chunks(PIECE).cycle().skip(start) {
            let writing = run.writing.and_then(|writing| self.contenders.get_mut(writing));
            if let Some(writing) = writing
                && self.background.is_idle()
                && let Some(job) = writing.snapshot()
            {
                self.background.run(job);
                done.snapshots += 1;
            }
            if let Some(measured) = self.contenders.get_mut(run.measured) {
                done.took += timed(|| operation.run(&mut **measured, piece)).0;
                done.accesses += piece.len();
            }
            let is_enough = done.accesses >= per_round && done.took >= LEAST_TIME;
            if is_enough || done.took >= MOST_TIME {
                break;
            }
        }
        self.background.wait();
        done
    }
}
