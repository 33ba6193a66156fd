//! The kinds of stages.

use std::sync::Arc;

use alluvium_core::{AssignerName, KeyGroupAssigner};
use alluvium_format::codec::{DefaultCodec, HasCodec};
use alluvium_state::{StateBackend, StateKey};

use super::wiring::Taps;
use super::{
    BroadcastEdge, Connection, Edge, JobGraph, KeyedEdge, Port, Stage, StageIndex, Stream,
};
use crate::TaskError;
use crate::driver::{Builder, task_error};
use crate::exchange::{Either, Partitioner};
use crate::in_flight::{IN_FLIGHT, Wire};
use crate::operator::{
    BroadcastOperator, KeyedLogic, KeyedOperator, KeyedRecord, OneInput, OperatorContext, Sink,
    Source, TwoInputOperator, TwoInputs, WithBroadcast,
};
use crate::task::{FlatMap, KeyedProcessor, SinkProcessor};

/// The backend of a keyed stage.
type Keyed<B, K> = <B as StateBackend>::Keyed<K, DefaultCodec>;

const FIRST: &str = IN_FLIGHT[0];
const SECOND: &str = IN_FLIGHT[1];

impl<B: StateBackend, R: Send + 'static> JobGraph<B, R> {
    fn next_stage(&self) -> StageIndex {
        self.entries.len()
    }

    fn connect<T>(
        &mut self,
        stream: &Stream<T>,
        partitioner: Partitioner,
        assigner: Option<AssignerName>,
    ) {
        let (from, to) = (stream.from, self.next_stage());
        if !Arc::ptr_eq(&stream.graph, &self.id) {
            self.misled.get_or_insert(to);
        }
        self.connections.push(Connection { from, to, partitioner, assigner });
    }

    /// Adds sources; `make` is called once per subtask and attempt, as for all stages.
    pub fn source<S: Source>(
        &mut self,
        stage: impl Into<Stage>,
        make: impl Fn(&OperatorContext) -> Result<S, TaskError> + Send + Sync + 'static,
    ) -> Stream<S::Record> {
        let index = self.next_stage();
        let stream = Stream::of(&self.id, index);
        let taps = Arc::clone(&stream.taps);
        self.add(stage.into(), false, move |builder| builder.sources(index, &taps, &make));
        stream
    }

    /// Adds a stage that calls a function for each record, which appends what is to be sent on: none
    /// (filter), one (map) or many.
    pub fn flat_map<T, U, F>(
        &mut self,
        stage: impl Into<Stage>,
        input: Edge<T>,
        make: impl Fn(&OperatorContext) -> Result<F, TaskError> + Send + Sync + 'static,
    ) -> Stream<U>
    where
        T: Send + 'static,
        U: Send + 'static,
        F: FnMut(T, &mut Vec<U>) -> Result<(), TaskError> + Send + 'static,
    {
        let index = self.next_stage();
        self.connect(&input.stream, input.partitioner, None);
        let (stream, ports) =
            (Stream::of(&self.id, index), vec![input.lead_to(index, FIRST, false)]);
        let taps = Arc::clone(&stream.taps);
        self.add(stage.into(), false, move |builder| {
            let make = |_: &Builder<'_, B, R>, context: &OperatorContext| {
                make(context).map(FlatMap::new).map_err(task_error(context))
            };
            builder.operators(index, &ports, &taps, make, |()| None)
        });
        stream
    }

    /// Adds a keyed operator.
    pub fn keyed<T, O>(
        &mut self,
        stage: impl Into<Stage>,
        input: KeyedEdge<T>,
        make: impl Fn(&OperatorContext) -> Result<O, TaskError> + Send + Sync + 'static,
    ) -> Stream<O::Output>
    where
        T: KeyedRecord<Key: HasCodec>,
        O: KeyedOperator<Keyed<B, T::Key>, Input = T>,
        O::Result: Into<R>,
    {
        let (index, assigner) = (self.next_stage(), input.assigner);
        self.connect(&input.stream, Partitioner::Keyed, Some(assigner.name()));
        let ports = vec![input.lead_to(index, FIRST, Wire::bare())];
        self.add_keyed(stage.into(), ports, assigner, move |context| make(context).map(OneInput))
    }

    /// Adds a keyed operator with two inputs, whose keys are of one type.
    pub fn two_input<T, U, O>(
        &mut self,
        stage: impl Into<Stage>,
        first: KeyedEdge<T>,
        second: KeyedEdge<U>,
        make: impl Fn(&OperatorContext) -> Result<O, TaskError> + Send + Sync + 'static,
    ) -> Stream<O::Output>
    where
        T: KeyedRecord<Key: HasCodec>,
        U: KeyedRecord<Key = T::Key>,
        O: TwoInputOperator<Keyed<B, T::Key>, First = T, Second = U>,
        O::Result: Into<R>,
    {
        let (index, assigner) = (self.next_stage(), first.assigner);
        self.connect(&first.stream, Partitioner::Keyed, Some(assigner.name()));
        self.connect(&second.stream, Partitioner::Keyed, Some(second.assigner.name()));
        let ports = vec![
            first.lead_to(index, FIRST, first_wire()),
            second.lead_to(index, SECOND, second_wire()),
        ];
        self.add_keyed(stage.into(), ports, assigner, move |context| make(context).map(TwoInputs))
    }

    /// Adds a keyed operator with a broadcast input. In a restore its records in flight come first.
    pub fn with_broadcast<T, U, O>(
        &mut self,
        stage: impl Into<Stage>,
        input: KeyedEdge<T>,
        broadcast: BroadcastEdge<U>,
        make: impl Fn(&OperatorContext) -> Result<O, TaskError> + Send + Sync + 'static,
    ) -> Stream<O::Output>
    where
        T: KeyedRecord<Key: HasCodec>,
        U: Send + 'static,
        O: BroadcastOperator<Keyed<B, T::Key>, Input = T, Broadcast = U>,
        O::Result: Into<R>,
    {
        let (index, assigner) = (self.next_stage(), input.assigner);
        self.connect(&input.stream, Partitioner::Keyed, Some(assigner.name()));
        self.connect(&broadcast.stream, Partitioner::Broadcast, None);
        // What a key was told by a broadcast record stays true: the subtask that takes the key over
        // takes all broadcast records before any other one.
        let ports = vec![
            broadcast.lead_to(index, SECOND, second_wire()),
            input.lead_to(index, FIRST, first_wire()),
        ];
        let make = move |context: &_| make(context).map(WithBroadcast);
        self.add_keyed(stage.into(), ports, assigner, make)
    }

    /// Adds sinks.
    pub fn sink<S: Sink>(
        &mut self,
        stage: impl Into<Stage>,
        input: Edge<S::Input>,
        make: impl Fn(&OperatorContext) -> Result<S, TaskError> + Send + Sync + 'static,
    ) {
        let index = self.next_stage();
        self.connect(&input.stream, input.partitioner, None);
        let (taps, ports) = (Taps::default(), vec![input.lead_to(index, FIRST, true)]);
        self.add(stage.into(), false, move |builder| {
            let make = |_: &Builder<'_, B, R>, context: &OperatorContext| {
                make(context).map(SinkProcessor).map_err(task_error(context))
            };
            builder.operators(index, &ports, &taps, make, |()| None)
        });
    }

    fn add_keyed<K, O>(
        &mut self,
        stage: Stage,
        ports: Vec<Port<O::Wire>>,
        assigner: KeyGroupAssigner<K>,
        make: impl Fn(&OperatorContext) -> Result<O, TaskError> + Send + Sync + 'static,
    ) -> Stream<O::Output>
    where
        K: StateKey + HasCodec,
        O: KeyedLogic<Keyed<B, K>>,
        O::Result: Into<R>,
    {
        let index = self.next_stage();
        let stream = Stream::of(&self.id, index);
        let taps = Arc::clone(&stream.taps);
        self.add(stage, true, move |builder| {
            let handles = builder.keyed_handles(index)?;
            let make = |builder: &Builder<'_, B, R>, context: &OperatorContext| {
                let operator = make(context).map_err(task_error(context))?;
                let keyed = builder.open_keyed(context, assigner, &handles)?;
                Ok(KeyedProcessor::new(operator, keyed))
            };
            builder.operators(index, &ports, &taps, make, |result| Some(O::Result::into(result)))
        });
        stream
    }
}

fn first_wire<A, B>() -> Wire<A, Either<A, B>> {
    const fn part<A, B>(element: &Either<A, B>) -> Option<&A> {
        match element {
            Either::First(record) => Some(record),
            Either::Second(_) => None,
        }
    }
    Wire { wrap: Either::First, part }
}

fn second_wire<A, B>() -> Wire<B, Either<A, B>> {
    const fn part<A, B>(element: &Either<A, B>) -> Option<&B> {
        match element {
            Either::Second(record) => Some(record),
            Either::First(_) => None,
        }
    }
    Wire { wrap: Either::Second, part }
}
