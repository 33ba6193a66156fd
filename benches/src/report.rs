//! What is printed: one line per figure, and notes that begin with `# `.
//!
//! Shape: `figure TAB value TAB bar TAB moonshot TAB unit`; the value is a median, `-` stands for
//! no bar. A bar is the largest value that is good enough, for `MB/s` and for `times`
//! (faster) and `share` (kept) the smallest.

use std::process::Command;

use crate::measure::Samples;

/// What a figure should be, and could be at best.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    bar: Option<f64>,
    moonshot: Option<f64>,
}

impl Goal {
    /// Nothing.
    pub const NONE: Self = Self { bar: None, moonshot: None };

    /// A bar and a moonshot.
    pub const fn of(bar: f64, moonshot: f64) -> Self {
        Self { bar: Some(bar), moonshot: Some(moonshot) }
    }

    /// A bar alone.
    pub const fn bar(bar: f64) -> Self {
        Self { bar: Some(bar), moonshot: None }
    }

    /// The goal, where a condition holds.
    #[must_use]
    pub const fn when(self, holds: bool) -> Self {
        if holds { self } else { Self::NONE }
    }
}

/// Prints figures, those that were asked for.
#[derive(Debug)]
pub struct Report<P> {
    only: Option<String>,
    /// How much is measured.
    pub plan: P,
}

impl<P: std::fmt::Debug> Report<P> {
    /// A report of the figures whose names begin so, or of all.
    pub fn new(only: Option<String>, plan: P) -> Self {
        Self { only, plan }
    }

    /// Whether any figure whose name begins so is asked for.
    pub fn wants(&self, prefix: &str) -> bool {
        let only = self.only.as_deref().unwrap_or_default();
        only.starts_with(prefix) || prefix.starts_with(only)
    }

    /// Whether any of these is asked for.
    pub fn wants_any(&self, prefixes: &[&str]) -> bool {
        prefixes.iter().any(|prefix| self.wants(prefix))
    }

    /// Whether the figures were chosen by a name that begins so.
    pub fn is_named(&self, prefix: &str) -> bool {
        self.only.as_deref().is_some_and(|only| only.starts_with(prefix))
    }

    /// A figure that was measured several times: its median, and all of them in a note.
    pub fn figure(&self, name: &str, values: &Samples, goal: Goal, unit: &str) {
        if self.is_asked_for(name) {
            self.value(name, values.median(), goal, unit);
            println!("{}", spread_line(values, unit));
        }
    }

    /// A figure that is one number.
    pub fn value(&self, name: &str, value: f64, goal: Goal, unit: &str) {
        if self.is_asked_for(name) {
            println!("{}", figure_line(name, value, goal, unit));
        }
    }

    /// A line for people.
    pub fn note(&self, text: &str) {
        println!("# {text}");
    }

    /// Lines for people.
    pub fn notes(&self, texts: &[String]) {
        for text in texts {
            self.note(text);
        }
    }

    /// Where and with what this runs.
    pub fn heading(&self) {
        let cpu = line_of("/proc/cpuinfo", "model name");
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        self.note(&format!(
            "machine: {cpu}, {cores} cores, {}",
            line_of("/proc/meminfo", "MemTot")
        ));
        let pages = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
        self.note(&format!("huge pages: {}", pages.as_deref().unwrap_or("unknown").trim()));
        self.note(&format!("toolchain: {}", output_of("rustc", &["--version"])));
        let commit = output_of("git", &["describe", "--always", "--dirty", "--abbrev=12"]);
        self.note(&format!("commit: {commit}"));
        self.load();
        self.note(&format!("plan: {:?}", self.plan));
        self.note("figure\tvalue\tbar\tmoonshot\tunit");
    }

    /// What else the machine has had to do: more than one task per core blurs every figure.
    pub fn load(&self) {
        let load = std::fs::read_to_string("/proc/loadavg");
        self.note(&format!("load: {}", load.as_deref().unwrap_or("unknown").trim()));
    }

    fn is_asked_for(&self, name: &str) -> bool {
        name.starts_with(self.only.as_deref().unwrap_or_default())
    }
}

/// [`crate::results`] reads it back.
pub(crate) fn figure_line(name: &str, value: f64, goal: Goal, unit: &str) -> String {
    let [bar, moonshot] =
        [goal.bar, goal.moonshot].map(|goal| goal.map_or_else(|| "-".to_owned(), number));
    format!("{name}\t{}\t{bar}\t{moonshot}\t{unit}", number(value))
}

/// [`crate::results`] reads it back.
pub(crate) fn spread_line(values: &Samples, unit: &str) -> String {
    let (min, max, rounds) = (number(values.min()), number(values.max()), values.len());
    format!("#   min {min}, max {max} {unit} in {rounds} rounds")
}

/// Four digits at least, none behind the point where they say nothing.
fn number(value: f64) -> String {
    if value.abs() >= 1_000.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

fn line_of(path: &str, beginning: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(beginning));
    let value = line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim());
    value.unwrap_or("unknown").to_owned()
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok();
    let text = output.filter(|output| output.status.success()).map(|output| output.stdout);
    let text = text.map(|text| String::from_utf8_lossy(&text).trim().to_owned());
    text.unwrap_or_else(|| "unknown".to_owned())
}
