//! What a checkpoint of another graph may not become.

use alluvium_format::codec::DefaultCodec;
use alluvium_runtime::{InFlightCodec, JobError};

use crate::edges::Once;
use crate::two_input::join;
use crate::world::{Graph, NEVER, Number, World, codec, job_config, persisted, stage, unaligned};

/// The stages of a join with records in flight to both its inputs.
fn joined(name: &str) -> World {
    let world = World::new(name);
    let graph = join(&world, NEVER, NEVER);
    let record = world.overtake(graph, job_config(2, unaligned()), [200, 200]);
    assert!(persisted(&record) > 0);
    world
}

fn refusal(world: &World, graph: Graph) -> (&'static str, String) {
    let (outcome, ()) = world.run(graph, job_config(2, unaligned()), async |_| {});
    match outcome.unwrap_err() {
        JobError::Incompatible { what, expected, found, .. } => {
            (what, format!("found {found}, expected {expected}"))
        }
        error => panic!("{error}"),
    }
}

/// 1. A stage that is called as the join was has one input;
/// 2. records in flight to the other one would be lost.
#[test]
fn an_operator_that_had_two_inputs_is_not_one_with_one() {
    let world = joined("one-input");
    let mut graph = Graph::new();
    let numbers = world.numbers::<0>(&mut graph, stage("lefts"), 10);
    world.numbers::<1>(&mut graph, stage("rights"), 10);
    let knobs = world.knobs.clone();
    let once = graph.keyed(stage("join"), numbers.keyed(), move |_| Ok(Once::new(knobs.clone())));
    let once = once.in_flight(InFlightCodec::new(DefaultCodec));
    graph.sink(stage("lines"), once.forward(), world.lines());
    let (what, text) = refusal(&world, graph);
    assert_eq!(what, "records in flight");
    assert!(text.contains("to input 2 of operator join"), "{text}");
}

#[test]
fn a_keyed_stage_is_not_one_without_state() {
    let world = joined("stateless");
    let mut graph = Graph::new();
    let numbers = world.numbers::<0>(&mut graph, stage("lefts"), 10);
    world.numbers::<1>(&mut graph, stage("rights"), 10);
    let lines = graph.flat_map(stage("join"), numbers.rebalance(), |_| {
        Ok(|Number(n): Number<0>, output: &mut Vec<String>| {
            output.push(n.to_string());
            Ok(())
        })
    });
    let lines = lines.in_flight(InFlightCodec::new(DefaultCodec));
    graph.sink(stage("lines"), lines.forward(), world.lines());
    let (what, text) = refusal(&world, graph);
    assert_eq!(what, "keyed state of operator");
    assert!(text.contains("\"join\""), "{text}");
}

/// Records in flight that were handed out by key cannot be handed out to all.
#[test]
fn an_edge_that_was_rebalanced_is_not_a_keyed_one() {
    let world = World::new("other-edge");
    let rebalanced = |end, is_keyed| {
        let mut graph = Graph::new();
        let numbers = world.numbers::<0>(&mut graph, stage("numbers"), end);
        let knobs = world.knobs.clone();
        let lines = if is_keyed {
            graph.keyed(stage("next"), numbers.keyed(), move |_| Ok(Once::new(knobs.clone())))
        } else {
            graph.flat_map(stage("next"), numbers.rebalance(), move |_| {
                let knobs = knobs.clone();
                Ok(move |Number(n): Number<0>, output: &mut Vec<String>| {
                    knobs.meet(0)?;
                    output.push(n.to_string());
                    Ok(())
                })
            })
        };
        let lines = lines.in_flight(InFlightCodec::new(DefaultCodec));
        graph.sink(stage("lines"), lines.forward(), world.lines());
        graph
    };
    let record = world.overtake(rebalanced(NEVER, false), job_config(2, unaligned()), [300, 0]);
    assert!(persisted(&record) > 0);
    let (what, text) = refusal(&world, rebalanced(10, true));
    assert_eq!(what, "records in flight");
    assert!(text.contains("to operator next that are list state (split)"), "{text}");
    assert!(text.contains("a keyed edge"), "{text}");
}

/// A stage that keeps nothing may come and go.
#[test]
fn a_stage_without_state_may_be_left_out() {
    let world = World::new("left-out");
    let graph = |end, has_map| {
        let mut graph = Graph::new();
        let mut numbers = world.numbers::<0>(&mut graph, stage("numbers"), end);
        if has_map {
            numbers = graph.flat_map(stage("map"), numbers.forward(), |_| {
                Ok(|number: Number<0>, output: &mut Vec<Number<0>>| {
                    output.push(number);
                    Ok(())
                })
            });
            numbers = numbers.in_flight(codec());
        }
        let knobs = world.knobs.clone();
        let once =
            graph.keyed(stage("once"), numbers.keyed(), move |_| Ok(Once::new(knobs.clone())));
        let once = once.in_flight(InFlightCodec::new(DefaultCodec));
        graph.sink(stage("lines"), once.forward(), world.lines());
        graph
    };
    let aligned = || unaligned().unaligned(false);
    for (end, has_map) in [(500, true), (900, false), (1_200, true)] {
        let config = job_config(2, aligned());
        let (outcome, ()) = world.run(graph(end, has_map), config, async |_| {});
        outcome.unwrap();
        assert!(world.committed().0 == (0..end).collect::<Vec<_>>());
    }
}
