//! Bytes of each checkpoint: what it wrote, and what it refers to.

use plotters::prelude::*;

use super::style::{Area, BLUE, Drawn, Entry, FONT, GRID, INK, MUTED, Mark, SKY, heading, text};
use crate::report::{Checkpoint, Report};
use crate::units::bytes;

/// Half of the width of a bar, of 1.
const HALF: f64 = 0.36;

pub(super) fn draw(report: &Report, area: &Area<'_>) -> Drawn {
    heading(
        area,
        "Bytes of each checkpoint",
        &[
            Entry::new(Mark::Box, BLUE, "written for it"),
            Entry::new(Mark::Box, SKY, "in files of earlier ones"),
        ],
    )?;
    let all: Vec<&Checkpoint> =
        [&report.first].into_iter().chain(&report.checkpoints).chain([&report.last]).collect();
    let highest = all.iter().map(|it| it.new_bytes + it.shared_bytes).max().unwrap_or(1);
    let highest = highest.max(1) as f64 * 1.08;
    let last = report.last.number as f64;
    let mut chart = ChartBuilder::on(area)
        .margin_top(38)
        .margin_left(8)
        .margin_right(24)
        .margin_bottom(8)
        .x_label_area_size(42)
        .y_label_area_size(76)
        .build_cartesian_2d(0.4..last + 0.6, 0.0..highest)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(MUTED)
        .label_style((FONT, text(12.0)).into_font().color(&INK))
        .axis_desc_style((FONT, text(12.0)).into_font().color(&MUTED))
        .x_labels(all.len().min(14))
        .y_labels(6)
        .set_all_tick_mark_size(4)
        .x_desc("number of the checkpoint; the first and the last have no load beside them")
        .x_label_formatter(&|number| format!("{number:.0}"))
        .y_label_formatter(&|value| bytes_of(*value))
        .draw()?;
    let bar = |checkpoint: &Checkpoint, from: u64, to: u64, color: RGBColor| {
        let at = checkpoint.number as f64;
        let corners = [(at - HALF, from as f64), (at + HALF, to as f64)];
        Rectangle::new(corners, color.filled())
    };
    let shared = all.iter().filter(|it| it.shared_bytes > 0);
    let shared = shared.map(|it| bar(it, it.new_bytes, it.new_bytes + it.shared_bytes, SKY));
    chart.draw_series(shared)?;
    chart.draw_series(all.iter().map(|it| bar(it, 0, it.new_bytes, BLUE)))?;
    Ok(())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a label of an axis")]
fn bytes_of(value: f64) -> String {
    bytes(value.max(0.0).round() as u64)
}
