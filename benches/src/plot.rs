//! Results as a picture: a row for each figure, with its median, its spread and its bar.
//!
//! Ladder: a picture has panels, one for each unit and for each large family of figures, with an axis of
//! its own; a panel has blocks, the figures whose names begin alike; a block has rows.
//!
//! Shape: an SVG 900 pixels wide, wider only where names need it, and as tall as its rows. Text is left to
//! the fonts of whoever looks at it; its width is only guessed here, so what stands beside text has room to
//! spare. The paper is painted, so a dark page does not shine through.
//!
//! Invariants: every figure has exactly one row; no two texts touch; nothing is told by colour alone.

mod axis;
mod head;
mod panel;
mod rows;
mod style;

use plotters::prelude::*;

use crate::plot::panel::Columns;
use crate::plot::style::{Drawn, PAPER};
use crate::results::Results;

/// Least width in pixels.
const WIDTH: i32 = 900;
/// From the edges to whatever is drawn.
const MARGIN: i32 = 20;

/// A picture that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// There is nothing to draw.
    #[error("there is no figure to draw")]
    Empty,
    /// The library for pictures refused.
    #[error("cannot draw the picture: {source}")]
    Draw {
        /// What it says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Draws results.
///
/// Errors: [`PlotError`].
pub fn svg(title: &str, results: &Results) -> Result<String, PlotError> {
    let panels = rows::panels(results.figures());
    if panels.is_empty() {
        return Err(PlotError::Empty);
    }
    let head = head::Head::new(title, results, &panels);
    let columns = Columns::new(&panels, head.width());
    let height = head.height() + panels.iter().map(panel::height).sum::<i32>() + MARGIN / 2;
    let size = [columns.width, height].map(|it| u32::try_from(it).unwrap_or_default());
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size.into()).into_drawing_area();
        let draw = || -> Drawn {
            root.fill(&PAPER)?;
            head.draw(&root)?;
            let mut top = head.height();
            for panel in &panels {
                panel::draw(&root, panel, &columns, top)?;
                top += panel::height(panel);
            }
            root.present()
        };
        draw().map_err(|error| PlotError::Draw { source: Box::new(error) })?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests;
