//! Builds the tasks of an attempt: instances, restored state, channels.

use std::collections::VecDeque;
use std::sync::Arc;

use alluvium_coordinator::TaskId;
use alluvium_core::museum::{self, Mistake};
use alluvium_core::{KeyGroupAssigner, KeyGroupRange, KeyedStateHandle, OperatorUid, SubtaskIndex};
use alluvium_format::codec::{DefaultCodec, HasCodec};
use alluvium_format::operator::OperatorStateItems;
use alluvium_state::{
    KeyedBackendSpec, KeyedStateBackend, OperatorStateBackend, RestoreError, StateBackend, StateKey,
};
use alluvium_storage::{HandleReader, ReadAccess, TaskOwnedFiles};
use tokio::sync::mpsc;

use super::{Attempt, TaskEnd, Tasks};
use crate::alignment::Aligner;
use crate::element::Element;
use crate::event_time::EventTime;
use crate::exchange::{KeyedExchange, Routed};
use crate::in_flight::{ForwardLog, KeyedLog, has_records, take_in_flight};
use crate::inputs::Inputs;
use crate::operator::{KeyedOperator, OperatorContext, Pipeline};
use crate::outlet::Outlet;
use crate::rate::RateLimit;
use crate::restore::operator_states;
use crate::running::Running;
use crate::task::{
    Alarm, Command, KeyedTask, Loading, Participant, Progress, Reading, Report, SinkProgress,
    SinkTask, SourceTask,
};
use crate::{AttemptFence, Host, InFlightCodec, JobError, TaskError};

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
        let (folder, attempt) = (self.attempt.store.storage(), self.attempt.plan.attempt);
        OperatorContext {
            uid: uid.clone(),
            subtask,
            parallelism: self.attempt.parallelism,
            attempt,
            fence: AttemptFence::new(Arc::clone(folder), attempt),
            task_owned: TaskOwnedFiles::new(Arc::clone(folder), uid.clone(), subtask, attempt),
            first_checkpoint: self.attempt.start.next,
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

impl<B, P> Builder<'_, B, P> {
    /// Takes the records in flight to an operator out of its restored state.
    fn in_flight<T>(
        &self,
        uid: &OperatorUid,
        states: &mut [Vec<OperatorStateItems>],
        codec: Option<&InFlightCodec<T>>,
    ) -> Result<Vec<Vec<OperatorStateItems>>, JobError> {
        let operator = uid.clone();
        if codec.is_none() && self.attempt.config.checkpoints.is_unaligned() {
            return Err(JobError::NoInFlightCodec { operator });
        }
        let in_flight = take_in_flight(states);
        let point = self.attempt.point.as_ref();
        if let (None, true, Some(point)) = (codec, has_records(&in_flight), point) {
            let checkpoint = point.metadata.properties.checkpoint;
            let found = format!("to operator {operator}");
            let expected = "no codec for them".to_owned();
            let what = "records in flight";
            return Err(JobError::Incompatible { checkpoint, what, expected, found });
        }
        Ok(in_flight)
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

    let (senders, receivers) = channels(count);
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
            reading: Reading::default(),
            is_over: false,
        };
        let name = task.participant.task.clone();
        graph.sources.push(sender);
        graph.tasks.push((name, Box::pin(async { task.run().await.map(|()| None) })));
    }

    let handles = attempt.point.as_ref().map_or_else(Vec::new, |it| it.keyed(&uids.operator));
    let mut operator_states = builder.operator_states(&uids.operator)?;
    let mut sink_states = builder.operator_states(&uids.sink)?;
    let input_log = builder.in_flight(
        &uids.operator,
        &mut operator_states,
        attempt.pipeline.input_codec().as_ref(),
    )?;
    let output_log = builder.in_flight(
        &uids.sink,
        &mut sink_states,
        attempt.pipeline.output_codec().as_ref(),
    )?;
    let states = operator_states.into_iter().zip(sink_states);
    let in_flight = input_log.into_iter().zip(output_log);
    let parts = parallelism.subtasks().zip(states).zip(in_flight).zip(receivers);
    for (((subtask, (states, sink_states)), (to_operator, to_sink)), inputs) in parts {
        let (sender, receiver) = mpsc::channel::<Element<_>>(CHANNEL_LEN);
        let context = builder.context(&uids.operator, subtask);
        let operator =
            attempt.pipeline.operator(&context).map_err(task_error(&uids.operator, subtask))?;
        let (command_sender, commands) = mpsc::unbounded_channel();
        let keyed = open_keyed::<K, B, P>(&builder, subtask, assigner, &handles)?;
        let codec = attempt.pipeline.input_codec();
        let inputs = keyed_inputs(inputs, codec, to_operator, keyed.key_groups())
            .map_err(task_error(&uids.operator, subtask))?;
        let task = KeyedTask {
            operator,
            keyed,
            state: OperatorStateBackend::new(states).for_subtask(subtask),
            aligner: Aligner::new(config.mode, count),
            event_time: EventTime::new(count),
            processing_time: Alarm::new(Arc::clone(&config.clock), Arc::clone(&config.host)),
            inputs,
            output: Outlet::new(sender),
            commands,
            participant: builder.participant(&uids.operator, subtask),
            loading: Loading::default(),
            progress: Progress::default(),
        };
        let name = task.participant.task.clone();
        graph.others.push(command_sender);
        graph.tasks.push((name, Box::pin(async { task.run().await.map(Some) })));

        let context = builder.context(&uids.sink, subtask);
        let sink = attempt.pipeline.sink(&context).map_err(task_error(&uids.sink, subtask))?;
        let (command_sender, commands) = mpsc::unbounded_channel();
        let input = sink_input(receiver, attempt.pipeline.output_codec(), to_sink)
            .map_err(task_error(&uids.sink, subtask))?;
        let task = SinkTask {
            sink,
            state: OperatorStateBackend::new(sink_states).for_subtask(subtask),
            input,
            progress: SinkProgress::default(),
            commands,
            participant: builder.participant(&uids.sink, subtask),
        };
        let name = task.participant.task.clone();
        graph.others.push(command_sender);
        graph.tasks.push((name, Box::pin(async { task.run().await.map(|()| None) })));
    }
    Ok(graph)
}

