use super::*;
use crate::measure::Samples;
use crate::report::{Goal, figure_line, spread_line};

const FIGURE: &str = "get/heap\t1.405\t4.000\t-\ttimes";
const SPREAD_OF_IT: &str = "#   min 1.266, max 1.481 times in 9 rounds";

fn error_of(lines: &[&str]) -> (usize, LineError) {
    Results::parse(&lines.join("\n")).unwrap_err()
}

#[test]
fn what_a_report_prints_is_read_back() {
    let values: Samples = [1_297.6, 511.706, 4_288.2].into_iter().collect();
    let lines = [
        "# machine: Some Processor, 2 cores".to_owned(),
        "# figure\tvalue\tbar\tmoonshot\tunit".to_owned(),
        figure_line("freeze/heap", values.median(), Goal::of(100.0, 1_000.0), "times"),
        spread_line(&values, "times"),
        "#   0.002 (0.001 to 0.005) against 2.725 ms".to_owned(),
        figure_line("soak-failed", 0.0, Goal::NONE, "count"),
    ];
    let results = Results::parse(&lines.join("\n")).unwrap();
    let freeze = Figure {
        name: "freeze/heap".to_owned(),
        value: 1_298.0,
        bar: Some(100.0),
        moonshot: Some(1_000.0),
        unit: "times".to_owned(),
        spread: Some(Spread { min: 511.706, max: 4_288.0, rounds: 3 }),
    };
    let failed = Figure {
        name: "soak-failed".to_owned(),
        value: 0.0,
        bar: None,
        moonshot: None,
        unit: "count".to_owned(),
        spread: None,
    };
    assert_eq!(results.figures(), [freeze, failed]);
    assert_eq!(results.note("machine"), Some("Some Processor, 2 cores"));
    assert_eq!(results.note("mach"), None, "a key is a whole one");
}

#[test]
fn a_wrong_line_is_told_with_its_number() {
    assert_eq!(error_of(&[FIGURE, "", FIGURE]), (2, LineError::Fields { found: 1 }));
    assert_eq!(error_of(&["   Compiling something v1.0"]), (1, LineError::Fields { found: 1 }));
    assert_eq!(error_of(&["a\t1\t-\t-\tus\tmore"]), (1, LineError::Fields { found: 6 }));
    assert_eq!(error_of(&["# note", "\t1\t-\t-\tus"]), (2, LineError::Empty { field: "name" }));
    assert_eq!(error_of(&["a\t1\t-\t-\t"]), (1, LineError::Empty { field: "unit" }));
    for (line, field, text) in [
        ("a\t-\t-\t-\tus", "value", "-"),
        ("a\tNaN\t-\t-\tus", "value", "NaN"),
        ("a\t1\tinf\t-\tus", "bar", "inf"),
        ("a\t1\t-\t2x\tus", "moonshot", "2x"),
    ] {
        let text = text.to_owned();
        assert_eq!(error_of(&[line]), (1, LineError::Number { field, text }));
    }
    let name = "get/heap".to_owned();
    assert_eq!(error_of(&[FIGURE, SPREAD_OF_IT, FIGURE]), (3, LineError::Twice { name }));
}

#[test]
fn a_spread_belongs_to_the_figure_before_it() {
    assert!(Results::parse(&[FIGURE, SPREAD_OF_IT].join("\n")).is_ok());
    assert_eq!(error_of(&[SPREAD_OF_IT, FIGURE]), (1, LineError::NoFigure));
    assert_eq!(error_of(&[FIGURE, "#   min 1, max 2 times"]), (2, LineError::Spread));
    assert_eq!(error_of(&[FIGURE, "#   min 1, max 2 times in x rounds"]), (2, LineError::Spread));
    for other in [
        "#   min 1.410, max 1.481 times in 9 rounds",
        "#   min 1.266, max 1.400 times in 9 rounds",
        "#   min 1.266, max 1.481 us in 9 rounds",
    ] {
        let (line, error) = error_of(&[FIGURE, other]);
        assert_eq!(line, 2);
        assert!(matches!(error, LineError::Outside { .. }), "{other}: {error}");
    }
}

#[test]
fn a_file_is_named_where_it_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("heap.tsv");
    let error = Results::read(&path).unwrap_err();
    assert!(matches!(&error, ResultsError::Read { path: named, .. } if *named == path));
    std::fs::write(&path, format!("{FIGURE}\nnonsense\n")).unwrap();
    let error = Results::read(&path).unwrap_err().to_string();
    assert!(error.contains("heap.tsv, line 2: "), "{error}");
}

#[test]
fn figures_are_chosen_by_how_their_names_begin() {
    let text = ["a/x\t1\t-\t-\tus", "b/x\t1\t-\t-\tus", "ab/x\t1\t-\t-\tus"].join("\n");
    let names = |beginnings: &[&str]| {
        let beginnings: Vec<String> = beginnings.iter().map(|&it| it.to_owned()).collect();
        let results = Results::parse(&text).unwrap().only(&beginnings);
        results.figures().iter().map(|figure| figure.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["a/x", "b/x", "ab/x"]);
    assert_eq!(names(&["a/", "b"]), ["a/x", "b/x"]);
    assert_eq!(names(&["a"]), ["a/x", "ab/x"]);
    assert!(names(&["x"]).is_empty());
}
