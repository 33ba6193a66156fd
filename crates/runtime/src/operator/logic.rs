//! What all keyed operators are to a task: one wire, one output, keyed state.

use alluvium_state::{
    KeyedStateBackend, OperatorStateBackend, StateKey, TimeDomain, Timer, Timers,
};

use super::{KeyedOperator, KeyedRecord};
use crate::TaskError;
use crate::exchange::Routed;

/// A keyed operator, whatever its inputs are; the methods are those of [`KeyedOperator`].
pub(crate) trait KeyedLogic<B: KeyedStateBackend>: Send + 'static {
    /// What comes over any of its channels.
    type Wire: Send + 'static;
    type Output: Send + 'static;
    type Result: Send + 'static;
    type TimerNamespace: StateKey;

    fn open(&mut self, keyed: &mut B, state: &mut OperatorStateBackend) -> Result<(), TaskError>;

    fn process(
        &mut self,
        record: Self::Wire,
        keyed: &mut B,
        state: &mut OperatorStateBackend,
        output: &mut Vec<Self::Output>,
    ) -> Result<(), TaskError>;

    fn timers(&self) -> Option<Timers<Self::TimerNamespace>>;

    fn on_timer(
        &mut self,
        domain: TimeDomain,
        timer: Timer<B::Key, Self::TimerNamespace>,
        keyed: &mut B,
        state: &OperatorStateBackend,
        output: &mut Vec<Self::Output>,
    ) -> Result<(), TaskError>;

    fn on_watermark(&mut self, watermark_ms: i64);

    /// Says which records come next.
    fn prefetch(records: &[Self::Wire], keyed: &mut B);

    fn end_of_input(
        &mut self,
        keyed: &mut B,
        output: &mut Vec<Self::Output>,
    ) -> Result<(), TaskError>;

    fn snapshot(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError>;

    fn result(&mut self, keyed: &mut B) -> Result<Self::Result, TaskError>;
}

/// Passes the methods on that have nothing to do with inputs.
macro_rules! as_the_operator {
    () => {
        type Output = O::Output;
        type Result = O::Result;
        type TimerNamespace = O::TimerNamespace;

        fn open(
            &mut self,
            keyed: &mut B,
            state: &mut OperatorStateBackend,
        ) -> Result<(), TaskError> {
            self.0.open(keyed, state)
        }

        fn timers(&self) -> Option<Timers<O::TimerNamespace>> {
            self.0.timers()
        }

        fn on_watermark(&mut self, watermark_ms: i64) {
            self.0.on_watermark(watermark_ms);
        }

        fn end_of_input(
            &mut self,
            keyed: &mut B,
            output: &mut Vec<O::Output>,
        ) -> Result<(), TaskError> {
            self.0.end_of_input(keyed, output)
        }

        fn snapshot(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
            self.0.snapshot(state)
        }

        fn result(&mut self, keyed: &mut B) -> Result<O::Result, TaskError> {
            self.0.result(keyed)
        }
    };
}

pub(super) use as_the_operator;

/// An operator with one input.
pub(crate) struct OneInput<O>(pub(crate) O);

impl<B: KeyedStateBackend, O: KeyedOperator<B>> KeyedLogic<B> for OneInput<O> {
    type Wire = Routed<O::Input>;

    as_the_operator!();

    fn prefetch(records: &[Self::Wire], keyed: &mut B) {
        keyed.prefetch(records.iter().map(|it| (it.key_group, it.record.key())));
    }

    fn process(
        &mut self,
        Routed { record, key_group }: Routed<O::Input>,
        keyed: &mut B,
        _: &mut OperatorStateBackend,
        output: &mut Vec<O::Output>,
    ) -> Result<(), TaskError> {
        self.0.process(key_group, record, keyed, output)
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
