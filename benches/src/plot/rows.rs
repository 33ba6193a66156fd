//! Which figures stand beside which: panels, blocks and rows.
//!
//! A family is the figures whose names have the same first part. One with more than [`LARGE`] figures is a
//! panel, and its blocks are those of the first two parts; the others share a panel, and each of them is a
//! block.
//!
//! Invariants: figures of one panel have one unit, and more is better for all or for none of them; blocks and
//! rows have the order of the file.

use crate::results::Figure;

/// Figures of a family that are still looked at in one block.
const LARGE: usize = 12;

/// What a number of a unit means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    /// It is a quotient, and 1 is where both sides are equal, or a limit.
    pub(super) is_relative: bool,
    /// One side of 1 is better than the other one.
    pub(super) is_judged: bool,
    pub(super) is_more_better: bool,
}

/// Figures on one axis.
#[derive(Debug)]
pub(super) struct Panel<'a> {
    pub(super) title: String,
    pub(super) meaning: Meaning,
    pub(super) blocks: Vec<Block<'a>>,
}

/// Figures under one heading, or single ones that need none.
#[derive(Debug)]
pub(super) struct Block<'a> {
    pub(super) heading: Option<String>,
    pub(super) rows: Vec<Row<'a>>,
}

/// One figure.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// What its name has beyond the heading.
    pub(super) label: &'a str,
    pub(super) figure: &'a Figure,
}

/// The label of a figure that has the name of its block.
const WHOLE: &str = "as a whole";

/// Figures with the same beginning of their names.
type Family<'a> = (&'a str, Vec<&'a Figure>);

impl Panel<'_> {
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row<'_>> {
        self.blocks.iter().flat_map(|block| &block.rows)
    }
}

impl Row<'_> {
    /// Whether this is a figure of all others of its block.
    pub(super) fn is_whole(&self) -> bool {
        self.label == WHOLE
    }
}

/// Whether a value is not good enough.
pub(super) fn is_missed(figure: &Figure, meaning: Meaning) -> bool {
    let is_worse = |bar| {
        if meaning.is_more_better { figure.value < bar } else { figure.value > bar }
    };
    figure.bar.is_some_and(is_worse)
}

/// Sorts figures into panels: those that are quotients first.
pub(super) fn panels(figures: &[Figure]) -> Vec<Panel<'_>> {
    let mut by_axis: Vec<(Meaning, &str, Vec<Family<'_>>)> = Vec::new();
    for family in grouped(figures.iter(), |figure| first_part(&figure.name)) {
        for (unit, figures) in grouped(family.1.into_iter(), |figure| &figure.unit) {
            let meaning = meaning_of(unit, &figures);
            let same = by_axis.iter_mut().find(|(of, name, _)| *of == meaning && *name == unit);
            match same {
                Some((_, _, families)) => families.push((family.0, figures)),
                None => by_axis.push((meaning, unit, vec![(family.0, figures)])),
            }
        }
    }
    by_axis.sort_by_key(|(meaning, _, _)| (!meaning.is_relative, !meaning.is_judged));
    by_axis
        .into_iter()
        .flat_map(|(meaning, unit, families)| of_axis(meaning, unit, families))
        .collect()
}

/// The panels of one unit: large families, and one of all others.
fn of_axis<'a>(meaning: Meaning, unit: &str, families: Vec<Family<'a>>) -> Vec<Panel<'a>> {
    let direction = if meaning.is_more_better { "more is better" } else { "less is better" };
    let (large, small): (Vec<_>, Vec<_>) =
        families.into_iter().partition(|(_, figures)| figures.len() > LARGE);
    let mut panels: Vec<Panel<'a>> = Vec::new();
    for (family, figures) in large {
        let parts = grouped(figures.iter().copied(), |figure| first_two_parts(figure, &figures));
        let blocks = blocks(parts);
        panels.push(Panel { title: format!("{family}: {unit}, {direction}"), meaning, blocks });
    }
    if !small.is_empty() {
        let unit =
            if panels.is_empty() { unit.to_owned() } else { format!("other figures: {unit}") };
        let title = format!("{unit}, {direction}");
        panels.push(Panel { title, meaning, blocks: blocks(small) });
    }
    panels
}

/// A block for each family, but one for all single figures that follow one another.
fn blocks<'a>(families: Vec<Family<'a>>) -> Vec<Block<'a>> {
    let mut blocks: Vec<Block<'a>> = Vec::new();
    for (name, figures) in families {
        if let [figure] = figures[..] {
            let row = Row { label: &figure.name, figure };
            match blocks.last_mut() {
                Some(Block { heading: None, rows }) => rows.push(row),
                _ => blocks.push(Block { heading: None, rows: vec![row] }),
            }
        } else {
            let mut rows: Vec<Row<'a>> = figures.iter().map(|it| row_of(name, it)).collect();
            rows.sort_by_key(|row| !row.is_whole());
            blocks.push(Block { heading: Some(name.to_owned()), rows });
        }
    }
    blocks
}

fn row_of<'a>(heading: &str, figure: &'a Figure) -> Row<'a> {
    let label = figure.name.strip_prefix(heading).and_then(|it| it.strip_prefix('/'));
    Row { label: label.unwrap_or(WHOLE), figure }
}

fn first_part(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

/// The first two parts of a name, where some figure has more than these; else the first one.
fn first_two_parts<'a>(figure: &'a Figure, family: &[&Figure]) -> &'a str {
    let name = &figure.name;
    let end = name.match_indices('/').nth(1).map_or(name.len(), |(at, _)| at);
    let both = name.get(..end).unwrap_or(name);
    let has_more =
        |other: &&Figure| other.name.strip_prefix(both).is_some_and(|it| it.starts_with('/'));
    if family.iter().any(has_more) { both } else { first_part(name) }
}

/// Groups with the same key, in the order of their first figures.
fn grouped<'a, K: Fn(&'a Figure) -> &'a str>(
    figures: impl Iterator<Item = &'a Figure>,
    key: K,
) -> Vec<Family<'a>> {
    let mut groups: Vec<Family<'a>> = Vec::new();
    for figure in figures {
        let key = key(figure);
        match groups.iter_mut().find(|(of, _)| *of == key) {
            Some((_, group)) => group.push(figure),
            None => groups.push((key, vec![figure])),
        }
    }
    groups
}

/// What a bar and a moonshot say about the direction counts more than the unit.
fn meaning_of(unit: &str, figures: &[&Figure]) -> Meaning {
    let goals = figures.iter().find_map(|figure| figure.bar.zip(figure.moonshot));
    let is_more = matches!(unit, "times" | "share" | "MB/s" | "1/s");
    Meaning {
        is_relative: matches!(unit, "times" | "ratio" | "share" | "uploaded"),
        is_judged: matches!(unit, "times" | "ratio"),
        is_more_better: goals.map_or(is_more, |(bar, moonshot)| moonshot > bar),
    }
}
