//! The report as tables for people.

use std::fmt::{self, Write};

use crate::report::{Checkpoint, Machine, Reached, Report, Restored, Speed, Spread, Window};
use crate::units::{ABSENT, bytes, count, or_absent, percent, rate, speed, time_ms, time_us};

/// The report as text, of lines below 100 characters as far as names allow.
pub fn table(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a text does not fail.
    let _ = write_all(report, &mut text);
    text
}

fn write_all(report: &Report, out: &mut String) -> fmt::Result {
    settings(report, out)?;
    checkpoints(report, out)?;
    updates(report, out)?;
    restores(report, out)?;
    memory(report, out)?;
    limits(report, out)
}

/// What was measured, in a line or two; also the head of the picture.
pub(crate) fn headline(report: &Report) -> String {
    let settings = &report.settings;
    let (keys, value) = (count(settings.keys), bytes(settings.value_bytes as u64));
    format!("backend {}: {keys} keys with values of {value}", settings.backend)
}

/// How the load was, in a line.
pub(crate) fn load_line(report: &Report) -> String {
    let settings = &report.settings;
    let skew = if settings.skew == 0.0 {
        "uniformly".to_owned()
    } else {
        format!("with a skew of {}", settings.skew)
    };
    format!(
        "{} s of updates, drawn {skew}; a checkpoint every {}, between two at most {} of the keys \
         change",
        settings.load_s,
        time_ms(settings.interval_ms),
        percent(settings.change_rate),
    )
}

/// How checkpoints were written, in a line.
pub(crate) fn storage_line(report: &Report) -> String {
    let settings = &report.settings;
    let compression = match settings.compression.as_str() {
        "none" => "without compression".to_owned(),
        name => format!("compressed with {name}"),
    };
    format!("{} checkpoints to {}, {compression}", settings.snapshots, settings.storage)
}

/// Where it ran, in a line.
pub(crate) fn machine_line(machine: &Machine) -> String {
    let load = |load| or_absent(load, |load: f64| format!("{load:.1}"));
    format!(
        "{}, {} cores, {}, {}; load {} before, {} after",
        machine.cpu.as_deref().unwrap_or(ABSENT),
        or_absent(machine.cores, |cores| cores.to_string()),
        or_absent(machine.memory_bytes, bytes),
        machine.system,
        load(machine.load_before),
        load(machine.load_after),
    )
}

fn settings(report: &Report, out: &mut String) -> fmt::Result {
    let settings = &report.settings;
    let fill = &report.fill;
    writeln!(out, "alluvium {} bench checkpoint", report.version)?;
    writeln!(out, "{} in {} key groups", headline(report), settings.key_groups)?;
    writeln!(out, "{}", storage_line(report))?;
    writeln!(out, "{}", load_line(report))?;
    writeln!(out, "seed {}", settings.seed)?;
    writeln!(out, "{}", machine_line(&report.machine))?;
    let (filled, keys_per_s) = (time_us(fill.seconds * 1e6), rate(fill.keys_per_s));
    writeln!(out, "filled in {filled}, {keys_per_s}")
}

/// A row: its name, what was measured under load, and where it stands in a single checkpoint.
type Of<M, F> = (&'static str, M, fn(&Checkpoint) -> F);
/// A limit: its name, its speed, its shares, and for which columns it is one.
type Limit<'t> = (&'t str, Option<Speed>, fn(Reached) -> Option<f64>, [bool; 3]);

fn checkpoints(report: &Report, out: &mut String) -> fmt::Result {
    let count = report.checkpoints.len();
    writeln!(out, "\ncheckpoints under load: {count}")?;
    row(out, "", &["p50", "p99", "max", "first", "last"])?;
    let times: [Of<Option<Spread>, f64>; 3] = [
        ("freeze", report.freeze, |it| it.freeze_us),
        ("asynchronous part", report.asynchronous, |it| it.asynchronous_us),
        ("confirmation", report.confirm, |it| it.confirm_us),
    ];
    for (name, spread, of) in times {
        let [first, last] = [&report.first, &report.last].map(|it| time_us(of(it)));
        let quantile = |of: fn(Spread) -> f64| or_absent(spread, |spread| time_us(of(spread)));
        let (p50, p99) = (quantile(|it| it.p50_us), quantile(|it| it.p99_us));
        row(out, name, &[&p50, &p99, &quantile(|it| it.max_us), &first, &last])?;
    }
    let sizes: [Of<Vec<u64>, u64>; 2] = [
        ("new bytes", report.sorted_new_bytes(), |it| it.new_bytes),
        ("shared bytes", report.sorted_shared_bytes(), |it| it.shared_bytes),
    ];
    for (name, sorted, of) in sizes {
        let [first, last] = [&report.first, &report.last].map(|it| bytes(of(it)));
        let at = |at: usize| or_absent(sorted.get(at).copied(), bytes);
        let p99 = (sorted.len() * 99).div_ceil(100).saturating_sub(1);
        let p50 = sorted.len().div_ceil(2).saturating_sub(1);
        let max = sorted.len().saturating_sub(1);
        row(out, name, &[&at(p50), &at(p99), &at(max), &first, &last])?;
    }
    let changed: u64 = report.checkpoints.iter().map(|it| it.changed_keys).sum();
    let new: u64 = report.checkpoints.iter().map(|it| it.new_bytes).sum();
    let per_key = (changed > 0).then(|| new as f64 / changed as f64);
    let per_key = or_absent(per_key, |per_key| format!("{per_key:.0}"));
    writeln!(out, "{per_key} new bytes for each key that changed (a key has 8)")?;
    writeln!(out, "first: all keys, before the load; last: after it; nothing beside either")
}

