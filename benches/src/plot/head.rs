//! What stands above all panels: the title, where the figures are from, what the marks mean.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::plot::MARGIN;
use crate::plot::rows::{Panel, is_missed};
use crate::plot::style::{
    Area, BLUE, BOLD, Drawn, GREY, INK, Letters, MUTED, Place, RED, SMALL, TITLE, diamond, dot,
    tint, whisker,
};
use crate::results::Results;

/// Height of the title, of other lines, and of what is left free below.
const FIRST: i32 = 50;
const LINE: i32 = 19;
const BELOW: i32 = 14;
/// Between these lines and the legend.
const ABOVE_LEGEND: i32 = 6;
/// From a mark of the legend to its text, and from there to the next mark.
const MARK: i32 = 34;
const APART: i32 = 22;

/// The head of a picture.
#[derive(Debug)]
pub(super) struct Head {
    title: String,
    origin: Vec<String>,
    legend: Vec<Vec<Entry>>,
}

/// A mark and what it means.
#[derive(Debug)]
struct Entry {
    mark: Mark,
    text: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Mark {
    Median,
    Spread,
    Bar,
    Missed,
    Color(RGBColor),
}

impl Head {
    pub(super) fn new(title: &str, results: &Results, panels: &[Panel<'_>]) -> Self {
        Self { title: title.to_owned(), origin: origin(results), legend: legend(panels) }
    }

    pub(super) fn height(&self) -> i32 {
        let lines = i32::try_from(self.origin.len() + self.legend.len()).unwrap_or_default();
        FIRST + LINE * lines + ABOVE_LEGEND + BELOW
    }

    /// How wide the picture has to be.
    pub(super) fn width(&self) -> i32 {
        let origin = self.origin.iter().map(|line| SMALL.width(line)).max();
        let legend = self.legend.iter().map(|line| line.iter().map(Entry::width).sum()).max();
        let widest = [Some(TITLE.width(&self.title)), origin, legend].into_iter().flatten().max();
        widest.unwrap_or_default() + 2 * MARGIN
    }

    pub(super) fn draw(&self, area: &Area<'_>) -> Drawn {
        TITLE.write(area, &self.title, (MARGIN, 28), (HPos::Left, INK))?;
        let mut y = FIRST + LINE / 2;
        for line in &self.origin {
            SMALL.write(area, line, (MARGIN, y), (HPos::Left, MUTED))?;
            y += LINE;
        }
        y += ABOVE_LEGEND;
        for line in &self.legend {
            let mut x = MARGIN;
            for entry in line {
                entry.draw(area, (x, y))?;
                x += entry.width();
            }
            y += LINE;
        }
        Ok(())
    }
}

impl Entry {
    fn width(&self) -> i32 {
        MARK + self.letters().width(self.text) + APART
    }

    fn letters(&self) -> Letters {
        if matches!(self.mark, Mark::Missed) { BOLD } else { SMALL }
    }

    fn draw(&self, area: &Area<'_>, (x, y): Place) -> Drawn {
        let (middle, ends) = ((x + 13, y), (x, x + 26, y));
        match self.mark {
            Mark::Median => dot(area, middle, GREY),
            Mark::Spread => whisker(area, ends, GREY),
            Mark::Bar => diamond(area, middle),
            Mark::Missed => BOLD.write(area, "1.23", middle, (HPos::Center, INK)),
            Mark::Color(color) => {
                let corners = [(x, y - 6), (x + 26, y + 6)];
                area.draw(&Rectangle::new(corners, tint(color).filled()))?;
                dot(area, middle, color)
            }
        }?;
        self.letters().write(area, self.text, (x + MARK, y), (HPos::Left, MUTED))
    }
}

/// Commit and machine, as far as the notes tell them.
fn origin(results: &Results) -> Vec<String> {
    let commit = results.note("commit").map(|commit| format!("commit {commit}"));
    let build =
        [commit, results.note("toolchain").map(str::to_owned), results.note("java").map(short)];
    let load = results.note("load").and_then(|load| load.split(' ').next());
    let load = load.map(|load| format!("load before {load}"));
    let machine = [results.note("machine").map(with_gib), load];
    let lines = [build.to_vec(), machine.to_vec()].map(|parts| {
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        parts.join("; ")
    });
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

/// The first thing that a long note says.
fn short(note: &str) -> String {
    note.split(';').next().unwrap_or(note).replace("version ", "").replace('"', "")
}

/// The memory of a machine as people say it.
fn with_gib(machine: &str) -> String {
    let memory = machine.rsplit_once(", ").and_then(|(machine, memory)| {
        let kib: f64 = memory.strip_suffix(" kB")?.parse().ok()?;
        Some(format!("{machine}, {:.1} GiB", kib / (1024.0 * 1024.0)))
    });
    memory.unwrap_or_else(|| machine.to_owned())
}

/// Only what is there to be seen.
fn legend(panels: &[Panel<'_>]) -> Vec<Vec<Entry>> {
    let entry = |mark, text| Entry { mark, text };
    let rows = || panels.iter().flat_map(Panel::rows);
    let mut marks = vec![entry(Mark::Median, "median")];
    if rows().any(|row| row.figure.spread.is_some()) {
        marks.push(entry(Mark::Spread, "least to greatest of the rounds"));
    }
    if rows().any(|row| row.figure.bar.is_some()) {
        marks.push(entry(Mark::Bar, "bar: good enough"));
    }
    let misses = |panel: &Panel<'_>| panel.rows().any(|row| is_missed(row.figure, panel.meaning));
    if panels.iter().any(misses) {
        marks.push(entry(Mark::Missed, "misses its bar"));
    }
    let mut lines = vec![marks];
    if panels.iter().any(|panel| panel.meaning.is_judged) {
        lines.push(vec![
            entry(Mark::Color(BLUE), "better than equal (1) in every round"),
            entry(Mark::Color(RED), "worse in every round"),
            entry(Mark::Color(GREY), "some rounds better, some worse"),
        ]);
    }
    lines
}
