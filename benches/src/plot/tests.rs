use super::style::{BLUE, GREY, RED};
use super::*;

/// A bit of everything: families large and small, all directions, names of any length, no spread, nothing
/// above 0.
fn sample() -> Results {
    let mut lines = vec![
        "# machine: Some <Processor> & Co, 2 cores, 24684096 kB".to_owned(),
        "# toolchain: rustc 1.95.0".to_owned(),
        "# commit: 0123456789ab".to_owned(),
        "# load: 0.50 1.50 2.50 1/77 29150".to_owned(),
        "operations/heap\t1.405\t4.000\t10.000\ttimes".to_owned(),
        "#   min 1.266, max 1.481 times in 9 rounds".to_owned(),
    ];
    for case in 0..20 {
        let faster = 1.07_f64.powi(case * case / 2 - 40);
        for backend in ["heap", "nested"] {
            let (min, max) = (faster / 1.2, faster * 1.1);
            lines.push(format!("operations/{backend}/case_{case}\t{faster:.3}\t-\t-\ttimes"));
            lines.push(format!("#   min {min:.3}, max {max:.3} times in 9 rounds"));
        }
    }
    for line in [
        "freeze/heap\t1298\t100.000\t1000\ttimes",
        "#   min 511.706, max 4288 times in 7 rounds",
        "restore/heap\t31.657\t8.000\t49.000\ttimes",
        "restore/fs\t5.517\t8.000\t49.000\ttimes",
        "under-pressure/unaligned\t1.920\t3.000\t1.500\ttimes",
        "#   min 1.140, max 5.690 times in 15 rounds",
        "under-pressure/aligned\t16.000\t-\t-\ttimes",
        "update-while-writing-over-hashbrown-and-a-name-that-goes-on/5m/string-string\t9.41\t2\t1.3\tratio",
        "overhead/incremental\t0.600\t5.000\t1.000\t%",
        "#   min -8.800, max 20.100 % in 25 rounds",
        "failed\t0.000\t0.000\t-\tcount",
        "file-length\t80039177\t-\t-\tbytes",
        "#   min 80039177, max 81000000 bytes in 3 rounds",
    ] {
        lines.push(line.to_owned());
    }
    parsed(&lines.join("\n"))
}

fn parsed(text: &str) -> Results {
    Results::parse(text).unwrap()
}

