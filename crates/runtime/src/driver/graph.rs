//! Builds the tasks of an attempt: instances, restored state, channels.

use std::collections::VecDeque;
use std::sync::Arc;

use alluvium_coordinator::TaskId;
use alluvium_core::museum::{self, Mistake};
use alluvium_core::{
    KeyGroupAssigner, KeyGroupRange, KeyedStateHandle, OperatorUid, Parallelism, SubtaskIndex,
};
use alluvium_format::codec::{DefaultCodec, HasCodec};
use alluvium_format::operator::OperatorStateItems;
use alluvium_state::{
    KeyedBackendSpec, OperatorStateBackend, RestoreError, StateBackend, StateKey,
};
use alluvium_storage::{HandleReader, ReadAccess, TaskOwnedFiles};
use tokio::sync::mpsc;

use super::{Attempt, TaskEnd, Tasks};
use crate::alignment::Aligner;
use crate::event_time::EventTime;
use crate::inputs::Inputs;
use crate::job_graph::{Port, StageIndex, Taps};
use crate::operator::{OperatorContext, Source};
use crate::outputs::Outputs;
use crate::rate::RateLimit;
use crate::restore::operator_states;
use crate::running::Running;
use crate::task::{
    Alarm, Command, Loading, OperatorTask, Participant, Processor, Progress, Reading, Report,
    SourceTask,
};
use crate::{AttemptFence, Host, JobError, TaskError};

type BoxedTask<R> = std::pin::Pin<Box<dyn Future<Output = TaskEnd<R>> + Send>>;

/// Makes the tasks of one attempt, which are ready to run when all stages are built.
pub(crate) struct Builder<'a, B, R> {
    pub(super) attempt: &'a Attempt<B, R>,
    /// Of each stage.
    parallelisms: Vec<Parallelism>,
    rate: Option<Arc<RateLimit>>,
    reports: mpsc::UnboundedSender<Report>,
    tasks: Vec<(TaskId, BoxedTask<R>)>,
    sources: Vec<mpsc::UnboundedSender<Command>>,
    others: Vec<mpsc::UnboundedSender<Command>>,
}

/// Tasks that are ready to run.
pub(super) struct Ready<R> {
    tasks: Vec<(TaskId, BoxedTask<R>)>,
    sources: Vec<mpsc::UnboundedSender<Command>>,
    others: Vec<mpsc::UnboundedSender<Command>>,
    reports: mpsc::UnboundedReceiver<Report>,
}

impl<R: Send + 'static> Ready<R> {
    /// Lets all tasks run.
    pub(super) fn spawn(self, host: Arc<dyn Host>) -> Tasks<R> {
        let Self { tasks, sources, others, reports } = self;
        let mut running = Running::new(host);
        for (name, task) in tasks {
            running.spawn(name, task);
        }
        Tasks { running, sources, others, reports }
    }
}

/// Builds everything; blocks on the storage while state is restored.
pub(super) fn build<B: StateBackend, R: Send + 'static>(
    attempt: &Attempt<B, R>,
) -> Result<Ready<R>, JobError> {
    let (reports, receiver) = mpsc::unbounded_channel();
    let config = &attempt.config;
    let limit = |rate| Arc::new(RateLimit::new(rate, Arc::clone(&config.host)));
    let mut builder = Builder {
        attempt,
        parallelisms: attempt.plan.operators.iter().map(|(_, parallelism)| *parallelism).collect(),
        rate: config.records_per_s.map(limit),
        reports,
        tasks: Vec::new(),
        sources: Vec::new(),
        others: Vec::new(),
    };
    attempt.graph.build(&mut builder)?;
    let Builder { tasks, sources, others, .. } = builder;
    Ok(Ready { tasks, sources, others, reports: receiver })
}

impl<B: StateBackend, R: Send + 'static> Builder<'_, B, R> {
    /// Adds the tasks of a source.
    pub(crate) fn sources<S: Source>(
        &mut self,
        stage: StageIndex,
        taps: &Taps<S::Record>,
        make: impl Fn(&OperatorContext) -> Result<S, TaskError>,
    ) -> Result<(), JobError> {
        let (uid, parallelism) = self.stage(stage)?;
        let mut states = self.operator_states(&uid, parallelism)?;
        self.refuse_other_in_flight(&uid, &mut states)?;
        let outputs = self.outputs(stage, taps);
        for ((subtask, states), outputs) in parallelism.subtasks().zip(states).zip(outputs) {
            let context = self.context(&uid, subtask, parallelism);
            let (sender, commands) = mpsc::unbounded_channel();
            let task = SourceTask {
                source: make(&context).map_err(task_error(&context))?,
                state: OperatorStateBackend::new(states).for_subtask(subtask),
                outputs,
                commands,
                participant: self.participant(&uid, subtask),
                rate: self.rate.clone(),
                records: Arc::clone(&self.attempt.config.records),
                watermark_ms: None,
                reading: Reading::default(),
                is_over: false,
            };
            let name = task.participant.task.clone();
            self.sources.push(sender);
            self.tasks.push((name, Box::pin(async { task.run().await.map(|()| None) })));
        }
        Ok(())
    }

