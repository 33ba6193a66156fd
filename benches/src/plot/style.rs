//! Colours, fonts, marks, and how numbers are written.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// What is drawn on.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// How drawing ends.
pub(super) type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;
/// Pixels from the left and from above.
pub(super) type Place = (i32, i32);

const FONT: &str = "Helvetica, Arial, sans-serif";
pub(super) const PAPER: RGBColor = RGBColor(255, 255, 255);
pub(super) const INK: RGBColor = RGBColor(31, 41, 55);
pub(super) const MUTED: RGBColor = RGBColor(90, 98, 112);
pub(super) const GRID: RGBColor = RGBColor(229, 231, 235);
/// Better, worse, and neither. People who see few colours tell them apart (Okabe and Ito), by how
/// light they are too.
pub(super) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(super) const RED: RGBColor = RGBColor(213, 94, 0);
pub(super) const GREY: RGBColor = RGBColor(128, 134, 145);

/// Width of a character over its size, guessed from above.
const CHARACTER: f64 = 0.6;

/// Size and weight of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Letters {
    pixels: f64,
    is_bold: bool,
}

pub(super) const TITLE: Letters = Letters { pixels: 20.0, is_bold: true };
pub(super) const PANEL: Letters = Letters { pixels: 14.0, is_bold: true };
pub(super) const SMALL: Letters = Letters { pixels: 12.0, is_bold: false };
pub(super) const BOLD: Letters = Letters { pixels: 12.0, is_bold: true };

impl Letters {
    /// How wide a text may be.
    pub(super) fn width(self, text: &str) -> i32 {
        let wider = if self.is_bold { 1.08 } else { 1.0 };
        pixel(text.chars().count() as f64 * self.pixels * CHARACTER * wider)
    }

    /// Writes a text that begins at a place, ends there, or has its middle there.
    pub(super) fn write(
        self,
        area: &Area<'_>,
        text: &str,
        place: Place,
        (from, color): (HPos, RGBColor),
    ) -> Drawn {
        let weight = if self.is_bold { FontStyle::Bold } else { FontStyle::Normal };
        // The library divides by this.
        let style = (FONT, self.pixels * 1.24, weight).into_font().color(&color);
        let style = style.pos(Pos::new(from, VPos::Center));
        area.draw(&Text::new(text.to_owned(), place, style))
    }
}

/// A number of pixels.
#[expect(clippy::cast_possible_truncation, reason = "a place in a picture")]
pub(super) fn pixel(value: f64) -> i32 {
    value.round() as i32
}

/// A colour on paper, so thin that what lies upon it is seen.
pub(super) fn tint(color: RGBColor) -> RGBColor {
    let mixed = |part: u8| u8::try_from((u16::from(part) + 3 * 255) / 4).unwrap_or(u8::MAX);
    RGBColor(mixed(color.0), mixed(color.1), mixed(color.2))
}

pub(super) fn line(area: &Area<'_>, ends: [Place; 2], color: RGBColor, width: u32) -> Drawn {
    area.draw(&PathElement::new(ends, color.stroke_width(width)))
}

/// The median.
pub(super) fn dot(area: &Area<'_>, place: Place, color: RGBColor) -> Drawn {
    area.draw(&Circle::new(place, 5, PAPER.filled()))?;
    area.draw(&Circle::new(place, 4, color.filled()))
}

/// From the least to the greatest value.
pub(super) fn whisker(
    area: &Area<'_>,
    (left, right, y): (i32, i32, i32),
    color: RGBColor,
) -> Drawn {
    line(area, [(left, y), (right, y)], color, 2)?;
    for x in [left, right] {
        line(area, [(x, y - 4), (x, y + 4)], color, 2)?;
    }
    Ok(())
}

/// What is good enough.
pub(super) fn diamond(area: &Area<'_>, (x, y): Place) -> Drawn {
    let corners = [(x, y - 7), (x + 7, y), (x, y + 7), (x - 7, y), (x, y - 7), (x + 7, y)];
    area.draw(&PathElement::new(corners, INK.stroke_width(2)))
}

/// Where numbers are written as millions.
const MILLION: f64 = 1e6;

/// A number with as many digits as say something.
pub(super) fn number(value: f64) -> String {
    if value.abs() >= MILLION {
        return format!("{} M", number(value / MILLION));
    }
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        0.1.. | 0.0 => 2,
        _ => 3,
    };
    with_commas(&format!("{value:.digits$}"))
}

/// A round number, as axes have them.
pub(super) fn round_number(value: f64) -> String {
    if value.abs() >= MILLION {
        return format!("{} M", round_number(value / MILLION));
    }
    let text = format!("{value:.6}");
    with_commas(text.trim_end_matches('0').trim_end_matches('.'))
}

fn with_commas(text: &str) -> String {
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, whole) = whole.split_at(whole.find(|it: char| it.is_ascii_digit()).unwrap_or(0));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}
