//! Rebalance and forward edges between stages of different width.

use std::sync::atomic::Ordering;
use std::time::Duration;

use alluvium_core::KeyGroup;
use alluvium_format::codec::DefaultCodec;
use alluvium_runtime::{InFlightCodec, JobError, KeyedOperator, Stage, TaskError};
use alluvium_state::{KeyedStateBackend, OperatorStateBackend, ValueState, ValueStateDescriptor};

use crate::world::{
    Graph, Knobs, NEVER, Number, World, all_ways, codec, job_config, persisted, stage, unaligned,
};

type Even = Number<0>;

/// Sends each number on when it comes for the first time.
#[derive(Default)]
pub(crate) struct Once {
    knobs: Knobs,
    seen: Option<ValueState<bool>>,
}

impl Once {
    pub(crate) fn new(knobs: Knobs) -> Self {
        Self { knobs, seen: None }
    }
}

impl<B: KeyedStateBackend<Key = u64>> KeyedOperator<B> for Once {
    type Input = Number<0>;
    type Output = String;
    type Result = ();
    type TimerNamespace = ();

    fn open(&mut self, keyed: &mut B, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        self.seen = Some(keyed.value_state(ValueStateDescriptor::<bool>::new("seen"))?);
        Ok(())
    }

    fn process(
        &mut self,
        group: KeyGroup,
        Number(n): Number<0>,
        keyed: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        self.knobs.meet(1)?;
        let seen = self.seen.ok_or("not open")?;
        let mut at = keyed.at_key_group(group, &n, &())?;
        let before = seen.update(&mut at, |seen| std::mem::replace(seen, true))?;
        output.push(if before { format!("twice {n}") } else { n.to_string() });
        Ok(())
    }

    fn result(&mut self, _: &mut B) -> Result<(), TaskError> {
        Ok(())
    }
}

/// Doubles the numbers below half an end and leaves every third one out, before and behind a keyed stage
/// of another width.
fn widths(world: &World, end: u64, [map, keyed, sink]: [u32; 3]) -> Graph {
    let mut graph = Graph::new();
    let numbers = world.numbers::<0>(&mut graph, stage("numbers"), end);
    let knobs = world.knobs.clone();
    let doubled = graph.flat_map(stage("map").parallelism(map), numbers.rebalance(), move |_| {
        let knobs = knobs.clone();
        Ok(move |Number(n): Number<0>, output: &mut Vec<Even>| {
            knobs.meet(0)?;
            if n % 3 != 0 {
                output.extend([Number(2 * n), Number(2 * n + 1)]);
            }
            Ok(())
        })
    });
    let knobs = world.knobs.clone();
    let once = graph.keyed(
        stage("once").parallelism(keyed),
        doubled.in_flight(codec()).keyed(),
        move |_| Ok(Once::new(knobs.clone())),
    );
    let once = once.in_flight(InFlightCodec::new(DefaultCodec));
    graph.sink(stage("lines").parallelism(sink), once.rebalance(), world.lines());
    graph
}

fn assert_widths(world: &World, end: u64) {
    let (numbers, words) = world.committed();
    let expected: Vec<u64> =
        (0..end).filter(|n| n % 3 != 0).flat_map(|n| [2 * n, 2 * n + 1]).collect();
    assert_eq!(words, [""; 0]);
    assert!(numbers == expected, "{} of {}", numbers.len(), expected.len());
}

#[test]
fn a_rebalanced_stage_that_fails_in_the_middle_counts_each_record_once() {
    for way in 0..3 {
        let world = World::new(&format!("widths-{way}"));
        let (name, config) = all_ways().into_iter().nth(way).unwrap();
        world.knobs.slow_down([10, 20]);
        world.run_failing(widths(&world, 5_000, [3, 2, 4]), config);
        eprintln!("{name}");
        assert_widths(&world, 5_000);
    }
}

#[test]
fn stages_change_their_width_one_by_one_with_records_in_flight() {
    let world = World::new("rescaled");
    let plans = [([2, 3, 1], [300, 0]), ([1, 2, 4], [0, 300]), ([4, 4, 2], [100, 200])];
    for (plan, us) in plans {
        let config = job_config(2, unaligned());
        let record = world.overtake(widths(&world, NEVER, plan), config, us);
        assert!(persisted(&record) > 0, "records were in flight");
    }
    let end = 60_000;
    assert!((world.committed().0.len() as u64) < end);
    let graph = widths(&world, end, [3, 1, 3]);
    let (outcome, ()) = world.run(graph, job_config(2, unaligned()), async |_| {});
    outcome.unwrap();
    assert_widths(&world, end);
}

