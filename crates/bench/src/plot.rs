//! The report as a picture: what happened when, how long it took, how many bytes it was, and how much of
//! the machine's limits was reached.
//!
//! Shape: an SVG of 1280 x 1040 with four panels. Text is left to the fonts of whoever looks at it; its
//! width is only guessed here, so everything that stands beside text has room to spare.
//!
//! Invariants: what was not measured has no mark; every panel says its units.

mod bytes;
mod durations;
mod shares;
mod style;
mod throughput;

use plotters::prelude::*;

use crate::error::BenchError;
use crate::plot::style::{Area, FONT, INK, MUTED, PAPER, text};
use crate::report::Report;
use crate::table::{headline, load_line, machine_line, storage_line};

/// Width and height in pixels.
const SIZE: (u32, u32) = (1280, 1040);
/// Where the panels begin.
const HEAD: i32 = 104;
/// Height of the panels over time.
const PANEL: i32 = 284;
/// From the left edge to texts.
const MARGIN: i32 = 24;

/// Draws the report.
///
/// Errors: [`BenchError::Plot`].
pub fn svg(report: &Report) -> Result<String, BenchError> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(report, &root).map_err(failed)?;
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

fn draw(report: &Report, root: &Area<'_>) -> style::Drawn {
    root.fill(&PAPER)?;
    let (head, panels) = root.split_vertically(HEAD);
    headings(report, &head)?;
    let (over_time, below) = panels.split_vertically(2 * PANEL);
    let (rates, times) = over_time.split_vertically(PANEL);
    throughput::draw(report, &rates)?;
    durations::draw(report, &times)?;
    let (left, right) = below.split_horizontally(640);
    bytes::draw(report, &left)?;
    shares::draw(report, &right)
}

fn headings(report: &Report, area: &Area<'_>) -> style::Drawn {
    let title = (FONT, text(22.0), FontStyle::Bold).into_font().color(&INK);
    area.draw(&Text::new(headline(report), (MARGIN, 16), title))?;
    let small = (FONT, text(12.5)).into_font().color(&MUTED);
    let lines = [load_line(report), storage_line(report), machine_line(&report.machine)];
    for (line, y) in lines.into_iter().zip([46, 63, 80]) {
        area.draw(&Text::new(line, (MARGIN, y), small.clone()))?;
    }
    Ok(())
}

fn failed(error: DrawingAreaErrorKind<std::io::Error>) -> BenchError {
    BenchError::Plot { source: Box::new(error) }
}

#[cfg(test)]
mod tests;
