//! Builds the tasks of an attempt: instances, restored state, channels.

use std::sync::Arc;

use alluvium_coordinator::TaskId;
use alluvium_core::{KeyGroupAssigner, KeyedStateHandle, OperatorUid, SubtaskIndex};
use alluvium_format::codec::{DefaultCodec, HasCodec};
use alluvium_format::operator::OperatorStateItems;
use alluvium_state::{
    KeyedBackendSpec, OperatorStateBackend, RestoreError, StateBackend, StateKey,
};
use alluvium_storage::{HandleReader, ReadAccess};
use tokio::sync::mpsc;

use super::{Attempt, TaskEnd, Tasks};
use crate::alignment::Aligner;
use crate::element::Element;
use crate::event_time::EventTime;
use crate::exchange::KeyedExchange;
use crate::operator::{KeyedOperator, OperatorContext, Pipeline};
use crate::rate::RateLimit;
use crate::restore::operator_states;
use crate::running::Running;
use crate::task::{Alarm, Command, KeyedTask, Loading, Participant, Report, SinkTask, SourceTask};
use crate::{Host, JobError, TaskError};

/// Elements that wait in a channel before its sender has to.
const CHANNEL_LEN: usize = 8;

type Backend<B, K> = <B as StateBackend>::Keyed<K, DefaultCodec>;
type ResultOf<B, K, P> =
    <<P as Pipeline<Backend<B, K>>>::Operator as KeyedOperator<Backend<B, K>>>::Result;

type BoxedTask<R> = std::pin::Pin<Box<dyn Future<Output = TaskEnd<R>> + Send>>;

/// Tasks that are ready to run.
pub(super) struct Graph<R> {
    tasks: Vec<(TaskId, BoxedTask<R>)>,
    sources: Vec<mpsc::UnboundedSender<Command>>,
    others: Vec<mpsc::UnboundedSender<Command>>,
    reports: mpsc::UnboundedReceiver<Report>,
}

impl<R: Send + 'static> Graph<R> {
    /// Lets all tasks run.
    pub(super) fn spawn(self, host: Arc<dyn Host>) -> Tasks<R> {
        let mut running = Running::new(host);
        for (name, task) in self.tasks {
            running.spawn(name, task);
        }
        let Self { sources, others, reports, .. } = self;
        Tasks { running, sources, others, reports }
    }
}

/// Makes instances and participants of one attempt.
struct Builder<'a, B, P> {
    attempt: &'a Attempt<B, P>,
    reports: mpsc::UnboundedSender<Report>,
}

impl<B, P> Builder<'_, B, P> {
    fn context(&self, uid: &OperatorUid, subtask: SubtaskIndex) -> OperatorContext {
        let point = self.attempt.point.as_ref();
        OperatorContext {
            uid: uid.clone(),
            subtask,
            parallelism: self.attempt.parallelism,
            attempt: self.attempt.plan.attempt,
            restored: point.map(|point| point.metadata.properties.checkpoint),
            restored_attempt: point.map(|point| point.metadata.properties.attempt),
        }
    }

    fn participant(&self, uid: &OperatorUid, subtask: SubtaskIndex) -> Participant {
        Participant {
            task: TaskId { operator: uid.clone(), subtask },
            attempt: self.attempt.plan.attempt,
            clock: Arc::clone(&self.attempt.config.clock),
            host: Arc::clone(&self.attempt.config.host),
            reports: self.reports.clone(),
            writing: Arc::default(),
            max_writing: self.attempt.config.checkpoints.effective_max_concurrent(),
        }
    }

    fn restore_error(&self, source: RestoreError) -> JobError {
        let point = self.attempt.point.as_ref();
        let restored = point.map(|point| point.metadata.properties.checkpoint);
        let checkpoint = restored.unwrap_or(self.attempt.start.next);
        JobError::Restore { checkpoint, source: Box::new(source) }
    }

    fn operator_states(&self, uid: &OperatorUid) -> Result<Vec<Vec<OperatorStateItems>>, JobError> {
        operator_states(self.attempt.point.as_ref(), uid, self.attempt.parallelism)
            .map_err(|error| self.restore_error(error))
    }
}

fn task_error(uid: &OperatorUid, subtask: SubtaskIndex) -> impl Fn(TaskError) -> JobError {
    let task = TaskId { operator: uid.clone(), subtask };
    move |source| JobError::Task { task: task.clone(), source }
}

