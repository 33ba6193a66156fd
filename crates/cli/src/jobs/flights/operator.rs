//! What is kept of each aircraft, one state of every kind.

use alluvium::core::KeyGroup;
use alluvium::runtime::{KeyedOperator, TaskError};
use alluvium::state::{
    AggregateFunction, AggregatingState, AggregatingStateDescriptor, KeyContext, KeyedStateBackend,
    ListState, ListStateDescriptor, MapState, MapStateDescriptor, OperatorStateBackend,
    ReducingState, ReducingStateDescriptor, StateError, ValueState, ValueStateDescriptor,
};

use super::Flight;
use super::table::{LAST_DELAYS, Row, row_of};
use crate::jobs::Rows;

/// Sum, number and maximum of the known delays.
#[derive(Debug, Clone, Copy)]
pub(super) struct DelayStatistics;

impl AggregateFunction for DelayStatistics {
    type Input = i32;
    /// Sum, number, maximum.
    type Accumulator = (i64, u64, i32);
    type Output = (i64, u64, i32);

    fn create(&self) -> Self::Accumulator {
        (0, 0, i32::MIN)
    }

    fn add(&self, (sum, count, max): &mut Self::Accumulator, delay: i32) {
        *sum += i64::from(delay);
        *count += 1;
        *max = (*max).max(delay);
    }

    fn result(&self, accumulator: &Self::Accumulator) -> Self::Output {
        *accumulator
    }

    fn merge(&self, (sum, count, max): &mut Self::Accumulator, other: &Self::Accumulator) {
        *sum += other.0;
        *count += other.1;
        *max = (*max).max(other.2);
    }
}

#[derive(Debug, Clone, Copy)]
struct States {
    flights: ValueState<u64>,
    last_dest: ValueState<String>,
    last_delays: ListState<i32>,
    dest_counts: MapState<String, u64>,
    total_distance: ReducingState<u64>,
    delays: AggregatingState<DelayStatistics>,
}

/// Follows aircraft.
#[derive(Debug, Default)]
pub struct Aircraft {
    states: Option<States>,
}

impl Aircraft {
    fn states(&self) -> Result<States, TaskError> {
        self.states.ok_or_else(|| "the operator was not opened".into())
    }
}

impl<B: KeyedStateBackend<Key = String>> KeyedOperator<B> for Aircraft {
    type Input = Flight;
    type Output = String;
    type Result = Rows;
    type TimerNamespace = ();

    fn open(&mut self, keyed: &mut B, _state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let sum = ReducingStateDescriptor::<u64>::new("total_distance", |sum, miles| *sum += miles);
        self.states = Some(States {
            flights: keyed.value_state(ValueStateDescriptor::new("flights"))?,
            last_dest: keyed.value_state(ValueStateDescriptor::new("last_dest"))?,
            last_delays: keyed.list_state(ListStateDescriptor::new("last_delays"))?,
            dest_counts: keyed.map_state(MapStateDescriptor::new("dest_counts"))?,
            total_distance: keyed.reducing_state(sum)?,
            delays: keyed
                .aggregating_state(AggregatingStateDescriptor::new("delays", DelayStatistics))?,
        });
        Ok(())
    }

    fn process(
        &mut self,
        key_group: KeyGroup,
        flight: Flight,
        keyed: &mut B,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        let states = self.states()?;
        let Flight { tailnum, dest, distance, dep_delay } = flight;
        let mut at = keyed.at_key_group(key_group, &tailnum, &())?;
        let number = states.flights.update(&mut at, |flights| {
            *flights += 1;
            *flights
        })?;
        output.push(format!("{tailnum},{number},{dest}"));
        states.dest_counts.update(&mut at, dest.clone(), |count| *count += 1)?;
        states.last_dest.set(&mut at, dest)?;
        states.total_distance.add(&mut at, distance)?;
        if let Some(delay) = dep_delay {
            states.delays.add(&mut at, delay)?;
            keep_delay(states.last_delays, &mut at, delay)?;
        }
        Ok(())
    }

    fn result(&mut self, keyed: &mut B) -> Result<Rows, TaskError> {
        let states = self.states()?;
        let mut rows = Rows::new();
        for tailnum in keyed.keys(states.flights, &())? {
            let at = keyed.at(&tailnum)?;
            let dest_counts = states.dest_counts.entries(&at)?.map(|entry| {
                let (dest, count) = entry?;
                Ok((dest.into_owned(), *count))
            });
            let row = Row {
                flights: states.flights.get(&at)?.map_or(0, |flights| *flights),
                last_dest: states.last_dest.get(&at)?.map_or_else(String::new, |it| it.clone()),
                last_delays: delays_of(states.last_delays, &at)?,
                dest_counts: dest_counts.collect::<Result<_, StateError>>()?,
                total_distance: states.total_distance.get(&at)?.map_or(0, |miles| *miles),
                delays: states.delays.get(&at)?,
            };
            let line = row_of(&tailnum, row);
            rows.push((tailnum.clone(), line));
        }
        Ok(rows)
    }
}

fn delays_of<C: KeyContext<Namespace = ()>>(
    state: ListState<i32>,
    at: &C,
) -> Result<Vec<i32>, StateError> {
    state.elements(at)?.map(|delay| delay.map(|delay| *delay)).collect()
}

fn keep_delay<C: KeyContext<Namespace = ()>>(
    state: ListState<i32>,
    at: &mut C,
    delay: i32,
) -> Result<(), StateError> {
    let mut delays = delays_of(state, at)?;
    if delays.len() < LAST_DELAYS {
        return state.add(at, delay);
    }
    delays.remove(0);
    delays.push(delay);
    state.set(at, delays)
}
