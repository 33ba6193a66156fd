//! Memory is measured in a process of its own, whose memory holds nothing else.

use std::process::Command;

/// The argument after which the task of a process of its own stands.
pub const CHILD: &str = "--child";

/// The numbers that a process of this program prints for a task.
pub fn numbers_of(task: &[String]) -> Vec<f64> {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program).arg(CHILD).args(task).output();
    let output = output.expect("this program can be started");
    assert!(output.status.success(), "{task:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().map(|word| word.parse().expect("a number")).collect()
}

/// What of this process lies in memory.
pub fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").expect("Linux 4.14 or later");
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes.and_then(|it| it.trim().parse::<u64>().ok()).expect("a number of kB") * 1_024
}
