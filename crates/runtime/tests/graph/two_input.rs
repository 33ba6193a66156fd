//! A join of two streams of different types.

use std::sync::atomic::Ordering;
use std::time::Duration;

use alluvium_core::KeyGroup;
use alluvium_format::codec::DefaultCodec;
use alluvium_runtime::{CheckpointMode, InFlightCodec, JobConfig, TaskError, TwoInputOperator};
use alluvium_state::{
    KeyedStateBackend, OperatorStateBackend, TimeDomain, Timer, TimerDescriptor, Timers,
    ValueState, ValueStateDescriptor,
};

use crate::world::{
    Graph, Knobs, NEVER, Number, World, all_ways, codec, job_config, persisted, stage, unaligned,
};

pub(crate) type Left = Number<0>;
pub(crate) type Right = Number<1>;

/// Sends a number on when both streams have had it, and at the end of time those that are alone. One
/// that comes twice is told.
#[derive(Default)]
pub(crate) struct Join {
    knobs: Knobs,
    /// A bit for each stream.
    seen: Option<ValueState<u8>>,
    timers: Option<Timers>,
}

impl Join {
    pub(crate) fn new(knobs: Knobs) -> Self {
        Self { knobs, ..Self::default() }
    }

    fn see<B: KeyedStateBackend<Key = u64>>(
        &mut self,
        (group, n, side): (KeyGroup, u64, u8),
        keyed: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        self.knobs.meet(usize::from(side))?;
        let (seen, timers) = (self.seen.ok_or("not open")?, self.timers.ok_or("not open")?);
        let mut at = keyed.at_key_group(group, &n, &())?;
        let (before, now) = seen.update(&mut at, |seen| {
            let before = *seen;
            *seen |= 1 << side;
            (before, *seen)
        })?;
        timers.register(&mut at, TimeDomain::EventTime, i64::MAX - 1)?;
        if before == now {
            output.push(format!("twice {n}"));
        } else if now == 3 {
            output.push(n.to_string());
        }
        Ok(())
    }
}

impl<B: KeyedStateBackend<Key = u64>> TwoInputOperator<B> for Join {
    type First = Left;
    type Second = Right;
    type Output = String;
    type Result = ();
    type TimerNamespace = ();

    fn open(&mut self, keyed: &mut B, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.seen = Some(keyed.value_state(ValueStateDescriptor::<u8>::new("seen"))?);
        self.timers = Some(keyed.timers(TimerDescriptor::new("timers"))?);
        Ok(())
    }

    fn process_first(
        &mut self,
        group: KeyGroup,
        Number(n): Left,
        keyed: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        self.see((group, n, 0), keyed, output)
    }

    fn process_second(
        &mut self,
        group: KeyGroup,
        Number(n): Right,
        keyed: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        self.see((group, n, 1), keyed, output)
    }

    fn timers(&self) -> Option<Timers> {
        self.timers
    }

    fn on_timer(
        &mut self,
        _: TimeDomain,
        Timer { key, .. }: Timer<u64, ()>,
        keyed: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        let seen = self.seen.ok_or("not open")?;
        if seen.get(&keyed.at(&key)?)?.is_some_and(|seen| *seen != 3) {
            output.push(format!("alone {key:06}"));
        }
        Ok(())
    }

    fn result(&mut self, _: &mut B) -> Result<(), TaskError> {
        Ok(())
    }
}

/// The join of numbers up to two ends.
pub(crate) fn join(world: &World, left_end: u64, right_end: u64) -> Graph {
    let mut graph = Graph::new();
    let lefts = world.numbers::<0>(&mut graph, stage("lefts"), left_end);
    let rights = world.numbers::<1>(&mut graph, stage("rights"), right_end);
    let knobs = world.knobs.clone();
    let joined = graph.two_input(stage("join"), lefts.keyed(), rights.keyed(), move |_| {
        Ok(Join::new(knobs.clone()))
    });
    let joined = joined.in_flight(InFlightCodec::new(DefaultCodec));
    graph.sink(stage("lines"), joined.forward(), world.lines());
    graph
}

/// Each number is joined once, and those that only one side has are alone.
fn assert_joined(world: &World, both: u64, alone: std::ops::Range<u64>) {
    let (numbers, words) = world.committed();
    let expected: Vec<String> = alone.map(|n| format!("alone {n:06}")).collect();
    assert_eq!(words.len(), expected.len(), "{:?}", words.iter().find(|it| it.contains("twice")));
    assert!(words == expected);
    assert!(numbers == (0..both).collect::<Vec<_>>(), "{} of {both} joined", numbers.len());
}

