//! Who is compared: Flink first, then backends of this project, each in a process of its own.

use std::process::{Command, Stdio};

use alluvium_benches::contender::Contender;
use alluvium_benches::measure::{Samples, in_turns};
use alluvium_benches::process;
use alluvium_benches::report::Report;

/// Memory of the JVM, all of it from the beginning.
const HEAP: &str = "6g";
/// What Flink's own scripts open of the Java modules for it.
const OPENED: [&str; 9] = [
    "java.base/java.lang",
    "java.base/java.net",
    "java.base/java.io",
    "java.base/java.nio",
    "java.base/sun.nio.ch",
    "java.base/java.lang.reflect",
    "java.base/java.text",
    "java.base/java.time",
    "java.base/java.util",
];

/// How Flink is started.
#[derive(Debug)]
pub(crate) struct Java {
    pub(crate) program: String,
    pub(crate) class_path: String,
}

impl Java {
    fn flags() -> Vec<String> {
        let mut flags = vec![format!("-Xms{HEAP}"), format!("-Xmx{HEAP}"), "-XX:+UseG1GC".into()];
        flags.extend(OPENED.map(|package| format!("--add-opens={package}=ALL-UNNAMED")));
        // Nothing but errors, and not among the answers.
        flags.push("-Dlog4j2.configurationFile=classpath:alluvium-log4j2.properties".to_owned());
        flags
    }

    fn command(&self, task: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(Self::flags()).args(["-cp", &self.class_path, "alluvium.flink.Harness"]);
        command.args(task);
        command
    }

    /// With what Flink runs, for people.
    pub(crate) fn note<P: std::fmt::Debug>(&self, report: &Report<P>) {
        let version = Command::new(&self.program).arg("-version").stderr(Stdio::piped()).output();
        let version = version.map(|output| output.stderr).unwrap_or_default();
        let version = String::from_utf8_lossy(&version).trim().replace('\n', "; ");
        report.note(&format!("java: {version}"));
        report.note(&format!("flags: {}", Self::flags().join(" ")));
        for line in NOTES {
            report.note(line);
        }
    }
}

const NOTES: [&str; 4] = [
    "Flink 2.3.0, its HashMapStateBackend and EmbeddedRocksDBStateBackend with default options and \
     256 MiB of memory per slot, as this project's; object reuse; no latency tracking, no metrics",
    "Flink's LongSerializer, DoubleSerializer, StringSerializer and BytePrimitiveArraySerializer; \
     namespace VoidNamespace; 128 key groups, which both sides compute for each operation",
    "all processes but the one that is measured wait for a request; ratios are those of one round",
    "the allocator of this project's process is jemalloc, as in the `alluvium` command",
];

/// Contenders that do the same; the first is Flink.
pub(crate) struct Field {
    contenders: Vec<Contender>,
}

impl Field {
    /// Starts one process after the other. The task has the name of the backend at `BACKEND`.
    pub(crate) fn start(java: &Java, task: &[&str], backends: &[&'static str]) -> Self {
        let theirs = backends.first().copied().unwrap_or_default();
        let theirs = java.command(&with_backend(task, theirs));
        let mut contenders = vec![Contender::start("flink", theirs)];
        contenders.extend(backends.iter().map(|backend| ours(task, backend)));
        Self { contenders }
    }

    /// A process of this project, beside nobody.
    pub(crate) fn ours_alone(task: &[&str], backend: &'static str) -> Self {
        Self { contenders: vec![ours(task, backend)] }
    }

    /// The contenders of this project, and their positions.
    pub(crate) fn ours(&self) -> impl Iterator<Item = (usize, &'static str)> {
        self.contenders.iter().map(|contender| contender.name).enumerate().skip(1)
    }

    /// Asks all of them for the same, in turns, and gives what each one answered in each round. The
    /// first rounds do not count, and one more.
    pub(crate) fn compare(
        &mut self,
        request: &str,
        warm_ups: usize,
        rounds: usize,
    ) -> Vec<Vec<Vec<u64>>> {
        for contender in &mut self.contenders {
            for _ in 0..warm_ups {
                contender.ask(request);
            }
        }
        let mut answers = vec![Vec::new(); self.contenders.len()];
        let count = self.contenders.len();
        in_turns(rounds, count, |number, round| {
            let contender = self.contenders.get_mut(number);
            let (Some(contender), Some(answers)) = (contender, answers.get_mut(number)) else {
                return f64::NAN;
            };
            let answer = contender.ask(request);
            if round > 0 {
                answers.push(answer);
            }
            0.0
        });
        answers
    }

    /// Asks each of them once, and ends where they do not agree.
    pub(crate) fn agree(&mut self, request: &str) {
        let answers: Vec<_> =
            self.contenders.iter_mut().map(|it| (it.name, it.ask(request))).collect();
        if let [(_, first), rest @ ..] = &answers[..] {
            assert!(rest.iter().all(|(_, answer)| answer == first), "{request}: {answers:?}");
        }
    }
}

fn ours(task: &[&str], backend: &'static str) -> Contender {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    command.arg(process::CHILD).args(with_backend(task, backend));
    Contender::start(backend, command)
}

/// A number of each answer, by its position.
pub(crate) fn numbers(answers: &[Vec<u64>], position: usize) -> Samples {
    answers.iter().map(|answer| answer.get(position).map_or(f64::NAN, |it| *it as f64)).collect()
}

/// Ends where contenders have not read the same in the same round.
pub(crate) fn check_same(what: &str, answers: &[Vec<Vec<u64>>], position: usize) {
    let Some((first, rest)) = answers.split_first() else { return };
    for other in rest {
        for (round, (theirs, ours)) in first.iter().zip(other).enumerate() {
            let [theirs, ours] = [theirs, ours].map(|it| it.get(position));
            assert!(
                theirs.is_some() && theirs == ours,
                "{what}: round {round} read {theirs:?} and {ours:?}"
            );
        }
    }
}

/// The word that stands for the backend in a task.
pub(crate) const BACKEND: &str = "BACKEND";

fn with_backend<'a>(task: &[&'a str], backend: &'a str) -> Vec<&'a str> {
    task.iter().map(|word| if *word == BACKEND { backend } else { word }).collect()
}