    /// Adds the tasks of any other stage.
    pub(crate) fn operators<P: Processor>(
        &mut self,
        stage: StageIndex,
        ports: &[Port<P::Input>],
        taps: &Taps<P::Output>,
        make: impl Fn(&Self, &OperatorContext) -> Result<P, JobError>,
        result: fn(P::Result) -> Option<R>,
    ) -> Result<(), JobError> {
        let (uid, parallelism) = self.stage(stage)?;
        let mut states = self.operator_states(&uid, parallelism)?;
        let mut in_flight = Vec::new();
        for port in ports {
            in_flight.push(self.take_in_flight(&uid, &mut states, port)?);
        }
        self.refuse_other_in_flight(&uid, &mut states)?;
        let mut ends: Vec<_> = ports.iter().map(Port::ends).collect();
        let outputs = self.outputs(stage, taps);
        for ((subtask, states), outputs) in parallelism.subtasks().zip(states).zip(outputs) {
            let context = self.context(&uid, subtask, parallelism);
            let processor = make(self, &context)?;
            let key_groups = KeyGroupRange::of_subtask(subtask, parallelism)?;
            let mut opened = Vec::new();
            for ((port, ends), in_flight) in ports.iter().zip(&mut ends).zip(&mut in_flight) {
                let receivers = ends.pop_front().unwrap_or_default();
                let restored = in_flight.pop_front().unwrap_or_default();
                let port = port.open(receivers, restored, key_groups);
                opened.push(port.map_err(task_error(&context))?);
            }
            let inputs = Inputs::new(opened);
            let config = &self.attempt.config;
            let (sender, commands) = mpsc::unbounded_channel();
            let task = OperatorTask {
                processor,
                state: OperatorStateBackend::new(states).for_subtask(subtask),
                aligner: Aligner::new(config.mode, inputs.len()),
                event_time: EventTime::new(inputs.len()),
                processing_time: Alarm::new(Arc::clone(&config.clock), Arc::clone(&config.host)),
                inputs,
                outputs,
                commands,
                participant: self.participant(&uid, subtask),
                loading: Loading::default(),
                progress: Progress::default(),
            };
            let name = task.participant.task.clone();
            self.others.push(sender);
            self.tasks.push((name, Box::pin(async move { task.run().await.map(result) })));
        }
        Ok(())
    }

    /// The keyed state of a stage, of all its old subtasks.
    pub(crate) fn keyed_handles(
        &self,
        stage: StageIndex,
    ) -> Result<Vec<KeyedStateHandle>, JobError> {
        let (uid, _) = self.stage(stage)?;
        Ok(self.attempt.point.as_ref().map_or_else(Vec::new, |point| point.keyed(&uid)))
    }

    pub(crate) fn open_keyed<K: StateKey + HasCodec>(
        &self,
        context: &OperatorContext,
        assigner: KeyGroupAssigner<K>,
        handles: &[KeyedStateHandle],
    ) -> Result<B::Keyed<K, DefaultCodec>, JobError> {
        let attempt = self.attempt;
        let spec = KeyedBackendSpec {
            uid: context.uid.clone(),
            subtask: context.subtask,
            parallelism: context.parallelism,
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
            let number = usize::from(context.subtask.get());
            of_same_number = handles.iter().skip(number).take(1).cloned().collect();
            handles = &of_same_number;
        }
        attempt.backend.open(spec, handles, &reader).map_err(|error| self.restore_error(error))
    }

    fn outputs<T>(&self, stage: StageIndex, taps: &Taps<T>) -> VecDeque<Outputs<T>> {
        taps.connect(stage, &self.parallelisms)
    }
}

impl<B, R> Builder<'_, B, R> {
    fn stage(&self, stage: StageIndex) -> Result<(OperatorUid, Parallelism), JobError> {
        self.attempt.plan.operators.get(stage).cloned().ok_or_else(|| {
            let reason = format!("stage {stage} is not in the plan");
            JobError::Internal { what: "a stage", reason }
        })
    }

    fn context(
        &self,
        uid: &OperatorUid,
        subtask: SubtaskIndex,
        parallelism: Parallelism,
    ) -> OperatorContext {
        let point = self.attempt.point.as_ref();
        let (folder, attempt) = (self.attempt.store.storage(), self.attempt.plan.attempt);
        OperatorContext {
            uid: uid.clone(),
            subtask,
            parallelism,
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

    fn operator_states(
        &self,
        uid: &OperatorUid,
        parallelism: Parallelism,
    ) -> Result<Vec<Vec<OperatorStateItems>>, JobError> {
        operator_states(self.attempt.point.as_ref(), uid, parallelism)
            .map_err(|error| self.restore_error(error))
    }
}

/// What a user's code said about a subtask.
pub(crate) fn task_error(context: &OperatorContext) -> impl Fn(TaskError) -> JobError + use<> {
    let task = TaskId { operator: context.uid.clone(), subtask: context.subtask };
    move |source| JobError::Task { task: task.clone(), source }
}
