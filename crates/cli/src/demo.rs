//! `alluvium demo`: kills the flights job twice and shows that the result is exact.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use alluvium::core::{CheckpointId, JobId};
use alluvium::runtime::{CheckpointStatus, CheckpointStore, Clock, SystemClock};
use alluvium::storage;

use crate::args::{BackendName, DemoOptions};
use crate::error::CliError;
use crate::input;
use crate::jobs::flights::{Departures, table_of};

/// Records per second while the job is to be killed, so that it does not end first.
const RATE: &str = "60000";
/// Time to wait for a checkpoint.
const PATIENCE_MS: u64 = 30_000;

/// One row of what happened.
struct Step {
    what: &'static str,
    parallelism: u32,
    restored: String,
    ended: String,
    took_ms: u64,
}

struct Demo {
    options: DemoOptions,
    dir: PathBuf,
    steps: Vec<Step>,
}

pub(crate) fn demo(options: &DemoOptions) -> Result<(), CliError> {
    let system = |what: &str| {
        let what = what.to_owned();
        move |source| CliError::System { what, source }
    };
    if options.backend == BackendName::Memory {
        let usage = "the memory backend loses its checkpoints with the process: demo needs \
                     another";
        return Err(CliError::Usage(usage.to_owned()));
    }
    input::check(std::slice::from_ref(&options.input))?;
    let temporary = tempfile::tempdir().map_err(system("make a temporary folder"))?;
    let dir = options.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    if ["output", "checkpoints"].iter().any(|name| dir.join(name).exists()) {
        let usage = format!("--keep {} has results of an earlier run: name another", dir.display());
        return Err(CliError::Usage(usage));
    }
    let mut demo = Demo { options: options.clone(), dir, steps: Vec::new() };
    println!(
        "The flights job reads the 2013 departures of New York City and keeps, for each aircraft,\n\
         a value, a list, a map, a sum and an average. It is killed twice with SIGKILL and resumed\n\
         at another parallelism each time.\n"
    );
    let first = demo.run_and_kill("start", 2, None)?;
    let second = demo.run_and_kill("resume", 3, Some(first))?;
    demo.run_to_the_end(1, second)?;
    demo.print();
    demo.compare()
}

impl Demo {
    fn output(&self) -> PathBuf {
        self.dir.join("output")
    }

    fn checkpoints(&self) -> PathBuf {
        self.dir.join("checkpoints")
    }

    fn command(&self, parallelism: u32, restore: &str) -> Result<Command, CliError> {
        let program = std::env::current_exe()
            .map_err(|source| CliError::System { what: "find this program".to_owned(), source })?;
        let mut command = Command::new(program);
        let backend = self.options.backend.as_str();
        command.args(["run", "flights", "--quiet", "--interval", "250ms", "--retain", "3"]);
        command.args(["--backend", backend, "--restore", restore]);
        command.arg("--parallelism").arg(parallelism.to_string());
        command.arg("--input").arg(&self.options.input);
        command.arg("--output").arg(self.output());
        command.arg("--checkpoints").arg(self.checkpoints());
        #[cfg(feature = "rocksdb")]
        command.arg("--local-dir").arg(self.dir.join("local"));
        command.stdin(Stdio::null());
        Ok(command)
    }

    /// Runs until a checkpoint beyond `after` is complete, then kills the process.
    fn run_and_kill(
        &mut self,
        what: &'static str,
        parallelism: u32,
        after: Option<CheckpointId>,
    ) -> Result<CheckpointId, CliError> {
        let started = SystemClock.now_ms();
        let restore = if after.is_some() { "latest" } else { "none" };
        let mut command = self.command(parallelism, restore)?;
        command.args(["--rate", RATE]);
        let mut child = spawn(&mut command)?;
        let newest = self.wait_for_checkpoint(&mut child, after);
        // SIGKILL: the process cannot do anything about it.
        let killed = child.kill().and_then(|()| child.wait());
        let newest = newest?;
        killed.map_err(|source| CliError::System { what: "kill the job".to_owned(), source })?;
        // The job went on while this process looked: a newer checkpoint may be complete.
        let newest = self.newest()?.unwrap_or(newest);
        self.steps.push(Step {
            what,
            parallelism,
            restored: after.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            ended: format!("SIGKILL, newest checkpoint {newest}"),
            took_ms: SystemClock.now_ms().saturating_sub(started),
        });
        Ok(newest)
    }