#[test]
fn a_join_that_fails_in_the_middle_joins_each_pair_once() {
    for way in 0..3 {
        let world = World::new(&format!("join-{way}"));
        let (name, config) = all_ways().into_iter().nth(way).unwrap();
        world.knobs.slow_down([20, 10]);
        world.run_failing(join(&world, 4_000, 3_000), config);
        eprintln!("{name}");
        assert_joined(&world, 3_000, 3_000..4_000);
    }
}

/// The slow input is full, the other one is not; then both are, as one task reads them.
#[test]
fn what_is_in_flight_on_either_input_follows_its_keys() {
    let world = World::new("overtaken");
    for (parallelism, us) in [(2, [300, 0]), (3, [0, 300]), (1, [200, 200])] {
        let config = job_config(parallelism, unaligned());
        let record = world.overtake(join(&world, NEVER, NEVER), config, us);
        assert!(persisted(&record) > 0, "records were in flight");
    }
    let end = 60_000;
    let (numbers, words) = world.committed();
    assert_eq!(words, [""; 0]);
    assert!((numbers.len() as u64) < end, "the last one must find something to do");
    let (outcome, ()) =
        world.run(join(&world, end, end - 500), job_config(2, unaligned()), async |_| {});
    outcome.unwrap();
    assert_joined(&world, end - 500, end - 500..end);
}

#[test]
fn a_side_that_has_ended_counts_as_aligned_while_the_other_goes_on() {
    for (way, checkpoints) in [unaligned().unaligned(false), unaligned()].into_iter().enumerate() {
        let world = World::new(&format!("ended-{way}"));
        let knobs = world.knobs.clone();
        let config = job_config(2, checkpoints.clone());
        let (outcome, ()) = world.run(join(&world, NEVER, 100), config, async move |control| {
            knobs.read_more(1_000).await;
            for _ in 0..3 {
                control.checkpoint(false).await.unwrap();
            }
            knobs.slow_down([200, 0]);
            tokio::time::sleep(Duration::from_millis(20)).await;
            control.checkpoint(false).await.unwrap();
            control.cancel();
        });
        assert!(outcome.is_err());
        world.knobs.slow_down([0; 2]);
        // The side that had ended ends again, at another parallelism; now it has more.
        let end = 50_000;
        let (outcome, ()) =
            world.run(join(&world, end, 5_000), job_config(3, checkpoints), async |_| {});
        outcome.unwrap();
        assert_joined(&world, 5_000, 5_000..end);
    }
}

#[test]
fn at_least_once_joins_each_pair_over_both_inputs() {
    let world = World::new("at-least-once");
    world.knobs.slow_down([20, 10]);
    let often = unaligned().unaligned(false).interval_ms(Some(3));
    let config = JobConfig { mode: CheckpointMode::AtLeastOnce, ..job_config(2, often) };
    world.run_failing(join(&world, 4_000, 4_000), config);
    let (mut numbers, _) = world.committed();
    numbers.dedup();
    assert!(numbers == (0..4_000).collect::<Vec<_>>(), "{} joined", numbers.len());
}

/// The slower input decides: with one that stands still, no timer fires however far the other one is.
#[test]
fn event_time_is_that_of_the_slower_input() {
    let world = World::new("event-time");
    let knobs = world.knobs.clone();
    let config = job_config(1, unaligned());
    let (outcome, ()) = world.run(join(&world, 2_000, NEVER), config, async move |control| {
        knobs.read_more(6_000).await;
        control.checkpoint(false).await.unwrap();
        assert!(!control.status().is_over());
        control.cancel();
    });
    assert!(outcome.is_err());
    assert_eq!(world.committed().1, [""; 0], "the left side has ended, the right one has not");
}

/// One stream that two inputs read, and one stage that is wider than the others.
#[test]
fn a_stream_may_be_read_twice() {
    let world = World::new("fork");
    let mut graph = Graph::new();
    let lefts = world.numbers::<0>(&mut graph, stage("lefts"), 3_000);
    let again = lefts.fork();
    let rights = graph.flat_map(stage("turned").parallelism(3), again.rebalance(), |_| {
        Ok(|Number(n): Left, output: &mut Vec<Right>| {
            output.push(Number(n));
            Ok(())
        })
    });
    let rights = rights.in_flight(codec());
    let knobs = world.knobs.clone();
    let join = stage("join").parallelism(2);
    let joined =
        graph.two_input(join, lefts.keyed(), rights.keyed(), move |_| Ok(Join::new(knobs.clone())));
    let joined = joined.in_flight(InFlightCodec::new(DefaultCodec));
    graph.sink(stage("lines"), joined.rebalance(), world.lines());
    world.knobs.slow_down([10, 10]);
    world.run_failing(graph, job_config(1, unaligned().interval_ms(Some(5))));
    assert_joined(&world, 3_000, 0..0);
    assert!(world.knobs.read.load(Ordering::SeqCst) >= 3_000);
}