/// Turn comes after turn, so all subtasks of a wide stage have work.
#[test]
fn a_wide_stage_behind_a_narrow_one_shares_the_records() {
    let world = World::new("shares");
    let mut graph = Graph::new();
    let numbers = world.numbers::<0>(&mut graph, stage("numbers"), 4_000);
    let named = stage("name").parallelism(4);
    let named = graph.flat_map(named, numbers.rebalance(), |context| {
        let subtask = context.subtask;
        Ok(move |_: Number<0>, output: &mut Vec<String>| {
            output.push(format!("subtask {subtask}"));
            Ok(())
        })
    });
    graph.sink(stage("lines").parallelism(1), named.rebalance(), world.lines());
    let (outcome, ()) = world.run(graph, job_config(1, unaligned().unaligned(false)), async |_| {});
    outcome.unwrap();
    let (_, words) = world.committed();
    for subtask in 0..4 {
        let count = words.iter().filter(|it| **it == format!("subtask {subtask}")).count();
        assert_eq!(count, 1_000, "subtask {subtask}");
    }
}

/// Source, map and keyed stage, with a forward edge in between.
fn forward(world: &World, end: u64, map: Stage) -> Graph {
    let mut graph = Graph::new();
    let numbers = world.numbers::<0>(&mut graph, stage("numbers"), end);
    let knobs = world.knobs.clone();
    let same = graph.flat_map(map, numbers.forward(), move |_| {
        let knobs = knobs.clone();
        Ok(move |number: Number<0>, output: &mut Vec<Number<0>>| {
            knobs.meet(0)?;
            output.push(number);
            Ok(())
        })
    });
    let knobs = world.knobs.clone();
    let once = graph.keyed(stage("once"), same.in_flight(codec()).keyed(), move |_| {
        Ok(Once::new(knobs.clone()))
    });
    let once = once.in_flight(InFlightCodec::new(DefaultCodec));
    graph.sink(stage("lines"), once.forward(), world.lines());
    graph
}

/// 1. Numbers are in flight to subtask 0 of a stage without state;
/// 2. at another parallelism another one would get them, and what its source sends now would be faster.
#[test]
fn records_in_flight_on_a_forward_edge_stay_at_their_parallelism() {
    let world = World::new("forward");
    let config = job_config(2, unaligned());
    let record = world.overtake(forward(&world, NEVER, stage("map")), config, [300, 0]);
    assert!(persisted(&record) > 0, "records were in flight");

    let (outcome, ()) =
        world.run(forward(&world, 40_000, stage("map")), job_config(3, unaligned()), async |_| {});
    let refused = outcome.unwrap_err();
    let JobError::InFlightParallelism { edge, found, expected, .. } = &refused else {
        panic!("{refused}");
    };
    assert_eq!((edge.as_str(), *found, *expected), ("numbers -forward-> map", 2, 3));

    let (outcome, ()) =
        world.run(forward(&world, 40_000, stage("map")), job_config(2, unaligned()), async |_| {});
    outcome.unwrap();
    let (numbers, words) = world.committed();
    assert_eq!(words, [""; 0]);
    assert!(numbers == (0..40_000).collect::<Vec<_>>());
}

#[test]
fn a_forward_edge_between_stages_of_different_width_is_refused_by_name() {
    let world = World::new("forward-width");
    let graph = forward(&world, 10, stage("map").parallelism(5));
    let (outcome, ()) = world.run(graph, job_config(2, unaligned()), async |_| {});
    let refused = outcome.unwrap_err().to_string();
    assert!(refused.contains("numbers -forward-> map"), "{refused}");
    assert!(refused.contains("numbers has 2, map 5"), "{refused}");
}

/// An aligned checkpoint holds nothing in flight, so any width may follow it.
#[test]
fn from_an_aligned_checkpoint_a_forward_edge_takes_any_parallelism() {
    let world = World::new("forward-aligned");
    let aligned = || unaligned().unaligned(false);
    let knobs = world.knobs.clone();
    let graph = forward(&world, NEVER, stage("map"));
    let (_, ()) = world.run(graph, job_config(2, aligned()), async move |control| {
        knobs.read_more(500).await;
        knobs.slow_down([100, 0]);
        tokio::time::sleep(Duration::from_millis(20)).await;
        control.checkpoint(false).await.unwrap();
        control.cancel();
    });
    world.knobs.slow_down([0; 2]);
    let graph = forward(&world, 40_000, stage("map"));
    let (outcome, ()) = world.run(graph, job_config(3, aligned()), async |_| {});
    outcome.unwrap();
    assert!(world.committed().0 == (0..40_000).collect::<Vec<_>>());
    assert!(world.knobs.read.load(Ordering::SeqCst) >= 40_000);
}
