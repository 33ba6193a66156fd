//! The departures of a `flights.csv`, in order of scheduled departure.
//!
//! Invariants: ties keep the order of the file; a row without a tail number is counted and left
//! out; the fingerprint tells inputs apart.

use std::path::{Path, PathBuf};

use alluvium::core::key_hash::stable_hash;
use alluvium::runtime::KeyedRecord;

use crate::error::CliError;
use crate::input;

/// How many lanes the departures are dealt to; a bound on the useful parallelism of the source.
pub(super) const LANE_COUNT: u32 = 24;

/// What stands for a missing value.
const MISSING: &str = "NA";

/// One departure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flight {
    /// The aircraft.
    pub tailnum: String,
    /// Destination airport.
    pub dest: String,
    /// Miles flown.
    pub distance: u64,
    /// Departure delay in minutes, negative when early; `None` when it is not known.
    pub dep_delay: Option<i32>,
}

impl KeyedRecord for Flight {
    type Key = String;

    fn key(&self) -> &String {
        &self.tailnum
    }
}

/// All departures of the inputs.
#[derive(Debug, Default)]
pub struct Departures {
    /// In order of scheduled departure.
    pub flights: Vec<Flight>,
    /// Rows without a tail number.
    pub skipped: u64,
    /// Positions in `flights` of each lane, in order.
    pub(super) lanes: Vec<Vec<usize>>,
    /// Length and CRC32 of the fields that were read.
    pub(super) fingerprint: (u64, u32),
}

/// The columns that are read, by position.
struct Columns([usize; 8]);

const COLUMN_NAMES: [&str; 8] =
    ["year", "month", "day", "sched_dep_time", "tailnum", "dest", "distance", "dep_delay"];

impl Departures {
    /// Reads and sorts files.
    ///
    /// Errors: [`CliError::Input`]; [`CliError::BadInput`], naming the line.
    pub fn read(inputs: &[PathBuf]) -> Result<Self, CliError> {
        let mut rows = Vec::new();
        let mut departures = Self::default();
        let mut checksum = crc32fast::Hasher::new();
        for path in inputs {
            read_file(path, &mut rows, &mut departures, &mut checksum)?;
        }
        // A stable sort: ties keep the order of the file.
        rows.sort_by_key(|(scheduled, _)| *scheduled);
        departures.flights = rows.into_iter().map(|(_, flight)| flight).collect();
        departures.fingerprint.1 = checksum.finalize();
        departures.deal();
        Ok(departures)
    }

    fn deal(&mut self) {
        self.lanes = vec![Vec::new(); LANE_COUNT as usize];
        for (position, flight) in self.flights.iter().enumerate() {
            let lane = stable_hash(flight.tailnum.as_bytes()) % u64::from(LANE_COUNT);
            let lane = usize::try_from(lane).ok().and_then(|lane| self.lanes.get_mut(lane));
            if let Some(lane) = lane {
                lane.push(position);
            }
        }
    }
}

type Scheduled = [u32; 4];

fn read_file(
    path: &Path,
    rows: &mut Vec<(Scheduled, Flight)>,
    departures: &mut Departures,
    checksum: &mut crc32fast::Hasher,
) -> Result<(), CliError> {
    let bad = |reason: String| CliError::BadInput { path: path.display().to_string(), reason };
    let (bytes, begin_record) = input::Bounded::new(input::open(path, 0)?);
    let mut reader = csv::Reader::from_reader(bytes);
    let csv_error = |error: csv::Error| {
        let line = error.position().map_or(0, csv::Position::line);
        let name = path.display().to_string();
        match error.into_kind() {
            csv::ErrorKind::Io(source) => CliError::Input { path: name, source },
            csv::ErrorKind::Utf8 { err, .. } => CliError::BadInput {
                path: name,
                reason: format!("is not UTF-8 on line {line}: {err}"),
            },
            other => {
                let reason = format!("cannot be read on line {line}: {}", describe(&other));
                CliError::BadInput { path: name, reason }
            }
        }
    };
    let header = reader.headers().map_err(csv_error)?.clone();
    let mut columns = Columns([0; 8]);
    for (column, name) in columns.0.iter_mut().zip(COLUMN_NAMES) {
        let found = header.iter().position(|found| found == name);
        *column = found.ok_or_else(|| bad(format!("has no column {name:?}")))?;
    }
    let mut record = csv::StringRecord::new();
    loop {
        begin_record();
        if !reader.read_record(&mut record).map_err(csv_error)? {
            return Ok(());
        }
        let line = record.position().map_or(0, csv::Position::line);
        for column in columns.0 {
            let field = record.get(column).unwrap_or_default();
            checksum.update(field.as_bytes());
            checksum.update(b",");
            departures.fingerprint.0 += field.len() as u64 + 1;
        }
        match parse(&record, &columns) {
            Ok(Some(row)) => rows.push(row),
            Ok(None) => departures.skipped += 1,
            Err(column) => {
                let field = record.get(column_of(&columns, column)).unwrap_or_default();
                return Err(bad(format!("has {field:?} as {column} on line {line}")));
            }
        }
    }
}

fn describe(kind: &csv::ErrorKind) -> String {
    match kind {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields where the first line has {expected_len}")
        }
        _ => "malformed CSV".to_owned(),
    }
}

fn column_of(columns: &Columns, name: &str) -> usize {
    let index = COLUMN_NAMES.iter().position(|column| *column == name);
    index.and_then(|index| columns.0.get(index).copied()).unwrap_or_default()
}

/// A row, `None` without a tail number, or the name of the column that is wrong.
fn parse(
    record: &csv::StringRecord,
    columns: &Columns,
) -> Result<Option<(Scheduled, Flight)>, &'static str> {
    let [year, month, day, time, tailnum, dest, distance, dep_delay] = columns.0;
    let field = |column: usize| record.get(column).unwrap_or_default();
    let number = |column: usize, name: &'static str| field(column).parse::<u32>().map_err(|_| name);
    let scheduled = [
        number(year, "year")?,
        number(month, "month")?,
        number(day, "day")?,
        number(time, "sched_dep_time")?,
    ];
    let distance = u64::from(number(distance, "distance")?);
    let dep_delay = match field(dep_delay) {
        "" | MISSING => None,
        known => Some(known.parse::<i32>().map_err(|_| "dep_delay")?),
    };
    let (tailnum, dest) = (field(tailnum).to_owned(), field(dest).to_owned());
    if tailnum.is_empty() || tailnum == MISSING {
        return Ok(None);
    }
    Ok(Some((scheduled, Flight { tailnum, dest, distance, dep_delay })))
}
