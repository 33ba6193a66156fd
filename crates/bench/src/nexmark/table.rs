//! The report as tables for people.

use std::fmt::{self, Write};

use super::report::{Measured, Middle, OfQuery, Report};
use crate::table::machine_line;
use crate::units::{bytes, count, or_absent, rate, time_ms};

/// The report as text, of lines below 120 characters as far as names allow.
pub fn table(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a text does not fail.
    let _ = write_all(report, &mut text);
    text
}

fn write_all(report: &Report, out: &mut String) -> fmt::Result {
    let settings = &report.settings;
    writeln!(out, "alluvium {} bench nexmark", report.version)?;
    writeln!(
        out,
        "{} events for each query, parallelism {}, {} key groups, rounds: {}",
        count(settings.events),
        settings.parallelism,
        settings.key_groups,
        settings.rounds,
    )?;
    if let Some(interval_ms) = settings.interval_ms {
        let interval = time_ms(interval_ms as f64);
        writeln!(out, "exactly-once checkpoints every {interval} to {}", settings.storage)?;
    }
    writeln!(out, "{}", machine_line(&report.machine))?;
    report.queries.iter().try_for_each(|query| of_query(query, out))?;
    writeln!(
        out,
        "\nmedian of the rounds; the greatest of them for memory, which has the events in it"
    )
}

fn of_query(query: &OfQuery, out: &mut String) -> fmt::Result {
    let OfQuery { query: name, title, reads, events, results, digest, generator, plain, .. } =
        query;
    writeln!(out, "\n{name}: {title}; {} {reads}", count(*events))?;
    writeln!(out, "{} results with digest {digest}, the same in every run", count(*results))?;
    writeln!(
        out,
        "one thread alone: generator {}, plain computation {}",
        rate(generator.events_per_s),
        rate(plain.events_per_s),
    )?;
    let heads = ["events", "and core", "peak", "checkpoints", "p50", "max", "p50 new", "max new"];
    row(out, "", &heads.map(str::to_owned))?;
    for of_backend in &query.backends {
        let backend = &of_backend.backend;
        row(out, &format!("{backend}, without"), &cells(&of_backend.without))?;
        if let Some(with) = &of_backend.with {
            row(out, &format!("{backend}, with"), &cells(with))?;
        }
        if let Some(Middle { median, least, most }) = of_backend.ratio {
            writeln!(out, "{backend}, with over without: {median:.2} ({least:.2} to {most:.2})")?;
        }
    }
    Ok(())
}

fn cells(measured: &Measured) -> [String; 8] {
    let checkpoints = measured.checkpoints;
    let time = |time: Option<u64>| or_absent(time, |ms| time_ms(ms as f64));
    [
        rate(measured.events_per_s.median),
        or_absent(measured.events_per_s_and_core, |it| rate(it.median)),
        or_absent(measured.peak_resident_bytes, bytes),
        or_absent(checkpoints, |it| count(it.count)),
        time(checkpoints.map(|it| it.p50_ms)),
        time(checkpoints.map(|it| it.max_ms)),
        or_absent(checkpoints.map(|it| it.p50_new_bytes), bytes),
        or_absent(checkpoints.map(|it| it.max_new_bytes), bytes),
    ]
}

fn row(out: &mut String, name: &str, cells: &[String; 8]) -> fmt::Result {
    let mut line = format!("{name:<20}");
    for cell in cells {
        write!(line, "{cell:>12}")?;
    }
    writeln!(out, "{}", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nexmark::report::{Alone, Checkpoints, OfBackend, Settings};
    use crate::report::Machine;

    fn middle(median: f64) -> Middle {
        Middle { median, least: median * 0.9, most: median * 1.1 }
    }

    fn sample() -> Report {
        let machine = Machine {
            cpu: None,
            cores: Some(2),
            memory_bytes: None,
            system: "linux x86_64".to_owned(),
            load_before: None,
            load_after: Some(2.0),
        };
        let without = Measured {
            events_per_s: middle(2_500_000.0),
            events_per_s_and_core: None,
            peak_resident_bytes: None,
            checkpoints: None,
            rounds: Vec::new(),
        };
        let checkpoints = Checkpoints {
            count: 7,
            p50_ms: 40,
            max_ms: 1_500,
            p50_new_bytes: 8_000_000,
            max_new_bytes: 9_000_000,
        };
        let with = Measured {
            events_per_s: middle(2_000_000.0),
            events_per_s_and_core: Some(middle(1_100_000.0)),
            peak_resident_bytes: Some(812_000_000),
            checkpoints: Some(checkpoints),
            rounds: Vec::new(),
        };
        let alone = Alone { seconds: 1.0, events_per_s: 3_000_000.0 };
        Report {
            version: "0.1.0".to_owned(),
            machine,
            settings: Settings {
                queries: vec!["q5".to_owned()],
                backends: vec!["fs".to_owned()],
                events: 2_000_000,
                parallelism: 2,
                interval_ms: Some(1_000),
                rounds: 3,
                storage: "file:/tmp/x".to_owned(),
                key_groups: 128,
            },
            queries: vec![OfQuery {
                query: "q5".to_owned(),
                title: "hot items".to_owned(),
                reads: "bids".to_owned(),
                events: 2_000_000,
                results: 123,
                digest: "00ff".to_owned(),
                generator: alone,
                plain: alone,
                backends: vec![OfBackend {
                    backend: "fs".to_owned(),
                    without,
                    with: Some(with),
                    ratio: Some(Middle { median: 0.8, least: 0.75, most: 0.85 }),
                }],
            }],
        }
    }

    #[track_caller]
    fn cells_of(text: &str, beginning: &str) -> Vec<String> {
        let line = text.lines().find(|line| line.starts_with(beginning));
        let line = line.unwrap_or_else(|| panic!("no line begins with {beginning:?} in:\n{text}"));
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        cells.map(ToOwned::to_owned).collect()
    }

    #[test]
    fn every_figure_has_its_place_and_what_was_not_measured_is_a_dash() {
        let text = table(&sample());
        for line in [
            "2,000,000 events for each query, parallelism 2, 128 key groups, rounds: 3",
            "exactly-once checkpoints every 1.00 s to file:/tmp/x",
            "q5: hot items; 2,000,000 bids",
            "123 results with digest 00ff, the same in every run",
            "one thread alone: generator 3.00 M/s, plain computation 3.00 M/s",
            "fs, with over without: 0.80 (0.75 to 0.85)",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}:\n{text}");
        }
        let without = cells_of(&text, "fs, without");
        assert_eq!(without[1..], ["2.50 M/s", "-", "-", "-", "-", "-", "-", "-"]);
        let with = cells_of(&text, "fs, with ");
        let expected = ["2.00 M/s", "1.10 M/s", "812 MB", "7", "40.0 ms", "1.50 s"];
        assert_eq!(with[1..7], expected);
        assert_eq!(with[7..], ["8.00 MB", "9.00 MB"]);
    }
}
