use super::*;
use crate::report::sample::{sample, sparse};

#[track_caller]
fn line<'t>(text: &'t str, beginning: &str) -> &'t str {
    let found = text.lines().find(|line| line.starts_with(beginning));
    found.unwrap_or_else(|| panic!("no line begins with {beginning:?} in:\n{text}"))
}

fn cells(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn every_figure_has_its_place() {
    let text = table(&sample());
    assert!(text.contains("backend fs: 1,000,000 keys with values of 100 B in 128 key groups"));
    assert!(text.contains("drawn with a skew of 0.99; a checkpoint every 500 ms"), "{text}");
    let freeze = cells(line(&text, "freeze"));
    assert_eq!(freeze, ["freeze", "12.0 us", "40.0 us", "42.5 us", "11.0 us", "14.0 us"]);
    let new = cells(line(&text, "new bytes"));
    assert_eq!(new, ["new bytes", "11.0 MB", "11.0 MB", "11.0 MB", "112 MB", "11.0 MB"]);
    let during = cells(line(&text, "during one"));
    assert_eq!(during[..2], ["during one", "4.00 M/s"]);
    assert_eq!(during[6], "3,000,000");
    assert!(line(&text, "rescale 2 to 1").contains("180 ms (162 ms to 270 ms)"), "{text}");
    assert!(line(&text, "memory per entry").contains("260 bytes"));
    // 448 MB/s of 12.8 GB/s, and of 540 MB/s.
    let copy = cells(line(&text, "memory copy"));
    assert_eq!(copy[..4], ["memory copy", "12.8 GB/s", "6.40 GB/s", "3.5 %"]);
    let written = cells(line(&text, "112 MB + fsync"));
    assert_eq!(written, ["112 MB + fsync", "540 MB/s", "270 MB/s", "83 %", "-", "-"]);
    assert!(line(&text, "110 new bytes for each key that changed").ends_with("has 8)"));
}

#[test]
fn what_was_not_measured_is_a_dash() {
    let text = table(&sparse());
    assert_eq!(cells(line(&text, "freeze"))[..4], ["freeze", "-", "-", "-"]);
    assert_eq!(cells(line(&text, "during one"))[..2], ["during one", "-"]);
    assert_eq!(cells(line(&text, "restore "))[..2], ["restore", "-"]);
    assert!(text.contains("nothing was kept, so nothing can be restored"));
    assert!(text.contains("memory per entry: - (resident)"));
    assert!(text.contains("worst operation -;"));
    assert!(text.contains("which is no limit for that storage"));
    assert_eq!(cells(line(&text, "zstd"))[3..], ["-", "-", "-"]);
    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
}