type Senders<T> = Vec<Vec<mpsc::Sender<Element<T>>>>;
type Receivers<T> = Vec<Vec<mpsc::Receiver<Element<T>>>>;

/// A channel from each source to each operator: senders by source, receivers by operator.
fn channels<T>(count: usize) -> (Senders<T>, Receivers<T>) {
    let mut receivers: Receivers<T> = (0..count).map(|_| Vec::new()).collect();
    let outputs = |_| {
        let output = |inputs: &mut Vec<_>| {
            let (sender, receiver) = mpsc::channel(CHANNEL_LEN);
            inputs.push(receiver);
            sender
        };
        receivers.iter_mut().map(output).collect()
    };
    let senders = (0..count).map(outputs).collect();
    (senders, receivers)
}

fn keyed_inputs<R: Send + 'static>(
    receivers: Vec<mpsc::Receiver<Element<Routed<R>>>>,
    codec: Option<InFlightCodec<R>>,
    restored: Vec<OperatorStateItems>,
    key_groups: KeyGroupRange,
) -> Result<Inputs<Routed<R>>, TaskError> {
    let Some(codec) = codec else { return Ok(Inputs::new(receivers, None, VecDeque::new())) };
    let (log, batches) = KeyedLog::restore(codec, restored, key_groups)?;
    Ok(Inputs::new(receivers, Some(Box::new(log)), batches))
}

fn sink_input<T: Send + 'static>(
    receiver: mpsc::Receiver<Element<T>>,
    codec: Option<InFlightCodec<T>>,
    restored: Vec<OperatorStateItems>,
) -> Result<Inputs<T>, TaskError> {
    let receivers = vec![receiver];
    let Some(codec) = codec else { return Ok(Inputs::new(receivers, None, VecDeque::new())) };
    let (log, batches) = ForwardLog::restore(codec, restored)?;
    Ok(Inputs::new(receivers, Some(Box::new(log)), batches))
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
    let of_same_number: Vec<KeyedStateHandle>;
    let mut handles = handles;
    if museum::makes(Mistake::LosesStateOnRescale) {
        let number = usize::from(subtask.get());
        of_same_number = handles.iter().skip(number).take(1).cloned().collect();
        handles = &of_same_number;
    }
    attempt.backend.open(spec, handles, &reader).map_err(|error| builder.restore_error(error))
}
