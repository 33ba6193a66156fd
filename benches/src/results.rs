//! Results of the benches, read back from what [`crate::report`] printed.
//!
//! Shape: one figure per line, `figure TAB value TAB bar TAB moonshot TAB unit`; lines that begin with `#`
//! are notes. The note `#   min 0.339, max 1.439 times in 7 rounds` is the spread of the figure before it,
//! and `# commit: ...` one of those that say where the figures are from.
//!
//! Invariants: every number is finite; names are unique; a value lies within its spread.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How the note with a spread begins.
const SPREAD: &str = "#   min ";

/// What a bench printed.
#[derive(Debug, Clone, Default)]
pub struct Results {
    /// The notes that are not spreads, without their `#`.
    notes: Vec<String>,
    figures: Vec<Figure>,
}

/// A line of the results.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Parts with `/` between them.
    pub name: String,
    /// The median, or the only value.
    pub value: f64,
    /// What is good enough.
    pub bar: Option<f64>,
    /// What would be excellent.
    pub moonshot: Option<f64>,
    /// Such as `times` or `us`.
    pub unit: String,
    /// Absent for what was measured once.
    pub spread: Option<Spread>,
}

/// What the rounds were between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// How many values there were.
    pub rounds: usize,
}

/// Results that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// The system refused.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line is wrong.
    #[error("{path}, line {line}: {source}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        #[source]
        source: LineError,
    },
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Neither a figure nor a note.
    #[error("a figure has 5 fields with tabs between them, this line has {found}")]
    Fields {
        /// How many there are.
        found: usize,
    },
    /// A field that has to say something.
    #[error("the {field} is empty")]
    Empty {
        /// Which one.
        field: &'static str,
    },
    /// A field that has to be a number.
    #[error("the {field} `{text}` is not a finite number")]
    Number {
        /// Which one.
        field: &'static str,
        /// What stands there.
        text: String,
    },
    /// A second figure of one name.
    #[error("the figure {name} was there before")]
    Twice {
        /// The name.
        name: String,
    },
    /// A spread of another shape.
    #[error("a spread is `min <value>, max <value> <unit> in <number> rounds`")]
    Spread,
    /// A spread that belongs to nothing.
    #[error("a spread without a figure before it")]
    NoFigure,
    /// A spread of something else.
    #[error("{value} {unit} of {name} does not lie within this spread")]
    Outside {
        /// The figure before it.
        name: String,
        /// Its value.
        value: f64,
        /// Its unit.
        unit: String,
    },
}

impl Results {
    /// Reads a file.
    ///
    /// Errors: [`ResultsError::Read`], [`ResultsError::Line`] for the first line that is wrong.
    pub fn read(path: &Path) -> Result<Self, ResultsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ResultsError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|(line, source)| ResultsError::Line {
            path: path.to_owned(),
            line,
            source,
        })
    }

    /// Reads what a bench printed.
    ///
    /// Errors: the number of the first line that is wrong, and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, (usize, LineError)> {
        let mut results = Self::default();
        let mut names = BTreeSet::new();
        for (line, number) in text.lines().zip(1..) {
            results.line(line, &mut names).map_err(|error| (number, error))?;
        }
        Ok(results)
    }

    /// The figures whose names begin with one of these; all of them where there is no beginning.
    #[must_use]
    pub fn only(mut self, beginnings: &[String]) -> Self {
        if !beginnings.is_empty() {
            let is_asked_for = |name: &str| beginnings.iter().any(|it| name.starts_with(&**it));
            self.figures.retain(|figure| is_asked_for(&figure.name));
        }
        self
    }

    /// The figures, in the order of the file.
    pub fn figures(&self) -> &[Figure] {
        &self.figures
    }

    /// What the first note `# <key>: ...` says.
    pub fn note(&self, key: &str) -> Option<&str> {
        self.notes.iter().find_map(|note| Some(note.strip_prefix(key)?.strip_prefix(':')?.trim()))
    }

    fn line(&mut self, line: &str, names: &mut BTreeSet<String>) -> Result<(), LineError> {
        if let Some(text) = line.strip_prefix(SPREAD) {
            let figure = self.figures.last_mut().ok_or(LineError::NoFigure)?;
            figure.spread = Some(spread(text, figure)?);
        } else if let Some(note) = line.strip_prefix('#') {
            self.notes.push(note.trim().to_owned());
        } else {
            let figure = figure(line)?;
            if !names.insert(figure.name.clone()) {
                return Err(LineError::Twice { name: figure.name });
            }
            self.figures.push(figure);
        }
        Ok(())
    }
}

fn figure(line: &str) -> Result<Figure, LineError> {
    let fields: Vec<&str> = line.split('\t').collect();
    let &[name, value, bar, moonshot, unit] = &fields[..] else {
        return Err(LineError::Fields { found: fields.len() });
    };
    for (field, text) in [("name", name), ("unit", unit)] {
        if text.trim().is_empty() {
            return Err(LineError::Empty { field });
        }
    }
    let goal = |field, text| if text == "-" { Ok(None) } else { number(field, text).map(Some) };
    Ok(Figure {
        name: name.to_owned(),
        value: number("value", value)?,
        bar: goal("bar", bar)?,
        moonshot: goal("moonshot", moonshot)?,
        unit: unit.to_owned(),
        spread: None,
    })
}

/// What follows `min `.
fn spread(text: &str, figure: &Figure) -> Result<Spread, LineError> {
    let (min, rest) = text.split_once(", max ").ok_or(LineError::Spread)?;
    let (max, rest) = rest.split_once(' ').ok_or(LineError::Spread)?;
    let (unit, rounds) = rest.split_once(" in ").ok_or(LineError::Spread)?;
    let rounds = rounds.strip_suffix(" rounds").and_then(|it| it.parse().ok());
    let spread = Spread {
        min: number("least value", min)?,
        max: number("greatest value", max)?,
        rounds: rounds.ok_or(LineError::Spread)?,
    };
    if unit != figure.unit || !(spread.min..=spread.max).contains(&figure.value) {
        let Figure { name, value, unit, .. } = figure.clone();
        return Err(LineError::Outside { name, value, unit });
    }
    Ok(spread)
}

fn number(field: &'static str, text: &str) -> Result<f64, LineError> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| LineError::Number { field, text: text.to_owned() })
}

#[cfg(test)]
mod tests;