/// Builds everything; blocks on the storage while state is restored.
pub(super) fn build<K, B, P>(attempt: &Attempt<B, P>) -> Result<Graph<ResultOf<B, K, P>>, JobError>
where
    K: StateKey + HasCodec,
    B: StateBackend,
    P: Pipeline<Backend<B, K>>,
{
    let (reports, receiver) = mpsc::unbounded_channel();
    let builder = Builder { attempt, reports };
    let (config, parallelism) = (&attempt.config, attempt.parallelism);
    let uids = &config.uids;
    let count = usize::from(parallelism.get());
    let limit = |rate| Arc::new(RateLimit::new(rate, Arc::clone(&config.host)));
    let rate = config.records_per_s.map(limit);
    let assigner: KeyGroupAssigner<K> = attempt.pipeline.assigner();
    let mut graph =
        Graph { tasks: Vec::new(), sources: Vec::new(), others: Vec::new(), reports: receiver };

    // Channel (source, operator): sender by source, receiver by operator.
    let mut senders: Vec<Vec<_>> = Vec::new();
    let mut receivers: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
    for _ in 0..count {
        let mut outputs = Vec::new();
        for inputs in &mut receivers {
            let (sender, receiver) = mpsc::channel(CHANNEL_LEN);
            outputs.push(sender);
            inputs.push(receiver);
        }
        senders.push(outputs);
    }

    let source_states = builder.operator_states(&uids.source)?;
    for ((subtask, states), outputs) in parallelism.subtasks().zip(source_states).zip(senders) {
        let context = builder.context(&uids.source, subtask);
        let source =
            attempt.pipeline.source(&context).map_err(task_error(&uids.source, subtask))?;
        let (sender, commands) = mpsc::unbounded_channel();
        let task = SourceTask {
            source,
            state: OperatorStateBackend::new(states).for_subtask(subtask),
            exchange: KeyedExchange::new(outputs, assigner, parallelism),
            commands,
            participant: builder.participant(&uids.source, subtask),
            rate: rate.clone(),
            records: Arc::clone(&config.records),
            watermark_ms: None,
        };
        let name = task.participant.task.clone();
        graph.sources.push(sender);
        graph.tasks.push((name, Box::pin(async { task.run().await.map(|()| None) })));
    }

    let handles = attempt.point.as_ref().map_or_else(Vec::new, |it| it.keyed(&uids.operator));
    let operator_states = builder.operator_states(&uids.operator)?;
    let sink_states = builder.operator_states(&uids.sink)?;
    let parts = parallelism.subtasks().zip(operator_states).zip(sink_states).zip(receivers);
    for (((subtask, states), sink_states), inputs) in parts {
        let (sender, receiver) = mpsc::channel::<Element<_>>(CHANNEL_LEN);
        let context = builder.context(&uids.operator, subtask);
        let operator =
            attempt.pipeline.operator(&context).map_err(task_error(&uids.operator, subtask))?;
        let (command_sender, commands) = mpsc::unbounded_channel();
        let keyed = open_keyed::<K, B, P>(&builder, subtask, assigner, &handles)?;
        let task = KeyedTask {
            operator,
            keyed,
            state: OperatorStateBackend::new(states).for_subtask(subtask),
            aligner: Aligner::new(config.mode, inputs.len()),
            event_time: EventTime::new(inputs.len()),
            processing_time: Alarm::new(Arc::clone(&config.clock), Arc::clone(&config.host)),
            inputs: inputs.into_iter().map(Some).collect(),
            output: sender,
            commands,
            participant: builder.participant(&uids.operator, subtask),
            loading: Loading::default(),
            first_barrier: None,
        };
        let name = task.participant.task.clone();
        graph.others.push(command_sender);
        graph.tasks.push((name, Box::pin(async { task.run().await.map(Some) })));

        let context = builder.context(&uids.sink, subtask);
        let sink = attempt.pipeline.sink(&context).map_err(task_error(&uids.sink, subtask))?;
        let (command_sender, commands) = mpsc::unbounded_channel();
        let task = SinkTask {
            sink,
            state: OperatorStateBackend::new(sink_states).for_subtask(subtask),
            input: receiver,
            aligner: Aligner::new(config.mode, 1),
            commands,
            participant: builder.participant(&uids.sink, subtask),
        };
        let name = task.participant.task.clone();
        graph.others.push(command_sender);
        graph.tasks.push((name, Box::pin(async { task.run().await.map(|()| None) })));
    }
    Ok(graph)
}

fn open_keyed<K, B, P>(
    builder: &Builder<'_, B, P>,
    subtask: SubtaskIndex,
    assigner: KeyGroupAssigner<K>,
    handles: &[KeyedStateHandle],
) -> Result<Backend<B, K>, JobError>
where
    K: StateKey + HasCodec,
    B: StateBackend,
{
    let attempt = builder.attempt;
    let spec = KeyedBackendSpec {
        uid: attempt.config.uids.operator.clone(),
        subtask,
        parallelism: attempt.parallelism,
        key: DefaultCodec,
        assigner,
        hash_seed: attempt.config.hash_seed,
    };
    let reader = match &attempt.point {
        Some(point) => point.reader(),
        None => HandleReader::new(Arc::clone(attempt.store.storage()), ReadAccess::Copy),
    };
    attempt.backend.open(spec, handles, &reader).map_err(|error| builder.restore_error(error))
}
