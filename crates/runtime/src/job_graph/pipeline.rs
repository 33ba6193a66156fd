//! A pipeline as a graph: sources, a keyed operator, a sink for each of its subtasks.

use std::sync::Arc;

use alluvium_format::codec::{DefaultCodec, HasCodec};
use alluvium_state::{StateBackend, StateKey};

use super::{JobGraph, Stream};
use crate::operator::{KeyedOperator, Pipeline};
use crate::{InFlightCodec, OperatorUids};

/// The results of a pipeline with keys `K` on backend `B`.
type ResultOf<K, B, P> =
    <<P as Pipeline<<B as StateBackend>::Keyed<K, DefaultCodec>>>::Operator as KeyedOperator<
        <B as StateBackend>::Keyed<K, DefaultCodec>,
    >>::Result;

/// The graph of a pipeline.
pub(crate) fn of_pipeline<K, B, P>(
    pipeline: &Arc<P>,
    uids: &OperatorUids,
) -> JobGraph<B, ResultOf<K, B, P>>
where
    K: StateKey + HasCodec,
    B: StateBackend,
    P: Pipeline<B::Keyed<K, DefaultCodec>>,
{
    let mut graph = JobGraph::new();
    let make = Arc::clone(pipeline);
    let records = graph.source(uids.source.clone(), move |context| make.source(context));
    let records = with_codec(records, pipeline.input_codec());
    let make = Arc::clone(pipeline);
    let output = graph.keyed::<_, P::Operator>(
        uids.operator.clone(),
        records.keyed_by(pipeline.assigner()),
        move |context| make.operator(context),
    );
    let output = with_codec(output, pipeline.output_codec());
    let make = Arc::clone(pipeline);
    graph.sink(uids.sink.clone(), output.forward(), move |context| make.sink(context));
    graph
}

fn with_codec<T: Send + 'static>(stream: Stream<T>, codec: Option<InFlightCodec<T>>) -> Stream<T> {
    match codec {
        Some(codec) => stream.in_flight(codec),
        None => stream,
    }
}
