//! A keyed operator with a broadcast input.
//!
//! Invariants: all subtasks have received the same broadcast records before a barrier, as state or in
//! flight; so whatever a new subtask takes over from one of them is all there is.

use alluvium_core::KeyGroup;
use alluvium_state::{
    KeyedStateBackend, OperatorStateBackend, StateKey, TimeDomain, Timer, Timers,
};

use super::KeyedRecord;
use super::logic::{KeyedLogic, as_the_operator};
use crate::TaskError;
use crate::exchange::{Either, Routed};

/// Processes the records of its keys by what a second stream tells all subtasks, such as rules.
///
/// Each broadcast record comes to every subtask, which keeps what it needs of it in
/// [broadcast state](OperatorStateBackend::broadcast_state); the side of the keys reads that. How the two
/// inputs interleave is open, and is different for each subtask. So a broadcast record must change the
/// state everywhere in the same way, whatever keys the subtask has, and in any order that several
/// senders of the stream may give; it sees no keyed state for that reason:
///
/// 1. subtask 0 applies a rule to its keys, and a barrier overtakes the same rule on its way to subtask 1;
/// 2. a restore gives the keys of both to one subtask, which takes the rule in flight over from 1;
/// 3. it would be applied to the keys of subtask 0 once more.
///
/// Source: Flink `KeyedBroadcastProcessFunction`, without `applyToKeyedState`.
pub trait BroadcastOperator<B: KeyedStateBackend>: Send + 'static {
    /// What comes by key.
    type Input: KeyedRecord<Key = B::Key>;
    /// What comes to every subtask.
    type Broadcast: Send + 'static;
    /// What it sends on.
    type Output: Send + 'static;
    /// What each subtask hands to the caller of the job when the job has ended.
    type Result: Send + 'static;
    /// The namespaces of its timers; `()` where it has none.
    type TimerNamespace: StateKey;

    /// Registers its states, those of the broadcast side in `state`.
    ///
    /// Errors: anything, as for all methods; the task fails with it.
    fn open(&mut self, keyed: &mut B, state: &mut OperatorStateBackend) -> Result<(), TaskError>;

    /// Processes one record of a key; `broadcast` is to be read only.
    fn process(
        &mut self,
        key_group: KeyGroup,
        record: Self::Input,
        keyed: &mut B,
        broadcast: &OperatorStateBackend,
        output: &mut Vec<Self::Output>,
    ) -> Result<(), TaskError>;

    /// Takes one broadcast record into the broadcast state.
    fn process_broadcast(
        &mut self,
        record: Self::Broadcast,
        broadcast: &mut OperatorStateBackend,
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
        _broadcast: &OperatorStateBackend,
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

    /// Puts what it wants to keep besides keyed and broadcast state into its operator state.
    fn snapshot(&mut self, _state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        Ok(())
    }

    /// The last checkpoint is complete: what the state has come to.
    fn result(&mut self, keyed: &mut B) -> Result<Self::Result, TaskError>;
}

/// An operator with a keyed input and a broadcast one.
pub(crate) struct WithBroadcast<O>(pub(crate) O);

impl<B: KeyedStateBackend, O: BroadcastOperator<B>> KeyedLogic<B> for WithBroadcast<O> {
    type Wire = Either<Routed<O::Input>, O::Broadcast>;

    as_the_operator!();

    fn prefetch(records: &[Self::Wire], keyed: &mut B) {
        keyed.prefetch(records.iter().filter_map(|record| match record {
            Either::First(Routed { record, key_group }) => Some((*key_group, record.key())),
            Either::Second(_) => None,
        }));
    }

    fn process(
        &mut self,
        record: Self::Wire,
        keyed: &mut B,
        state: &mut OperatorStateBackend,
        output: &mut Vec<O::Output>,
    ) -> Result<(), TaskError> {
        match record {
            Either::First(Routed { record, key_group }) => {
                self.0.process(key_group, record, keyed, state, output)
            }
            Either::Second(record) => self.0.process_broadcast(record, state, output),
        }
    }

    fn on_timer(
        &mut self,
        domain: TimeDomain,
        timer: Timer<B::Key, O::TimerNamespace>,
        keyed: &mut B,
        state: &OperatorStateBackend,
        output: &mut Vec<O::Output>,
    ) -> Result<(), TaskError> {
        self.0.on_timer(domain, timer, keyed, state, output)
    }
}
