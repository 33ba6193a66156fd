use super::*;
use crate::report::sample::{sample, sparse};

/// Checks that tags are closed in the order in which they were opened, and gives all texts.
fn texts(svg: &str) -> Vec<String> {
    let mut open = Vec::new();
    let mut texts = Vec::new();
    let mut rest = svg;
    while let Some((before, after)) = rest.split_once('<') {
        let text = before.trim();
        if !text.is_empty() {
            assert_eq!(open.last(), Some(&"text"), "text outside of a text: {text}");
            assert!(!text.replace("&amp;", "").replace("&lt;", "").contains('<'));
            texts.push(text.to_owned());
        }
        let (tag, after) = after.split_once('>').expect("a tag ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes come in pairs: {tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed in order");
        } else if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().expect("a name"));
        }
        rest = after;
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} is open");
    texts
}

#[test]
fn the_picture_is_well_formed_and_says_what_it_shows() {
    let svg = svg(&sample()).unwrap();
    assert!(svg.starts_with("<svg "));
    let texts = texts(&svg);
    let all = texts.join("\n");
    for label in [
        "backend fs: 1,000,000 keys with values of 100 B",
        "Throughput",
        "mean before checkpoints, 4.00 M/s",
        "How long it took",
        "freeze (updates stand still)",
        "seconds since the load began",
        "Bytes of each checkpoint",
        "in files of earlier ones",
        "Share of what the machine can do",
        "First checkpoint, 448 MB/s",
        "write + fsync, 540 MB/s",
        "83 %",
        "Restore, 622 MB/s",
    ] {
        assert!(texts.iter().any(|text| text == label), "no {label:?} in:\n{all}");
    }
    assert!(all.contains("Some &lt;Processor&gt; &amp; Co"), "{all}");
}

#[test]
fn each_checkpoint_has_its_marks() {
    let report = sample();
    let drawn = svg(&report).unwrap();
    // A diamond for each freeze, and one in the legend.
    assert_eq!(drawn.matches("<polygon ").count(), report.checkpoints.len() + 1);
    let fewer = Report { checkpoints: report.checkpoints[..1].to_vec(), ..report };
    assert_eq!(svg(&fewer).unwrap().matches("<polygon ").count(), 2);
}

#[test]
fn a_report_with_little_in_it_can_be_drawn() {
    let drawn = svg(&sparse()).unwrap();
    let texts = texts(&drawn);
    assert!(!texts.iter().any(|text| text.contains("NaN") || text.contains("inf")));
    assert!(!texts.iter().any(|text| text.starts_with("mean before")));
    assert!(!texts.iter().any(|text| text.starts_with("Restore")));
}
