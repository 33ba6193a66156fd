//! A keyed operator with two inputs.

use alluvium_core::KeyGroup;
use alluvium_state::{
    KeyedStateBackend, OperatorStateBackend, StateKey, TimeDomain, Timer, Timers,
};

use super::KeyedRecord;
use super::logic::{KeyedLogic, as_the_operator};
use crate::TaskError;
use crate::exchange::{Either, Routed};

/// Processes the records of two streams with the keyed state of their keys, such as a join.
///
/// The keys of both are of one type, and both see the same state of a key. Records of one input come in
/// the order in which their sender sent them; how the inputs interleave is open. Event time is that of
/// the slower input. Barriers are aligned over all channels of both; a checkpoint that overtakes records
/// holds those of both.
///
/// Source: Flink `KeyedCoProcessFunction`.
pub trait TwoInputOperator<B: KeyedStateBackend>: Send + 'static {
    /// What comes over the first input.
    type First: KeyedRecord<Key = B::Key>;
    /// What comes over the second one.
    type Second: KeyedRecord<Key = B::Key>;
    /// What it sends on.
    type Output: Send + 'static;
    /// What each subtask hands to the caller of the job when the job has ended.
    type Result: Send + 'static;
    /// The namespaces of its timers; `()` where it has none.
    type TimerNamespace: StateKey;

    /// Registers its states.
    ///
    /// Errors: anything, as for all methods; the task fails with it.
    fn open(&mut self, keyed: &mut B, state: &mut OperatorStateBackend) -> Result<(), TaskError>;

    /// Processes one record of the first input.
    fn process_first(
        &mut self,
        key_group: KeyGroup,
        record: Self::First,
        keyed: &mut B,
        output: &mut Vec<Self::Output>,
    ) -> Result<(), TaskError>;

    /// Processes one record of the second input.
    fn process_second(
        &mut self,
        key_group: KeyGroup,
        record: Self::Second,
        keyed: &mut B,
        output: &mut Vec<Self::Output>,
    ) -> Result<(), TaskError>;

    /// As [`KeyedOperator::timers`](super::KeyedOperator::timers).
    fn timers(&self) -> Option<Timers<Self::TimerNamespace>> {
        None
    }

    /// As [`KeyedOperator::on_timer`](super::KeyedOperator::on_timer).
    fn on_timer(
        &mut self,
        _domain: TimeDomain,
        _timer: Timer<B::Key, Self::TimerNamespace>,
        _keyed: &mut B,
        _output: &mut Vec<Self::Output>,
    ) -> Result<(), TaskError> {
        Ok(())
    }

    /// As [`KeyedOperator::on_watermark`](super::KeyedOperator::on_watermark), of both inputs.
    fn on_watermark(&mut self, _watermark_ms: i64) {}

    /// As [`KeyedOperator::end_of_input`](super::KeyedOperator::end_of_input), of both inputs.
    fn end_of_input(
        &mut self,
        _keyed: &mut B,
        _output: &mut Vec<Self::Output>,
    ) -> Result<(), TaskError> {
        Ok(())
    }

    /// Puts what it wants to keep besides keyed state into its operator state.
    fn snapshot(&mut self, _state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }

    /// The last checkpoint is complete: what the state has come to.
    fn result(&mut self, keyed: &mut B) -> Result<Self::Result, TaskError>;
}

/// An operator with two keyed inputs.
pub(crate) struct TwoInputs<O>(pub(crate) O);

impl<B: KeyedStateBackend, O: TwoInputOperator<B>> KeyedLogic<B> for TwoInputs<O> {
    type Wire = Either<Routed<O::First>, Routed<O::Second>>;

    as_the_operator!();

    fn prefetch(records: &[Self::Wire], keyed: &mut B) {
        keyed.prefetch(records.iter().map(|record| match record {
            Either::First(Routed { record, key_group }) => (*key_group, record.key()),
            Either::Second(Routed { record, key_group }) => (*key_group, record.key()),
        }));
    }

    fn process(
        &mut self,
        record: Self::Wire,
        keyed: &mut B,
        _: &mut OperatorStateBackend,
        output: &mut Vec<O::Output>,
    ) -> Result<(), TaskError> {
        match record {
            Either::First(Routed { record, key_group }) => {
                self.0.process_first(key_group, record, keyed, output)
            }
            Either::Second(Routed { record, key_group }) => {
                self.0.process_second(key_group, record, keyed, output)
            }
        }
    }

    fn on_timer(
        &mut self,
        domain: TimeDomain,
        timer: Timer<B::Key, O::TimerNamespace>,
        keyed: &mut B,
        _: &OperatorStateBackend,
        output: &mut Vec<O::Output>,
    ) -> Result<(), TaskError> {
        self.0.on_timer(domain, timer, keyed, output)
    }
}
