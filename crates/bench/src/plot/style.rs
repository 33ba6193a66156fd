//! Colours, fonts, and what all panels have: a title, a legend, quiet axes.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::plot::MARGIN;

/// A part of the picture.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// How drawing ends.
pub(super) type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

pub(super) const FONT: &str = "Helvetica, Arial, sans-serif";
pub(super) const PAPER: RGBColor = RGBColor(255, 255, 255);
pub(super) const INK: RGBColor = RGBColor(31, 41, 55);
pub(super) const MUTED: RGBColor = RGBColor(107, 114, 128);
pub(super) const GRID: RGBColor = RGBColor(229, 231, 235);
/// Updates. These four are told apart by people who see few colours (Okabe and Ito).
pub(super) const BLUE: RGBColor = RGBColor(0, 114, 178);
/// Asynchronous parts.
pub(super) const ORANGE: RGBColor = RGBColor(230, 159, 0);
/// Freezes.
pub(super) const RED: RGBColor = RGBColor(213, 94, 0);
/// What is there already.
pub(super) const SKY: RGBColor = RGBColor(165, 205, 232);

/// Width of a character of small text over its size, guessed from above.
const CHARACTER: f64 = 0.56;

/// The size that the library is given for text of so many pixels.
pub(super) fn text(pixels: f64) -> f64 {
    pixels * 1.24
}

/// A number of pixels.
#[expect(clippy::cast_possible_truncation, reason = "a place in a picture")]
pub(super) fn pixel(value: f64) -> i32 {
    value.round() as i32
}

/// Style of small text, which stands to the right of its place, or to the left.
pub(super) fn small(color: RGBColor, from: HPos) -> TextStyle<'static> {
    (FONT, text(12.0)).into_font().color(&color).pos(Pos::new(from, VPos::Center))
}

/// What a mark of the legend looks like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mark {
    Line,
    Dashes,
    Dot,
    Diamond,
    Box,
}

/// A line of the legend.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) mark: Mark,
    pub(super) color: RGBAColor,
    pub(super) name: String,
}

impl Entry {
    pub(super) fn new(mark: Mark, color: impl Into<RGBAColor>, name: impl Into<String>) -> Self {
        Self { mark, color: color.into(), name: name.into() }
    }

    fn width(&self) -> i32 {
        44 + pixel(self.name.chars().count() as f64 * 12.0 * CHARACTER)
    }
}

/// Draws the title of a panel, and the legend at its right end.
pub(super) fn heading(area: &Area<'_>, title: &str, legend: &[Entry]) -> Drawn {
    let bold = (FONT, text(15.0), FontStyle::Bold).into_font().color(&INK);
    let bold = bold.pos(Pos::new(HPos::Left, VPos::Center));
    area.draw(&Text::new(title.to_owned(), (MARGIN, 20), bold))?;
    let (width, _) = area.dim_in_pixel();
    let all: i32 = legend.iter().map(Entry::width).sum();
    let mut x = i32::try_from(width).unwrap_or(i32::MAX) - MARGIN + 14 - all;
    for entry in legend {
        mark(area, entry, (x, 20))?;
        area.draw(&Text::new(entry.name.clone(), (x + 26, 20), small(MUTED, HPos::Left)))?;
        x += entry.width();
    }
    Ok(())
}

fn mark(area: &Area<'_>, entry: &Entry, (x, y): (i32, i32)) -> Drawn {
    let (color, middle) = (entry.color, (x + 11, y));
    match entry.mark {
        Mark::Line => area.draw(&PathElement::new([(x, y), (x + 22, y)], color.stroke_width(2))),
        Mark::Dashes => [0, 8, 16].into_iter().try_for_each(|from| {
            let dash = [(x + from, y), (x + from + 5, y)];
            area.draw(&PathElement::new(dash, color.stroke_width(2)))
        }),
        Mark::Dot => area.draw(&Circle::new(middle, 3, color.filled())),
        Mark::Diamond => area.draw(&Polygon::new(diamond(middle), color.filled())),
        Mark::Box => area.draw(&Rectangle::new([(x + 4, y - 6), (x + 18, y + 6)], color.filled())),
    }
}

/// The corners of a diamond around a place.
pub(super) fn diamond((x, y): (i32, i32)) -> [(i32, i32); 4] {
    [(x, y - 5), (x + 5, y), (x, y + 5), (x - 5, y)]
}
