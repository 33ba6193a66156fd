//! What was measured: plain data.
//!
//! Invariants: what was not measured is `None`, and `null` in JSON; names end in their units; each round
//! has come to the results of the plain computation.

use serde::Serialize;

use crate::error::BenchError;
use crate::report::Machine;

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Version of this program.
    pub version: String,
    /// Where it ran.
    pub machine: Machine,
    /// What was asked for.
    pub settings: Settings,
    /// The queries in their order.
    pub queries: Vec<OfQuery>,
}

impl Report {
    /// JSON, on several lines.
    ///
    /// Errors: [`BenchError::Json`].
    pub fn to_json(&self) -> Result<String, BenchError> {
        Ok(serde_json::to_string_pretty(self)?)
    }
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "they are those of `Options`")]
pub struct Settings {
    pub queries: Vec<String>,
    pub backends: Vec<String>,
    pub events: u64,
    pub parallelism: u32,
    /// `None` where jobs ran without checkpoints only.
    pub interval_ms: Option<u64>,
    pub rounds: u32,
    /// Name of the storage, without secrets.
    pub storage: String,
    pub key_groups: u32,
}

/// A query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OfQuery {
    /// Its name.
    pub query: String,
    /// What it asks for.
    pub title: String,
    /// The kinds of events that it reads.
    pub reads: String,
    /// How many events it reads.
    pub events: u64,
    /// How many results it has.
    pub results: u64,
    /// Checksum of all results, in hexadecimal digits.
    pub digest: String,
    /// Generating a block of its events in one thread, before everything else.
    pub generator: Alone,
    /// Computing its results from them in one thread, without this project.
    pub plain: Alone,
    /// The job, by backend.
    pub backends: Vec<OfBackend>,
}

/// What one thread did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Alone {
    /// How long it took.
    pub seconds: f64,
    /// Events over that.
    pub events_per_s: f64,
}

/// A query on a backend.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OfBackend {
    /// The backend.
    pub backend: String,
    /// The runs without checkpoints.
    pub without: Measured,
    /// The runs with checkpoints.
    pub with: Option<Measured>,
    /// Events per second with checkpoints over those without, of the runs of a round.
    pub ratio: Option<Middle>,
}

/// The runs of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Events per second.
    pub events_per_s: Middle,
    /// Events per second of processor time of the whole process.
    pub events_per_s_and_core: Option<Middle>,
    /// Most memory of the process during a run, in bytes.
    pub peak_resident_bytes: Option<u64>,
    /// The checkpoints of all runs; `None` if there was none.
    pub checkpoints: Option<Checkpoints>,
    /// Each run, in order.
    pub rounds: Vec<Round>,
}

/// Several values of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Middle {
    /// The one in the middle.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub most: f64,
}

impl Middle {
    /// `None` if there are no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let median = *values.get(values.len().div_ceil(2).checked_sub(1)?)?;
        Some(Self { median, least: *values.first()?, most: *values.last()? })
    }
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Round {
    /// From the first event that a source reads until everything is processed.
    pub seconds: f64,
    /// Time of all processors meanwhile, in steps of 10 ms.
    pub cpu_s: Option<f64>,
    /// Memory of the process before, with the events, in bytes.
    pub resident_before_bytes: Option<u64>,
    /// Most memory of the process until everything was processed, in bytes.
    pub peak_resident_bytes: Option<u64>,
    /// Records that sinks took; more than results where later ones replace earlier ones.
    pub records_written: u64,
    /// The checkpoints, without the one that ends every job.
    pub checkpoints: Vec<Checkpoint>,
}

/// A checkpoint that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    /// Its number.
    pub number: u64,
    /// From the trigger to the last acknowledgement.
    pub duration_ms: u64,
    /// Bytes that were written for it, without its metadata.
    pub new_bytes: u64,
}

/// Some checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Checkpoints {
    /// How many there are.
    pub count: u64,
    /// Half of them took no longer.
    pub p50_ms: u64,
    /// The longest.
    pub max_ms: u64,
    /// Half of them have written no more.
    pub p50_new_bytes: u64,
    /// The most that one has written.
    pub max_new_bytes: u64,
}

impl Checkpoints {
    /// `None` if there is none.
    pub(crate) fn of<'c>(all: impl IntoIterator<Item = &'c Checkpoint>) -> Option<Self> {
        let (mut times, mut bytes): (Vec<u64>, Vec<u64>) =
            all.into_iter().map(|it| (it.duration_ms, it.new_bytes)).unzip();
        times.sort_unstable();
        bytes.sort_unstable();
        let middle = times.len().div_ceil(2).checked_sub(1)?;
        Some(Self {
            count: times.len() as u64,
            p50_ms: *times.get(middle)?,
            max_ms: *times.last()?,
            p50_new_bytes: *bytes.get(middle)?,
            max_new_bytes: *bytes.last()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_a_value_between_the_others() {
        assert_eq!(Middle::of([]), None);
        let middle = Middle::of([3.0, 1.0, 2.0, 9.0]).unwrap();
        assert_eq!(middle, Middle { median: 2.0, least: 1.0, most: 9.0 });
        let one = Middle::of([5.0]).unwrap();
        assert_eq!(one, Middle { median: 5.0, least: 5.0, most: 5.0 });
    }

    #[test]
    fn times_and_bytes_of_checkpoints_are_sorted_each_for_itself() {
        assert_eq!(Checkpoints::of([]), None);
        let of = |number, duration_ms, new_bytes| Checkpoint { number, duration_ms, new_bytes };
        let all = [of(1, 30, 5), of(2, 10, 50), of(3, 20, 500)];
        let expected =
            Checkpoints { count: 3, p50_ms: 20, max_ms: 30, p50_new_bytes: 50, max_new_bytes: 500 };
        assert_eq!(Checkpoints::of(&all), Some(expected));
    }
}
