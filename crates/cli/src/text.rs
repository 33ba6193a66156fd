//! Lines for people. What is in them may come out of files that strangers have written.
//!
//! Invariants: nothing that is printed here tells a terminal what to do, or looks like another line.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::Write as _;

use alluvium::inspect::is_hidden;

/// A text with escapes, as in JSON, for all that is not shown but does something.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden)
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' if is_escaped(c) => out.push_str("\\n"),
            '\t' if is_escaped(c) => out.push_str("\\t"),
            c if is_escaped(c) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Prints a line; a reader that went away is no error.
pub(crate) fn print_line(line: &str) {
    let _ = writeln!(std::io::stdout(), "{}", shown(line));
}

/// Prints several lines, such as JSON.
pub(crate) fn print_lines(lines: &str) {
    let lines = escaped(lines, |c| c != '\n' && is_hidden(c));
    let _ = writeln!(std::io::stdout(), "{lines}");
}

/// Says on standard error what went wrong.
pub(crate) fn complain(error: &dyn Display) {
    let _ = writeln!(std::io::stderr(), "error: {}", shown(&error.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_a_terminal_what_to_do_is_escaped() {
        for (text, expected) in [
            ("plain, caf\u{e9}, \u{6f22}\u{5b57}", "plain, caf\u{e9}, \u{6f22}\u{5b57}"),
            ("\u{1b}[2Jgone", "\\u001b[2Jgone"),
            ("one\ntwo\tthree\r", "one\\ntwo\\tthree\\u000d"),
            ("\u{9b}31m", "\\u009b31m"),
            ("\u{202e}txt\u{2066}\u{7f}", "\\u202etxt\\u2066\\u007f"),
        ] {
            assert_eq!(shown(text), expected);
        }
        assert_eq!(escaped("a\n\u{1b}", |c| c != '\n' && is_hidden(c)), "a\n\\u001b");
    }
}
