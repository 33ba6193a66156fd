//! The graph of the job, by its shape.
//!
//! | shape | stages and edges |
//! |---|---|
//! | pipeline | splits -keyed-> clicks -forward-> files |
//! | two inputs | splits, more-splits -keyed-> clicks -rebalance-> lines -forward-> files |
//! | broadcast | splits -keyed-> clicks, notes -broadcast-> clicks -forward-> files |
//!
//! Invariants: what the job must come to is the same for all shapes, but for the notes.

use std::fmt;
use std::sync::Arc;

use alluvium_core::{KeyGroup, OperatorUid};
use alluvium_format::codec::DefaultCodec;
use alluvium_runtime::{
    FileSink, InFlightCodec, JobGraph, KeyedOperator, Stage, Stream, TaskError, TwoInputOperator,
};
use alluvium_state::{
    KeyedStateBackend, OperatorStateBackend, StateBackend, TimeDomain, Timer, Timers,
};

use super::notes::{Noted, Notes};
use super::operator::{Clicks, UserState};
use super::splits::{Part, Splits};
use super::{Click, ClickJob};

/// Which stages and edges the job has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Sources, the operator, a sink for each of its subtasks.
    Pipeline,
    /// One half of the splits over each of two inputs, and lines that are dealt out in turn.
    TwoInputs,
    /// Every subtask of the operator is told notes.
    Broadcast,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pipeline => "a pipeline",
            Self::TwoInputs => "two inputs",
            Self::Broadcast => "a broadcast input",
        })
    }
}

/// How many subtasks stages have that are not those of the job's parallelism.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Widths {
    /// Of splits, if it is another number.
    pub(crate) splits: Option<u32>,
    /// Of the second source.
    pub(crate) second: u32,
    /// Of lines and their files.
    pub(crate) lines: u32,
}

/// What a subtask of the operator has come to.
#[derive(Debug)]
pub(crate) struct SubtaskEnd {
    pub(crate) users: Vec<UserState>,
    /// Notes, and how often each has come; none where the job has no notes.
    pub(crate) notes: Option<Vec<(u64, u64)>>,
}

impl From<Vec<UserState>> for SubtaskEnd {
    fn from(users: Vec<UserState>) -> Self {
        Self { users, notes: None }
    }
}

impl ClickJob {
    /// The job as a graph.
    pub(crate) fn graph<B: StateBackend>(self: &Arc<Self>) -> JobGraph<B, SubtaskEnd> {
        let mut graph = JobGraph::new();
        let whole = if self.shape == Shape::TwoInputs { Part::EVEN } else { Part::WHOLE };
        let splits = match self.widths.splits {
            Some(width) => stage("splits").parallelism(width),
            None => stage("splits"),
        };
        let clicks = self.splits(&mut graph, splits, whole);
        let second = |name: &str| stage(name).parallelism(self.widths.second);
        let job = Arc::clone(self);
        let lines = match self.shape {
            Shape::Pipeline => {
                graph.keyed(stage("clicks"), clicks.keyed(), move |_| Ok(Clicks::new(&job)))
            }
            Shape::TwoInputs => {
                let more = self.splits(&mut graph, second("more-splits"), Part::ODD);
                graph.two_input(stage("clicks"), clicks.keyed(), more.keyed(), move |_| {
                    Ok(Merged(Clicks::new(&job)))
                })
            }
            Shape::Broadcast => {
                let of_notes = Arc::clone(self);
                let notes = graph
                    .source(second("notes"), move |context| Ok(Notes::new(&of_notes, context)))
                    .in_flight(InFlightCodec::new(DefaultCodec));
                graph.with_broadcast(
                    stage("clicks"),
                    clicks.keyed(),
                    notes.broadcast(),
                    move |_| Ok(Noted::new(Clicks::new(&job))),
                )
            }
        };
        let lines = lines.in_flight(InFlightCodec::new(DefaultCodec));
        let (lines, files) = if self.shape == Shape::TwoInputs {
            let width = self.widths.lines;
            let dealt =
                graph.flat_map(stage("lines").parallelism(width), lines.rebalance(), |_| {
                    Ok(|line: String, output: &mut Vec<String>| {
                        output.push(line);
                        Ok(())
                    })
                });
            let dealt = dealt.in_flight(InFlightCodec::new(DefaultCodec));
            (dealt, stage("files").parallelism(width))
        } else {
            (lines, stage("files"))
        };
        let output = Arc::clone(&self.output);
        graph.sink(files, lines.forward(), move |context| {
            Ok(FileSink::new(Arc::clone(&output), context))
        });
        graph
    }

    fn splits<B: StateBackend>(
        self: &Arc<Self>,
        graph: &mut JobGraph<B, SubtaskEnd>,
        stage: Stage,
        part: Part,
    ) -> Stream<Click> {
        let job = Arc::clone(self);
        let clicks = graph.source(stage, move |context| Ok(Splits::new(&job, part, context)));
        let parts = |click: &Click| (click.id, click.user, click.time_ms);
        let click = |(id, user, time_ms)| Click { id, user, time_ms };
        clicks.in_flight(InFlightCodec::through(DefaultCodec, parts, click))
    }
}

fn stage(name: &str) -> Stage {
    match OperatorUid::new(name) {
        Ok(uid) => Stage::new(uid),
        Err(error) => unreachable!("{error}"),
    }
}

/// The operator with two inputs, which are the same to it.
struct Merged(Clicks);

impl<B: KeyedStateBackend<Key = u64>> TwoInputOperator<B> for Merged {
    type First = Click;
    type Second = Click;
    type Output = String;
    type Result = Vec<UserState>;
    type TimerNamespace = i64;

    fn open(&mut self, keyed: &mut B, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.0.open(keyed, state)
    }

    fn process_first(
        &mut self,
        key_group: KeyGroup,
        click: Click,
        keyed: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        self.0.process(key_group, click, keyed, output)
    }

    fn process_second(
        &mut self,
        key_group: KeyGroup,
        click: Click,
        keyed: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        self.0.process(key_group, click, keyed, output)
    }

    fn timers(&self) -> Option<Timers<i64>> {
        KeyedOperator::<B>::timers(&self.0)
    }

    fn on_timer(
        &mut self,
        domain: TimeDomain,
        timer: Timer<u64, i64>,
        keyed: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        self.0.on_timer(domain, timer, keyed, output)
    }

    fn snapshot(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        KeyedOperator::<B>::snapshot(&mut self.0, state)
    }

    fn result(&mut self, keyed: &mut B) -> Result<Vec<UserState>, TaskError> {
        self.0.result(keyed)
    }
}
