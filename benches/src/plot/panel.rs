//! A panel: figures on one axis.
//!
//! From left to right: the names, the axis, the median, the spread.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::plot::axis::Axis;
use crate::plot::rows::{Block, Meaning, Panel, Row, is_missed};
use crate::plot::style::{
    Area, BLUE, BOLD, Drawn, GREY, GRID, INK, Letters, MUTED, PANEL, RED, SMALL, diamond, dot,
    line, number, round_number, tint, whisker,
};
use crate::plot::{MARGIN, WIDTH};
use crate::results::Figure;

/// Heights: of what stands above the rows, without and with numbers of the axis, of a heading, of a row, of what is below a block, and of the axis.
const HEAD: i32 = 48;
const TALL_HEAD: i32 = 58;
const HEADING: i32 = 22;
const ROW: i32 = 19;
const BELOW: i32 = 8;
const FOOT: i32 = 42;
/// A panel with more rows has the numbers of its axis above them too.
const TALL: usize = 16;
/// Least length of an axis.
const AXIS: i32 = 300;
/// Between two columns.
const GAP: i32 = 14;
/// How far rows are moved in under their heading.
const INDENT: i32 = 10;
const MEDIAN: &str = "median";
const SPREAD: &str = "spread";

/// What stands where, in all panels.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) width: i32,
    /// Ends of the axis.
    left: i32,
    right: i32,
    /// Right ends of the columns with numbers.
    median: i32,
    spread: i32,
}

