//! How much of the machine's limits was reached: a bar for each.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::MARGIN;
use super::style::{
    Area, BLUE, Drawn, FONT, GRID, INK, MUTED, ORANGE, RED, heading, pixel, small, text,
};
use crate::report::{Reached, Report, Speed};
use crate::units::{percent, speed};

/// Where the bars begin.
const LEFT: i32 = 262;
/// What is left free behind the bars, for their numbers.
const RIGHT: i32 = 84;
/// Where the first row begins.
const TOP: i32 = 46;
/// Room below the bars, for the axis.
const BOTTOM: i32 = 58;
/// Tallest row.
const TALLEST: i32 = 24;

/// A row of the panel.
enum Row {
    Group(String),
    Share { limit: String, share: f64, color: RGBColor },
}

pub(super) fn draw(report: &Report, area: &Area<'_>) -> Drawn {
    heading(area, "Share of what the machine can do", &[])?;
    let rows = rows(report);
    let (width, height) = area.dim_in_pixel();
    let [width, height] = [width, height].map(|it| i32::try_from(it).unwrap_or(i32::MAX));
    let (right, bottom) = (width - RIGHT, height - BOTTOM);
    let count = i32::try_from(rows.len()).unwrap_or(i32::MAX).max(1);
    let tall = ((bottom - TOP) / count).clamp(8, TALLEST);
    let bottom = TOP + tall * count + 4;
    let shares = rows.iter().map(|row| match row {
        Row::Group(_) => 0.0,
        Row::Share { share, .. } => *share,
    });
    // Several threads may do more than the one that was measured.
    let most = shares.fold(1.0, f64::max);
    let step = if most <= 1.5 { 0.25 } else { (most / 4.0).ceil() };
    let end = (most / step).ceil() * step;
    let x = |share: f64| LEFT + pixel(f64::from(right - LEFT) * share / end);
    let mut at = 0.0;
    while at <= end + 1e-9 {
        let line = [(x(at), TOP - 2), (x(at), bottom)];
        let color = if at == 0.0 { MUTED } else { GRID };
        area.draw(&PathElement::new(line, color.stroke_width(1)))?;
        let label = (FONT, text(12.0)).into_font().color(&INK);
        let label = label.pos(Pos::new(HPos::Center, VPos::Top));
        area.draw(&Text::new(format!("{:.0} %", at * 100.0), (x(at), bottom + 5), label))?;
        at += step;
    }
    let below = small(MUTED, HPos::Center);
    let middle = (x(end / 2.0), bottom + 34);
    area.draw(&Text::new("share of the limit of one thread, in this run", middle, below))?;
    for (row, at) in rows.iter().zip(0..) {
        let y = TOP + tall * at + tall / 2;
        match row {
            Row::Group(name) => {
                let bold = (FONT, text(12.0), FontStyle::Bold).into_font().color(&INK);
                let bold = bold.pos(Pos::new(HPos::Left, VPos::Center));
                area.draw(&Text::new(name.clone(), (MARGIN, y), bold))?;
            }
            Row::Share { limit, share, color } => {
                area.draw(&Text::new(limit.clone(), (LEFT - 10, y), small(MUTED, HPos::Right)))?;
                let half = tall / 2 - 3;
                let corners = [(LEFT, y - half), (x(*share).max(LEFT + 1), y + half)];
                area.draw(&Rectangle::new(corners, color.filled()))?;
                let number = (x(*share) + 8, y);
                area.draw(&Text::new(percent(*share), number, small(INK, HPos::Left)))?;
            }
        }
    }
    Ok(())
}

fn rows(report: &Report) -> Vec<Row> {
    let (limits, shares) = (&report.limits, &report.shares);
    let all = [
        ("First checkpoint", Some(shares.first_checkpoint), limits.write_sync_first, BLUE),
        ("Checkpoints under load", shares.checkpoints, limits.write_sync_median, ORANGE),
        ("Restore", shares.restore, None, RED),
    ];
    let mut rows = Vec::new();
    for (name, reached, write_sync, color) in all {
        let Some(reached) = reached else { continue };
        let Reached { of_memory_copy, of_crc32, of_zstd, of_write_sync, bytes_per_s } = reached;
        rows.push(Row::Group(format!("{name}, {}", speed(bytes_per_s))));
        let each: [(&str, Option<Speed>, Option<f64>); 4] = [
            ("memory copy", limits.memory_copy, of_memory_copy),
            ("crc32", limits.crc32, of_crc32),
            ("zstd", limits.zstd, of_zstd),
            ("write + fsync", write_sync, of_write_sync),
        ];
        for (limit, of, share) in each {
            if let (Some(of), Some(share)) = (of, share) {
                let limit = format!("{limit}, {}", speed(of.bytes_per_s));
                rows.push(Row::Share { limit, share, color });
            }
        }
    }
    rows
}