/// A tag and what follows it up to the next one.
fn tags(svg: &str) -> impl Iterator<Item = (&str, &str)> {
    svg.split('<').skip(1).map(|it| it.split_once('>').expect("a tag ends"))
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// A text and the box around it, as fonts with wide letters have it.
#[derive(Debug)]
struct Written {
    text: String,
    is_bold: bool,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

fn texts(svg: &str) -> Vec<Written> {
    let texts = tags(svg).filter(|(tag, _)| tag.starts_with("text "));
    let written = texts.map(|(tag, text)| {
        let number = |name| attribute(tag, name).unwrap().parse::<f64>().unwrap();
        let text = text.trim().replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        let (x, y, size) = (number("x"), number("y"), number("font-size"));
        let width = 0.58 * size * text.chars().count() as f64;
        let left = match attribute(tag, "text-anchor") {
            Some("end") => x - width,
            Some("middle") => x - width / 2.0,
            _ => x,
        };
        let is_bold = attribute(tag, "font-weight") == Some("bold");
        let [top, bottom] = [y - size * 0.45, y + size * 0.45];
        Written { text, is_bold, left, right: left + width, top, bottom }
    });
    written.collect()
}

#[test]
fn no_two_texts_touch_and_none_leaves_the_picture() {
    let long = "A title that is much longer than those that anybody gives to a picture of results, so \
                that the picture has to be wider than it is without it";
    for title in ["Short", long] {
        let svg = svg(title, &sample()).unwrap();
        let (tag, _) = tags(&svg).next().unwrap();
        let [width, height] = ["width", "height"].map(|it| attribute(tag, it).unwrap());
        let [width, height]: [f64; 2] = [width, height].map(|it| it.parse().unwrap());
        assert!(width >= f64::from(WIDTH));
        let texts = texts(&svg);
        assert!(texts.len() > 150, "{} texts", texts.len());
        for (at, one) in texts.iter().enumerate() {
            assert!(one.left >= 0.0 && one.right <= width, "{one:?} in {width}");
            assert!(one.top >= 0.0 && one.bottom <= height, "{one:?} in {height}");
            for other in texts.iter().skip(at + 1) {
                let is_beside = one.right <= other.left || other.right <= one.left;
                let is_above = one.bottom <= other.top || other.bottom <= one.top;
                assert!(is_beside || is_above, "{one:?} and {other:?}");
            }
        }
    }
}

#[test]
fn marks_lie_between_names_and_numbers() {
    let results = sample();
    let svg = svg("Marks", &results).unwrap();
    let texts = texts(&svg);
    // The first one is in the legend.
    let numbers = texts.iter().filter(|it| it.text == "median").skip(1).map(|it| it.left);
    let numbers = numbers.fold(f64::INFINITY, f64::min);
    let dots: Vec<[f64; 2]> = tags(&svg)
        .filter(|(tag, _)| tag.starts_with("circle ") && attribute(tag, "r") == Some("4"))
        .map(|(tag, _)| ["cx", "cy"].map(|it| attribute(tag, it).unwrap().parse().unwrap()))
        .collect();
    // Four of them are in the legend.
    assert_eq!(dots.len(), results.figures().len() + 4);
    for [x, y] in &dots[4..] {
        let name = texts.iter().find(|it| it.top < *y && *y < it.bottom).expect("a name");
        assert!(name.right < *x && *x < numbers, "a dot at {x}, {y} for {name:?}");
    }
}

#[test]
fn a_picture_says_what_it_shows_and_where_it_is_from() {
    let svg = svg("Some <title>", &sample()).unwrap();
    let (first, _) = tags(&svg).nth(1).unwrap();
    assert!(first.starts_with("rect ") && attribute(first, "fill") == Some("#FFFFFF"), "{first}");
    let texts: Vec<String> = texts(&svg).into_iter().map(|it| it.text).collect();
    for label in [
        "Some <title>",
        "commit 0123456789ab; rustc 1.95.0",
        "Some <Processor> & Co, 2 cores, 23.5 GiB; load before 0.50",
        "operations: times, more is better",
        "other figures: times, more is better",
        "times, less is better",
        "operations/heap",
        "as a whole",
        "case_19",
        "freeze/heap",
        "1,298",
        "512 to 4,288",
        "-8.80 to 20.1",
        "80.0 M to 81.0 M",
    ] {
        assert!(texts.iter().any(|text| text == label), "no {label:?} in {texts:#?}");
    }
    assert!(!texts.iter().any(|text| text.contains("NaN") || text.contains("inf")));
}

#[test]
fn large_families_are_panels_and_small_ones_blocks() {
    let results = sample();
    let panels = rows::panels(results.figures());
    let titles: Vec<&str> = panels.iter().map(|panel| &*panel.title).collect();
    assert_eq!(
        titles,
        [
            "operations: times, more is better",
            "other figures: times, more is better",
            "times, less is better",
            "ratio, less is better",
            "%, less is better",
            "count, less is better",
            "bytes, less is better",
        ]
    );
    let headings = |at: usize| {
        let blocks = panels[at].blocks.iter();
        blocks.map(|it| (it.heading.as_deref(), it.rows.len())).collect::<Vec<_>>()
    };
    assert_eq!(headings(0), [(Some("operations/heap"), 21), (Some("operations/nested"), 20)]);
    assert_eq!(headings(1), [(None, 1), (Some("restore"), 2)]);
    assert!(panels[0].blocks[0].rows[0].is_whole());
    assert_eq!(panels[0].blocks[1].rows[0].label, "case_0");
    assert_eq!(panels[1].blocks[0].rows[0].label, "freeze/heap");
    assert_eq!(panels.iter().flat_map(rows::Panel::rows).count(), results.figures().len());
}

#[test]
fn a_value_that_misses_its_bar_is_bold() {
    let bold = |line: &str| {
        let svg = svg("Bars", &parsed(line)).unwrap();
        // The one in the legend explains it.
        let is_explained = svg.contains("misses its bar");
        let value = texts(&svg).into_iter().find(|it| it.text == "2.00").expect("the value");
        assert_eq!(value.is_bold, is_explained, "{line}");
        value.is_bold
    };
    assert!(bold("a\t2.000\t3.000\t9.000\ttimes"), "too slow");
    assert!(!bold("a\t2.000\t3.000\t1.500\ttimes"), "the moonshot says that less is better");
    assert!(bold("a\t2.000\t1.600\t1.200\tratio"));
    assert!(!bold("a\t2.000\t2.000\t-\tratio"), "as much as it may be");
    assert!(bold("a\t2.000\t1.000\t-\tus"));
    assert!(!bold("a\t2.000\t1.000\t-\tMB/s"));
    assert!(!bold("a\t2.000\t-\t-\tus"));
}

#[test]
fn a_color_says_on_which_side_of_1_all_rounds_are() {
    let color = |text: &str| {
        let svg = svg("Colours", &parsed(text)).unwrap();
        let dots = tags(&svg).filter(|(tag, _)| attribute(tag, "r") == Some("4"));
        let (last, _) = dots.last().unwrap();
        attribute(last, "fill").unwrap().to_owned()
    };
    let hex = |RGBColor(red, green, blue)| format!("#{red:02X}{green:02X}{blue:02X}");
    let [blue, red, grey] = [BLUE, RED, GREY].map(hex);
    let rounds = |unit: &str, min: f64, max: f64| {
        color(&format!("a\t{max}\t-\t-\t{unit}\n#   min {min}, max {max} {unit} in 3 rounds"))
    };
    assert_eq!(rounds("times", 1.1, 2.0), blue);
    assert_eq!(rounds("times", 0.9, 2.0), grey);
    assert_eq!(rounds("times", 0.5, 0.9), red);
    assert_eq!(rounds("ratio", 0.5, 0.9), blue);
    assert_eq!(rounds("ratio", 0.9, 1.0), grey);
    assert_eq!(rounds("ratio", 1.1, 2.0), red);
    assert_eq!(rounds("us", 1.1, 2.0), blue, "1 us is nothing special");
}

#[test]
fn no_figure_is_no_picture() {
    let nothing = sample().only(&["no such figure".to_owned()]);
    assert!(matches!(svg("Nothing", &nothing), Err(PlotError::Empty)));
}