impl Columns {
    /// Room for all names and numbers, in a picture of at least some width.
    pub(super) fn new(panels: &[Panel<'_>], least_width: i32) -> Self {
        let rows = || panels.iter().flat_map(Panel::rows);
        let names = rows().map(|row| BOLD.width(row.label)).max().unwrap_or_default();
        let headings = panels.iter().flat_map(|panel| &panel.blocks);
        let headings = headings.filter_map(|block| block.heading.as_deref());
        let headings = headings.map(|it| BOLD.width(it)).max().unwrap_or_default();
        let left = MARGIN + (names + INDENT).max(headings) + GAP;
        let medians = rows().map(|row| BOLD.width(&number(row.figure.value)));
        let medians = medians.chain([SMALL.width(MEDIAN)]).max().unwrap_or_default();
        let spreads = rows().map(|row| SMALL.width(&spread_of(row.figure)));
        let spreads = spreads.chain([SMALL.width(SPREAD)]).max().unwrap_or_default();
        let numbers = GAP + medians + GAP + spreads + MARGIN;
        let width = WIDTH.max(least_width).max(left + AXIS + numbers);
        let spread = width - MARGIN;
        let median = spread - spreads - GAP;
        Self { width, left, right: width - numbers, median, spread }
    }
}

pub(super) fn height(panel: &Panel<'_>) -> i32 {
    head(panel) + panel.blocks.iter().map(height_of).sum::<i32>() + FOOT
}

fn head(panel: &Panel<'_>) -> i32 {
    if is_tall(panel) { TALL_HEAD } else { HEAD }
}

fn is_tall(panel: &Panel<'_>) -> bool {
    panel.rows().count() > TALL
}

fn height_of(block: &Block<'_>) -> i32 {
    let heading = if block.heading.is_some() { HEADING } else { 0 };
    heading + ROW * i32::try_from(block.rows.len()).unwrap_or_default() + BELOW
}

pub(super) fn draw(area: &Area<'_>, panel: &Panel<'_>, columns: &Columns, top: i32) -> Drawn {
    let bottom = top + height(panel) - FOOT;
    let axis = Axis::new(&values(panel), (columns.left, columns.right));
    PANEL.write(area, &panel.title, (MARGIN, top + 12), (HPos::Left, INK))?;
    grid(area, panel, &axis, (top + head(panel) - 6, bottom))?;
    let names = top + 34;
    SMALL.write(area, MEDIAN, (columns.median, names), (HPos::Right, MUTED))?;
    if panel.rows().any(|row| row.figure.spread.is_some()) {
        SMALL.write(area, SPREAD, (columns.spread, names), (HPos::Right, MUTED))?;
    }
    if panel.meaning.is_judged {
        sides(area, panel.meaning, columns, (axis.place(1.0), names))?;
    }
    let mut y = top + head(panel);
    for block in &panel.blocks {
        if let Some(heading) = &block.heading {
            BOLD.write(area, heading, (MARGIN, y + HEADING / 2), (HPos::Left, INK))?;
            y += HEADING;
        }
        let indent = if block.heading.is_some() { INDENT } else { 0 };
        for row in &block.rows {
            let middle = y + ROW / 2;
            let letters = if row.is_whole() { BOLD } else { SMALL };
            letters.write(area, row.label, (MARGIN + indent, middle), (HPos::Left, INK))?;
            marks(area, row, panel.meaning, &axis, middle)?;
            numbers(area, row, panel.meaning, columns, middle)?;
            y += ROW;
        }
        y += BELOW;
    }
    Ok(())
}

/// Everything that has to lie on the axis.
fn values(panel: &Panel<'_>) -> Vec<f64> {
    let equal = panel.meaning.is_relative.then_some(1.0);
    let of_rows = panel.rows().flat_map(|row| {
        let Figure { value, bar, spread, .. } = row.figure;
        let spread = spread.map(|it| [it.min, it.max]).into_iter().flatten();
        [*value].into_iter().chain(*bar).chain(spread)
    });
    of_rows.chain(equal).collect()
}

/// Lines at round numbers, and one where both sides are equal.
fn grid(area: &Area<'_>, panel: &Panel<'_>, axis: &Axis, (top, bottom): (i32, i32)) -> Drawn {
    for tick in axis.ticks() {
        let x = axis.place(tick);
        line(area, [(x, top), (x, bottom)], GRID, 1)?;
        for y in [Some(bottom + 10), is_tall(panel).then_some(top - 6)].into_iter().flatten() {
            SMALL.write(area, &round_number(tick), (x, y), (HPos::Center, MUTED))?;
        }
    }
    if panel.meaning.is_relative {
        let x = axis.place(1.0);
        line(area, [(x, top), (x, bottom)], INK, 2)?;
    }
    Ok(())
}

/// Which side of 1 is the better one, if there is room to say so.
fn sides(area: &Area<'_>, meaning: Meaning, columns: &Columns, (x, y): (i32, i32)) -> Drawn {
    let (below, above) =
        if meaning.is_more_better { ("worse", "better") } else { ("better", "worse") };
    if x - columns.left > SMALL.width(below) {
        SMALL.write(area, below, (x - 10, y), (HPos::Right, MUTED))?;
    }
    if columns.right - x > SMALL.width(above) + GAP {
        SMALL.write(area, above, (x + 10, y), (HPos::Left, MUTED))?;
    }
    Ok(())
}

fn marks(area: &Area<'_>, row: &Row<'_>, meaning: Meaning, axis: &Axis, y: i32) -> Drawn {
    let color = color_of(row.figure, meaning);
    let x = axis.place(row.figure.value);
    if meaning.is_judged {
        let corners = [(axis.place(1.0), y - 6), (x, y + 6)];
        area.draw(&Rectangle::new(corners, tint(color).filled()))?;
    }
    if let Some(spread) = row.figure.spread {
        whisker(area, (axis.place(spread.min), axis.place(spread.max), y), color)?;
    }
    dot(area, (x, y), color)?;
    row.figure.bar.map_or(Ok(()), |bar| diamond(area, (axis.place(bar), y)))
}

fn numbers(area: &Area<'_>, row: &Row<'_>, meaning: Meaning, columns: &Columns, y: i32) -> Drawn {
    let letters: Letters = if is_missed(row.figure, meaning) { BOLD } else { SMALL };
    letters.write(area, &number(row.figure.value), (columns.median, y), (HPos::Right, INK))?;
    let spread = spread_of(row.figure);
    if spread.is_empty() {
        return Ok(());
    }
    SMALL.write(area, &spread, (columns.spread, y), (HPos::Right, MUTED))
}

fn spread_of(figure: &Figure) -> String {
    figure.spread.map_or_else(String::new, |it| format!("{} to {}", number(it.min), number(it.max)))
}

/// Which side of 1 the rounds lie on.
fn color_of(figure: &Figure, meaning: Meaning) -> RGBColor {
    if !meaning.is_judged {
        return BLUE;
    }
    let (min, max) = figure.spread.map_or((figure.value, figure.value), |it| (it.min, it.max));
    let (above, below) = if meaning.is_more_better { (BLUE, RED) } else { (RED, BLUE) };
    match (min > 1.0, max < 1.0) {
        (true, _) => above,
        (_, true) => below,
        (false, false) => GREY,
    }
}