    fn wait_for_checkpoint(
        &self,
        child: &mut Child,
        after: Option<CheckpointId>,
    ) -> Result<CheckpointId, CliError> {
        let deadline = SystemClock.now_ms() + PATIENCE_MS;
        loop {
            if let Some(newest) = self.newest()?
                && Some(newest) > after
            {
                return Ok(newest);
            }
            if let Ok(Some(status)) = child.try_wait() {
                let text = format!("the job ended with {status} before it could be killed");
                return Err(CliError::Demo(text));
            }
            if SystemClock.now_ms() > deadline {
                let text = "no checkpoint completed within 30 seconds";
                return Err(CliError::Demo(text.to_owned()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn newest(&self) -> Result<Option<CheckpointId>, CliError> {
        let root = storage::open(&self.checkpoints().to_string_lossy())?;
        let store = CheckpointStore::open(&*root, JobId::new("flights")?)?;
        let complete = store
            .list()?
            .into_iter()
            .rfind(|entry| matches!(entry.status, CheckpointStatus::Complete(_)));
        Ok(complete.map(|entry| entry.checkpoint))
    }

    fn run_to_the_end(&mut self, parallelism: u32, after: CheckpointId) -> Result<(), CliError> {
        let started = SystemClock.now_ms();
        let mut child = spawn(&mut self.command(parallelism, "latest")?)?;
        let status = child
            .wait()
            .map_err(|source| CliError::System { what: "wait for the job".to_owned(), source })?;
        if !status.success() {
            return Err(CliError::Demo(format!("the resumed job ended with {status}")));
        }
        self.steps.push(Step {
            what: "resume",
            parallelism,
            restored: after.to_string(),
            ended: "end of input".to_owned(),
            took_ms: SystemClock.now_ms().saturating_sub(started),
        });
        Ok(())
    }

    fn print(&self) {
        println!(
            "{:<8} {:>11}  {:>13}  {:<34} {:>7}",
            "step", "parallelism", "from checkpoint", "ended by", "ms"
        );
        for Step { what, parallelism, restored, ended, took_ms } in &self.steps {
            println!("{what:<8} {parallelism:>11}  {restored:>15}  {ended:<34} {took_ms:>7}");
        }
        println!();
    }

    /// Compares the table of the job with one computed straight from the file.
    fn compare(&self) -> Result<(), CliError> {
        let departures = Departures::read(std::slice::from_ref(&self.options.input))?;
        let expected = table_of(&departures);
        let path = self.output().join("table.csv");
        let found = read(&path)?;
        if found != expected {
            let line = found.lines().zip(expected.lines()).position(|(a, b)| a != b);
            let line = line.map_or_else(|| "the end".to_owned(), |line| (line + 1).to_string());
            let text = format!("{} differs from the expected table at line {line}", path.display());
            return Err(CliError::Demo(text));
        }
        let updates = self.count_updates()?;
        let (rows, flights) = (expected.lines().count() - 1, departures.flights.len());
        if updates != flights {
            let text = format!("{updates} lines in the committed updates, {flights} departures");
            return Err(CliError::Demo(text));
        }
        println!(
            "The table of {rows} aircraft equals, byte for byte, one computed straight from the \
             file;\nthe exactly-once sink committed {updates} lines, one for each of the {flights} \
             departures\n({} rows without a tail number skipped).",
            departures.skipped
        );
        if self.options.keep.is_some() {
            println!("Output and checkpoints are in {}.", self.dir.display());
        }
        Ok(())
    }

    fn count_updates(&self) -> Result<usize, CliError> {
        let dir = self.output().join("updates");
        let what = || format!("list {}", dir.display());
        let entries =
            std::fs::read_dir(&dir).map_err(|source| CliError::System { what: what(), source })?;
        let mut lines = 0;
        for entry in entries {
            let entry = entry.map_err(|source| CliError::System { what: what(), source })?;
            if entry.file_name().to_string_lossy().starts_with("part-") {
                lines += read(&entry.path())?.lines().count();
            }
        }
        Ok(lines)
    }
}

fn spawn(command: &mut Command) -> Result<Child, CliError> {
    command.spawn().map_err(|source| CliError::System { what: "start the job".to_owned(), source })
}

fn read(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path)
        .map_err(|source| CliError::Input { path: path.display().to_string(), source })
}