fn updates(report: &Report, out: &mut String) -> fmt::Result {
    let updates = &report.updates;
    writeln!(out, "\nupdates (each reads, changes and writes a value)")?;
    row(out, "", &["per second", "p50", "p99", "p99.9", "worst", "updates"])?;
    for (name, window) in [
        ("before checkpoints", &updates.before),
        ("during one", &updates.during),
        ("after one", &updates.after),
    ] {
        let Window { updates_per_s, update, .. } = window;
        let quantile = |of: fn(Spread) -> f64| or_absent(*update, |spread| time_us(of(spread)));
        let cells = [
            or_absent(*updates_per_s, rate),
            quantile(|it| it.p50_us),
            quantile(|it| it.p99_us),
            quantile(|it| it.p999_us),
            quantile(|it| it.max_us),
            count(window.updates),
        ];
        row(out, name, &cells.each_ref().map(String::as_str))?;
    }
    let worst = or_absent(updates.worst_us, time_us);
    let clock = report.limits.clock_read_ns;
    writeln!(out, "worst operation {worst}; each has a reading of the clock in it, {clock:.0} ns")
}

fn restores(report: &Report, out: &mut String) -> fmt::Result {
    writeln!(out, "\nrestore, median (least to most)")?;
    row(out, "", &["first read", "", "all loaded", ""])?;
    for (name, restored) in [
        ("restore", &report.restore),
        ("rescale 1 to 2", &report.rescale_out),
        ("rescale 2 to 1", &report.rescale_in),
    ] {
        let times = |restored: &Restored| {
            [restored.first_read, restored.loaded].map(|times| {
                let range = format!("({} to {})", time_ms(times.least_ms), time_ms(times.most_ms));
                (time_ms(times.median_ms), range)
            })
        };
        let absent = || (ABSENT.to_owned(), String::new());
        let [read, loaded] = restored.as_ref().map_or_else(|| [absent(), absent()], times);
        writeln!(out, "{name:<20}{:>12} {:<22}{:>12} {}", read.0, read.1, loaded.0, loaded.1)?;
    }
    match &report.restore {
        Some(_) => writeln!(
            out,
            "{} keys with {} updates came back each time",
            count(report.checked.keys),
            count(report.checked.updates_counted)
        ),
        None => writeln!(out, "nothing was kept, so nothing can be restored"),
    }
}

fn memory(report: &Report, out: &mut String) -> fmt::Result {
    let memory = report.memory.as_ref();
    let per_entry = or_absent(memory, |memory| format!("{:.0} bytes", memory.bytes_per_entry));
    let range = memory.map_or_else(String::new, |memory| {
        format!(", {} grew to {}", bytes(memory.before_bytes), bytes(memory.after_bytes))
    });
    writeln!(out, "\nmemory per entry: {per_entry} (resident{range})")
}

fn limits(report: &Report, out: &mut String) -> fmt::Result {
    let (limits, shares) = (&report.limits, &report.shares);
    writeln!(
        out,
        "\nlimits of one thread of this machine, and the share of each that was reached"
    )?;
    row(out, "", &["limit", "slowest", "first", "under load", "restore"])?;
    let all = [Some(shares.first_checkpoint), shares.checkpoints, shares.restore];
    let speeds = all.map(|reached| or_absent(reached, |reached| speed(reached.bytes_per_s)));
    let [first, under_load, restore] = &speeds;
    row(out, "reached", &["", "", first, under_load, restore])?;
    let zstd = format!("zstd, level {}", limits.zstd_level);
    let written = |speed: Option<Speed>| {
        or_absent(speed, |speed| format!("{} + fsync", bytes(speed.measured_bytes)))
    };
    let rows: [Limit<'_>; 5] = [
        ("memory copy", limits.memory_copy, |it| it.of_memory_copy, [true; 3]),
        ("crc32", limits.crc32, |it| it.of_crc32, [true; 3]),
        (&zstd, limits.zstd, |it| it.of_zstd, [true; 3]),
        (
            &written(limits.write_sync_first),
            limits.write_sync_first,
            |it| it.of_write_sync,
            [true, false, false],
        ),
        (
            &written(limits.write_sync_median),
            limits.write_sync_median,
            |it| it.of_write_sync,
            [false, true, false],
        ),
    ];
    for (name, limit, of, applies) in rows {
        let shares = all.iter().zip(applies);
        let shares = shares.map(|(reached, applies)| reached.filter(|_| applies).and_then(of));
        let mut cells = vec![
            or_absent(limit, |limit| speed(limit.bytes_per_s)),
            or_absent(limit, |limit| speed(limit.slowest_bytes_per_s)),
        ];
        cells.extend(shares.map(|share| or_absent(share, percent)));
        row(out, name, &cells.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    let place = if limits.written_to_target {
        "to the storage of the checkpoints"
    } else {
        "to the folder for temporary files, which is no limit for that storage"
    };
    writeln!(out, "+ fsync: one file of that size, written {place}")
}

fn row(out: &mut String, name: &str, cells: &[&str]) -> fmt::Result {
    let mut line = format!("{name:<20}");
    for cell in cells {
        write!(line, "{cell:>12}")?;
    }
    writeln!(out, "{}", line.trim_end())
}

#[cfg(test)]
mod tests;
