//! A process that is measured beside others: it sets something up, then does what it is asked to.
//!
//! Each line that it reads is a request of some words, `run value_get 500000`. Each line that it
//! prints and that begins with `=` is the answer, some whole numbers, `= 12345678 42`; the first one
//! comes when everything is set up, and has none. Other lines are for people.
//!
//! Invariants: a contender does nothing between an answer and the next request, so contenders that
//! take turns leave the machine to one another.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What every answer begins with.
const ANSWER: char = '=';

/// The line of an answer.
pub fn answer_line(numbers: &[u64]) -> String {
    let words: Vec<_> = numbers.iter().map(u64::to_string).collect();
    format!("{ANSWER} {}", words.join(" "))
}

/// The numbers in the line of an answer; `None` for other lines.
pub fn numbers_of(line: &str) -> Option<Vec<u64>> {
    let words = line.strip_prefix(ANSWER)?.split_whitespace();
    words.map(|word| word.parse().ok()).collect()
}

/// A running process. It ends when this is dropped.
#[derive(Debug)]
pub struct Contender {
    /// Name in figures.
    pub name: &'static str,
    child: Child,
    /// `None` when nothing more is asked.
    requests: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl Contender {
    /// Starts a process and waits until everything is set up.
    pub fn start(name: &'static str, mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let requests = child.stdin.take();
        let mut contender = Self { name, child, requests, lines };
        contender.answer("setting up");
        contender
    }

    /// Asks for something and waits for the answer.
    pub fn ask(&mut self, request: &str) -> Vec<u64> {
        let requests = self.requests.as_mut().expect("nothing has ended");
        writeln!(requests, "{request}")
            .and_then(|()| requests.flush())
            .unwrap_or_else(|error| panic!("{} is gone before `{request}`: {error}", self.name));
        self.answer(request)
    }

    fn answer(&mut self, request: &str) -> Vec<u64> {
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.lines.read_line(&mut line);
            assert!(read.is_ok_and(|len| len > 0), "{} has ended at `{request}`", self.name);
            match numbers_of(&line) {
                Some(numbers) => return numbers,
                None => eprint!("{}: {line}", self.name),
            }
        }
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        // No more requests: it ends by itself.
        self.requests = None;
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        for numbers in [vec![], vec![0], vec![12, u64::MAX, 3]] {
            assert_eq!(numbers_of(&answer_line(&numbers)), Some(numbers));
        }
        assert_eq!(numbers_of("= \n"), Some(vec![]));
        assert_eq!(numbers_of("WARN something"), None);
        assert_eq!(numbers_of("= 12 x"), None);
        assert_eq!(numbers_of("= -1"), None);
    }

    #[test]
    fn a_process_answers_each_request_and_may_talk_meanwhile() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo =; while read a b; do echo hm; echo = $b 7; done"]);
        let mut contender = Contender::start("shell", shell);
        assert_eq!(contender.ask("run 5"), [5, 7]);
        assert_eq!(contender.ask("run 6"), [6, 7]);
    }
}
