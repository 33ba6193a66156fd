//! Which records in flight a stage takes over from a checkpoint, and which it must not.
//!
//! Invariants: records in flight are handed out as the edge demands, or the restore is refused by name;
//! none is dropped silently.

use std::collections::VecDeque;

use alluvium_core::museum::{self, Mistake};
use alluvium_core::{CheckpointId, OperatorUid};
use alluvium_format::operator::OperatorStateItems;

use super::Builder;
use crate::JobError;
use crate::in_flight::{IN_FLIGHT, find_records, mode_of, take_in_flight};
use crate::job_graph::Port;

/// Restored operator state, by subtask.
type States = [Vec<OperatorStateItems>];

impl<B, R> Builder<'_, B, R> {
    /// Takes the records in flight to an input of a stage out of the restored state of the stage.
    pub(super) fn take_in_flight<W: Send + 'static>(
        &self,
        uid: &OperatorUid,
        states: &mut States,
        port: &Port<W>,
    ) -> Result<VecDeque<Vec<OperatorStateItems>>, JobError> {
        let has_codec = port.has_codec();
        if !has_codec && self.attempt.config.checkpoints.is_unaligned() {
            return Err(JobError::NoInFlightCodec { operator: uid.clone() });
        }
        let mut in_flight = take_in_flight(states, port.state);
        let is_rescaled = |(old, new)| old != new;
        if museum::makes(Mistake::LosesInFlightOnRescale)
            && self.old_and_new_parallelism(uid).is_some_and(is_rescaled)
        {
            in_flight.iter_mut().for_each(Vec::clear);
        }
        let Some((checkpoint, records)) = self.restored().zip(find_records(&in_flight)) else {
            // The edge may be another one by now: nothing of the old one is left to hand out.
            in_flight.iter_mut().for_each(Vec::clear);
            return Ok(in_flight.into());
        };
        let incompatible = |expected: String, found: String| {
            let what = "records in flight";
            Err(JobError::Incompatible { checkpoint, what, expected, found })
        };
        if !has_codec {
            return incompatible("no codec for them".to_owned(), format!("to operator {uid}"));
        }
        let mode = mode_of(port.partitioner);
        if records.mode != mode {
            let expected = format!("a {} edge, whose records are {mode}", port.partitioner);
            return incompatible(expected, format!("to operator {uid} that are {}", records.mode));
        }
        match self.old_and_new_parallelism(uid).filter(|(old, new)| port.is_bound && old != new) {
            Some((found, expected)) => {
                let from = self.attempt.plan.operators.get(port.from);
                let from = from.map_or_else(String::new, |(uid, _)| uid.to_string());
                let edge = format!("{from} -{}-> {uid}", port.partitioner);
                Err(JobError::InFlightParallelism { checkpoint, edge, found, expected })
            }
            None => Ok(in_flight.into()),
        }
    }

    /// A stage that has no such input must not take the records for state of its own.
    pub(super) fn refuse_other_in_flight(
        &self,
        uid: &OperatorUid,
        states: &mut States,
    ) -> Result<(), JobError> {
        for (input, name) in IN_FLIGHT.into_iter().enumerate() {
            let in_flight = take_in_flight(states, name);
            if let (Some(checkpoint), Some(_)) = (self.restored(), find_records(&in_flight)) {
                let what = "records in flight";
                let found = format!("to input {} of operator {uid}", input + 1);
                let expected = "no such input".to_owned();
                return Err(JobError::Incompatible { checkpoint, what, expected, found });
            }
        }
        Ok(())
    }

    fn restored(&self) -> Option<CheckpointId> {
        self.attempt.point.as_ref().map(|point| point.metadata.properties.checkpoint)
    }

    fn old_and_new_parallelism(&self, uid: &OperatorUid) -> Option<(u16, u16)> {
        let point = self.attempt.point.as_ref()?;
        let old = point.metadata.operators.iter().find(|operator| operator.uid == *uid)?;
        let (_, new) = self.attempt.plan.operators.iter().find(|(operator, _)| operator == uid)?;
        Some((old.parallelism.get(), new.get()))
    }
}
