//! `flights`: follows each aircraft through the departures of a year, with every kind of state.
//!
//! Departures are taken in order of scheduled departure, keyed by tail number. The input is read
//! and sorted once; its rows are dealt to a fixed number of *lanes* by tail number, so that each
//! aircraft is in one lane and keeps its order. A lane and the position in it are one item of split
//! list state: lanes go round the source subtasks when the job is rescaled.

mod data;
mod operator;
mod source;
mod table;

use std::path::PathBuf;
use std::sync::Arc;

use alluvium::format::codec::DefaultCodec;
use alluvium::runtime::{FileSink, InFlightCodec, OperatorContext, Pipeline, TaskError};
use alluvium::state::KeyedStateBackend;
use alluvium::storage::Storage;

pub use self::data::{Departures, Flight};
pub use self::operator::Aircraft;
pub use self::source::FlightSource;
pub use self::table::{TABLE_HEADER, table_of};
use super::Job;
use crate::error::CliError;

/// The job.
#[derive(Debug)]
pub struct Flights {
    departures: Arc<Departures>,
    output: Arc<dyn Storage>,
}

impl Flights {
    /// The job on departures that were read before.
    pub fn new(departures: Arc<Departures>, output: Arc<dyn Storage>) -> Self {
        Self { departures, output }
    }
}

impl Job for Flights {
    const NAME: &'static str = "flights";
    const TABLE_HEADER: &'static str = TABLE_HEADER;
    type Key = String;

    fn open(inputs: &[PathBuf], output: Arc<dyn Storage>) -> Result<Self, CliError> {
        Ok(Self::new(Arc::new(Departures::read(inputs)?), output))
    }

    fn remarks(&self) -> String {
        format!("{} rows without a tail number skipped", self.departures.skipped)
    }
}

impl<B: KeyedStateBackend<Key = String>> Pipeline<B> for Flights {
    type Source = FlightSource;
    type Operator = Aircraft;
    type Sink = FileSink;

    fn input_codec(&self) -> Option<InFlightCodec<Flight>> {
        let parts = |flight: &Flight| {
            let Flight { tailnum, dest, distance, dep_delay } = flight.clone();
            (tailnum, dest, distance, dep_delay)
        };
        Some(InFlightCodec::through(DefaultCodec, parts, |(tailnum, dest, distance, dep_delay)| {
            Flight { tailnum, dest, distance, dep_delay }
        }))
    }

    fn output_codec(&self) -> Option<InFlightCodec<String>> {
        Some(InFlightCodec::new(DefaultCodec))
    }

    fn source(&self, context: &OperatorContext) -> Result<FlightSource, TaskError> {
        Ok(FlightSource::new(Arc::clone(&self.departures), context))
    }

    fn operator(&self, _context: &OperatorContext) -> Result<Aircraft, TaskError> {
        Ok(Aircraft::default())
    }

    fn sink(&self, context: &OperatorContext) -> Result<FileSink, TaskError> {
        Ok(FileSink::new(Arc::clone(&self.output), context))
    }
}
