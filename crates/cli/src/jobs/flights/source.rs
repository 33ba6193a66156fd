//! Reads departures lane by lane, and can go on from any position of each.

use std::sync::Arc;

use alluvium::runtime::{OperatorContext, Source, SourceStatus, TaskError};
use alluvium::state::{
    BroadcastState, BroadcastStateDescriptor, ListStateDescriptor, OperatorListState,
    OperatorStateBackend,
};

use super::data::LANE_COUNT;
use super::{Departures, Flight};

/// Number of a lane, and how many of its departures have been emitted.
type Lane = (u32, u64);

/// Departures taken from one lane before the next has its turn.
const TURN_LEN: usize = 64;

/// Reads the lanes of one subtask.
#[derive(Debug)]
pub struct FlightSource {
    departures: Arc<Departures>,
    subtask: u32,
    parallelism: u32,
    is_restored: bool,
    lanes: Vec<Lane>,
    /// The lane whose turn it is.
    turn: usize,
    lane_state: Option<OperatorListState<Lane>>,
    input_state: Option<BroadcastState<String, (u64, u32)>>,
}

impl FlightSource {
    pub(super) fn new(departures: Arc<Departures>, context: &OperatorContext) -> Self {
        Self {
            departures,
            subtask: u32::from(context.subtask.get()),
            parallelism: u32::from(context.parallelism.get()),
            is_restored: context.restored.is_some(),
            lanes: Vec::new(),
            turn: 0,
            lane_state: None,
            input_state: None,
        }
    }

    /// Takes departures from a lane; says whether it had any left.
    fn take(&mut self, lane: usize, records: &mut Vec<Flight>, limit: usize) -> bool {
        let Some((number, emitted)) = self.lanes.get_mut(lane) else { return false };
        let rows = self.departures.lanes.get(*number as usize).map_or(&[][..], Vec::as_slice);
        let begin = usize::try_from(*emitted).unwrap_or(usize::MAX);
        let Some(rest) = rows.get(begin..).filter(|rest| !rest.is_empty()) else { return false };
        let room = limit.saturating_sub(records.len()).min(TURN_LEN);
        for row in rest.iter().take(room) {
            records.extend(self.departures.flights.get(*row).cloned());
            *emitted += 1;
        }
        true
    }
}

impl Source for FlightSource {
    type Record = Flight;

    fn open(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let input = BroadcastStateDescriptor::<String, (u64, u32)>::new("input");
        let input = state.broadcast_state(input)?;
        let lanes = state.list_state(ListStateDescriptor::<Lane>::new("lanes"))?;
        (self.input_state, self.lane_state) = (Some(input), Some(lanes));
        let (key, current) = ("fingerprint".to_owned(), self.departures.fingerprint);
        match state.broadcast_get(input, &key)? {
            Some(stored) if *stored != current => {
                return Err("the input is not the one that the checkpoint was taken of".into());
            }
            Some(_) => {}
            None => state.broadcast_put(input, key, current)?,
        }
        self.lanes = if self.is_restored {
            state.items(lanes)?.to_vec()
        } else {
            let own = |lane: &u32| lane % self.parallelism == self.subtask;
            (0..LANE_COUNT).filter(own).map(|lane| (lane, 0)).collect()
        };
        Ok(())
    }

    fn poll(&mut self, records: &mut Vec<Flight>, limit: usize) -> Result<SourceStatus, TaskError> {
        let count = self.lanes.len();
        let mut exhausted = 0;
        while records.len() < limit && exhausted < count {
            let lane = self.turn % count;
            self.turn = lane + 1;
            if self.take(lane, records, limit) {
                exhausted = 0;
            } else {
                exhausted += 1;
            }
        }
        Ok(if exhausted >= count { SourceStatus::Ended } else { SourceStatus::More })
    }

    fn snapshot(&mut self, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let lanes = self.lane_state.ok_or("the source was not opened")?;
        Ok(state.update(lanes, self.lanes.clone())?)
    }
}
