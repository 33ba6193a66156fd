//! How long freezes, asynchronous parts and the slowest updates took, over time.

use plotters::prelude::*;

use super::style::{
    Area, BLUE, Drawn, Entry, FONT, GRID, INK, MUTED, Mark, ORANGE, RED, diamond, heading, text,
};
use super::throughput::end_of;
use crate::report::{Checkpoint, Report};
use crate::units::time_us;

pub(super) fn draw(report: &Report, area: &Area<'_>) -> Drawn {
    heading(
        area,
        "How long it took",
        &[
            Entry::new(Mark::Dot, BLUE, "slowest update of each slice of time"),
            Entry::new(Mark::Diamond, RED, "freeze (updates stand still)"),
            Entry::new(Mark::Box, ORANGE, "asynchronous part of a checkpoint"),
        ],
    )?;
    let slowest: Vec<(f64, f64)> = report
        .timeline
        .iter()
        .map(|slice| (slice.begin_s.midpoint(slice.end_s), slice.slowest_us))
        .filter(|(_, micros)| *micros > 0.0)
        .collect();
    let of = |micros: fn(&Checkpoint) -> f64| -> Vec<(f64, f64)> {
        let all = report.checkpoints.iter();
        let all = all.filter_map(|checkpoint| Some((checkpoint.begin_s?, micros(checkpoint))));
        all.filter(|(_, micros)| *micros > 0.0).collect()
    };
    let (freezes, asynchronous) = (of(|it| it.freeze_us), of(|it| it.asynchronous_us));
    let all = slowest.iter().chain(&freezes).chain(&asynchronous).map(|(_, micros)| *micros);
    let (least, most) = all
        .fold((f64::MAX, f64::MIN), |(least, most), micros| (least.min(micros), most.max(micros)));
    // Whole powers of ten around everything.
    let (bottom, top) = if least <= most {
        (10_f64.powf(least.log10().floor()), 10_f64.powf((most * 1.1).log10().ceil()))
    } else {
        (1.0, 1e3)
    };
    let mut chart = ChartBuilder::on(area)
        .margin_top(38)
        .margin_left(8)
        .margin_right(24)
        .x_label_area_size(42)
        .y_label_area_size(76)
        .build_cartesian_2d(0.0..end_of(report), (bottom..top).log_scale())?;
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
        .y_label_formatter(&|micros| time_us(*micros))
        .draw()?;
    chart.draw_series(slowest.iter().map(|at| Circle::new(*at, 2, BLUE.mix(0.75).filled())))?;
    chart.draw_series(
        asynchronous
            .iter()
            .map(|at| EmptyElement::at(*at) + Rectangle::new([(-4, -4), (4, 4)], ORANGE.filled())),
    )?;
    chart.draw_series(
        freezes
            .iter()
            .map(|at| EmptyElement::at(*at) + Polygon::new(diamond((0, 0)), RED.filled())),
    )?;
    Ok(())
}
