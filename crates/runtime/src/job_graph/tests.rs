use alluvium_core::KeyGroupAssigner;
use alluvium_heap::HeapStateBackend;
use alluvium_state::OperatorStateBackend;

use super::*;
use crate::{KeyedRecord, Source, SourceStatus, TaskError};

struct Number(u64);

impl KeyedRecord for Number {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.0
    }
}

struct Nothing;

impl Source for Nothing {
    type Record = Number;

    fn open(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }

    fn poll(&mut self, _: &mut Vec<Number>, _: usize) -> Result<SourceStatus, TaskError> {
        Ok(SourceStatus::Ended)
    }

    fn snapshot(&mut self, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }
}

fn stage(name: &str) -> Stage {
    Stage::new(OperatorUid::new(name).unwrap())
}

type Graph = JobGraph<HeapStateBackend, ()>;

fn same(graph: &mut Graph, name: &str, input: Edge<Number>, parallelism: u32) -> Stream<Number> {
    graph.flat_map(stage(name).parallelism(parallelism), input, |_| {
        Ok(|number, output: &mut Vec<Number>| {
            output.push(number);
            Ok(())
        })
    })
}

#[test]
fn a_forward_edge_needs_one_parallelism() {
    let mut graph = Graph::new();
    let numbers = graph.source(stage("numbers"), |_| Ok(Nothing));
    let same_count = same(&mut graph, "map", numbers.forward(), 3);
    same(&mut graph, "wide", same_count.rebalance(), 5);
    assert_eq!(graph.check(3), Ok(()), "the source takes the parallelism of the job");
    let refused = graph.check(2).unwrap_err();
    let (from, to) = ("numbers".to_owned(), "map".to_owned());
    assert_eq!(refused, GraphError::ForwardParallelism { from, to, before: 2, behind: 3 });
    assert_eq!(graph.widest(2), 5);
    let edges = "JobGraph{\"numbers -forward-> map\", \"map -rebalance-> wide\"}";
    assert_eq!(format!("{graph:?}"), edges);
}

#[test]
fn a_stream_of_another_graph_is_refused() {
    let (mut graph, mut other) = (Graph::new(), Graph::new());
    let numbers = other.source(stage("numbers"), |_| Ok(Nothing));
    graph.source(stage("numbers"), |_| Ok(Nothing));
    same(&mut graph, "map", numbers.rebalance(), 1);
    assert_eq!(graph.check(1), Err(GraphError::ForeignStream { to: "map".to_owned() }));
}

#[test]
fn all_keyed_edges_have_one_assigner() {
    struct Both;
    impl<B: alluvium_state::KeyedStateBackend<Key = u64>> crate::TwoInputOperator<B> for Both {
        type First = Number;
        type Second = Number;
        type Output = Number;
        type Result = ();
        type TimerNamespace = ();

        fn open(&mut self, _: &mut B, _: &mut OperatorStateBackend) -> Result<(), TaskError> {
            Ok(())
        }

        fn process_first(
            &mut self,
            _: alluvium_core::KeyGroup,
            _: Number,
            _: &mut B,
            _: &mut Vec<Number>,
        ) -> Result<(), TaskError> {
            Ok(())
        }

        fn process_second(
            &mut self,
            _: alluvium_core::KeyGroup,
            _: Number,
            _: &mut B,
            _: &mut Vec<Number>,
        ) -> Result<(), TaskError> {
            Ok(())
        }

        fn result(&mut self, _: &mut B) -> Result<(), TaskError> {
            Ok(())
        }
    }
    let mut graph = Graph::new();
    let first = graph.source(stage("first"), |_| Ok(Nothing));
    let second = graph.source(stage("second"), |_| Ok(Nothing));
    let by_flink = KeyGroupAssigner::<u64>::Flink(|key| i32::from(*key > 5));
    graph.two_input(stage("both"), first.keyed(), second.keyed_by(by_flink), |_| Ok(Both));
    let (from, to) = ("second".to_owned(), "both".to_owned());
    let (expected, found) = (AssignerName::Stable, AssignerName::Flink);
    assert_eq!(graph.check(1), Err(GraphError::Assigners { from, to, expected, found }));
}

#[test]
fn each_stage_has_its_parallelism_within_the_max() {
    let mut graph = Graph::new();
    let numbers = graph.source(stage("numbers"), |_| Ok(Nothing));
    same(&mut graph, "map", numbers.rebalance(), 5);
    let plan = |max| {
        let plan = graph.plan(2, MaxParallelism::new(max).unwrap())?;
        Ok::<_, JobError>(plan.into_iter().map(|(_, count)| count.get()).collect::<Vec<_>>())
    };
    assert_eq!(plan(5).unwrap(), [2, 5]);
    assert!(matches!(plan(4), Err(JobError::KeyGroup(_))));
}
