//! Updates per second over time.

use plotters::prelude::*;

use super::style::{Area, BLUE, Drawn, Entry, FONT, GRID, INK, MUTED, Mark, ORANGE, heading, text};
use crate::report::Report;
use crate::units::rate;

/// Narrowest band, as a share of the width.
const NARROWEST: f64 = 1.0 / 500.0;

/// The time over which the picture goes, in seconds.
pub(super) fn end_of(report: &Report) -> f64 {
    let last = report.timeline.last().map_or(0.0, |slice| slice.end_s);
    last.max(report.settings.load_s)
}

/// When each checkpoint was begun and written.
pub(super) fn bands(report: &Report) -> impl Iterator<Item = (f64, f64)> {
    let narrowest = end_of(report) * NARROWEST;
    report.checkpoints.iter().filter_map(move |checkpoint| {
        let begin = checkpoint.begin_s?;
        let took = (checkpoint.freeze_us + checkpoint.asynchronous_us) / 1e6;
        Some((begin, begin + took.max(narrowest)))
    })
}

pub(super) fn draw(report: &Report, area: &Area<'_>) -> Drawn {
    let warm_up = GRID.mix(0.6);
    let writing = ORANGE.mix(0.28);
    let mean = report.updates.before.updates_per_s;
    let mut legend = vec![
        Entry::new(Mark::Box, warm_up, "warm-up"),
        Entry::new(Mark::Box, writing, "a checkpoint is being written"),
        Entry::new(Mark::Line, BLUE, "updates per second"),
    ];
    if let Some(mean) = mean {
        let name = format!("mean before checkpoints, {}", rate(mean));
        legend.push(Entry::new(Mark::Dashes, MUTED, name));
    }
    heading(area, "Throughput", &legend)?;

    let points: Vec<(f64, f64)> = report
        .timeline
        .iter()
        .filter(|slice| slice.busy_s > 0.0)
        .map(|slice| (slice.begin_s.midpoint(slice.end_s), slice.updates as f64 / slice.busy_s))
        .collect();
    let highest = points.iter().map(|(_, rate)| *rate).fold(mean.unwrap_or(1.0), f64::max) * 1.08;
    let end = end_of(report);
    let mut chart = ChartBuilder::on(area)
        .margin_top(38)
        .margin_left(8)
        .margin_right(24)
        .x_label_area_size(42)
        .y_label_area_size(76)
        .build_cartesian_2d(0.0..end, 0.0..highest)?;
    let band =
        |(from, to), color: RGBAColor| Rectangle::new([(from, 0.0), (to, highest)], color.filled());
    chart.draw_series([band((0.0, report.settings.warm_up_s), warm_up)])?;
    chart.draw_series(bands(report).map(|(from, to)| band((from, to.min(end)), writing)))?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(MUTED)
        .label_style((FONT, text(12.0)).into_font().color(&INK))
        .axis_desc_style((FONT, text(12.0)).into_font().color(&MUTED))
        .x_labels(12)
        .y_labels(6)
        .set_all_tick_mark_size(4)
        .x_desc("seconds since the load began")
        .y_label_formatter(&|per_s| rate(*per_s))
        .draw()?;
    if let Some(mean) = mean {
        let line = [(0.0, mean), (end, mean)];
        chart.draw_series(DashedLineSeries::new(line, 6, 5, MUTED.stroke_width(1)))?;
    }
    chart.draw_series(LineSeries::new(points, BLUE.stroke_width(2)))?;
    Ok(())
}
