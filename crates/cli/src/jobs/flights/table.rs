//! The table of the job, and the same table computed straight from the departures.

use std::collections::BTreeMap;

use super::{Departures, Flight};

/// First line of the table.
pub const TABLE_HEADER: &str =
    "tailnum,flights,last_dest,last_delays,dest_counts,total_distance,mean_delay,max_delay";

/// How many of the last known delays are kept.
pub(super) const LAST_DELAYS: usize = 10;

/// What is known of one aircraft.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) flights: u64,
    pub(super) last_dest: String,
    /// Oldest first.
    pub(super) last_delays: Vec<i32>,
    pub(super) dest_counts: BTreeMap<String, u64>,
    pub(super) total_distance: u64,
    /// Sum, number and maximum.
    pub(super) delays: Option<(i64, u64, i32)>,
}

/// A line of the table.
pub(super) fn row_of(tailnum: &str, row: Row) -> String {
    let Row { flights, last_dest, last_delays, dest_counts, total_distance, delays } = row;
    let last_delays = join(last_delays.iter().map(ToString::to_string));
    let dest_counts = join(dest_counts.iter().map(|(dest, count)| format!("{dest}:{count}")));
    let (mean, max) = match delays {
        Some((sum, count, max)) if count > 0 => {
            (format!("{:.3}", mean(sum, count)), max.to_string())
        }
        _ => (String::new(), String::new()),
    };
    format!(
        "{tailnum},{flights},{last_dest},{last_delays},{dest_counts},{total_distance},{mean},{max}"
    )
}

#[expect(clippy::cast_precision_loss, reason = "minutes of delay are far below 2^52")]
fn mean(sum: i64, count: u64) -> f64 {
    sum as f64 / count as f64
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(";")
}

/// The whole table, computed straight from the departures: no state backend, no checkpoint.
pub fn table_of(departures: &Departures) -> String {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for flight in &departures.flights {
        let Flight { tailnum, dest, distance, dep_delay } = flight;
        let row = rows.entry(tailnum).or_default();
        row.flights += 1;
        row.last_dest.clone_from(dest);
        *row.dest_counts.entry(dest.clone()).or_default() += 1;
        row.total_distance += distance;
        if let Some(delay) = *dep_delay {
            row.last_delays.push(delay);
            let (sum, count, max) = row.delays.get_or_insert((0, 0, delay));
            *sum += i64::from(delay);
            *count += 1;
            *max = (*max).max(delay);
        }
    }
    let mut table = format!("{TABLE_HEADER}\n");
    for (tailnum, mut row) in rows {
        let old = row.last_delays.len().saturating_sub(LAST_DELAYS);
        row.last_delays.drain(..old);
        table.push_str(&row_of(tailnum, row));
        table.push('\n');
    }
    table
}
